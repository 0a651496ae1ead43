// A VP8L stream, the lossless coding of WebP -> its samples (RFC 9649, section 3).
// Under `coding/lossless`. The size is checked first, so memory is bounded by the wanted size.

import { BadFile } from '../errors.js';
import { added, GREEN, PALETTE, undone, type Transform } from './vp8l-transforms.js';

const LITERALS = 256, LENGTHS = 24, DISTANCES = 40;
const ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const MAX_CODE = 15;
/** Bits that a table of a code is looked up by at once. */
const QUICK = 8;

/** Column and row of each of the first distances, which are near in the plane (section 5.2.2). */
const NEAR = /* @__PURE__ */ near();

/** Sorted by distance, then as the table of the document has them. */
function near(): [number, number][] {
  const codes = '18 07 17 19 28 06 27 29 16 1a 26 2a 38 05 37 39 15 1b 36 3a 25 2b 48 04 47 49 14 1c 35 3b 46 4a 24 2c '
    + '58 45 4b 34 3c 03 57 59 13 1d 56 5a 23 2d 44 4c 55 5b 33 3d 68 02 67 69 12 1e 66 6a 22 2e 54 5c 43 4d 65 6b 32 3e '
    + '78 01 77 79 53 5d 11 1f 64 6c 42 4e 76 7a 21 2f 75 7b 31 3f 63 6d 52 5e 00 74 7c 41 4f 10 20 62 6e 30 73 7d 51 5f '
    + '40 72 7e 61 6f 50 71 7f 60 70';
  return codes.split(' ').map((code) => [8 - parseInt(code[1]!, 16), parseInt(code[0]!, 16)]);
}

function bad(why: string): never {
  throw new BadFile(`a lossless tile is damaged (${why})`);
}

/** Bits of a stream, the lowest of each byte first. To read past the end is an error. */
class Bits {
  private at = 0;
  private hold = 0;
  private held = 0;

  constructor(private readonly data: Uint8Array) {}

  /** At least 24 bits, with zeros behind the end. */
  peek(): number {
    while (this.held <= 24) {
      this.hold |= (this.data[this.at++] ?? 0) << this.held;
      this.held += 8;
    }
    return this.hold;
  }

  skip(count: number): void {
    this.hold >>>= count;
    this.held -= count;
    if (8 * this.at - this.held > 8 * this.data.length) bad('cut short');
  }

  read(count: number): number {
    const value = this.peek() & ((1 << count) - 1);
    this.skip(count);
    return value;
  }
}

/** A prefix code. only: its one symbol, which takes no bits; else -1. */
interface Code {
  only: number;
  quick: Uint16Array;
  counts: Uint16Array;
  sorted: Uint16Array;
}

function code(lengths: Uint8Array): Code {
  const counts = new Uint16Array(MAX_CODE + 1);
  for (const length of lengths) if (length) counts[length]!++;
  const offsets = new Uint16Array(MAX_CODE + 2);
  let left = 1, total = 0;
  for (let length = 1; length <= MAX_CODE; length++) {
    left = 2 * left - counts[length]!;
    if (left < 0) bad('codes');
    offsets[length + 1] = offsets[length]! + counts[length]!;
    total += counts[length]!;
  }
  if (!total) bad('no codes');
  const sorted = new Uint16Array(total), next = offsets.slice();
  lengths.forEach((length, symbol) => {
    if (length) sorted[next[length]!++] = symbol;
  });
  if (total === 1) return { only: sorted[0]!, quick: new Uint16Array(), counts, sorted };
  if (left) bad('codes');
  const quick = new Uint16Array(1 << QUICK);
  let first = 0, index = 0;
  for (let length = 1; length <= QUICK; length++, first <<= 1) {
    for (let n = 0; n < counts[length]!; n++, first++) {
      let reversed = 0;
      for (let i = 0; i < length; i++) reversed |= ((first >> i) & 1) << (length - 1 - i);
      for (let at = reversed; at < quick.length; at += 1 << length) quick[at] = (sorted[index]! << 4) | length;
      index++;
    }
  }
  return { only: -1, quick, counts, sorted };
}

function symbol(bits: Bits, { only, quick, counts, sorted }: Code): number {
  if (only >= 0) return only;
  const hold = bits.peek(), entry = quick[hold & ((1 << QUICK) - 1)]!;
  if (entry) {
    bits.skip(entry & 15);
    return entry >> 4;
  }
  for (let length = 1, own = 0, first = 0, index = 0; length <= MAX_CODE; length++) {
    own = (own << 1) | ((hold >>> (length - 1)) & 1);
    const count = counts[length]!;
    if (own - first < count) {
      bits.skip(length);
      return sorted[index + own - first]!;
    }
    index += count;
    first = (first + count) << 1;
  }
  return bad('a code that is none');
}

function readCode(bits: Bits, size: number): Code {
  const lengths = new Uint8Array(size);
  if (bits.read(1)) {
    const two = bits.read(1), first = bits.read(bits.read(1) ? 8 : 1);
    for (const found of two ? [first, bits.read(8)] : [first]) {
      if (found >= size) bad('codes');
      lengths[found] = 1;
    }
    return code(lengths);
  }
  const own = new Uint8Array(ORDER.length);
  for (let i = 0, count = 4 + bits.read(4); i < count; i++) own[ORDER[i]!] = bits.read(3);
  const lengthsCode = code(own);
  let most = bits.read(1) ? 2 + bits.read(2 + 2 * bits.read(3)) : size;
  if (most > size) bad('codes');
  for (let i = 0, before = 8; i < size && most-- > 0;) {
    const found = symbol(bits, lengthsCode);
    if (found < 16) {
      lengths[i++] = found;
      if (found) before = found;
      continue;
    }
    const times = found === 16 ? 3 + bits.read(2) : found === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
    if (i + times > size) bad('codes');
    lengths.fill(found === 16 ? before : 0, i, (i += times));
  }
  return code(lengths);
}

/** One picture of ARGB numbers. main: the outermost, which may have several groups of codes. */
function image(bits: Bits, width: number, height: number, main: boolean): Uint32Array {
  const pixels = new Uint32Array(width * height);
  const cacheBits = bits.read(1) ? bits.read(4) : 0;
  if (cacheBits > 11) bad('a cache that is too large');
  let blockBits = 31, blocks: Uint32Array | undefined, groupCount = 1, across = 1;
  if (main && bits.read(1)) {
    blockBits = 2 + bits.read(3);
    across = Math.ceil(width / 2 ** blockBits);
    blocks = image(bits, across, Math.ceil(height / 2 ** blockBits), false).map((p) => (p >>> 8) & 0xffff);
    groupCount = 1 + blocks.reduce((a, b) => Math.max(a, b), 0);
  }
  // Groups that no block names are read, since their bits are there, and not kept.
  const used = new Set(blocks ?? [0]), groups: Code[][] = [];
  for (let g = 0; g < groupCount; g++) {
    const cache = cacheBits ? 2 ** cacheBits : 0;
    const group = [LITERALS + LENGTHS + cache, LITERALS, LITERALS, LITERALS, DISTANCES].map((size) => readCode(bits, size));
    groups[g] = used.has(g) ? group : [];
  }
  const cache = cacheBits ? new Uint32Array(2 ** cacheBits) : undefined;
  const keep = (p: number): void => {
    cache![Math.imul(0x1e35a7bd, p) >>> (32 - cacheBits)] = p;
  };
  const mask = 2 ** Math.min(blockBits, 30) - 1;
  let group = groups[0]!;
  for (let at = 0, x = 0, y = 0; at < pixels.length;) {
    if (blocks && !(x & mask)) group = groups[blocks[(y >> blockBits) * across + (x >> blockBits)]!]!;
    const found = symbol(bits, group[0]!);
    if (found >= LITERALS && found < LITERALS + LENGTHS) {
      const length = prefixed(bits, found - LITERALS), far = prefixed(bits, symbol(bits, group[4]!));
      const [dx, dy] = NEAR[far - 1] ?? [0, 0];
      const distance = far > NEAR.length ? far - NEAR.length : Math.max(1, dx + dy * width);
      if (distance > at || at + length > pixels.length) bad('a copy from nowhere');
      for (const end = at + length; at < end; at++) {
        const p = pixels[at - distance]!;
        pixels[at] = p;
        if (cache) keep(p);
      }
      x += length;
      y += Math.floor(x / width);
      x %= width;
      if (blocks && at < pixels.length) group = groups[blocks[(y >> blockBits) * across + (x >> blockBits)]!]!;
      continue;
    }
    let p: number;
    if (found < LITERALS) {
      const red = symbol(bits, group[1]!), blue = symbol(bits, group[2]!), alpha = symbol(bits, group[3]!);
      p = ((alpha << 24) | (red << 16) | (found << 8) | blue) >>> 0;
    } else {
      p = cache![found - LITERALS - LENGTHS]!;
    }
    pixels[at++] = p;
    if (cache) keep(p);
    if (++x === width) {
      x = 0;
      y++;
    }
  }
  return pixels;
}

/** A length or a distance from its prefix and more bits. */
function prefixed(bits: Bits, found: number): number {
  if (found < 4) return found + 1;
  const extra = (found - 2) >> 1;
  return ((2 + (found & 1)) << extra) + bits.read(extra) + 1;
}

/** Samples (height, width, channels) of a stream, of gray the green ones. */
export function decode(stream: Uint8Array, width: number, height: number, channels: number): Uint8Array {
  const sides = (stream[1]! | (stream[2]! << 8) | (stream[3]! << 16) | (stream[4]! << 24)) >>> 0;
  if (stream.length < 5 || stream[0] !== 0x2f || (sides & 16383) + 1 !== width || ((sides >>> 14) & 16383) + 1 !== height) {
    throw new BadFile('a lossless tile has another size than it must have');
  }
  if (sides >>> 29) bad('another version');
  const bits = new Bits(stream.subarray(5)), transforms: Transform[] = [], seen = new Set<number>();
  let wide = width;
  while (bits.read(1)) {
    const kind = bits.read(2);
    if (seen.has(kind)) bad('a transform twice');
    seen.add(kind);
    if (kind === GREEN) transforms.push({ kind, bits: 0, width: wide, data: new Uint32Array() });
    else if (kind === PALETTE) {
      const count = 1 + bits.read(8), data = image(bits, count, 1, false);
      for (let i = 1; i < count; i++) data[i] = added(data[i]!, data[i - 1]!);
      const packed = count > 16 ? 0 : count > 4 ? 1 : count > 2 ? 2 : 3;
      transforms.push({ kind, bits: packed, width: wide, data });
      wide = Math.ceil(wide / 2 ** packed);
    } else {
      const block = 2 + bits.read(3);
      const data = image(bits, Math.ceil(wide / 2 ** block), Math.ceil(height / 2 ** block), false);
      transforms.push({ kind, bits: block, width: wide, data });
    }
  }
  let pixels = image(bits, wide, height, true);
  for (const transform of transforms.reverse()) pixels = undone(pixels, transform, height);
  const result = new Uint8Array(width * height * channels);
  for (let i = 0, at = 0; i < pixels.length; i++) {
    const p = pixels[i]!;
    if (channels === 1) result[at++] = p >>> 8;
    else {
      result[at++] = p >>> 16;
      result[at++] = p >>> 8;
      result[at++] = p;
    }
  }
  return result;
}
