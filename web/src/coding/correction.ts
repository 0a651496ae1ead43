// The correction: a 5x5 filter across colours, a sum of the model's basis filters with the coefficients of a chunk.
// Beside `windows`, which applies it.

import { decode } from '../bitstream/correction.js';
import { BadModel } from '../errors.js';
import type { Model } from '../model/modelfile.js';

const MAX_BASIS = 1024, MAX_WIDTH = 16;

/** What each of the 25 samples around of each colour, and a one, add to each colour: (25 M + 1, 4). */
export function filter(model: Model, payload: Uint8Array): Float32Array {
  const { colours } = model.config, features = 9 * colours + 1;
  const widths = model.has('correction.widths') ? model.array('correction.widths', 'I8', [-1]) : new Int8Array();
  const basis = model.has('correction.basis')
    ? model.array('correction.basis', 'F32', [widths.length, colours, features]) : new Float32Array();
  if (basis.length !== widths.length * colours * features || widths.length > 255
    || !basis.every((b) => Math.abs(b) <= MAX_BASIS) || !widths.every((w) => Math.abs(w) <= MAX_WIDTH)) {
    throw new BadModel('the model has an impossible basis of corrections');
  }
  const sums = new Float64Array(colours * features);
  decode(payload, widths).forEach((value, k) => {
    for (let i = 0; i < sums.length; i++) sums[i]! += value * basis[k * sums.length + i]!;
  });
  const result = new Float32Array((25 * colours + 1) * 4);
  for (let o = 0; o < colours; o++) {
    for (let m = 0; m < 5; m++) {
      for (let n = 0; n < 5; n++) {
        const feature = 3 * colours * Math.abs(m - 2) + colours * Math.abs(n - 2);
        for (let c = 0; c < colours; c++) {
          result[((5 * m + n) * colours + c) * 4 + o] = sums[o * features + feature + c]!;
        }
      }
    }
    result[25 * colours * 4 + o] = sums[o * features + 9 * colours]!;
  }
  return result;
}
