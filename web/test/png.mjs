// The samples of a PNG file without interlace: what the vectors expect. For tests alone.

import { inflateSync } from 'node:zlib';

/** -> {width, height, channels, depth, data}: row by row, alpha last. */
export function readPng(bytes) {
  let at = 8, head;
  const parts = [];
  while (at < bytes.length) {
    const length = bytes.readUInt32BE(at), kind = bytes.toString('latin1', at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (kind === 'IHDR') head = body;
    if (kind === 'IDAT') parts.push(body);
    at += length + 12;
  }
  const [width, height, depth] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8]];
  const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[head[9]], pixel = (channels * depth) / 8, row = width * pixel;
  const rows = inflateSync(Buffer.concat(parts)), out = Buffer.alloc(height * row);
  for (let i = 0; i < height; i++) {
    const filter = rows[i * (row + 1)];
    for (let j = 0; j < row; j++) {
      const a = j < pixel ? 0 : out[i * row + j - pixel], b = i ? out[(i - 1) * row + j] : 0;
      const c = i && j >= pixel ? out[(i - 1) * row + j - pixel] : 0, p = a + b - c;
      const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
      const guess = [0, a, b, (a + b) >> 1, pa <= pb && pa <= pc ? a : pb <= pc ? b : c][filter];
      out[i * row + j] = rows[i * (row + 1) + 1 + j] + guess;
    }
  }
  const data = depth === 8 ? out : Uint16Array.from({ length: out.length / 2 }, (_, i) => out.readUInt16BE(2 * i));
  return { width, height, channels, depth, data };
}
