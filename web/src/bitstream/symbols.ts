// The symbols of one file: z as a whole, r tile by tile on demand, and their part of the checksum.
// Between the container and `coding/windows`. It knows no networks: its caller gives the function that finds tables.

import type { Engine } from '../model/engine.js';
import type { File } from './container.js';
import { raw, shifted, shifter, TABLES } from './crc.js';
import { begin, finish, type Tables } from './entropy.js';
import { read, type HyperTables } from './hyper.js';
import { Box, cells, grid, Y_CELL } from './tiles.js';

/** z and a tile of cells -> the table of each symbol of the tile, uint16 (L, 4h, 4w), at an address. */
export type TablesOf = (z: Int8Array, tile: Box) => number;

export class Symbols {
  readonly cells: Box;
  readonly z: Int8Array;
  /** What each tile that was read adds to the checksum of all symbols, by its number. */
  readonly sums = new Map<number, number>();
  private readonly boxes: Box[];
  private readonly kept = new Map<number, Int16Array>();

  constructor(
    private readonly engine: Engine, private readonly file: File, private readonly latent: number,
    private readonly tablesOf: TablesOf, private readonly yTables: Tables, zTables: HyperTables,
  ) {
    const { width, height, quality, tile } = file.header;
    this.cells = cells(width, height);
    this.boxes = grid(this.cells, tile);
    this.z = read(engine, zTables, file.chunks[0]!.payload, this.cells.rows, this.cells.columns, quality);
  }

  /** Symbols of the cells `box` as floats, (16 h w, stride), at an address, in rows of channels. */
  place(box: Box, to: number, stride: number): void {
    const positions = box.rows * box.columns * Y_CELL ** 2, wide = box.columns * Y_CELL;
    const touched = [...this.boxes.keys()].filter((n) => !this.boxes[n]!.cut(box).empty);
    touched.forEach((n) => this.read(n));
    const out = this.engine.f32(to, positions * stride).fill(0);
    for (const n of touched) {
      const tile = this.boxes[n]!.times(Y_CELL), part = tile.cut(box.times(Y_CELL)), r = this.kept.get(n)!;
      for (let c = 0; c < this.latent; c++) {
        for (let i = part.top; i < part.bottom; i++) {
          let at = (c * tile.rows + i - tile.top) * tile.columns + part.left - tile.left;
          const end = at + part.columns;
          let place = ((i - box.top * Y_CELL) * wide + part.left - box.left * Y_CELL) * stride + c;
          // Most symbols are zero, and stand there already.
          for (; at < end; at++, place += stride) if (r[at]) out[place] = r[at]!;
        }
      }
    }
  }

  /** Forgets the tiles that end at or above a row of cells. */
  forget(above: number): void {
    for (const n of this.kept.keys()) if (this.boxes[n]!.bottom <= above) this.kept.delete(n);
  }

  private read(n: number): void {
    if (this.kept.has(n)) return;
    const e = this.engine, tile = this.boxes[n]!, mark = e.mark();
    const positions = tile.rows * tile.columns * Y_CELL ** 2, count = positions * this.latent;
    begin(e, this.file.chunks[1 + n]!.payload);
    const found = this.yTables.take(this.tablesOf(this.z, tile), count);
    finish(e);
    this.sums.set(n, this.sum(found, tile.times(Y_CELL)));
    this.kept.set(n, e.i16(found, count).slice());
    e.release(mark);
  }

  /** The linear CRC of a tile among zeros in all of r, int16 (L, 4R, 4S). */
  private sum(at: number, tile: Box): number {
    const e = this.engine, whole = this.cells.times(Y_CELL), bytes = 2 * tile.columns;
    const line = 2 * whole.columns, table = e.put(TABLES);
    const down = shifter(line), on = shifter(line * (whole.rows - tile.rows + 1));
    let crc = 0;
    for (let c = 0; c < this.latent; c++) {
      for (let i = 0; i < tile.rows; i++, at += bytes) {
        if (crc) crc = i ? down(crc) : c ? on(crc) : crc;
        crc ^= e.run.crc(table, at, bytes, 0);
      }
    }
    // Behind the last row of the tile in the last channel stand the rest of its line and the lines below.
    return shifted(crc, line * (whole.rows - tile.bottom) + 2 * (whole.columns - tile.right));
  }
}

/** The CRC-32 of z and of all of r, from what each tile adds. latent: L. */
export function checksum(z: Int8Array, sums: Iterable<number>, latent: number, cells: Box): number {
  const length = 2 * latent * cells.rows * cells.columns * Y_CELL ** 2;
  let crc = shifted(raw(new Uint8Array(z.buffer, z.byteOffset, z.length), -1), length);
  for (const sum of sums) crc ^= sum;
  return ~crc >>> 0;
}
