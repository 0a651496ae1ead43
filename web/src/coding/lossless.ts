// Files of samples: the samples of each tile, from its VP8L streams. They need no model.
// Under `decoding`, beside `painting`.

import { Kind, type File, type Header } from '../bitstream/container.js';
import { raw, shifted } from '../bitstream/crc.js';
import * as alpha from '../bitstream/alpha.js';
import type { Part } from '../bitstream/marks.js';
import { Box, CELL, cells, grid } from '../bitstream/tiles.js';
import { BadFile } from '../errors.js';
import * as vp8l from '../picture/vp8l.js';
import { atDepth, reduced } from './beside.js';
import type { View } from './painting.js';

/** The tiles of a file that a view needs, by number, in pixels. */
export function tilesOf({ header }: File, { area, shrink }: View): { n: number; box: Box }[] {
  const whole = new Box(0, 0, header.height, header.width), wanted = area.times(shrink);
  return grid(cells(header.width, header.height), header.tile)
    .map((tile, n) => ({ n, box: tile.times(CELL).cut(whole) })).filter(({ box }) => !box.cut(wanted).empty);
}

/** The samples of some tiles inside the wanted area. sums: what each adds to the checksum, by its number. */
export function* paint(
  file: File, wanted: View, own: { n: number; box: Box }[], depth: 8 | 16, sums: Map<number, [number, number]>,
): Generator<Part> {
  const { header } = file, { channels } = header, sent = file.extra(Kind.ALPHA);
  const plane = wanted.shrink > 1 && sent ? alpha.decode(sent, header.width, header.height) : null;
  for (const { n, box } of own) {
    const samples = unpacked(file.chunks[n]!.payload, box, header);
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    sums.set(n, [raw(bytes, 0), bytes.length]);
    if (wanted.shrink > 1) {
      const eight = atDepth(samples, 8), weights = plane && atDepth(cut(plane, header.width, 1, box), 8);
      const data = reduced(eight, box.columns, box.rows, channels, wanted.shrink, weights ?? undefined);
      yield { box: box.over(wanted.shrink), channels, data: atDepth(data, depth) };
      continue;
    }
    const part = box.cut(wanted.area), data = cut(samples, box.columns, channels, part.from(box));
    yield { box: part, channels, data: atDepth(data, depth) };
  }
}

/** The checksum of all samples, from what each tile adds. */
export function checksum(sums: Map<number, [number, number]>): number {
  let crc = -1;
  for (const n of [...sums.keys()].sort((a, b) => a - b)) {
    const [sum, length] = sums.get(n)!;
    crc = shifted(crc, length) ^ sum;
  }
  return ~crc >>> 0;
}

function cut<T extends Uint8Array | Uint16Array>(samples: T, width: number, channels: number, box: Box): T {
  const row = box.columns * channels, result = new (samples.constructor as new (n: number) => T)(box.rows * row);
  for (let i = 0; i < box.rows; i++) {
    const from = ((box.top + i) * width + box.left) * channels;
    result.set(samples.subarray(from, from + row), i * row);
  }
  return result;
}

function unpacked(payload: Uint8Array, box: Box, { depth, channels }: Header): Uint8Array | Uint16Array {
  if (depth === 8) return vp8l.decode(payload, box.columns, box.rows, channels);
  const length = (payload[0]! | (payload[1]! << 8) | (payload[2]! << 16) | (payload[3]! << 24)) >>> 0;
  if (payload.length < 4 + length) throw new BadFile('a lossless tile ends before its low bytes');
  const high = vp8l.decode(payload.subarray(4, 4 + length), box.columns, box.rows, channels);
  const low = vp8l.decode(payload.subarray(4 + length), box.columns, box.rows, channels);
  return Uint16Array.from(high, (v, i) => (v << 8) | low[i]!);
}
