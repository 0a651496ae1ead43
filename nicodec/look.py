"""The encoder's look at what a decoder will paint, where the picture is unlike photographs.

Between the steps of `codec` and `patches`. The networks have learnt photographs. Where the latent is far from
those of photographs, they may paint something else: such cells are decoded and compared, and those that come
out badly are sent as patches.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nicodec import metrics, patches, quantize
from nicodec.container import CELL
from nicodec.metrics import Cell
from nicodec.patches import SIDE, Patches
from nicodec.tiles import Box

# Bytes of the frame of a zlib stream, which patches share; of a chunk without them.
FRAME, CHUNK = 8, 32
# zlib takes at least these bits for each kind of row in a patch: most patches need not be tried.
ROW_BITS = 8
# No cell that was looked at comes back worse than this, in dB: from quality 30 on, and at quality 0.
POOR, POOREST = 15.0, 10.0
# With a quarter of that error a cell came out badly, and what is around it is looked at too.
BADLY = 4
# What looks drawn: this share of neighbours is equal, and some samples are so far apart; or neighbours are
# so far apart on average. Of photographs few cells are so, and their cost is time alone.
SPARSE, FLAT, SHARP, ROUGH = 8, 0.8, 128, 40


@dataclass(eq=False)
class Look:
    """What is seen of one picture at one quality.

    pixels: (H, W, C). q: quality in hundredths. errors: mean squared error of each cell of 16 pixels, NaN
    where it was not looked at.
    """

    pixels: npt.NDArray[np.uint8]
    q: int
    errors: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        height, width, _ = self.pixels.shape
        self.errors = np.full((-(-height // SIDE), -(-width // SIDE)), np.nan)

    def see(self, area: Box, painted: npt.NDArray[np.uint8]) -> None:
        """Compare an area of whole cells of 64 pixels with what is painted there."""
        here = area.over(SIDE)
        ours = self.pixels[area.top : area.bottom, area.left : area.right]
        self.errors[here.top : here.bottom, here.left : here.right] = metrics.cell_errors(ours, painted)

    def spread(self, reach: int) -> npt.NDArray[np.bool_]:
        """Cells of 64 pixels (rows, columns) that were not looked at, so far from one that came out badly.

        A strange latent spoils what lies around it too. reach: in cells, how far.
        """
        height, width, _ = self.pixels.shape
        rows, columns = -(-height // CELL), -(-width // CELL)
        fine = np.full((rows * CELL // SIDE, columns * CELL // SIDE), -1.0)
        fine[: self.errors.shape[0], : self.errors.shape[1]] = np.nan_to_num(self.errors, nan=-1.0)
        worst = fine.reshape(rows, CELL // SIDE, columns, CELL // SIDE).max((1, 3))
        near = np.zeros((rows, columns), np.bool_)
        for i, j in np.argwhere(worst > self._poor / BADLY):
            near[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1] = True
        result: npt.NDArray[np.bool_] = near & (worst < 0)
        return result

    @property
    def _poor(self) -> float:
        """The mean squared error beyond which a cell is sent as it is."""
        result: float = 255**2 / 10 ** (min(POOR, POOREST + self.q / 600) / 10)
        return result

    def mend(self) -> Patches | None:
        """The cells that cost less as patches: bits and squared error together, weighed as the quality does.

        So does every cell that came out poorly, whatever it costs. The errors of all become those of the
        patches. None if they are not worth a chunk.
        """
        weight, steps = quantize.lambda_of(self.q), quantize.patch_steps(self.q)
        mended, saved = np.copy(self.errors), 0.0
        for i, j in np.argwhere(weight * SIDE**2 * np.nan_to_num(self.errors) > ROW_BITS):
            ours = patches.cell(self.pixels, i, j)
            levels, area = patches.levels_of(ours, steps), ours.shape[0] * ours.shape[1]
            coded, poor = patches.differences(patches.whole(levels)).tobytes(), self.errors[i, j] > self._poor
            rows = {coded[at : at + SIDE] for at in range(0, len(coded), SIDE)}
            if weight * area * self.errors[i, j] < ROW_BITS * len(rows) and not poor:
                continue
            error = metrics.cell_errors(ours, patches.samples(levels, steps))[0, 0]
            gain = weight * area * (self.errors[i, j] - error) - 8 * (len(zlib.compress(coded, 9)) - FRAME)
            if gain > 0 or poor:
                mended[i, j] = error
                saved += max(gain, 0)
        if saved <= 8 * CHUNK and not (self.errors > self._poor).any():
            return None
        where = mended < self.errors
        self.errors = mended
        return patches.cut(self.pixels, where, steps)

    @property
    def worst(self) -> Cell | None:
        """The worst cell of those that were looked at."""
        return None if np.isnan(self.errors).all() else metrics.worst_of(self.errors)

    @property
    def psnr(self) -> float | None:
        """PSNR in dB of all samples, if all were looked at."""
        height, width, _ = self.pixels.shape
        heights, widths = (np.diff([*range(0, n, SIDE), n]) for n in (height, width))
        error = float(heights @ self.errors @ widths) / (height * width)
        return None if math.isnan(error) else metrics.decibels(error)


def drawn(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which cells of 64 pixels (rows, columns) look drawn: as flats with edges, or all but noise.

    Flats with edges: most neighbours are equal, and some samples differ much. Noise: neighbours differ much
    on average, as in dots of single pixels, which a network may take for an even gray.

    pixels: of whole cells (H, W, C). Every eighth row is looked at.
    """
    height, width, channels = pixels.shape
    few = pixels[::SPARSE]
    steps = np.maximum(few[:, 1:], few[:, :-1]) - np.minimum(few[:, 1:], few[:, :-1])
    largest = steps[:, :, 0]
    for c in range(1, channels):
        largest = np.maximum(largest, steps[:, :, c])
    # The step from the last column of a cell into the next cell is nobody's.
    rows, columns = height // CELL, width // CELL
    own = np.zeros((len(few), width), np.uint8)
    own[:, :-1] = largest
    inside = own.reshape(rows, CELL // SPARSE, columns, CELL)[..., :-1]
    flat: npt.NDArray[np.bool_] = np.count_nonzero(inside == 0, axis=(1, 3)) > FLAT * inside[0, :, 0].size
    for i, j in np.argwhere(flat):
        cell = few[i * CELL // SPARSE : (i + 1) * CELL // SPARSE, j * CELL : (j + 1) * CELL]
        flat[i, j] = (cell.max((0, 1)) - cell.min((0, 1))).max() > SHARP
    rough: npt.NDArray[np.bool_] = inside.sum((1, 3), dtype=np.uint32) > ROUGH * inside[0, :, 0].size
    return flat | rough


def boxes(strange: npt.NDArray[np.bool_], windows: list[Box]) -> Iterator[Box]:
    """For each window of cells the smallest box around its strange ones."""
    for window in windows:
        rows, columns = np.nonzero(strange[window.top : window.bottom, window.left : window.right])
        if len(rows):
            yield Box(
                window.top + int(rows.min()),
                window.left + int(columns.min()),
                window.top + int(rows.max()) + 1,
                window.left + int(columns.max()) + 1,
            )
