// The coefficients of a correction, from the bytes of their chunk.
// Beside `patches`; `coding/correction` makes a filter of them.

import { BadFile } from '../errors.js';

const WIDER = 8, MAX_ONES = 64;

/** The coefficients, from 1 to widths.length of them. widths: those of the model. */
export function decode(payload: Uint8Array, widths: Int8Array): number[] {
  const step = (payload[0] ?? 0) >> 3, wider = (payload[0] ?? 0) % WIDER, count = payload[1] ?? 0;
  if (payload.length < 2 || count < 1 || count > widths.length) throw new BadFile('the correction has the wrong size');
  const bits = 8 * payload.length;
  let at = 16;
  const next = (): number => {
    if (at >= bits) throw new BadFile('the correction is cut short, or holds an impossible number');
    const bit = (payload[at >> 3]! >> (7 - (at & 7))) & 1;
    at++;
    return bit;
  };
  const values = [];
  for (let k = 0; k < count; k++) {
    let v = 0;
    while (next()) if (++v === MAX_ONES) throw new BadFile('the correction is cut short, or holds an impossible number');
    // Up to 6 + 23 bits, so these numbers are whole in a double, and those that matter in 32 bits.
    for (let m = Math.max(0, widths[k]! + wider); m > 0; m--) v = 2 * v + next();
    const value = v % 2 ? -(v + 1) / 2 : v / 2;
    if (4 * Math.abs(value) > 2 ** step) throw new BadFile('the correction does not end where its numbers end, or is too strong');
    values.push(value / 2 ** step);
  }
  let rest = bits - at, left = 0;
  while (at < bits && rest <= 7) left += next();
  if (rest > 7 || left) throw new BadFile('the correction does not end where its numbers end, or is too strong');
  return values;
}
