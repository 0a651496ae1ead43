// The hyper latent z from its payload: five groups of cells, each with tables chosen by the mean of known neighbours.
// Between `entropy` and `symbols`.

import type { Engine } from '../model/engine.js';
import { begin, finish, type Tables } from './entropy.js';

const ANCHORS = 11, MEAN_ONE = 12;
/** Distance of the grid, and how many of both indices are odd in it. */
const GROUPS = [[2, 0], [2, 2], [2, 1], [1, 2], [1, 1]] as const;

/** bounds: (11 Z, each). channels: Z. */
export interface HyperTables {
  tables: Tables;
  bounds: Int16Array;
  each: number;
  channels: number;
}

/** z, (Z, rows, columns). quality: in hundredths. */
export function read(
  engine: Engine, { tables, bounds, each, channels }: HyperTables, payload: Uint8Array, rows: number, columns: number,
  quality: number,
): Int8Array {
  const z = new Int8Array(channels * rows * columns), mark = engine.mark();
  const own = Math.floor((quality + 500) / 1000) * channels;
  begin(engine, payload);
  for (const [step, odd] of GROUPS) {
    const places: number[] = [], near: number[][] = [];
    for (let i = 0; i < rows; i += step) {
      for (let j = 0; j < columns; j += step) {
        if (((i / step) & 1) + ((j / step) & 1) !== odd) continue;
        places.push(i * columns + j);
        near.push(odd ? neighbours(i, j, step, odd, rows, columns) : []);
      }
    }
    const count = places.length * channels, group = engine.mark();
    const index = engine.alloc(2 * count), to = engine.u16(index, count);
    for (let c = 0, at = 0; c < channels; c++) {
      const plane = c * rows * columns, t = own + c;
      for (let n = 0; n < places.length; n++) {
        let set = 0;
        if (odd) {
          let total = 0;
          for (const place of near[n]!) total += z[plane + place]!;
          set = 1;
          for (let k = 0; k < each; k++) if (MEAN_ONE * total >= near[n]!.length * bounds[t * each + k]!) set++;
        }
        to[at++] = t + set * ANCHORS * channels;
      }
    }
    const symbols = engine.i16(tables.take(index, count), count);
    for (let c = 0, at = 0; c < channels; c++) {
      for (const place of places) z[c * rows * columns + place] = symbols[at++]!;
    }
    engine.release(group);
  }
  finish(engine);
  engine.release(mark);
  return z;
}

/** The cells that are known before, at the corners (odd = 2) or straight beside (odd = 1). */
function neighbours(i: number, j: number, step: number, odd: number, rows: number, columns: number): number[] {
  const found = [];
  for (const [m, n] of odd === 2 ? [[-1, -1], [-1, 1], [1, -1], [1, 1]] : [[-1, 0], [0, -1], [0, 1], [1, 0]]) {
    const row = i + step * m!, column = j + step * n!;
    if (row >= 0 && row < rows && column >= 0 && column < columns) found.push(row * columns + column);
  }
  return found;
}
