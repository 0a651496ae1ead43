"""Patches, cells of 16 pixels that are sent as their samples <-> the bytes of their chunk.

Beside `alpha`. `coding.look` chooses cells that the networks paint badly; `coding.painting` lays the patches over
the painted samples.
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

SIDE = 16

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of one picture, in few levels.

    steps: number of steps from sample 0 to sample 255, 1..255. where: bool (R, S), the cells of 16 that are sent.
    levels: uint8 (N, C, 16, 16), 0 to `steps`, for the N cells in row-major order.
    """

    steps: int
    where: npt.NDArray[np.bool_]
    levels: Pixels

    @cached_property
    def _numbers(self) -> npt.NDArray[np.integer[Any]]:
        """The number of the patch of each cell that is sent, (R, S)."""
        return marks.numbers(self.where)

    def lay(self, pixels: npt.NDArray[Any], area: Box, shrink: int = 1) -> None:
        """Lay the patches over the samples (H, W, C) of an area, in place; in 16 bits they are 257 times as large.

        shrink: 1, or the factor by which a preview is smaller; the area is in its pixels, and takes means.
        """
        side = SIDE // shrink
        near = area.over(side)
        for i, j in np.argwhere(self.where[near.top : near.bottom, near.left : near.right]):
            row, column = near.top + i, near.left + j
            patch = samples(self.levels[self._numbers[row, column]], self.steps).transpose(1, 2, 0)
            if shrink > 1:
                small = patch.reshape(side, shrink, side, shrink, -1).mean((1, 3))
                patch = np.rint(small).astype(np.uint8)
            box = Box(side * row, side * column, side * (row + 1), side * (column + 1))
            part = box.cut(area)
            pixels[part.within(area)] = marks.in_depth(patch[part.within(box)], pixels.dtype)


def cut(pixels: Pixels, where: npt.NDArray[np.bool_], steps: int) -> Patches:
    """The patches of the cells `where`, bool (R, S), of a picture (H, W, C)."""
    channels = pixels.shape[2]
    levels = np.empty((np.count_nonzero(where), channels, SIDE, SIDE), np.uint8)
    for patch, (i, j) in zip(levels, np.argwhere(where), strict=True):
        patch[...] = whole(levels_of(cell(pixels, i, j), steps))
    return Patches(steps, where, levels)


def cell(pixels: Pixels, i: int, j: int) -> Pixels:
    """The samples of cell (i, j) of 16, fewer than 16 x 16 at the edges of a picture."""
    return pixels[SIDE * i : SIDE * (i + 1), SIDE * j : SIDE * (j + 1)]


def whole(levels: Pixels) -> Pixels:
    """Levels (h, w, C) of a cell -> (C, 16, 16). The last row and column fill the rest."""
    height, width, _ = levels.shape
    full = np.pad(levels, ((0, SIDE - height), (0, SIDE - width), (0, 0)), mode="edge")
    return full.transpose(2, 0, 1)


def levels_of(values: Pixels, steps: int) -> Pixels:
    """Samples -> the nearest level of each."""
    nearest: Pixels = ((values.astype(np.uint32) * steps + 127) // 255).astype(np.uint8)
    return nearest


def samples(levels: Pixels, steps: int) -> Pixels:
    """Levels -> samples. Level 0 gives 0, and `steps` or more gives 255."""
    result: Pixels = np.minimum((510 * levels.astype(np.uint32) + steps) // (2 * steps), 255).astype(np.uint8)
    return result


def differences(levels: Pixels) -> Pixels:
    """Levels (..., 16, 16), each less the level above, modulo 256; in the first row, less the level to the left."""
    result = np.diff(levels, axis=-2, prepend=np.uint8(0))
    result[..., 0, :] = np.diff(levels[..., 0, :], axis=-1, prepend=np.uint8(0))
    return result


def encode(patches: Patches) -> bytes:
    """The payload of a chunk of patches, stored as `container.deflate` stores.

    It holds the number of steps, a bit for each cell in row-major order, and the `differences` of each patch.
    """
    parts = (bytes([patches.steps]), np.packbits(patches.where).tobytes(), differences(patches.levels).tobytes())
    return container.deflate(b"".join(parts))


def decode(payload: bytes, width: int, height: int, channels: int) -> Patches:
    """The inverse of `encode`. Raises BadFile for anything malformed.

    Raises LimitExceeded for a stream that inflates to more than patches for all cells take.
    """
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    bitmap = marks.size(rows, columns)
    size = channels * SIDE * SIDE
    data = container.inflate(payload, 1 + bitmap + rows * columns * size)
    where = marks.decode(data[1 : 1 + bitmap], rows, columns, "patches")
    count = np.count_nonzero(where)
    if not data[0] or len(data) != 1 + bitmap + count * size:
        raise BadFile("the patches have the wrong size")
    steps = np.frombuffer(data, np.uint8, offset=1 + bitmap).reshape(count, channels, SIDE, SIDE)
    levels = steps.copy()
    np.add.accumulate(levels[..., 0, :], axis=-1, dtype=np.uint8, out=levels[..., 0, :])
    np.add.accumulate(levels, axis=-2, dtype=np.uint8, out=levels)
    return Patches(data[0], where, levels)
