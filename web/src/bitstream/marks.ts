// The marks of a chunk on the cells of a picture, a bit for each.
// Under `patches` and `flats`, whose chunks both say which cells they replace.

import { BadFile } from '../errors.js';
import type { Box } from './tiles.js';

/** The number of each marked cell among them, or -1, row by row. */
export interface Marks {
  rows: number;
  columns: number;
  numbers: Int32Array;
  count: number;
}

/** The bytes that the marks of so many cells take. */
export function size(rows: number, columns: number): number {
  return Math.ceil((rows * columns) / 8);
}

/** Throws BadFile for too few bits, bits beyond the last cell, and no mark at all. */
export function decode(bits: Uint8Array, rows: number, columns: number, what: string): Marks {
  const cells = rows * columns, numbers = new Int32Array(cells).fill(-1);
  let count = 0;
  if (bits.length < size(rows, columns)) throw new BadFile(`the ${what} do not fit the picture`);
  for (let i = 0; i < 8 * bits.length; i++) {
    if (!((bits[i >> 3]! >> (7 - (i & 7))) & 1)) continue;
    if (i >= cells) throw new BadFile(`the ${what} do not fit the picture`);
    numbers[i] = count++;
  }
  if (!count) throw new BadFile(`the ${what} do not fit the picture`);
  return { rows, columns, numbers, count };
}

/** Samples of one part of a picture, (rows, columns, channels), 8 or 16 bits. */
export interface Part {
  box: Box;
  channels: number;
  data: Uint8Array | Uint16Array;
}

/** Calls back with each marked cell of `side` that touches a part: its number, and the box that it covers there. */
export function each(
  marks: Marks, { box }: Part, side: number,
  call: (number: number, top: number, left: number, bottom: number, right: number) => void,
): void {
  for (let i = Math.floor(box.top / side); i < Math.ceil(box.bottom / side); i++) {
    for (let j = Math.floor(box.left / side); j < Math.ceil(box.right / side); j++) {
      const number = marks.numbers[i * marks.columns + j]!;
      if (number < 0) continue;
      call(number, Math.max(box.top, i * side), Math.max(box.left, j * side), Math.min(box.bottom, (i + 1) * side),
        Math.min(box.right, (j + 1) * side));
    }
  }
}
