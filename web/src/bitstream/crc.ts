// CRC-32 of bytes, and of all symbols of a picture though they come tile by tile in any order.
// Under `container`, which guards chunks with it, and `symbols`.

const POLYNOMIAL = 0xedb88320;

/** Eight tables of 256 numbers: the CRC of a byte with 0 to 7 bytes behind it. */
export const TABLES = /* @__PURE__ */ makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    tables[byte] = value;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >>> 8) ^ tables[before & 255]!;
  }
  return tables;
}

/** CRC-32 as in zlib. before: that of the bytes before these. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return ~raw(bytes, ~before) >>> 0;
}

/** CRC-32 without the first and the last complement, so that it is linear. */
export function raw(bytes: Uint8Array, value: number): number {
  const t = TABLES;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    value ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    value = t[768 + (value & 255)]! ^ t[512 + ((value >>> 8) & 255)]! ^ t[256 + ((value >>> 16) & 255)]!
      ^ t[value >>> 24]!;
  }
  for (; i < bytes.length; i++) value = (value >>> 8) ^ t[(value ^ bytes[i]!) & 255]!;
  return value;
}

/** The linear CRC with `length` zero bytes behind it. */
export function shifted(value: number, length: number): number {
  return product(power(length), value);
}

/** value -> value with a fixed number of zero bytes behind it, for many values. */
export function shifter(length: number): (value: number) => number {
  const factor = power(length);
  const table = new Int32Array(4 * 256);
  for (let i = 0; i < 32; i++) {
    const one = product(factor, (1 << i) >>> 0);
    const row = (i >> 3) << 8, bit = 1 << (i & 7);
    for (let n = 0; n < bit; n++) table[row + bit + n] = table[row + n]! ^ one;
  }
  return (v) => table[v & 255]! ^ table[256 + ((v >>> 8) & 255)]! ^ table[512 + ((v >>> 16) & 255)]!
    ^ table[768 + (v >>> 24)]!;
}

// Polynomials over GF(2) modulo that of CRC-32, in its bit order: the highest bit is the coefficient of 1.

function product(a: number, b: number): number {
  let result = 0;
  for (let bit = 31; bit >= 0; bit--) {
    if ((b >>> bit) & 1) result ^= a;
    a = a & 1 ? (a >>> 1) ^ POLYNOMIAL : a >>> 1;
  }
  return result >>> 0;
}

/** x^(8 length): the factor of a CRC when `length` bytes follow. */
function power(length: number): number {
  let result = 0x80000000, square = 0x00800000;
  for (; length > 0; length = Math.floor(length / 2)) {
    if (length % 2) result = product(square, result);
    square = product(square, square);
  }
  return result;
}
