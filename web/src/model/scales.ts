// h_sigma: whole numbers z -> the table of each symbol, in whole numbers alone, so exact everywhere.
// Between `engine` and `coding`, beside `networks`. Layers are those of docs/FORMAT.md.

import { Y_CELL, type Box } from '../bitstream/tiles.js';
import { BadModel } from '../errors.js';
import type { Engine } from './engine.js';
import type { Model } from './modelfile.js';

export const ANCHORS = 11;

interface Integers {
  w: number;
  shift: number;
  biases: Int32Array;
  bias: number;
  rounding: Int32Array;
  inner: number;
  outer: number;
  real: number;
}

export class Scales {
  private readonly layers: Integers[];
  private readonly hyper: number;
  private readonly latent: number;

  constructor(private readonly engine: Engine, private readonly model: Model) {
    const { hyper, z, latent } = model.config;
    [this.hyper, this.latent] = [hyper, latent];
    this.layers = ([[4 * hyper, z], [4 * hyper, hyper], [hyper, 9 * hyper], [latent, hyper]] as const).map(
      ([outer, inner], i) => this.layer(`h_sigma.layers.${i}`, outer, inner),
    );
  }

  private layer(name: string, outer: number, inner: number): Integers {
    const { engine, model } = this, pairs = (inner + 1) >> 1, padded = (outer + 3) & ~3;
    const weight = model.array(`${name}.weight`, 'I8', [outer, inner, 1, 1]);
    const biases = model.array(`${name}.bias`, 'I32', [ANCHORS, outer]);
    const shifts = model.array(`${name}.scale`, 'F32', [1, outer]).map((scale) => -Math.log2(scale));
    if (!shifts.every((s) => Number.isInteger(s) && s >= 1 && s <= 30)) {
      throw new BadModel('the model has an impossible scale');
    }
    const w = engine.alloc(4 * pairs * padded), to = engine.i16(w, 2 * pairs * padded).fill(0);
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < inner; c++) {
        to[((o >> 2) * pairs + (c >> 1)) * 8 + 2 * (o & 3) + (c & 1)] = weight[o * inner + c]!;
      }
    }
    return {
      w, shift: engine.put(Int32Array.from(shifts), padded), biases, bias: engine.alloc(4 * padded),
      rounding: Int32Array.from(shifts, (s) => 1 << (s - 1)), inner, outer: padded, real: outer,
    };
  }

  /** Mixes the biases of the anchors. quality: in hundredths. */
  prepare(quality: number): void {
    const t = Array.from({ length: ANCHORS }, (_, k) =>
      Math.floor((16 * Math.max(0, 1000 - Math.abs(quality - 1000 * k)) + 500) / 1000));
    for (const layer of this.layers) {
      const to = this.engine.i32(layer.bias, layer.outer).fill(0);
      for (let o = 0; o < layer.real; o++) {
        let sum = 8;
        t.forEach((hat, k) => (sum += hat * layer.biases[k * layer.real + o]!));
        to[o] = Math.floor(sum / 16) + layer.rounding[o]!;
      }
    }
  }

  /**
   * h_sigma: the table of each symbol of `inner` cells, uint16 (L, 4h, 4w), at an address. z: int8 (Z, R, S), known in
   * the cells `seen`, which reach one further than `inner` where the picture goes on. whole: all cells.
   */
  tables(z: Int8Array, whole: Box, seen: Box, inner: Box): number {
    const { engine: e, layers, hyper } = this;
    const [first, second, third, last] = layers as [Integers, Integers, Integers, Integers];
    const positions = inner.rows * inner.columns * Y_CELL ** 2;
    const result = e.alloc(2 * this.latent * positions), mark = e.mark();
    let rows = seen.rows, columns = seen.columns, xs = first.inner;
    let x = e.alloc(2 * rows * columns * xs);
    gather(z, whole, seen, e.i16(x, rows * columns * xs), xs);
    for (const layer of [first, second]) {
      const wide = e.alloc(2 * rows * columns * layer.outer);
      this.integers(layer, x, xs, rows * columns, wide, layer.outer, 255);
      x = e.alloc(8 * rows * columns * hyper);
      e.run.up(wide, 2 * layer.outer, rows, columns, 2, 2 * hyper, x, 2 * hyper);
      [rows, columns, xs] = [2 * rows, 2 * columns, hyper];
    }
    const top = (inner.top - seen.top) * Y_CELL, left = (inner.left - seen.left) * Y_CELL;
    const count = inner.columns * Y_CELL, narrow = e.alloc(2 * positions * third.outer);
    const around = e.alloc(2 * count * third.inner);
    for (let i = 0; i < inner.rows * Y_CELL; i++) {
      e.run.neighbours(x, 2 * xs, rows, columns, top + i, left, count, 2 * hyper, around);
      this.integers(third, around, third.inner, count, narrow + 2 * i * count * third.outer, third.outer, 255);
    }
    this.integers(last, narrow, third.outer, positions, result, positions, 63, true);
    e.release(mark);
    return result;
  }

  private integers(layer: Integers, x: number, xs: number, rows: number, out: number, os: number, top: number, planar = false): void {
    const pairs = (layer.inner + 1) >> 1;
    this.engine.run.integers(x, xs, rows, pairs, layer.w, layer.bias, layer.shift, out, os, layer.outer, top, planar,
      layer.real);
  }
}

/** z of some cells, (h * w, Z), from all of it, (Z, R, S). */
export function gather(z: Int8Array, whole: Box, seen: Box, to: Int16Array | Float32Array, channels: number): void {
  for (let c = 0; c < channels; c++) {
    for (let i = seen.top, at = c; i < seen.bottom; i++) {
      for (let j = seen.left; j < seen.right; j++, at += channels) to[at] = z[(c * whole.rows + i) * whole.columns + j]!;
    }
  }
}
