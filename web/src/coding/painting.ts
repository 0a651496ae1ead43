// Symbols -> samples, window by window, each with its place in the picture; patches and flat cells are laid over them.
// Between `windows` and `decoding`, which joins the samples to a picture.

import { Kind, type File, type Header } from '../bitstream/container.js';
import * as flats from '../bitstream/flats.js';
import type { Part } from '../bitstream/marks.js';
import * as patches from '../bitstream/patches.js';
import type { Symbols } from '../bitstream/symbols.js';
import { Box, CELL } from '../bitstream/tiles.js';
import { BadModel, NicError } from '../errors.js';
import { filter } from './correction.js';
import { pictureWindows, previewWindows } from './layout.js';
import { checkDraws, Draw } from './natural.js';
import type { Windows } from './windows.js';

export const PREVIEW = 8;

/**
 * The wanted part of a picture. area: in pixels of the view. shrink: 1 or 8. windows: in cells, by their tops. whole: no
 * region. natural, seed: of draws.
 */
export interface View {
  area: Box;
  shrink: number;
  windows: Box[];
  whole: boolean;
  natural: number;
  seed: number;
}

export type Region = readonly [x: number, y: number, width: number, height: number];

/**
 * The view of a whole picture, of a region, or with scale 1/8 of the whole at an eighth. shares: how many threads want
 * windows; a small picture is cut for them. natural, seed: as for `decode`.
 */
export function view(header: Header, region?: Region, scale = 1, shares = 1, natural = 0, seed = 0): View {
  checkDraws(natural, seed);
  const whole = new Box(0, 0, header.height, header.width);
  if (scale !== 1) {
    if (scale !== 1 / PREVIEW || region) throw new NicError(`scale must be 1 or 1/${PREVIEW}, and does not go with a region`);
    const small = whole.over(PREVIEW);
    return { area: small, shrink: PREVIEW, windows: previewWindows(small.over(CELL / PREVIEW)), whole: true, natural, seed };
  }
  if (!region) return { area: whole, shrink: 1, windows: pictureWindows(whole.over(CELL), shares), whole: true, natural, seed };
  if (region.length !== 4 || !region.every(Number.isSafeInteger)) {
    throw new NicError('a region is four whole numbers [x, y, width, height]');
  }
  const [x, y, width, height] = region, area = new Box(y, x, y + height, x + width);
  if (x < 0 || y < 0 || width < 1 || height < 1 || area.bottom > header.height || area.right > header.width) {
    throw new NicError(`the region ${width}x${height} at ${x},${y} is not inside ${header.width}x${header.height}`);
  }
  return { area, shrink: 1, windows: pictureWindows(area.over(CELL), shares), whole: false, natural, seed };
}

/** The samples of each of some windows inside the wanted area. depth: bits of each. */
export function* paint(
  windows: Windows, symbols: Symbols, file: File, wanted: View, own: Box[], depth: 8 | 16,
): Generator<Part> {
  const { header } = file, { engine: e, networks } = windows, { channels, width, height } = header;
  const laid: { lay(part: Part, shrink: number): void }[] = [];
  for (const [kind, { decode }] of [[Kind.PATCHES, patches], [Kind.FLATS, flats]] as const) {
    const stored = file.extra(kind);
    if (stored) laid.push(decode(stored, width, height, channels));
  }
  const sent = file.extra(Kind.CORRECTION), weights = sent ? filter(windows.model, sent) : null;
  // A faithful picture and a preview draw nothing.
  const draws = wanted.natural > 0 && wanted.shrink === 1;
  const key = [header.symbolsCrc, wanted.seed] as const, learnt = windows.model.hasNatural;
  const draw = draws ? new Draw(windows.widths, wanted.natural, key, header.quality, learnt) : null;
  for (const window of own) {
    const mark = e.mark();
    symbols.forget(window.top - windows.halo);
    const { plane, box } = wanted.shrink === 1
      ? windows.synthesis(window, symbols, weights, header.depth === 16, draw) : windows.preview(window, symbols);
    const part = window.times(CELL / wanted.shrink).cut(wanted.area), count = part.rows * part.columns * channels;
    const at = e.alloc(2 * count);
    const from = plane.at + 4 * ((part.top - box.top) * plane.columns + part.left - box.left) * networks.colours;
    const fine = e.run.samples(from, plane.columns, part.rows, part.columns, networks.colours, channels, 2 ** depth - 1, at);
    const data = (depth === 16 ? e.u16(at, count) : e.u8(at, count)).slice();
    e.release(mark);
    if (!fine) throw new BadModel('the model gives numbers beyond all bounds');
    const made = { box: part, channels, data };
    for (const cells of laid) cells.lay(made, wanted.shrink);
    yield made;
  }
}
