// The compiled kernels and their memory: weights at its bottom for good, and above them what one step works with.
// Under `networks`, `bitstream/entropy` and `coding`; only this module knows addresses and layouts of weights.

import { fromBase64 } from '../base64.js';
import { BadModel } from '../errors.js';
import { PLAIN, RELAXED } from './kernels.js';

interface Kernels {
  memory: WebAssembly.Memory;
  base(): number;
  gemm(x: number, xs: number, rows: number, inner: number, w: number, bias: number, out: number, os: number,
    outer: number, mode: number, limit: number): void;
  depthwise(x: number, h: number, w: number, s: number, k: number, bias: number, out: number, zero: number): void;
  up(x: number, xb: number, h: number, w: number, m: number, run: number, out: number, ob: number): void;
  pixels(x: number, xs: number, h: number, w: number, m: number, channels: number, out: number, add: boolean): void;
  neighbours(x: number, xb: number, h: number, w: number, i: number, left: number, count: number, run: number,
    out: number): void;
  scaled(x: number, xs: number, rows: number, count: number, by: number, out: number, os: number): void;
  phase0(y: number, ys: number, mean: number, ms: number, h: number, w: number, deep: number, unit: number,
    out: number, os: number): void;
  phase1(y: number, ys: number, mean: number, ms: number, h: number, w: number, deep: number): void;
  integers(x: number, xs: number, rows: number, pairs: number, w: number, bias: number, shift: number, out: number,
    os: number, outer: number, top: number, planar: boolean, real: number): void;
  begin(words: number, wordBytes: number, escapes: number, escapeBytes: number): void;
  take(index: number, count: number, out: number, tables: number, starts: number, sums: number, low: number,
    order: number, places: number, escapes: boolean): number;
  finished(): number;
  crc(table: number, at: number, length: number, value: number): number;
  corrected(x: number, h: number, w: number, m: number, k: number, out: number): void;
  smoothed(x: number, h: number, w: number, m: number, near: number, out: number): void;
  philox(seed0: number, seed1: number, kind: number, row: number, column: number, blocks: number, out: number): void;
  samples(x: number, wide: number, h: number, w: number, m: number, channels: number, top: number, out: number): number;
}

export const LEAKY = 1, CAP = 2, ADD = 4, HALVES = 8;
const PAGE = 65536;
const MOST_PAGES = 65536;

/** Channels in a row of floats: the kernels write eight at a time. */
export function stride(channels: number): number {
  return (channels + 7) & ~7;
}

/** A 1x1 convolution, ready for the kernel. inner, outer: channels; outer is a multiple of 8. */
export interface Product {
  w: number;
  bias: number;
  inner: number;
  outer: number;
}

export class Engine {
  private top: number;

  private constructor(readonly run: Kernels) {
    this.top = align(run.base());
  }

  /** Compiles the kernels; those with relaxed SIMD where the machine has it. */
  static async create(): Promise<Engine> {
    const [relaxed, plain] = [RELAXED, PLAIN].map(fromBase64);
    if (!WebAssembly.validate(plain!)) throw new Error('this browser is too old: it has no WebAssembly with SIMD');
    const code = WebAssembly.validate(relaxed!) ? relaxed! : plain!;
    const { instance } = await WebAssembly.instantiate(code, { env: { abort: () => undefined } });
    return new Engine(instance.exports as unknown as Kernels);
  }

  /** Room for so many bytes, and 16 more, since kernels read whole vectors. */
  alloc(size: number): number {
    const at = this.top, end = at + size + 16, memory = this.run.memory;
    this.top = align(end);
    if (end > memory.buffer.byteLength) {
      const pages = Math.ceil((end - memory.buffer.byteLength) / PAGE);
      try {
        if (memory.buffer.byteLength / PAGE + pages > MOST_PAGES) throw new RangeError();
        memory.grow(pages);
      } catch {
        throw new BadModel('the model needs more memory than there is');
      }
    }
    return at;
  }

  /** Where the memory in use ends, for `release`. */
  mark(): number {
    return this.top;
  }

  /** Gives back all that was taken since a mark. */
  release(mark: number): void {
    this.top = mark;
  }

  f32(at: number, length: number): Float32Array {
    return new Float32Array(this.run.memory.buffer, at, length);
  }

  i32(at: number, length: number): Int32Array {
    return new Int32Array(this.run.memory.buffer, at, length);
  }

  i16(at: number, length: number): Int16Array {
    return new Int16Array(this.run.memory.buffer, at, length);
  }

  u16(at: number, length: number): Uint16Array {
    return new Uint16Array(this.run.memory.buffer, at, length);
  }

  u8(at: number, length: number): Uint8Array {
    return new Uint8Array(this.run.memory.buffer, at, length);
  }

  /** A copy of some numbers. at: where, or fresh room. */
  put(values: Float32Array | Int32Array | Uint32Array | Uint8Array, length = values.length, at = this.alloc(4 * length)): number {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const room = this.u8(at, Math.max(bytes.length, length * values.BYTES_PER_ELEMENT));
    room.fill(0, bytes.length);
    room.set(bytes);
    return at;
  }

  /**
   * Weights (outer, inner) and bias (outer) in panels of eight outputs, (inner, 8) each.
   *
   * halves: of a layer whose two halves are added, in panels of four of the first half and four of the second. rows,
   * columns: factors of each output and input. before: a product of the same shape, to be overwritten.
   */
  pack(weight: Float32Array, bias: Float32Array, inner: number, options: {
    halves?: boolean; rows?: Float32Array; columns?: Float32Array; before?: Product | undefined;
  } = {}): Product {
    const { halves = false, rows, columns, before } = options, real = bias.length;
    const half = real / 2, outer = halves ? 2 * ((half + 3) & ~3) : stride(real);
    const made = before ?? { w: this.alloc(4 * inner * outer), bias: this.alloc(4 * outer), inner, outer };
    const w = this.f32(made.w, inner * outer), b = this.f32(made.bias, outer);
    w.fill(0);
    b.fill(0);
    for (let o = 0; o < real; o++) {
      const second = halves && o >= half, own = second ? o - half : o;
      const place = halves ? 8 * (own >> 2) + (own & 3) + (second ? 4 : 0) : o;
      const to = (place >> 3) * 8 * inner + (place & 7), by = rows ? rows[o]! : 1;
      b[place] = bias[o]!;
      for (let c = 0; c < inner; c++) w[to + 8 * c] = weight[o * inner + c]! * by * (columns ? columns[c]! : 1);
    }
    return made;
  }

  /** out = x times the weights, for `rows` positions. xs, os: channels from one position to the next. */
  multiply(p: Product, x: number, xs: number, rows: number, out: number, os: number, mode = 0, limit = 0): void {
    this.run.gemm(x, xs, rows, p.inner, p.w, p.bias, out, os, p.outer, mode, limit);
  }
}

function align(at: number): number {
  return (at + 15) & ~15;
}
