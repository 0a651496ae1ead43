"""Flats, cells of 8 pixels that have one colour <-> the bytes of their chunk.

Beside `patches`. `coding.look` decides whether they are sent; `coding.painting` lays them over the painted samples
and the patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import container, marks
from nicodec.bitstream.tiles import Box
from nicodec.errors import BadFile

SIDE = 8

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Flats:
    """The flat cells of one picture.

    where: bool (R, S), the cells of 8 that are flat. colours: uint8 (N, C), of the N cells in row-major order.
    """

    where: npt.NDArray[np.bool_]
    colours: Pixels

    @cached_property
    def _numbers(self) -> npt.NDArray[np.integer[Any]]:
        """The number of the colour of each flat cell, (R, S)."""
        return marks.numbers(self.where)

    def lay(self, pixels: npt.NDArray[Any], area: Box, shrink: int = 1) -> None:
        """Lay the flat cells over the samples (H, W, C) of an area, in place; in 16 bits they are 257 times as large.

        shrink: 1, or the factor by which a preview is smaller, at most `SIDE`; the area is in its pixels.
        """
        side = SIDE // shrink
        near = area.over(side)
        cells = slice(near.top, near.bottom), slice(near.left, near.right)
        if not self.where[cells].any():
            return
        colours = marks.in_depth(self.colours[self._numbers[cells]], pixels.dtype)
        whole = colours.repeat(side, 0).repeat(side, 1)[area.within(near.times(side))]
        np.copyto(pixels, whole, where=self.covers(area, shrink)[:, :, None])

    def covers(self, area: Box, shrink: int = 1) -> npt.NDArray[np.bool_]:
        """Whether each sample of an area is in a flat cell, (h, w). area, shrink: as for `lay`."""
        side = SIDE // shrink
        near = area.over(side)
        flat = self.where[near.top : near.bottom, near.left : near.right]
        return flat.repeat(side, 0).repeat(side, 1)[area.within(near.times(side))]


def found(pixels: Pixels) -> Flats | None:
    """The flat cells of a picture (H, W, C); None if it has none. Most cells fail by their corners."""
    width, channels = pixels.shape[1:]
    lefts = np.arange(0, width, SIDE)
    where = _alike_in_corners(pixels)
    colours = [np.empty((0, channels), np.uint8)]
    for row, flat in enumerate(where):
        if not flat.any():
            continue
        strip = pixels[row * SIDE : (row + 1) * SIDE]
        corners = strip[0, ::SIDE]
        wide = corners.repeat(SIDE, 0)[:width]
        flat &= np.logical_and.reduceat((strip[0] == wide).all(1), lefts)
        if flat.any():
            flat &= np.logical_and.reduceat((strip == wide).all((0, 2)), lefts)
            colours.append(corners[flat])
    return Flats(where, np.concatenate(colours)) if where.any() else None


def _alike_in_corners(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Whether the four corners of each cell are equal, (R, S); of a cell at an edge, those inside the picture."""
    first = pixels[::SIDE, ::SIDE]
    alike = np.ones(first.shape[:2], np.bool_)
    for down, right in ((0, SIDE - 1), (SIDE - 1, 0), (SIDE - 1, SIDE - 1)):
        corner = pixels[down::SIDE, right::SIDE]
        rows, columns = corner.shape[:2]
        for c in range(pixels.shape[2]):
            alike[:rows, :columns] &= corner[:, :, c] == first[:rows, :columns, c]
    return alike


def encode(flats: Flats) -> bytes:
    """The payload of a chunk of flats, stored as `container.deflate` stores.

    It holds a bit for each cell in row-major order, and each colour less the one before it, modulo 256.
    """
    differences = np.diff(flats.colours, axis=0, prepend=np.zeros((1, flats.colours.shape[1]), np.uint8))
    return container.deflate(np.packbits(flats.where).tobytes() + differences.tobytes())


def decode(payload: bytes, width: int, height: int, channels: int) -> Flats:
    """The inverse of `encode`. Raises BadFile for anything malformed.

    Raises LimitExceeded for a stream that inflates to more than all cells take.
    """
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    bitmap = marks.size(rows, columns)
    data = container.inflate(payload, bitmap + rows * columns * channels)
    where = marks.decode(data[:bitmap], rows, columns, "flat cells")
    count = np.count_nonzero(where)
    if len(data) != bitmap + count * channels:
        raise BadFile("the flat cells have the wrong size")
    steps = np.frombuffer(data, np.uint8, offset=bitmap).reshape(count, channels)
    colours = np.add.accumulate(steps, axis=0, dtype=np.uint8)
    return Flats(where, colours)
