// Patches: cells of 16 pixels that are sent as their samples, in few levels.
// Beside `flats`; `coding/painting` lays them over the painted samples.

import { BadFile } from '../errors.js';
import { inflate } from './container.js';
import * as marks from './marks.js';

const SIDE = 16, AREA = SIDE * SIDE;

/** levels: those of each patch, (N, channels, 16, 16), 0 to `steps`. */
export class Patches {
  constructor(readonly steps: number, readonly where: marks.Marks, readonly levels: Uint8Array) {}

  /** Lays the patches over a part, in place. shrink: 1, or 8 for the mean of 8 x 8 in a preview. */
  lay(part: marks.Part, shrink: number): void {
    const side = SIDE / shrink, { box, channels, data } = part, wide = box.columns;
    const values = new Uint8Array(256), larger = data instanceof Uint16Array ? 257 : 1;
    for (let k = 0; k < 256; k++) {
      values[k] = Math.min(255, Math.floor((510 * k + this.steps) / (2 * this.steps)));
    }
    marks.each(this.where, part, side, (number, top, left, bottom, right) => {
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) {
          for (let c = 0; c < channels; c++) {
            const own = (number * channels + c) * AREA, row = (i % side) * shrink, column = (j % side) * shrink;
            let sum = 0;
            for (let m = 0; m < shrink; m++) {
              for (let n = 0; n < shrink; n++) sum += values[this.levels[own + (row + m) * SIDE + column + n]!]!;
            }
            data[((i - box.top) * wide + j - box.left) * channels + c] = larger * even(sum / shrink ** 2);
          }
        }
      }
    });
  }
}

/** To the nearest whole number, halves to the even one. */
function even(x: number): number {
  const low = Math.floor(x);
  return x - low > 0.5 || (x - low === 0.5 && low % 2) ? low + 1 : low;
}

export function decode(payload: Uint8Array, width: number, height: number, channels: number): Patches {
  const rows = Math.ceil(height / SIDE), columns = Math.ceil(width / SIDE), bitmap = marks.size(rows, columns);
  const data = inflate(payload, 1 + bitmap + rows * columns * channels * AREA);
  const where = marks.decode(data.subarray(1, 1 + bitmap), rows, columns, 'patches');
  if (!data[0] || data.length !== 1 + bitmap + where.count * channels * AREA) {
    throw new BadFile('the patches have the wrong size');
  }
  const levels = data.slice(1 + bitmap);
  for (let at = 0; at < levels.length; at += AREA) {
    for (let j = 1; j < SIDE; j++) levels[at + j]! += levels[at + j - 1]!;
    for (let k = SIDE; k < AREA; k++) levels[at + k]! += levels[at + k - SIDE]!;
  }
  return new Patches(data[0], where, levels);
}
