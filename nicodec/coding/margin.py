"""The margin: what lies beyond the right and bottom edges of a picture, where its cells of 64 pixels reach over them.

Before the networks in `windows`. Nobody sees the margin, so an encoder makes it as cheap as it can: samples that
continue the picture smoothly, and no symbol where no sample of the picture lies. Decoders cut it off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import tiles
from nicodec.bitstream.container import CELL
from nicodec.bitstream.tiles import Box
from nicodec.picture import Samples

# A line of the margin leads from the sample at the edge to the mean of those around it: DEPTH inwards, and AROUND along
# the edge to both sides. The difference falls to 1 / e within FADE samples.
DEPTH, AROUND, FADE = 8, 12, 3.0


def cut(pixels: Samples, box: Box) -> Samples:
    """A box of pixels (H, W, C) of either depth, with its part of the margin.

    A sample of the margin is the same in every box. It depends on samples nearby alone, so a box needs memory for its
    own size and no more.
    """
    height, width, _ = pixels.shape
    part = _rows(pixels, box.top, min(box.bottom, height), box.left, box.right)
    if box.bottom <= height:
        return part
    left, right = max(0, box.left - AROUND), min(tiles.cells(width, height).right * CELL, box.right + AROUND)
    near = _rows(pixels, max(0, height - DEPTH), height, left, right).swapaxes(0, 1)
    below = _continued(near, box.left - left, box.columns, box.bottom - height).swapaxes(0, 1)
    return np.concatenate([part, below[max(0, box.top - height) :]])


def _rows(pixels: Samples, top: int, bottom: int, left: int, right: int) -> Samples:
    """Rows of the picture, with the margin beside them."""
    width = pixels.shape[1]
    inside = pixels[top:bottom, left:right]
    if right <= width:
        return inside
    above = max(0, top - AROUND)
    near = pixels[above : bottom + AROUND, max(0, width - DEPTH) :]
    beside = _continued(near, top - above, max(0, bottom - top), right - width)
    return np.concatenate([inside, beside[:, max(0, left - width) :]], axis=1)


def _continued(near: Samples, first: int, rows: int, count: int) -> Samples:
    """The margin (rows, count, C) behind near (H, DEPTH, C), of which rows from `first` on are continued.

    The rows before and after these only enter the means.
    """
    sums = np.zeros((len(near) + 1, near.shape[2]), np.int64)  # whole numbers: equal wherever a box begins
    near.sum(1, dtype=np.int64).cumsum(0, out=sums[1:])
    lines = np.arange(first, first + rows)
    low, high = np.maximum(lines - AROUND, 0), np.minimum(lines + AROUND + 1, len(near))
    mean = ((sums[high] - sums[low]) / ((high - low) * near.shape[1])[:, None])[:, None]
    fade = np.exp(-np.arange(count) / FADE)[:, None]
    made: Samples = np.rint(mean + (near[first : first + rows, -1:] - mean) * fade).astype(near.dtype)
    return made


def beyond(box: Box, within: Box) -> npt.NDArray[np.bool_]:
    """Which positions (h, w) of a box lie beyond the right or bottom edge of `within`."""
    rows, columns = np.ogrid[box.top : box.bottom, box.left : box.right]
    result: npt.NDArray[np.bool_] = (rows >= within.bottom) | (columns >= within.right)
    return result


def silenced(r: npt.NDArray[np.int16], box: Box, within: Box) -> npt.NDArray[np.int16]:
    """Symbols (1, L, h, w) of a box of positions, set to zero in place beyond `within`."""
    r[..., beyond(box, within)] = 0
    return r
