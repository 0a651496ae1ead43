// Numbers in as few bytes as they need: LEB128, seven bits in each byte, the lowest first.
// Under `container` and `entropy`; the kernels read the escapes themselves.

import { BadFile } from '../errors.js';

/** The most bytes of a number. */
const LONGEST = 5;

/** A number below 2^32 in its shortest form -> its value, and the place after it. part: of the file, for the error. */
export function read(bytes: Uint8Array, at: number, part: string): [number, number] {
  let value = 0;
  for (let i = 0; i < LONGEST; i++) {
    const byte = bytes[at + i];
    if (byte === undefined || (byte === 0 && i > 0)) break;
    value += (byte & 127) * 128 ** i;
    if (byte < 128 && value < 2 ** 32) return [value, at + i + 1];
    if (byte < 128) break;
  }
  throw new BadFile(`${part} holds a malformed number`);
}

/** The same for the head of a file, which may end there: then the error says so. */
export function readHead(bytes: Uint8Array, at: number, part: string): [number, number] {
  if (bytes.length < at + LONGEST && bytes.subarray(at).every((byte) => byte > 127)) {
    throw new BadFile(`the file ends within its ${part}`);
  }
  return read(bytes, at, `the ${part}`);
}
