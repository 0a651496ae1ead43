// The symbols of one file: z as a whole, r tile by tile on demand, and their part of the checksum.
// Between the container and `coding/windows`. It knows no networks: its caller gives the function that finds tables.

import type { Engine } from '../model/engine.js';
import type { File } from './container.js';
import { raw, shifted, shifter, TABLES } from './crc.js';
import { begin, finish, type Tables } from './entropy.js';
import { read, type HyperTables } from './hyper.js';
import { Box, cells, grid, STRIDE, Y_CELL } from './tiles.js';

/** z and a tile of cells -> the table of each symbol of the tile, uint16 (L, 4h, 4w), at an address. */
export type TablesOf = (z: Int8Array, tile: Box) => number;

export class Symbols {
  readonly cells: Box;
  readonly z: Int8Array;
  /** What each tile that was read adds to the checksum of all symbols, by its number. */
  readonly sums = new Map<number, number>();
  private readonly boxes: Box[];
  /** The positions that hold samples of the picture. Others have no symbol. */
  private readonly positions: Box;
  private readonly kept = new Map<number, Int16Array>();

  constructor(
    private readonly engine: Engine, private readonly file: File, private readonly latent: number,
    private readonly tablesOf: TablesOf, private readonly yTables: Tables, zTables: HyperTables,
  ) {
    const { width, height, quality, tile } = file.header;
    this.cells = cells(width, height);
    this.positions = new Box(0, 0, height, width).over(STRIDE);
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
    const e = this.engine, tile = this.boxes[n]!.times(Y_CELL), coded = tile.cut(this.positions), mark = e.mark();
    const [count, some] = [tile, coded].map((box) => this.latent * box.rows * box.columns) as [number, number];
    begin(e, this.file.chunks[1 + n]!.payload);
    let index = this.tablesOf(this.z, this.boxes[n]!);
    if (some < count) {
      const tables = e.alloc(2 * some);
      this.lines(tile, coded, e.u16(index, count), e.u16(tables, some), false);
      index = tables;
    }
    let found = this.yTables.take(index, some);
    finish(e);
    if (some < count) {
      const r = e.alloc(2 * count);
      this.lines(tile, coded, e.u16(r, count).fill(0), e.u16(found, some), true);
      found = r;
    }
    this.sums.set(n, this.sum(found, tile));
    this.kept.set(n, e.i16(found, count).slice());
    e.release(mark);
  }

  /** Copies the lines of a part of a tile: from all of it to the part, or back. Both begin at its top left. */
  private lines(tile: Box, part: Box, all: Uint16Array, some: Uint16Array, back: boolean): void {
    for (let c = 0, at = 0; c < this.latent; c++) {
      for (let i = 0; i < part.rows; i++, at += part.columns) {
        const begin = (c * tile.rows + i) * tile.columns;
        if (back) all.set(some.subarray(at, at + part.columns), begin);
        else some.set(all.subarray(begin, begin + part.columns), at);
      }
    }
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
