"""The margin: what lies beyond the right and bottom edges of a picture, where its cells of 64 pixels reach over them.

Before the networks in `windows`. Nobody sees the margin, so an encoder makes it as cheap as it can: samples that
continue the picture smoothly, and no symbol where no sample of the picture lies. Decoders cut it off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import tiles
from nicodec.bitstream.container import CELL
from nicodec.bitstream.tiles import STRIDE, Box
from nicodec.picture import Picture, Samples, invisible

# The rows and columns at an edge that the margin continues.
NEAR = 32


class Extended:
    """A picture (H, W, C) with its margin, of either depth. The picture is not copied."""

    def __init__(self, pixels: Samples) -> None:
        self._pixels = pixels
        height, width, _ = pixels.shape
        whole = tiles.cells(width, height).times(CELL)
        self._beside = _continued(pixels[:, -NEAR:], whole.right - width)
        last = np.concatenate([pixels[-NEAR:], self._beside[-NEAR:]], axis=1)
        self._below = _continued(last.swapaxes(0, 1), whole.bottom - height).swapaxes(0, 1)

    def cut(self, box: Box) -> Samples:
        """The samples of a box of pixels, which lies within the cells of the picture."""
        height, width, _ = self._pixels.shape
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        part = self._pixels[rows, columns]
        if box.right > width:
            beside = self._beside[rows, max(0, box.left - width) : box.right - width]
            part = np.concatenate([part, beside], axis=1)
        if box.bottom > height:
            below = self._below[max(0, box.top - height) : box.bottom - height, columns]
            part = np.concatenate([part, below])
        return part


def _continued(pixels: Samples, count: int) -> Samples:
    """As many columns (H, count, C) as follow pixels (H, W, C)."""
    height, width, channels = pixels.shape
    if not count:
        return pixels[:, :0]
    frame = np.zeros((height, width + count, channels), pixels.dtype)
    frame[:, :width] = pixels
    known = np.zeros(frame.shape[:2], pixels.dtype)
    known[:, :width] = 1
    return invisible.filled(Picture(frame, known)).pixels[:, width:]


def inside(height: int, width: int) -> Box:
    """The positions of the latent that hold samples of a picture."""
    return Box(0, 0, height, width).over(STRIDE)


def beyond(box: Box, within: Box) -> npt.NDArray[np.bool_]:
    """Which positions (h, w) of a box, from the top left on, lie beyond the right or bottom edge of `within`."""
    rows, columns = np.ogrid[box.top : box.bottom, box.left : box.right]
    result: npt.NDArray[np.bool_] = (rows >= within.bottom) | (columns >= within.right)
    return result


def silenced(r: npt.NDArray[np.int16], box: Box, within: Box) -> npt.NDArray[np.int16]:
    """Symbols (1, L, h, w) of a box of positions, set to zero in place beyond `within`."""
    r[:, :, max(0, within.bottom - box.top) :] = 0
    r[..., max(0, within.right - box.left) :] = 0
    return r
