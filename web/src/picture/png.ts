// Samples -> the bytes of a PNG file, with their colour profile: what a page hands out, and how it shows profiles.
// Beside `vp8l`; pages use it.

import type { Samples } from '../coding/canvas.js';
import { crc32 } from '../bitstream/crc.js';

const TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 } as const;
/** The filter that takes the row above. */
const UP = 2;

export async function encode({ width, height, channels, depth, data }: Samples, icc?: Uint8Array): Promise<Blob> {
  const row = (width * channels * depth) / 8, rows = new Uint8Array(height * (row + 1));
  const bytes = depth === 8 ? (data as Uint8Array) : swapped(data as Uint16Array);
  for (let i = 0; i < height; i++) {
    const to = i * (row + 1) + 1, from = i * row;
    rows[to - 1] = i ? UP : 0;
    for (let j = 0; j < row; j++) rows[to + j] = bytes[from + j]! - (i ? bytes[from - row + j]! : 0);
  }
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([depth, TYPES[channels], 0, 0, 0], 8);
  const chunks = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk('IHDR', head)];
  if (icc) {
    const name = new TextEncoder().encode('ICC\0\0'), packed = await deflate(icc), body = new Uint8Array(name.length + packed.length);
    body.set(name);
    body.set(packed, name.length);
    chunks.push(chunk('iCCP', body));
  }
  chunks.push(chunk('IDAT', await deflate(rows)), chunk('IEND', new Uint8Array()));
  return new Blob(chunks, { type: 'image/png' });
}

/** The bytes of numbers of 16 bits, the high one first. */
function swapped(data: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(2 * data.length);
  data.forEach((v, i) => {
    bytes[2 * i] = v >> 8;
    bytes[2 * i + 1] = v;
  });
  return bytes;
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function chunk(kind: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(12 + body.length), view = new DataView(made.buffer);
  view.setUint32(0, body.length);
  made.set(new TextEncoder().encode(kind), 4);
  made.set(body, 8);
  view.setUint32(8 + body.length, crc32(made.subarray(4, 8 + body.length)));
  return made;
}
