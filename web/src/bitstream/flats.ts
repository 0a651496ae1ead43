// Flats: cells of 8 pixels that have one colour.
// Beside `patches`; `coding/painting` lays them over the painted samples and the patches.

import { BadFile } from '../errors.js';
import { inflate } from './container.js';
import * as marks from './marks.js';

const SIDE = 8;

/** colours: (N, channels). */
export class Flats {
  constructor(readonly where: marks.Marks, readonly colours: Uint8Array) {}

  /** Lays the flat cells over a part, in place. shrink: 1, or 8 in a preview. */
  lay(part: marks.Part, shrink: number): void {
    const { box, channels, data } = part, larger = data instanceof Uint16Array ? 257 : 1;
    marks.each(this.where, part, SIDE / shrink, (number, top, left, bottom, right) => {
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) {
          const at = ((i - box.top) * box.columns + j - box.left) * channels;
          for (let c = 0; c < channels; c++) data[at + c] = larger * this.colours[number * channels + c]!;
        }
      }
    });
  }
}

export function decode(payload: Uint8Array, width: number, height: number, channels: number): Flats {
  const rows = Math.ceil(height / SIDE), columns = Math.ceil(width / SIDE), bitmap = marks.size(rows, columns);
  const data = inflate(payload, bitmap + rows * columns * channels);
  const where = marks.decode(data.subarray(0, bitmap), rows, columns, 'flat cells');
  if (data.length !== bitmap + where.count * channels) throw new BadFile('the flat cells have the wrong size');
  const colours = data.slice(bitmap);
  for (let i = channels; i < colours.length; i++) colours[i]! += colours[i - channels]!;
  return new Flats(where, colours);
}
