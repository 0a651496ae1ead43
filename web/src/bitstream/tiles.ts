// Integer geometry: boxes, tiles and windows. It computes nothing from samples.
// Under everything that cuts a picture.

export const CELL = 64;
/** Positions of y along a side of a cell. */
export const Y_CELL = 4;
/** Pixels along a side of a position of y. */
export const STRIDE = 16;

/** A rectangle of whole numbers, in cells, positions of y or pixels; bottom and right are not included. */
export class Box {
  constructor(
    readonly top: number, readonly left: number, readonly bottom: number, readonly right: number,
  ) {}

  get rows(): number {
    return this.bottom - this.top;
  }

  get columns(): number {
    return this.right - this.left;
  }

  /** The same rectangle in units n times finer. */
  times(n: number): Box {
    return new Box(n * this.top, n * this.left, n * this.bottom, n * this.right);
  }

  /** The smallest rectangle in units n times coarser that covers this one. */
  over(n: number): Box {
    return new Box(Math.floor(this.top / n), Math.floor(this.left / n), Math.ceil(this.bottom / n),
      Math.ceil(this.right / n));
  }

  /** The rectangle grown by `by` on each side, cut off at `limit`. */
  grown(by: number, limit: Box): Box {
    return new Box(this.top - by, this.left - by, this.bottom + by, this.right + by).cut(limit);
  }

  /** The part of the rectangle inside `limit`. */
  cut(limit: Box): Box {
    return new Box(Math.max(this.top, limit.top), Math.max(this.left, limit.left), Math.min(this.bottom, limit.bottom),
      Math.min(this.right, limit.right));
  }

  /** The same rectangle, counted from the top left of another. */
  from({ top, left }: Box): Box {
    return new Box(this.top - top, this.left - left, this.bottom - top, this.right - left);
  }

  get empty(): boolean {
    return this.rows <= 0 || this.columns <= 0;
  }
}

/** The box of cells of 64 pixels that cover a picture. */
export function cells(width: number, height: number): Box {
  return new Box(0, 0, Math.ceil(height / CELL), Math.ceil(width / CELL));
}

/** The tiles of an area from its top left, row by row, cut off at its edges. tile: width and height. */
export function grid(area: Box, [width, height]: readonly [number, number]): Box[] {
  const tiles = [];
  for (let top = area.top; top < area.bottom; top += height) {
    for (let left = area.left; left < area.right; left += width) {
      tiles.push(new Box(top, left, top + height, left + width).cut(area));
    }
  }
  return tiles;
}

/** Pieces of about equal size, of at most `most` units each, that cover an area; of all ways that with short cuts. */
export function windows(area: Box, most: number): Box[] {
  let best = [Infinity, 0, 0] as [number, number, number];
  for (let height = 1; height <= Math.min(area.rows, most); height++) {
    const down = Math.ceil(area.rows / height), across = Math.ceil(area.columns / Math.floor(most / height));
    const cuts = (down - 1) * area.columns + (across - 1) * area.rows;
    if (cuts < best[0] || (cuts === best[0] && across < best[1])) best = [cuts, across, down];
  }
  const rows = spans(area.top, area.bottom, best[2]), columns = spans(area.left, area.right, best[1]);
  return rows.flatMap(([top, bottom]) => columns.map(([left, right]) => new Box(top, left, bottom, right)));
}

function spans(start: number, stop: number, count: number): [number, number][] {
  const at = (i: number): number => start + Math.floor(((stop - start) * i) / Math.max(1, count));
  return Array.from({ length: count }, (_, i) => [at(i), at(i + 1)]);
}
