// The payload of a chunk -> the alpha plane, exactly.
// Under `coding/beside`.

import { BadFile, LimitExceeded } from '../errors.js';
import { inflate } from './inflate.js';

const CONSTANT = 0, PLAIN = 1, VERTICAL = 2, DEEP = 3;

function inflated(stored: Uint8Array, most: number): Uint8Array {
  try {
    return inflate(stored, most);
  } catch (error) {
    throw error instanceof LimitExceeded ? new BadFile('the alpha plane has the wrong size') : error;
  }
}

/** Alpha, row by row: 16 bits of method 3, else 8. */
export function decode(payload: Uint8Array, width: number, height: number): Uint8Array | Uint16Array {
  const method = payload[0], size = width * height;
  if (method === CONSTANT && payload.length === 2) return new Uint8Array(size).fill(payload[1]!);
  if (method !== PLAIN && method !== VERTICAL && method !== DEEP) {
    throw new BadFile('the alpha plane is stored by an unknown method');
  }
  const whole = size * (method === DEEP ? 2 : 1);
  const plane = inflated(payload.subarray(1), whole);
  if (plane.length !== whole) throw new BadFile('the alpha plane has the wrong size');
  if (method === PLAIN) return plane;
  const result = method === DEEP ? new Uint16Array(size) : plane;
  if (method === DEEP) for (let i = 0; i < size; i++) result[i] = (plane[i]! << 8) | plane[size + i]!;
  for (let i = width; i < size; i++) result[i]! += result[i - width]!;
  return result;
}
