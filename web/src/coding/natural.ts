// Draws for what a file does not say: the width of each symbol that is zero, filled at random; and noise beside them.
// Beside `painting`; `windows` adds them to the latents of g_s. docs/NATURAL.md describes them to the bit.

import type { Symbols } from '../bitstream/symbols.js';
import { Box, CELL, Y_CELL } from '../bitstream/tiles.js';
import { BadModel, NicError } from '../errors.js';
import { stride, type Engine } from '../model/engine.js';
import type { Model } from '../model/modelfile.js';

/** The numbers that a draw chooses from: one for each value of a byte. */
const LEVELS = 256;
/** The tables that a byte can name; a model has fewer. */
const TABLES = 256;
const MAX_SEED = 2 ** 32 - 1;
/** Positions along a side of a cell at /8, where layers that learnt from draws take noise. */
const NOISE_CELL = CELL / 8;
/** What is drawn, by the second word of the counter of Philox. */
const OF_LATENT = 0, OF_NOISE = 1;

// All numbers are those of natural.py, which says how they were chosen.
const STRENGTH = 1.8, BEGIN = 0.25, FALL = 0.005, LEAST = 0.05, WIDE = 0.2, SETTLED = 0.05 ** 2;
/** The share of a threshold's excess over one half that deep channels use. */
const LEFT = 1 / 16;

/** Throws NicError unless natural is a number in 0..1, and seed a whole number in 0..2^32 - 1. */
export function checkDraws(natural: unknown, seed: unknown): void {
  if (typeof natural !== 'number' || !(natural >= 0 && natural <= 1)) {
    throw new NicError(`natural must be a number from 0 to 1, not ${shown(natural)}`);
  }
  if (typeof seed !== 'number' || !Number.isInteger(seed) || seed < 0 || seed > MAX_SEED) {
    throw new NicError(`seed must be a whole number from 0 to ${MAX_SEED}, not ${shown(seed)}`);
  }
}

function shown(value: unknown): string {
  return typeof value === 'number' || value === null ? String(value) : `a ${typeof value}`;
}

/** What the tables of a model say of a symbol, in quantiser steps; each for linear and for deep channels, by table. */
export class Widths {
  /** The variance of a symbol before it is rounded, less SETTLED; and that of one that became zero. */
  readonly variance: Float32Array[] = [];
  readonly missing: Float32Array[] = [];
  /** LEVELS equally likely numbers of each table, to draw at natural 1. */
  readonly levels: Float32Array[] = [];
  readonly deep: number;

  constructor(model: Model) {
    const linear = model.array('thresholds', 'F32', [-1]);
    if (!linear.length) throw new BadModel('the model has impossible thresholds');
    const learnt = linear.map((t) => 0.5 + LEFT * Math.fround(t - 0.5));
    const frequencies = model.array('tables.y.frequencies', 'U16', [-1]);
    const start = model.array('tables.y.start', 'I32', [-1]), low = model.array('tables.y.low', 'I16', [-1]);
    this.deep = model.config.deep;
    for (const zones of [learnt, linear]) {
      const [variance, missing] = [new Float32Array(TABLES), new Float32Array(TABLES)];
      const levels = new Float32Array(TABLES * LEVELS);
      for (let table = 0; table < Math.min(low.length, TABLES); table++) {
        const [from, to] = [start[table]!, start[table + 1]!], entry = from - low[table]!;
        const zone = zones[Math.min(table, zones.length - 1)]!;
        if (to - from === 1 || entry < from || entry >= to) continue;
        const { width, numbers } = gaussian(frequencies[entry]! / 65536, zone);
        variance[table] = Math.fround(width ** 2) - Math.fround(SETTLED);
        missing[table] = numbers.reduce((sum, x) => sum + x * x, 0) / LEVELS;
        const share = Math.fround(missing[table]! / Math.fround(width ** 2));
        const strength = Math.fround(Math.fround(STRENGTH) * Math.fround(share * share));
        numbers.forEach((x, i) => (levels[table * LEVELS + i] = Math.min(zone, Math.max(-zone, strength * x))));
      }
      this.variance.push(variance);
      this.missing.push(missing);
      this.levels.push(levels);
    }
  }
}

/** The width of a Gaussian of which a share is under `zone` in magnitude, and equally likely numbers of it. */
function gaussian(zeros: number, zone: number): { width: number; numbers: Float64Array } {
  const width = zone / quantile((1 + zeros) / 2);
  const shares = Float64Array.from({ length: LEVELS }, (_, i) => (1 - zeros) / 2 + (zeros * (i + 0.5)) / LEVELS);
  return { width, numbers: shares.map((share) => width * quantile(share)) };
}

// Wichura 1988, algorithm AS 241, PPND16: numerators and denominators, the highest power first.
const MIDDLE = [
  [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
    1971.5909503065514427, 133.14166789178437745, 3.387132872796366608],
  [5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
    687.1870074920579083, 42.313330701600911252, 1],
];
const NEAR = [
  [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
    3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734],
  [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
    0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1],
];
const FAR = [
  [2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
    0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772],
  [2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
    0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1],
];

/** The number below which a share of a Gaussian of width 1 lies. */
export function quantile(share: number): number {
  const q = share - 0.5;
  if (Math.abs(q) <= 0.425) return q * ratio(MIDDLE, 0.180625 - q * q);
  const r = Math.sqrt(-Math.log(q <= 0 ? share : 1 - share)), x = r <= 5 ? ratio(NEAR, r - 1.6) : ratio(FAR, r - 5);
  return q < 0 ? -x : x;
}

function ratio([above, below]: number[][], r: number): number {
  const [x, y] = [above!, below!].map((factors) => factors.reduce((sum, factor) => sum * r + factor));
  return x! / y!;
}

/** Equally likely numbers of the standard normal distribution. */
const normal = (): Float32Array => Float32Array.from({ length: LEVELS }, (_, i) => quantile((i + 0.5) / LEVELS));

/**
 * The draws of one file. natural: 0 to 1. key: two numbers that make the draws. quality: of the file, in hundredths.
 * learnt: whether layers that learnt from draws paint them. Then draws are always full, and `natural` mixes two pictures.
 *
 * A draw depends on the key, on its cell and on its place there alone, so a region is the crop of the whole.
 */
export class Draw {
  private readonly levels: Float32Array[];

  constructor(
    private readonly widths: Widths, readonly natural: number, private readonly key: readonly [number, number],
    private readonly quality: number, readonly learnt: boolean,
  ) {
    const by = learnt ? 1 : Math.fround(natural);
    this.levels = widths.levels.map((all) => all.map((x) => x * by));
  }

  /**
   * What to add to the latent of a box of cells: floats (16 h w, stride(L)) at an address, in rows of channels.
   *
   * index: the table of each of their symbols, uint16 (L, 4h, 4w). Symbols that are not zero get nothing.
   */
  of(e: Engine, cells: Box, symbols: Symbols, latent: number, index: number): number {
    const wide = cells.columns * Y_CELL, positions = cells.rows * Y_CELL * wide, s = stride(latent), { deep } = this.widths;
    const at = e.alloc(4 * positions * s), mark = e.mark(), each = latent * Y_CELL ** 2, room = (each + 31) & ~31;
    const r = e.alloc(4 * positions * s), bytes = e.alloc(cells.rows * cells.columns * room);
    symbols.place(cells, r, s);
    for (let cell = 0; cell < cells.rows * cells.columns; cell++) {
      const row = cells.top + Math.floor(cell / cells.columns), column = cells.left + (cell % cells.columns);
      e.run.philox(...this.key, OF_LATENT, row, column, room / 32, bytes + cell * room);
    }
    const drawn = e.f32(at, positions * s).fill(0), sent = e.f32(r, positions * s), tables = e.u16(index, positions * latent);
    const chosen = e.u8(bytes, cells.rows * cells.columns * room);
    const missing = new Float64Array(positions), variance = new Float64Array(positions).fill(latent * SETTLED);
    for (const [kind, first, end] of [[0, 0, deep], [1, deep, latent]] as const) {
      const own = this.widths.missing[kind]!, spread = this.widths.variance[kind]!, levels = this.levels[kind]!;
      const [lost, all] = [new Float64Array(positions), new Float64Array(positions)];
      for (let c = first; c < end; c++) {
        for (let p = 0; p < positions; p++) {
          const table = tables[c * positions + p]!;
          // Most symbols have settled tables.
          if (!(own[table]! > 0)) continue;
          all[p]! += spread[table]!;
          if (sent[p * s + c]) continue;
          lost[p]! += own[table]!;
          const i = Math.floor(p / wide), j = p % wide, cell = (i >> 2) * cells.columns + (j >> 2);
          drawn[p * s + c] = levels[table * LEVELS + chosen[cell * room + c * Y_CELL ** 2 + (i & 3) * Y_CELL + (j & 3)]!]!;
        }
      }
      for (let p = 0; p < positions; p++) {
        missing[p]! += lost[p]!;
        variance[p]! += all[p]!;
      }
    }
    const begin = Math.max(BEGIN - (FALL * this.quality) / 100, LEAST);
    for (let p = 0; p < positions; p++) {
      const gate = Math.fround(Math.min(1, Math.max(0, (missing[p]! / variance[p]! - begin) / WIDE)));
      for (let c = p * s; c < p * s + latent; c++) drawn[c]! *= gate;
    }
    e.release(mark);
    return at;
  }

  /** Standard normal noise for a box of positions of the latent: floats (4 rows * columns, channels) at an address. */
  noise(e: Engine, inner: Box, channels: number): number {
    const fine = inner.times(NOISE_CELL / Y_CELL), count = fine.rows * fine.columns * channels;
    const at = e.alloc(4 * count), mark = e.mark(), plane = NOISE_CELL ** 2, bytes = e.alloc(channels * plane);
    const cells = inner.over(Y_CELL), numbers = normal(), to = e.f32(at, count), from = e.u8(bytes, channels * plane);
    for (let row = cells.top; row < cells.bottom; row++) {
      for (let column = cells.left; column < cells.right; column++) {
        e.run.philox(...this.key, OF_NOISE, row, column, (channels * plane) / 32, bytes);
        const own = new Box(row, column, row + 1, column + 1).times(NOISE_CELL).cut(fine);
        for (let i = own.top; i < own.bottom; i++) {
          for (let j = own.left; j < own.right; j++) {
            const place = ((i - fine.top) * fine.columns + j - fine.left) * channels;
            const first = (i % NOISE_CELL) * NOISE_CELL + (j % NOISE_CELL);
            for (let c = 0; c < channels; c++) to[place + c] = numbers[from[c * plane + first]!]!;
          }
        }
      }
    }
    e.release(mark);
    return at;
  }
}
