// A zlib stream -> bytes, of at most a given size (RFC 1950, RFC 1951). Browsers have one that does not tell where a
// stream ends, so this is our own. Under `container`, `alpha`, `patches` and `flats`.

import { BadFile, LimitExceeded } from '../errors.js';

const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
  195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const BLOCK = 1 << 16;

/** A code as a table by the next `bits` bits: symbol * 16 + length; 0 where no code begins so. */
interface Code {
  bits: number;
  table: Uint16Array;
}

/** lengths: of the code of each symbol, 0 for none. single: whether one code of one bit may stand alone. */
function code(lengths: Uint8Array, what: string, single: boolean): Code {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]!++;
  counts[0] = 0;
  let bits = 15;
  while (bits > 1 && !counts[bits]) bits--;
  let left = 1;
  for (let length = 1; length <= 15; length++) {
    left = 2 * left - counts[length]!;
    if (left < 0) bad(what);
  }
  if (left > 0 && !(single && bits === 1)) bad(what);
  const next = new Uint16Array(16);
  for (let length = 1; length < 15; length++) next[length + 1] = (next[length]! + counts[length]!) << 1;
  const table = new Uint16Array(1 << bits);
  lengths.forEach((length, symbol) => {
    if (!length) return;
    let reversed = 0;
    for (let i = 0, own = next[length]!++; i < length; i++, own >>= 1) reversed = (reversed << 1) | (own & 1);
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  });
  return { bits, table };
}

let fixed: [Code, Code] | undefined;

function fixedCodes(): [Code, Code] {
  const lengths = new Uint8Array(288).fill(8);
  lengths.fill(9, 144, 256).fill(7, 256, 280);
  return (fixed ??= [code(lengths, 'codes', false), code(new Uint8Array(32).fill(5), 'codes', false)]);
}

function bad(why: string): never {
  throw new BadFile(`a chunk does not inflate (${why})`);
}

/** The bytes of a zlib stream that ends where `data` ends. Throws LimitExceeded for more than `most` bytes. */
export function inflate(data: Uint8Array, most: number): Uint8Array<ArrayBuffer> {
  let out = new Uint8Array(Math.min(most, BLOCK)), size = 0;
  let at = 2, hold = 0, held = 0;

  function room(count: number): void {
    if (size + count > most) throw new LimitExceeded(`a chunk inflates to more than ${most} bytes`);
    if (size + count <= out.length) return;
    const larger = new Uint8Array(Math.min(most, Math.max(size + count, 2 * out.length)));
    larger.set(out.subarray(0, size));
    out = larger;
  }
  function fill(count: number): void {
    while (held < count && at < data.length) {
      hold |= data[at++]! << held;
      held += 8;
    }
  }
  function bitsOf(count: number): number {
    fill(count);
    if (held < count) bad('cut short');
    const value = hold & ((1 << count) - 1);
    hold >>>= count;
    held -= count;
    return value;
  }
  function symbolOf({ bits, table }: Code): number {
    fill(bits);
    const entry = table[hold & ((1 << bits) - 1)]!, length = entry & 15;
    if (!length || length > held) bad(length ? 'cut short' : 'a code that is none');
    hold >>>= length;
    held -= length;
    return entry >> 4;
  }
  function dynamicCodes(): [Code, Code] {
    const literals = bitsOf(5) + 257, distances = bitsOf(5) + 1, own = bitsOf(4) + 4;
    if (literals > 286 || distances > 30) bad('too many codes');
    const small = new Uint8Array(19);
    for (let i = 0; i < own; i++) small[ORDER[i]!] = bitsOf(3);
    const lengthsCode = code(small, 'lengths of codes', false);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length;) {
      const symbol = symbolOf(lengthsCode);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) bad('nothing to repeat');
      const value = symbol === 16 ? lengths[i - 1]! : 0;
      const times = symbol === 16 ? 3 + bitsOf(2) : symbol === 17 ? 3 + bitsOf(3) : 11 + bitsOf(7);
      if (i + times > lengths.length) bad('too many lengths');
      lengths.fill(value, i, (i += times));
    }
    if (!lengths[256]) bad('no end of a block');
    const none = lengths.subarray(literals).every((length) => !length);
    const empty = { bits: 1, table: new Uint16Array(2) };
    return [
      code(lengths.subarray(0, literals), 'codes', true),
      none ? empty : code(lengths.subarray(literals), 'distances', true),
    ];
  }

  const [method, flags] = [data[0] ?? 0, data[1] ?? 0];
  if (data.length < 2 || (method & 15) !== 8 || method >> 4 > 7 || ((method << 8) | flags) % 31 || flags & 32) {
    bad('no zlib stream');
  }
  for (let last = false; !last;) {
    last = bitsOf(1) === 1;
    const kind = bitsOf(2);
    if (kind === 3) bad('a block of no kind');
    if (kind === 0) {
      bitsOf(held & 7);
      at -= held >> 3;
      hold = held = 0;
      const length = data[at]! | (data[at + 1]! << 8), check = data[at + 2]! | (data[at + 3]! << 8);
      at += 4;
      if (at + length > data.length || (length ^ check) !== 0xffff) bad('a stored block');
      room(length);
      out.set(data.subarray(at, at + length), size);
      at += length;
      size += length;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixedCodes() : dynamicCodes();
    for (;;) {
      const symbol = symbolOf(literals);
      if (symbol < 256) {
        if (size === out.length) room(1);
        out[size++] = symbol;
        continue;
      }
      if (symbol === 256) break;
      if (symbol > 285) bad('a length that is none');
      const length = LENGTHS[symbol - 257]! + bitsOf(LENGTH_BITS[symbol - 257]!);
      const far = symbolOf(distances);
      if (far > 29) bad('a distance that is none');
      const bits = far < 4 ? 0 : (far >> 1) - 1;
      const distance = (far < 4 ? far : (2 + (far & 1)) << bits) + 1 + bitsOf(bits);
      if (distance > size) bad('a distance too far back');
      room(length);
      for (let i = 0; i < length; i++, size++) out[size] = out[size - distance]!;
    }
  }
  at -= held >> 3;
  const result = out.length === size ? out : out.slice(0, size);
  const sum = adler(result);
  for (let i = 0; i < 4; i++) if (data[at + i] !== ((sum >>> (24 - 8 * i)) & 255)) bad('another checksum');
  if (at + 4 !== data.length) throw new BadFile('a chunk does not inflate to its end');
  return result;
}

function adler(bytes: Uint8Array): number {
  let a = 1, b = 0;
  for (let i = 0; i < bytes.length;) {
    for (const stop = Math.min(bytes.length, i + 3800); i < stop; i++) b += a += bytes[i]!;
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}
