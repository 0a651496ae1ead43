// The .nic container: bytes -> header and chunks, with every length, limit and checksum checked.
// First step of decoding; docs/FORMAT.md is the specification.

import { BadFile, ChecksumMismatch, LimitExceeded, UnsupportedVersion } from '../errors.js';
import { crc32 } from './crc.js';
import { inflate as unzipped } from './inflate.js';
import { CELL } from './tiles.js';
import * as varint from './varint.js';

const MAGIC = [0x89, 0x4e, 0x49, 0x43];
// The bytes before the numbers of the header, and of a checksum.
const START = 18, CRC = 4;
export const MAX_QUALITY = 10000;
const MAX_SIDE = 2 ** 31 - 1;
export const DEFAULT_MAX_PIXELS = 2 ** 27;
const MAX_METADATA = 2 ** 26;
// Cells that one tile may cover. A tile is decoded in one piece, so this bounds memory.
const MAX_TILE = 1024;
const MAX_CHUNKS = 2 ** 16 - 1;
// A file may claim so many pixels, and more for each of its bytes, unless the caller sets a limit.
const FREE_PIXELS = 2 ** 20, PIXELS_PER_BYTE = 2560;
const FREE_SAMPLES: Record<number, number> = { 8: 2 ** 24, 16: 2 ** 22 };

/** Types of chunks. A decoder may skip an unknown one from 0x80 on. */
export const Kind = {
  Z: 1, Y: 2, ALPHA: 3, PATCHES: 4, FLATS: 5, SAMPLES: 6, CORRECTION: 7,
  ICC: 0x81, EXIF: 0x82, XMP: 0x83, IPTC: 0x84, TEXT: 0x85, DENSITY: 0x86,
} as const;

/** width, height: pixels. quality: in hundredths. tile: in cells. model: 16 digits; zeros in a file of samples. */
export interface Header {
  width: number;
  height: number;
  channels: 1 | 3;
  depth: 8 | 16;
  quality: number;
  tile: readonly [number, number];
  model: string;
  symbolsCrc: number;
  version: string;
}

export interface Chunk {
  kind: number;
  payload: Uint8Array;
}

/** A file taken apart: its header, and its chunks in order. */
export class File {
  constructor(readonly header: Header, readonly chunks: readonly Chunk[], readonly size: number) {}

  /** The payload of the first chunk of a kind. */
  extra(kind: number): Uint8Array | undefined {
    return this.chunks.find((chunk) => chunk.kind === kind)?.payload;
  }

  /** The payload of a chunk of metadata, inflated. */
  metadata(kind: number): Uint8Array | undefined {
    const stored = this.extra(kind);
    return stored && inflate(stored, MAX_METADATA);
  }

  /** Whether the file holds samples and no symbols, and so needs no model. */
  get ofSamples(): boolean {
    return this.chunks[0]!.kind === Kind.SAMPLES;
  }
}

/** Stored bytes, a method byte before them -> the bytes. */
export function inflate(stored: Uint8Array, limit: number): Uint8Array {
  if (stored[0] === 0) return stored.subarray(1);
  if (stored[0] !== 1) throw new BadFile('a chunk is stored by an unknown method');
  return unzipped(stored.subarray(1), limit);
}

/** The bytes of a file -> header and chunks. maxPixels: the largest picture; without it the limits of the format. */
export function unpack(bytes: Uint8Array, maxPixels?: number): File {
  if (!bytes.length || MAGIC.some((byte, i) => i < bytes.length && bytes[i] !== byte)) {
    throw new BadFile('not a .nic file');
  }
  if (bytes.length < START) throw new BadFile('the file ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[4]! >> 4, version = `${major}.${bytes[4]! & 15}`;
  if (major !== 1) throw new UnsupportedVersion(`the file is of format version ${version}; this release decodes 1.x`);
  let at = START, part = 'header';
  const number = (): number => {
    const [value, end] = varint.readHead(bytes, at, part);
    at = end;
    return value;
  };
  const checksum = (): number => {
    if (bytes.length < at + CRC) throw new BadFile(`the file ends within its ${part}`);
    at += CRC;
    return view.getUint32(at - CRC, true);
  };
  const width = number(), height = number(), quality = number(), tile = [number(), number()] as const, count = number();
  if (count > MAX_CHUNKS) throw new LimitExceeded(`${count} chunks are over the limit of ${MAX_CHUNKS}`);
  part = 'chunk table';
  const table = [];
  while (table.length < count) {
    const kind = bytes[at++]!, length = number(), crc = checksum();
    table.push({ kind, length, crc });
  }
  const right = crc32(bytes.subarray(0, at));
  if (checksum() !== right) throw new ChecksumMismatch('the header is damaged');
  const whole = at + table.reduce((sum, { length }) => sum + length, 0);
  if (bytes.length !== whole) {
    throw new BadFile(`the file is cut short, or has bytes left over: it has ${bytes.length} bytes, not ${whole}`);
  }
  const channels = bytes[5]! & 15, depth = 8 + 8 * (bytes[5]! >> 4);
  const possible = (channels === 1 || channels === 3) && (depth === 8 || depth === 16) && quality <= MAX_QUALITY;
  if (!possible || !width || !height || !tile[0] || !tile[1]) throw new BadFile('the header holds impossible values');
  checkSize(width, height, maxPixels);
  const ofSamples = table[0]?.kind === Kind.SAMPLES;
  if (maxPixels === undefined) checkExpansion(width, height, bytes.length, ofSamples ? FREE_SAMPLES[depth]! : FREE_PIXELS);
  const columns = Math.ceil(width / CELL), rows = Math.ceil(height / CELL);
  if (Math.min(tile[0], columns) * Math.min(tile[1], rows) > MAX_TILE) {
    throw new LimitExceeded(`a tile of ${tile[0]}x${tile[1]} cells is over the limit of ${MAX_TILE}`);
  }
  const model = Array.from(bytes.subarray(10, START), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const header: Header = { width, height, channels, depth, quality, tile, model, symbolsCrc: view.getUint32(6, true), version };
  const chunks = table.map(({ kind, length, crc }) => {
    const payload = bytes.subarray(at, (at += length));
    if (crc32(payload) !== crc) throw new ChecksumMismatch('a chunk is damaged');
    return { kind, payload };
  });
  checkOrder(chunks.map((chunk) => chunk.kind), Math.ceil(columns / tile[0]) * Math.ceil(rows / tile[1]), header);
  return new File(header, chunks, bytes.length);
}

function padded(width: number, height: number): number {
  return Math.ceil(width / CELL) * Math.ceil(height / CELL) * CELL ** 2;
}

function checkSize(width: number, height: number, limit = DEFAULT_MAX_PIXELS): void {
  const farMore = 2 * Math.max(limit, DEFAULT_MAX_PIXELS);
  if (Math.max(width, height) > MAX_SIDE || width * height > limit || padded(width, height) > farMore) {
    throw new LimitExceeded(`a picture of ${width}x${height} is over the limit of ${limit} pixels`);
  }
}

function checkExpansion(width: number, height: number, size: number, free: number): void {
  if (padded(width, height) > free + PIXELS_PER_BYTE * size) {
    throw new LimitExceeded(`${size} bytes that claim to be a picture of ${width}x${height}; maxPixels allows it`);
  }
}

/** One Z and one Y for each tile, or one SAMPLES for each tile; then others, rising. */
function checkOrder(kinds: number[], tiles: number, header: Header): void {
  const known = new Set<number>(Object.values(Kind));
  const strange = kinds.find((kind) => kind < 0x80 && !known.has(kind));
  if (strange !== undefined) {
    throw new UnsupportedVersion(`the file needs a feature that this release does not know (chunk ${strange})`);
  }
  const ofSamples = kinds[0] === Kind.SAMPLES, first = ofSamples ? 0 : 1;
  const coded = kinds.slice(first, first + tiles), extra = kinds.slice(first + tiles);
  const own = ofSamples ? Kind.SAMPLES : Kind.Y;
  if (coded.length !== tiles || coded.some((kind) => kind !== own) || (!ofSamples && kinds[0] !== Kind.Z)) {
    throw new BadFile('the chunks do not match the tile grid');
  }
  const misplaced: number[] = [Kind.Z, Kind.Y, Kind.SAMPLES];
  if (ofSamples) misplaced.push(Kind.PATCHES, Kind.FLATS, Kind.CORRECTION);
  if (extra.some((kind, i) => (i > 0 && kind <= extra[i - 1]!) || misplaced.includes(kind))) {
    throw new BadFile('the chunks are out of order');
  }
  if (ofSamples && /[^0]/.test(header.model)) throw new BadFile('a lossless file names a model');
}
