// The conformance vectors: the file, what is expected, and how far some samples are from it.
// Under the tests of Node and of browsers.

import { readFileSync, readdirSync } from 'node:fs';
import { readPng } from './png.mjs';

const folder = new URL('../../tests/vectors/', import.meta.url);
/** A sample of 16 bits may be further off where the test of the 3 x 3 is within an error of floats of its bound. */
const ODD = 350, SHARE = 1e-3;

export const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);

export function vector(name) {
  const place = new URL(`${name}/`, folder);
  return {
    bytes: new Uint8Array(readFileSync(new URL('file.nic', place))),
    expected: JSON.parse(readFileSync(new URL('expect.json', place), 'utf8')),
    picture: readPng(readFileSync(new URL('picture.png', place))),
  };
}

/** Why samples are not those of a vector, or ''. */
export function difference({ expected, picture }, found) {
  for (const key of ['width', 'height', 'channels', 'depth']) {
    if (found[key] !== picture[key]) return `${key} is ${found[key]}, not ${picture[key]}`;
  }
  if (found.data.length !== picture.data.length) return 'another number of samples';
  let odd = 0;
  const most = expected.peak_error, alpha = expected.mode.endsWith('A') ? picture.channels - 1 : -1;
  for (let i = 0; i < picture.data.length; i++) {
    const far = Math.abs(picture.data[i] - found.data[i]);
    if (i % picture.channels === alpha ? far : far > most) {
      odd++;
      if (picture.depth === 8 || far > ODD || i % picture.channels === alpha) return `a sample is off by ${far}`;
    }
  }
  return odd > SHARE * picture.data.length ? `${odd} samples are off` : '';
}
