// The bytes of a .nicmodel file -> config and tensors; its seal, and the id of its model.
// Under `networks` and `tables`. A file may lack all that only an encoder needs.

import { BadModel } from '../errors.js';
import { sha256 } from './sha256.js';

const FORMAT = 'nicmodel-1';
const UNSEALED = '0'.repeat(64);
const MAX_HEADER = 2 ** 22;
const SIZES = { F16: 2, F32: 4, I8: 1, U8: 1, I16: 2, U16: 2, I32: 4 } as const;
type Dtype = keyof typeof SIZES;

/** Beginnings of the names of the tensors that natural pictures may have of their own. */
const NATURAL = ['natural.', 'graph.g_s_natural'];

/** What decides how a file decodes, and so the id: beginnings of the names of tensors. */
const DECODER = ['context.', 'correction.', 'g_s.', 'h_mu.', 'h_sigma.', 'log_gain', 'spread', 'tables.'];
const ENCODER_ONLY = ['blocks_a', 'latent_blocks_a', 'repair'];

// More channels, and more blocks in a row, than any network that is trained.
const MAX_WIDTH = 2 ** 14, MAX_BLOCKS = 64;
const WIDTHS = ['latent', 'width', 'hyper', 'z', 'context', 'linear'] as const;
const BLOCKS = ['blocks_s', 'latent_blocks_s', 'context_blocks', 'blocks_a', 'latent_blocks_a'] as const;

// The parts of networks that this decoder computes; and that a config need not state.
const PARTS: Record<string, unknown> = { upsample: 'shuffle', transform: 'deep+linear' };
const USUAL: Record<string, unknown> = { ...PARTS, colours: 3 };
const isUsual = (name: string, stated: Record<string, unknown>): boolean => (stated[name] ?? USUAL[name]) === USUAL[name];

/** The integers of a config. deep: channels of the latent that have means. */
export type Config = Record<(typeof WIDTHS)[number] | (typeof BLOCKS)[number] | 'colours' | 'deep', number>;

interface Tensor {
  dtype: Dtype;
  shape: number[];
  bytes: Uint8Array;
}

type Arrays = { F16: Uint16Array; F32: Float32Array; I8: Int8Array; U8: Uint8Array; I16: Int16Array;
  U16: Uint16Array; I32: Int32Array };
const ARRAYS = { F16: Uint16Array, F32: Float32Array, I8: Int8Array, U8: Uint8Array, I16: Int16Array,
  U16: Uint16Array, I32: Int32Array };

/** A verified model. id: 16 digits, the first 8 bytes. */
export class Model {
  constructor(
    readonly name: string, readonly id: string, readonly config: Config, private readonly tensors: Map<string, Tensor>,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** Whether it has layers of g_s that learnt from draws, or a part of them. */
  get hasNatural(): boolean {
    return [...this.tensors.keys()].some((name) => NATURAL.some((start) => name.startsWith(start)));
  }

  shape(name: string): readonly number[] {
    return this.tensor(name).shape;
  }

  /** The numbers of a tensor, F16 as its bits. shape: that it must have; -1 stands for any number. */
  array<D extends Dtype>(name: string, dtype: D, shape: readonly number[]): Arrays[D] {
    const tensor = this.tensor(name);
    const fits = tensor.shape.length === shape.length && shape.every((n, i) => n === -1 || n === tensor.shape[i]);
    if (tensor.dtype !== dtype || !fits) throw new BadModel(`the model has an impossible ${name}`);
    return new ARRAYS[dtype](tensor.bytes.slice().buffer) as Arrays[D];
  }

  /** The numbers of a tensor of F16, as floats. */
  floats(name: string, shape: readonly number[]): Float32Array {
    const table = halves(), found = this.array(name, 'F16', shape), result = new Float32Array(found.length);
    for (let i = 0; i < found.length; i++) result[i] = table[found[i]!]!;
    return result;
  }

  private tensor(name: string): Tensor {
    const found = this.tensors.get(name);
    if (!found) throw new BadModel(`the model lacks ${name}`);
    return found;
  }
}

let half: Float32Array | undefined;

/** The number of each half float, by its bits. */
function halves(): Float32Array {
  if (half) return half;
  half = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const sign = i & 0x8000 ? -1 : 1, exponent = (i >> 10) & 31, fraction = i & 1023;
    half[i] = exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
  }
  return half;
}

/** Throws BadModel unless the arrays fill the file without holes, its seal is its own, and its id the one it states. */
export function parse(bytes: Uint8Array): Model {
  const length = bytes.length < 8 ? 0 : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (!length || length > Math.min(bytes.length - 8, MAX_HEADER)) throw new BadModel('not a nicodec model');
  let header: Record<string, { dtype: Dtype; shape: number[]; data_offsets: [number, number] }>;
  let about: Record<string, string>, stated: Record<string, number>;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length));
    const { __metadata__: metadata, ...rest } = JSON.parse(text);
    [header, about, stated] = [rest, metadata, JSON.parse(metadata.config)];
    if (about['format'] !== FORMAT || typeof about['sha256'] !== 'string') throw new Error();
  } catch {
    throw new BadModel('not a nicodec model of a kind that this release reads');
  }
  const tensors = new Map<string, Tensor>();
  let end = 0;
  const entries = Object.entries(header);
  const begin = (entry: { data_offsets?: unknown }): number => (Array.isArray(entry?.data_offsets) ? entry.data_offsets[0] : -1);
  for (const [name, entry] of entries.sort(([, a], [, b]) => begin(a) - begin(b) || a.data_offsets?.[1] - b.data_offsets?.[1])) {
    const { dtype, shape, data_offsets: offsets } = entry ?? {};
    const known = Object.hasOwn(SIZES, dtype) && Array.isArray(shape) && Array.isArray(offsets) && shape.length <= 8
      && [...shape, ...offsets].every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!known || offsets[0] !== end || offsets[1] - end !== shape.reduce((a, b) => a * b, SIZES[dtype])) {
      throw new BadModel('an array of the model has another place or length than it must have');
    }
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(8 + length + end, 8 + length + offsets[1]) });
    end = offsets[1];
  }
  if (8 + length + end !== bytes.length) throw new BadModel('the model is cut short or has bytes left over');
  if (seal(bytes, about['sha256'], length) !== about['sha256']) throw new BadModel('the model is damaged');
  const id = identity(stated, tensors);
  if (about['id'] !== undefined && about['id'] !== id) throw new BadModel('the model states another id than its own');
  return new Model(String(about['name']).slice(0, 100), id.slice(0, 16), config(stated), tensors);
}

function seal(bytes: Uint8Array, written: string, length: number): string {
  const at = new TextDecoder('latin1').decode(bytes.subarray(0, 8 + length)).indexOf(written);
  if (written.length !== UNSEALED.length || at < 0) return '';
  return sha256(bytes.subarray(0, at), new TextEncoder().encode(UNSEALED), bytes.subarray(at + UNSEALED.length));
}

function identity(stated: Record<string, number>, tensors: Map<string, Tensor>): string {
  const names = [...tensors.keys()].filter((name) => DECODER.some((start) => name.startsWith(start))).sort();
  const kept: Record<string, number> = {};
  for (const name of Object.keys(stated).sort()) {
    if (!ENCODER_ONLY.includes(name) && !(name in USUAL && isUsual(name, stated))) kept[name] = stated[name]!;
  }
  const listed = names.map((name) => [name, tensors.get(name)!.dtype, tensors.get(name)!.shape]);
  const text = new TextEncoder().encode(JSON.stringify([kept, listed]));
  return sha256(text, ...names.map((name) => tensors.get(name)!.bytes));
}

function config(stated: Record<string, number>): Config {
  const part = Object.keys(PARTS).find((name) => !isUsual(name, stated));
  if (part !== undefined) {
    const kind = JSON.stringify(stated[part]).slice(0, 40);
    throw new BadModel(`the model has the ${part} ${kind}, which this decoder cannot compute; nicodec for Python can`);
  }
  const colours = stated['colours'] ?? 3;
  const names = [...WIDTHS, ...BLOCKS, ...ENCODER_ONLY, ...Object.keys(USUAL)];
  let fine = (colours === 1 || colours === 3) && Object.keys(stated).every((name) => (names as string[]).includes(name));
  for (const name of [...WIDTHS, ...BLOCKS]) {
    const blocks = (BLOCKS as readonly string[]).includes(name), value = stated[name]!;
    fine &&= Number.isInteger(value) && value >= (blocks || name === 'linear' ? 0 : 1)
      && value <= (blocks ? MAX_BLOCKS : MAX_WIDTH);
  }
  const deep = stated['latent']! - stated['linear']!;
  if (!fine || deep < 1) throw new BadModel('the model has an impossible config');
  return { ...(stated as Config), colours, deep };
}
