// The parts of a picture -> the picture: samples in rows, or RGBA for a canvas.
// Above `decoding`; it runs where the picture is wanted.

import type { Part } from '../bitstream/marks.js';
import type { Begun } from './decoding.js';
import { atDepth } from './beside.js';

/** A decoded picture. data: (height, width, channels), row by row; of 2 and 4 channels the last is alpha. */
export interface Samples {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
  depth: 8 | 16;
  data: Uint8Array | Uint16Array;
}

/** Joins parts to RGBA of 8 bits, as `ImageData` has it. */
export class Rgba {
  readonly data: Uint8ClampedArray<ArrayBuffer>;

  constructor(readonly width: number, height: number) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }

  paste({ box, channels, data }: Part): void {
    const [second, third] = channels === 1 ? [0, 0] : [1, 2];
    for (let i = box.top, from = 0; i < box.bottom; i++) {
      for (let to = 4 * (i * this.width + box.left), end = to + 4 * box.columns; to < end; to += 4, from += channels) {
        this.data[to] = data[from]!;
        this.data[to + 1] = data[from + second]!;
        this.data[to + 2] = data[from + third]!;
        this.data[to + 3] = 255;
      }
    }
  }

  cover(alpha: Uint8Array | Uint16Array): void {
    atDepth(alpha, 8).forEach((a, i) => (this.data[4 * i + 3] = a));
  }
}

/** Joins parts to samples of either depth. */
export class Plain {
  private data: Uint8Array | Uint16Array;

  constructor(private readonly size: Begun) {
    const count = size.width * size.height * size.channels;
    this.data = size.depth === 16 ? new Uint16Array(count) : new Uint8Array(count);
  }

  paste({ box, channels, data }: Part): void {
    const row = box.columns * channels;
    for (let i = 0; i < box.rows; i++) {
      this.data.set(data.subarray(i * row, (i + 1) * row), ((box.top + i) * this.size.width + box.left) * channels);
    }
  }

  finish(alpha: Uint8Array | Uint16Array | null): Samples {
    const { width, height, channels, depth } = this.size;
    if (!alpha) return { width, height, channels, depth, data: this.data };
    const all = channels + 1, data = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * all);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < channels; c++) data[i * all + c] = this.data[i * channels + c]!;
      data[i * all + channels] = alpha[i]!;
    }
    return { width, height, channels: all as 2 | 4, depth, data };
  }
}
