// The networks over windows with halos: symbols -> numbers of pixels.
// Between `painting` and the networks. A halo covers their reach, so pieces make the same picture as the whole.

import { Symbols } from '../bitstream/symbols.js';
import type { File } from '../bitstream/container.js';
import { Box, CELL, STRIDE, Y_CELL } from '../bitstream/tiles.js';
import type { Tables } from '../bitstream/entropy.js';
import type { HyperTables } from '../bitstream/hyper.js';
import { ModelNotFound } from '../errors.js';
import { Engine, stride } from '../model/engine.js';
import type { Model } from '../model/modelfile.js';
import { Networks, type Plane } from '../model/networks.js';
import { yTables, zTables } from '../model/tables.js';
import { Widths, type Draw } from './natural.js';

/** How far a sample may be from each of the 3 x 3 around it in a slow ramp of 16 bits. */
const SLOW = 1.5 / 255;
/** The side in cells of the pieces whose tables are found at a time. */
const PIECE = 16;

/** One model, ready to decode. halo: the cells around a window whose symbols its pixels need. */
export class Windows {
  readonly networks: Networks;
  readonly halo: number;
  private readonly y: Tables;
  private readonly z: HyperTables;
  private readonly aroundMean: number;
  private found?: Widths;

  constructor(readonly engine: Engine, readonly model: Model) {
    this.networks = new Networks(engine, model);
    [this.y, this.z] = [yTables(engine, model), zTables(engine, model)];
    this.aroundMean = Math.ceil((this.networks.reachMean + 1) / Y_CELL);
    this.halo = Math.ceil((this.networks.reachMean + this.networks.around) / Y_CELL);
  }

  /** What the tables of the model say, for natural pictures. */
  get widths(): Widths {
    return (this.found ??= new Widths(this.model));
  }

  /** The symbols of a file, which must be one of this model. preview, natural: what will be asked for. */
  symbols(file: File, preview: boolean, natural: boolean): Symbols {
    if (file.header.model !== this.model.id) {
      throw new ModelNotFound(`the file was made with the model ${file.header.model}, not with ${this.model.name} (${this.model.id})`);
    }
    this.networks.prepare(file.header.quality, preview, natural && this.model.hasNatural);
    const made: Symbols = new Symbols(this.engine, file, this.model.config.latent,
      (z, tile) => this.tables(z, made.cells, tile), this.y, this.z);
    return made;
  }

  /** The table of each symbol of a tile. A tall or wide tile is taken in pieces, so that its features stay small. */
  private tables(z: Int8Array, whole: Box, tile: Box): number {
    const { networks: { scales }, engine: e } = this;
    if (tile.rows <= PIECE && tile.columns <= PIECE) return scales.tables(z, whole, tile.grown(1, whole), tile);
    const plane = tile.rows * tile.columns * Y_CELL ** 2, latent = this.model.config.latent;
    const result = e.alloc(2 * plane * latent);
    for (let top = tile.top; top < tile.bottom; top += PIECE) {
      for (let left = tile.left; left < tile.right; left += PIECE) {
        const piece = new Box(top, left, top + PIECE, left + PIECE).cut(tile), mark = e.mark();
        const found = scales.tables(z, whole, piece.grown(1, whole), piece);
        const [rows, columns] = [piece.rows * Y_CELL, piece.columns * Y_CELL];
        const all = e.u16(result, plane * latent), own = e.u16(found, rows * columns * latent);
        for (let c = 0, at = 0; c < latent; c++) {
          for (let i = 0; i < rows; i++, at += columns) {
            const row = (top - tile.top) * Y_CELL + i;
            all.set(own.subarray(at, at + columns), c * plane + row * tile.columns * Y_CELL + (left - tile.left) * Y_CELL);
          }
        }
        e.release(mark);
      }
    }
    return result;
  }

  /**
   * Numbers of the pixels of a window of cells, and of `margin` pixels more on each side. filter: of a correction.
   * draw: what is added for symbols that are zero.
   */
  synthesis(
    window: Box, symbols: Symbols, filter: Float32Array | null, deep: boolean, draw: Draw | null,
  ): { plane: Plane; box: Box } {
    const { engine: e, networks } = this, whole = symbols.cells.times(Y_CELL);
    const inner = window.times(Y_CELL).grown(networks.around, whole);
    const seen = window.grown(this.halo, symbols.cells), { y, wide, first } = this.decoded(seen, inner, symbols);
    const { colours } = networks;
    const painted = (noise: ((channels: number) => number) | null): Plane =>
      networks.synthesis(y + first, wide, inner.rows, inner.columns, noise);
    const faithful = (): Plane => {
      const plane = painted(null), { rows, columns } = plane;
      if (!filter) return plane;
      const at = e.alloc(4 * rows * columns * colours);
      e.run.corrected(plane.at, rows, columns, colours, e.put(filter), at);
      return { ...plane, at };
    };
    const beside = draw?.learnt && draw.natural < 1 ? faithful() : null;
    if (draw) this.drawn(draw, inner.over(Y_CELL), symbols, seen, y);
    let plane = draw?.learnt ? painted((channels) => draw.noise(e, inner, channels)) : faithful();
    const { rows, columns } = plane, count = rows * columns * colours;
    if (draw && beside) {
      const to = e.f32(plane.at, count), from = e.f32(beside.at, count), { natural } = draw;
      for (let k = 0; k < count; k++) to[k] = natural * to[k]! + (1 - natural) * from[k]!;
    }
    if (deep) {
      const at = e.alloc(4 * count);
      e.run.smoothed(plane.at, rows, columns, colours, SLOW, at);
      plane = { ...plane, at };
    }
    return { plane, box: inner.times(STRIDE) };
  }

  /** Adds the draws of some cells to the latent y of the cells `seen` around them. */
  private drawn(draw: Draw, cells: Box, symbols: Symbols, seen: Box, y: number): void {
    const { engine: e } = this, { latent } = this.model.config, mark = e.mark(), ys = stride(latent);
    const at = draw.of(e, cells, symbols, latent, this.tables(symbols.z, symbols.cells, cells));
    const box = cells.from(seen).times(Y_CELL), wide = seen.columns * Y_CELL, run = box.columns * ys;
    for (let i = 0; i < box.rows; i++) {
      const to = e.f32(y + 4 * ((box.top + i) * wide + box.left) * ys, run), from = e.f32(at + 4 * i * run, run);
      for (let k = 0; k < run; k++) to[k]! += from[k]!;
    }
    e.release(mark);
  }

  /** As `synthesis`, at an eighth of the size. */
  preview(window: Box, symbols: Symbols): { plane: Plane; box: Box } {
    const inner = window.times(Y_CELL);
    const { y, wide, first } = this.decoded(window.grown(this.aroundMean, symbols.cells), inner, symbols);
    return { plane: this.networks.preview(y + first, wide, inner.rows, inner.columns), box: window.times(CELL / 8) };
  }

  /** The latent of the cells `seen`; first: bytes to the position at the top left of `inner`. */
  private decoded(seen: Box, inner: Box, symbols: Symbols): { y: number; wide: number; first: number } {
    const ys = stride(this.model.config.latent), outer = seen.times(Y_CELL);
    const y = this.engine.alloc(4 * outer.rows * outer.columns * ys);
    symbols.place(seen, y, ys);
    this.networks.latents(symbols.z, symbols.cells, seen, y);
    const first = 4 * ((inner.top - outer.top) * outer.columns + inner.left - outer.left) * ys;
    return { y, wide: outer.columns, first };
  }
}
