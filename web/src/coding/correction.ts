// The correction: a 5x5 filter across colours of samples and of steps between them, a sum of the model's basis filters
// with the coefficients of a chunk.
// Beside `windows`, which applies it.

import { decode } from '../bitstream/correction.js';
import { BadModel } from '../errors.js';
import type { Model } from '../model/modelfile.js';

const MAX_BASIS = 1024, MAX_WIDTH = 16;

/** What each feature adds to each colour: (12 M + 1, 4). */
export function filter(model: Model, payload: Uint8Array): Float32Array {
  const { colours } = model.config, features = 12 * colours + 1;
  const widths = model.has('correction.widths') ? model.array('correction.widths', 'I8', [-1]) : new Int8Array();
  const basis = model.has('correction.basis')
    ? model.array('correction.basis', 'F32', [widths.length, colours, features]) : new Float32Array();
  if (basis.length !== widths.length * colours * features || widths.length > 255
    || !basis.every((b) => Math.abs(b) <= MAX_BASIS) || !widths.every((w) => Math.abs(w) <= MAX_WIDTH)) {
    throw new BadModel('the model has an impossible basis of corrections');
  }
  const sums = new Float64Array(4 * features);
  decode(payload, widths).forEach((value, k) => {
    for (let o = 0; o < colours; o++) {
      for (let f = 0; f < features; f++) sums[4 * f + o]! += value * basis[(k * colours + o) * features + f]!;
    }
  });
  return Float32Array.from(sums);
}
