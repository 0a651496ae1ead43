"""Integer geometry: boxes, tiles, windows, halos, and padding to whole cells of 64 pixels.

Under everything that cuts a picture: `symbols` and the modules of `coding`. It computes nothing from samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.container import CELL, cell_counts

# Positions of y along a side of a cell: y lies at /16, z at /64.
Y_CELL = CELL // 16
# Pixels along a side of a position of y.
STRIDE = CELL // Y_CELL


class Box(NamedTuple):
    """A rectangle of whole numbers, in cells, positions of y or pixels; bottom and right are not included."""

    top: int
    left: int
    bottom: int
    right: int

    def times(self, n: int) -> Box:
        """The same rectangle in units n times finer."""
        return Box(*(n * edge for edge in self))

    def grown(self, by: int, limit: Box) -> Box:
        """The rectangle grown by `by` on each side, cut off at `limit`."""
        larger = Box(self.top - by, self.left - by, self.bottom + by, self.right + by)
        return larger.cut(limit)

    def cut(self, limit: Box) -> Box:
        """The part of the rectangle inside `limit`."""
        return Box(*map(max, self[:2], limit[:2]), *map(min, self[2:], limit[2:]))

    @property
    def rows(self) -> int:
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        return self.right - self.left

    def over(self, n: int) -> Box:
        """The smallest rectangle in units n times coarser that covers this one."""
        return Box(self.top // n, self.left // n, -(-self.bottom // n), -(-self.right // n))

    def within(self, outer: Box) -> tuple[slice, slice]:
        """The rows and columns of this rectangle in an array (H, W, ...) that covers `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


def cells(width: int, height: int) -> Box:
    """The box of cells of 64 pixels that cover a picture."""
    columns, rows = cell_counts(width, height)
    return Box(0, 0, rows, columns)


def positions(width: int, height: int) -> Box:
    """The positions of y that hold samples of a picture. Others, in its last cells, have no symbol: r is 0 there."""
    return Box(0, 0, height, width).over(STRIDE)


def grid(area: Box, tile: tuple[int, int]) -> Iterator[Box]:
    """The tiles of an area from its top left, row-major, cut off at its edges. tile: (width, height)."""
    for top in range(area.top, area.bottom, tile[1]):
        for left in range(area.left, area.right, tile[0]):
            yield Box(top, left, top + tile[1], left + tile[0]).cut(area)


def windows(area: Box, most: int) -> Iterator[Box]:
    """Pieces of about equal size, of at most `most` units each, that cover an area, row-major.

    The division with the shortest cuts is taken, because the halos at a cut are computed twice.
    """

    def ways() -> Iterator[tuple[int, int, int]]:
        for height in range(1, min(area.rows, most) + 1):
            down = -(-area.rows // height)
            across = -(-area.columns // (most // height))
            yield (down - 1) * area.columns + (across - 1) * area.rows, across, down

    # Of two equal divisions the one with wide pieces is taken: an encoder keeps whole rows of the picture.
    _, across, down = min(ways(), default=(0, 0, 0))
    for top, bottom in _spans(area.top, area.bottom, down):
        for left, right in _spans(area.left, area.right, across):
            yield Box(top, left, bottom, right)


def _spans(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    cuts = [start + (stop - start) * i // max(1, count) for i in range(count + 1)]
    return list(pairwise(cuts))


def cut(pixels: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """A box of pixels (H, W, C). Beyond the picture its last row and column are repeated."""
    h, w = pixels.shape[:2]
    inside = pixels[box.top : box.bottom, box.left : box.right]
    below, beside = max(0, box.bottom - max(h, box.top)), max(0, box.right - max(w, box.left))
    return np.pad(inside, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else inside


def crop(planes: npt.NDArray[Any], outer: Box, box: Box) -> npt.NDArray[Any]:
    """A view of a box in planes (1, C, H, W) that cover `outer`."""
    rows, columns = box.within(outer)
    return planes[:, :, rows, columns]


def joined(parts: list[npt.NDArray[Any]], axis: int) -> npt.NDArray[Any]:
    """The parts one after another along an axis; a single one itself."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


class Rows:
    """The rows of tall planes, float32 (1, C, rows, columns), that are still needed. box: their place."""

    def __init__(self, channels: int, columns: int) -> None:
        self.channels, self.box = channels, Box(0, 0, 0, columns)
        self._planes = np.empty((1, channels, 0, columns), np.float32)

    def grow(self, rows: int) -> None:
        """Make room for this number of rows below."""
        kept, self.box = self.box.rows, self.box._replace(bottom=self.box.bottom + rows)
        larger = np.empty((1, self.channels, self.box.rows, self.box.columns), np.float32)
        larger[:, :, :kept] = self._planes
        self._planes = larger

    def forget(self, above: int) -> None:
        """Forget the rows above this one; their memory is free after the next `grow`."""
        self._planes = self._planes[:, :, max(0, above - self.box.top) :]
        self.box = self.box._replace(top=max(self.box.top, above))

    def view(self, box: Box) -> npt.NDArray[np.float32]:
        """A view of the part that a box covers, to read or to fill."""
        return crop(self._planes, self.box, box)
