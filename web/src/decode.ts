// The functions of the package: a .nic file -> a picture, its samples, or what it says about itself.
// Above `pool`; a page and the element `nic-img` call these.

import { MAX_QUALITY, unpack, Kind } from './bitstream/container.js';
import { METADATA } from './coding/beside.js';
import { Plain, Rgba, type Samples } from './coding/canvas.js';
import { open, type Begun, type Wanted } from './coding/decoding.js';
import type { Part } from './bitstream/marks.js';
import type { Region } from './coding/painting.js';
import { find } from './models.js';
import { decoded } from './pool.js';

export interface Options {
  /** [x, y, width, height] in pixels: the only part to decode. It is the crop of the whole, without its checksum. */
  region?: Region;
  /** 1, or 1/8 for a preview. */
  scale?: number;
  /** Draw texture that the file leaves out, as strong as it says, 0 to 1. Without it 0: the faithful picture. */
  natural?: number;
  /** Of natural, 0 to 2^32 - 1: the same seed gives the same picture. */
  seed?: number;
  /** The largest picture, in pixels. Without it 2^27, and no more than fit the bytes of the file. */
  maxPixels?: number;
  /** Called with the share that is done, 0 to 1, RGBA of what is done, and what part of it is new (by `decode`). */
  onProgress?: (done: number, soFar?: ImageData, fresh?: Fresh) => void;
}

/** A rectangle, in pixels. */
export interface Fresh {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What a file says about itself. quality: 0 to 100. model: 16 digits, or null where none is needed. */
export interface Info {
  width: number;
  height: number;
  mode: 'L' | 'LA' | 'RGB' | 'RGBA';
  depth: 8 | 16;
  quality: number;
  lossless: boolean;
  drawing: boolean;
  model: string | null;
  size: number;
  bpp: number;
  version: string;
  chunks: [string, number][];
  metadata: string[];
}

/** A .nic file -> RGBA of 8 bits, in the colours of the file. Rejects with an error of `errors`, of one line. */
export async function decode(bytes: Uint8Array, options: Options = {}): Promise<ImageData> {
  const { onProgress } = options;
  let rgba = new Rgba(0, 0), size = { width: 0, height: 0 }, done = 0, total = 1, image: ImageData | undefined;
  const begun = (begins: Begun, parts: number): void => {
    [size, total] = [begins, parts];
    rgba = new Rgba(size.width, size.height);
    image = imageData(rgba.data, size.width, size.height);
  };
  const ended = await run(bytes, { ...options, depth: 8 }, begun, (part) => {
    rgba.paste(part);
    const { top: y, left: x, columns: width, rows: height } = part.box;
    onProgress?.(++done / total, image, { x, y, width, height });
  });
  if (ended.alpha) rgba.cover(ended.alpha);
  return image!;
}

/** A .nic file -> its samples. depth: 8 or 16 bits of each; without it those of the source. */
export async function samples(bytes: Uint8Array, options: Options & { depth?: 8 | 16 } = {}): Promise<Samples> {
  let plain: Plain | undefined, done = 0, total = 1;
  const ended = await run(bytes, options, (size, parts) => {
    plain = new Plain(size);
    total = parts;
  }, (part) => {
    plain!.paste(part);
    options.onProgress?.(++done / total);
  });
  return plain!.finish(ended.alpha);
}

async function run(
  bytes: Uint8Array, { region, scale, depth, maxPixels, natural, seed }: Wanted, begun: (size: Begun, parts: number) => void,
  part: (part: Part) => void,
): ReturnType<typeof decoded> {
  const wanted = { region: region && ([...region] as unknown as Region), scale, depth, maxPixels, natural, seed };
  const { file, view: { area } } = open(bytes, wanted);
  return decoded(bytes, wanted, area.rows * area.columns, file.ofSamples ? '' : file.header.model, find, begun, part);
}

function imageData(data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number): ImageData {
  if (typeof ImageData !== 'undefined') return new ImageData(data, width, height);
  return { data, width, height, colorSpace: 'srgb' } as ImageData;  // in Node
}

/** The facts that a file states about itself, without decoding it. */
export function info(bytes: Uint8Array, { maxPixels }: { maxPixels?: number } = {}): Info {
  const file = unpack(bytes, maxPixels), { header } = file, { width, height } = header;
  const names = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]));
  const name = (kind: number): string => names.get(kind) ?? `unknown-${kind}`;
  const lossless = file.ofSamples && header.quality === MAX_QUALITY;
  const alpha = file.extra(Kind.ALPHA) ? 'A' : '';
  return {
    width, height, mode: `${header.channels === 1 ? 'L' : 'RGB'}${alpha}`, depth: header.depth,
    quality: header.quality / 100, lossless, drawing: file.ofSamples && !lossless,
    model: file.ofSamples ? null : header.model, size: file.size, bpp: (8 * file.size) / (width * height),
    version: header.version, chunks: file.chunks.map(({ kind, payload }) => [name(kind), payload.length]),
    metadata: Object.values(METADATA).filter((kind) => file.extra(kind)).map(name),
  };
}

/** The metadata of a file, as docs/FORMAT.md describes their bytes: ICC profile, EXIF, XMP and others. */
export function metadata(bytes: Uint8Array): Partial<Record<keyof typeof METADATA, Uint8Array>> {
  const file = unpack(bytes, Infinity), found: Partial<Record<keyof typeof METADATA, Uint8Array>> = {};
  for (const [name, kind] of Object.entries(METADATA)) {
    const blob = file.metadata(kind);
    if (blob) found[name as keyof typeof METADATA] = blob;
  }
  return found;
}
