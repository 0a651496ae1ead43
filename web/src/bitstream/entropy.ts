// Symbols and their tables, by the range coder, whose loop is in the kernels.
// Under `symbols` and `hyper`.

import { BadFile, BadModel } from '../errors.js';
import type { Engine } from '../model/engine.js';
import * as varint from './varint.js';

/** Frequency tables in the memory of the kernels. count: how many. */
export class Tables {
  readonly count: number;
  private readonly starts: number;
  private readonly sums: number;
  private readonly lows: number;

  /** frequencies, start, low: as in docs/FORMAT.md, already checked. escapes: whether each last entry is an escape. */
  constructor(
    private readonly engine: Engine, frequencies: Uint16Array, start: Int32Array, readonly low: Int16Array,
    private readonly escapes: boolean,
  ) {
    this.count = low.length;
    const starts = new Uint32Array(this.count + 1), sums = new Uint32Array(frequencies.length + this.count);
    let at = 0;
    for (let t = 0; t < this.count; t++) {
      const [from, to] = [start[t]!, start[t + 1]!], n = to - from;
      starts[t] = at;
      let sum = 0;
      for (let i = 0; i <= n; i++) {
        sums[at++] = Math.floor((sum * (2 ** 24 - n)) / 65536) + i;
        if (i < n) sum += frequencies[from + i]!;
      }
    }
    starts[this.count] = at;
    [this.starts, this.sums, this.lows] = [engine.put(starts), engine.put(sums), engine.put(Int32Array.from(low))];
  }

  /** The next group of symbols of the payload that is begun: int16 at an address. index: uint16 (count), there too. */
  take(index: number, count: number): number {
    const { engine: e } = this, out = e.alloc(2 * count), mark = e.mark();
    const order = e.alloc(4 * count), places = e.alloc(4 * (this.count + 1));
    const wrong = e.run.take(index, count, out, this.count, this.starts, this.sums, this.lows, order, places, this.escapes);
    e.release(mark);
    if (wrong === 4) throw new BadModel('the model asks for a table that it does not have');
    if (wrong) throw new BadFile(['', 'a tile does not decode', 'a tile holds a malformed number', 'a tile holds an impossible symbol'][wrong]);
    return out;
  }
}

/** Begins a payload: the length of its escapes, the escapes, and the words of the coder. */
export function begin(engine: Engine, payload: Uint8Array): void {
  const [length, at] = varint.read(payload, 0, 'a tile'), words = payload.length - at - length;
  if (words < 0 || words % 4) throw new BadFile('a tile has an impossible length');
  const escapes = engine.alloc(payload.length);
  engine.u8(escapes, payload.length).set(payload);
  // Words are read by 32 bits at any address.
  engine.run.begin(escapes + at + length, words, escapes + at, length);
}

/** Throws BadFile unless the payload ends where its symbols end. */
export function finish(engine: Engine): void {
  if (!engine.run.finished()) throw new BadFile('a tile does not end where its symbols end');
}
