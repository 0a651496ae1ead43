// Alpha and metadata of a file, exactly, and samples in the other depth.
// Between `decoding` and `bitstream`.

import * as alpha from '../bitstream/alpha.js';
import { Kind, type File } from '../bitstream/container.js';
import type { View } from './painting.js';

/** The kinds of metadata, by the names that they have in Python. */
export const METADATA = {
  icc: Kind.ICC, exif: Kind.EXIF, xmp: Kind.XMP, iptc: Kind.IPTC, text: Kind.TEXT, density: Kind.DENSITY,
} as const;

type Samples = Uint8Array | Uint16Array;

/** The same samples in 8 or 16 bits, rounded to nearest. */
export function atDepth(samples: Samples, depth: 8 | 16): Samples {
  if (samples.BYTES_PER_ELEMENT * 8 === depth) return samples;
  if (depth === 16) return Uint16Array.from(samples, (v) => 257 * v);
  return Uint8Array.from(samples, (v) => Math.floor((v + 128) / 257));
}

/** Alpha of a view, row by row; a preview takes means. */
export function clear(file: File, { area, shrink }: View, depth: 8 | 16): Samples | null {
  const sent = file.extra(Kind.ALPHA), { width, height } = file.header;
  if (!sent) return null;
  const plane = alpha.decode(sent, width, height);
  if (shrink > 1) return atDepth(reduced(atDepth(plane, 8), width, height, 1, shrink), depth);
  if (area.columns === width && area.rows === height) return atDepth(plane, depth);
  const part = plane instanceof Uint16Array ? new Uint16Array(area.rows * area.columns) : new Uint8Array(area.rows * area.columns);
  for (let i = 0; i < area.rows; i++) {
    const from = (area.top + i) * width + area.left;
    part.set(plane.subarray(from, from + area.columns), i * area.columns);
  }
  return atDepth(part, depth);
}

/** Means of squares of `by` x `by`; a square cut off at an edge counts. weights: how much each pixel counts. */
export function reduced(
  samples: Samples, width: number, height: number, channels: number, by: number, weights?: Samples,
): Uint8Array {
  const rows = Math.ceil(height / by), columns = Math.ceil(width / by), result = new Uint8Array(rows * columns * channels);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0, count = 0;
        for (let m = i * by; m < Math.min(height, (i + 1) * by); m++) {
          for (let n = j * by; n < Math.min(width, (j + 1) * by); n++) {
            const weight = weights ? weights[m * width + n]! : 1;
            sum += weight * samples[(m * width + n) * channels + c]!;
            count += weight;
          }
        }
        result[(i * columns + j) * channels + c] = count ? Math.floor(sum / count + 0.5) : 0;
      }
    }
  }
  return result;
}
