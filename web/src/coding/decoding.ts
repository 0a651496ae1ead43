// A file -> the parts of a picture, or of a view of it, one after the other, and the checksum at the end.
// Above `painting`, `lossless` and `beside`; a worker runs it for its share, and `canvas` joins the parts.

import { unpack, type File } from '../bitstream/container.js';
import { cells, type Box } from '../bitstream/tiles.js';
import type { Part } from '../bitstream/marks.js';
import { checksum } from '../bitstream/symbols.js';
import { BadModel, ChecksumMismatch, ModelNotFound, NicError } from '../errors.js';
import { Engine } from '../model/engine.js';
import { parse } from '../model/modelfile.js';
import { clear } from './beside.js';
import * as lossless from './lossless.js';
import { paint, view, type Region, type View } from './painting.js';
import { Windows } from './windows.js';

/** What is wanted of a file. depth: bits of each sample; that of the file without it. */
export interface Wanted {
  region?: Region | undefined;
  scale?: number | undefined;
  depth?: 8 | 16 | undefined;
  maxPixels?: number | undefined;
  natural?: number | undefined;
  seed?: number | undefined;
}

/** One worker's share: its number, and of how many. */
export type Share = readonly [number: number, of: number];

/** The size of a view, before its parts. share: how many parts this share has. */
export interface Begun {
  width: number;
  height: number;
  channels: 1 | 3;
  depth: 8 | 16;
  parts: number;
}

/** What a share knows at its end: alpha from the first one, and what each of its tiles adds to the checksum. */
export interface Ended {
  alpha: Uint8Array | Uint16Array | null;
  sums: Map<number, number> | Map<number, [number, number]>;
  z: Int8Array | null;
  latent: number;
}

/** The file, opened, and its view, cut for so many shares; throws for an impossible one. */
export function open(bytes: Uint8Array, wanted: Wanted, shares = 1): { file: File; view: View; depth: 8 | 16 } {
  const file = unpack(bytes, wanted.maxPixels), depth = wanted.depth ?? file.header.depth;
  if (depth !== 8 && depth !== 16) throw new NicError('depth must be 8 or 16');
  return { file, view: view(file.header, wanted.region, wanted.scale, shares, wanted.natural, wanted.seed), depth };
}

const ready = new Map<string, Windows>();

/** Takes a model, the bytes of a .nicmodel file. Only the last one is kept, since its weights fill memory. */
export async function take(bytes: Uint8Array): Promise<void> {
  const model = parse(bytes);
  const fresh = await Engine.create();
  ready.clear();
  ready.set(model.id, guarded(() => new Windows(fresh, model)));
}

/** The parts of one share of a view, with their places in it, then what the share knows at its end. */
export function* parts(bytes: Uint8Array, wanted: Wanted, [own, of]: Share): Generator<Begun | Part | Ended> {
  const { file, view: seen, depth } = open(bytes, wanted, of), { header } = file;
  const size = { width: seen.area.columns, height: seen.area.rows, channels: header.channels, depth };
  const share = <T>(items: T[]): T[] =>
    items.slice(Math.floor((items.length * own) / of), Math.floor((items.length * (own + 1)) / of));
  if (file.ofSamples) {
    const tiles = share(lossless.tilesOf(file, seen)), sums = new Map<number, [number, number]>();
    yield { ...size, parts: tiles.length };
    yield* inView(lossless.paint(file, seen, tiles, depth, sums), seen.area);
    if (of === 1) verify(file, seen, sums, null, 0);
    yield { alpha: own ? null : clear(file, seen, depth), sums, z: null, latent: 0 };
    return;
  }
  const windows = ready.get(header.model);
  if (!windows) throw new ModelNotFound(`the file was made with the model ${header.model}, which is not here`);
  const mine = share(seen.windows);
  yield { ...size, parts: mine.length };
  const { engine: e } = windows;
  let fine = false;
  try {
    const symbols = guarded(() => windows.symbols(file, seen.shrink > 1, seen.natural > 0)), mark = e.mark();
    try {
      yield* inView(whole(paint(windows, symbols, file, seen, mine, depth)), seen.area);
      if (of === 1) verify(file, seen, symbols.sums, symbols.z, windows.model.config.latent);
    } finally {
      e.release(mark);
    }
    const first = own === 0;
    yield { alpha: first ? clear(file, seen, depth) : null, sums: symbols.sums, z: first ? symbols.z : null,
      latent: windows.model.config.latent };
    fine = true;
  } finally {
    // After an error weights may be half made, so the next file begins anew.
    if (!fine) ready.delete(header.model);
  }
}

/** Throws ChecksumMismatch unless all shares together are what the encoder wrote. */
export function check(bytes: Uint8Array, wanted: Wanted, ended: Ended[]): void {
  const { file, view: seen } = open(bytes, wanted);
  verify(file, seen, new Map(ended.flatMap((end) => [...(end.sums as Map<number, number>)])), ended[0]!.z, ended[0]!.latent);
}

/** Of a region nothing is checked: it reads only some tiles. */
function verify(file: File, seen: View, sums: Ended['sums'], z: Int8Array | null, latent: number): void {
  const { width, height, symbolsCrc } = file.header;
  if (!seen.whole) return;
  if (!z) {
    if (lossless.checksum(sums as Map<number, [number, number]>) === symbolsCrc) return;
    throw new ChecksumMismatch('the samples differ from those that were written');
  }
  if (checksum(z, (sums as Map<number, number>).values(), latent, cells(width, height)) === symbolsCrc) return;
  throw new ChecksumMismatch('the decoded symbols are not those that were encoded');
}

/** A trap of the kernels is the fault of a model: files are checked before. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof WebAssembly.RuntimeError ? new BadModel('the model asks for what cannot be computed') : error;
  }
}

function* whole<T>(items: Generator<T>): Generator<T> {
  for (;;) {
    const next = guarded(() => items.next());
    if (next.done) return;
    yield next.value;
  }
}

function* inView(items: Iterable<Part>, area: Box): Generator<Part> {
  for (const part of items) yield { ...part, box: part.box.from(area) };
}
