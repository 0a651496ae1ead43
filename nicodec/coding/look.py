"""The look: the encoder compares strange cells with the samples that a decoder will paint.

Between `codec` and `bitstream.patches`. The networks have learnt photographs, and may paint strange cells wrongly.
Cells that come out badly are sent as patches. Flat cells need no look: they are sent where they cost little.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import anchors, container, flats, patches, tiles
from nicodec.bitstream.container import CELL, Chunk
from nicodec.bitstream.crc import Residual
from nicodec.bitstream.flats import Flats
from nicodec.bitstream.patches import SIDE, Patches
from nicodec.bitstream.symbols import Known
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import layout, quantize
from nicodec.errors import BadModel
from nicodec.model.checkpoint import Checkpoint
from nicodec.parallel.threads import aside
from nicodec.picture import Picture, depth_of, metrics
from nicodec.picture.metrics import Cell
from nicodec.storage.files import shown

# Bytes of the frame of a zlib stream, which all patches share; bytes of a chunk beside its patches.
FRAME, CHUNK = 8, 32
# The least bits that zlib takes for each distinct row of a patch. Most cells fail by this bound, without zlib.
ROW_BITS = 8
# The least PSNR in dB of a cell that was looked at: from quality 30 on, and at quality 0. A worse one is sent.
POOR, POOREST = 15.0, 10.0
# A cell with 1 / BADLY of that error came out badly, and the encoder looks at its surroundings too.
BADLY = 4
# Every row SPARSE apart is examined. A cell looks drawn if over a share FLAT of neighbours are equal, and some samples
# differ by over SHARP. It also does if neighbours differ by over ROUGH on average, or by over ROUGHER in a quarter. Few
# cells of photographs look drawn, and these only cost time.
SPARSE, FLAT, SHARP, ROUGH, ROUGHER = 8, 0.8, 128, 40, 64
# A cell is strange if its mean square is over STRANGE times the limit that nearly all cells of photographs keep.
STRANGE = 1.5
# The mean squared error that a flat cell is taken to have if it is not sent. Its true error is mostly less, but white
# that is not white is seen, and so is a blot in a saturated colour.
FLAT_ERROR = 2
# Bytes of symbols that an encoder keeps for its look, about. It decodes all further ones again.
KEPT = 2**26

# The samples of windows, and their places in pixels.
Painted: TypeAlias = Iterator[tuple[Box, npt.NDArray[np.uint8]]]
# Chunks of a correction, and windows of cells -> what a decoder paints.
Paint: TypeAlias = Callable[[list[Chunk], list[Box]], Painted]


class Familiar:
    """The size of the latents of photographs, for one model. Raises BadModel if the model lacks it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._deep, channels = checkpoint.config.deep, checkpoint.config.latent
        self._log_gain, self._spread = (checkpoint.array(name) for name in ("log_gain", "spread"))
        self._familiar = checkpoint.array("familiar")
        shapes = [(anchors.ANCHORS, channels), (channels,), (1,)]
        if [a.shape for a in (self._log_gain, self._spread, self._familiar)] != shapes:
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible gains")

    def gain(self, q: int) -> npt.NDArray[np.float64]:
        """Quantiser gain of each channel, (L,), at a quality in hundredths. The graphs compute their own."""
        hats = np.maximum(0, 1 - np.abs(q / 1000 - np.arange(anchors.ANCHORS)))
        result: npt.NDArray[np.float64] = np.exp(hats @ self._log_gain)
        return result

    def unit(self, q: int) -> npt.NDArray[np.float64]:
        """The usual spread of each deep channel, (D,), in quantiser steps, at a quality in hundredths."""
        result: npt.NDArray[np.float64] = (self.gain(q) * self._spread)[: self._deep]
        return result

    def strange(self, latent: npt.NDArray[np.float32], q: int) -> npt.NDArray[np.bool_]:
        """Whether each cell, (h, w), has a latent unlike photographs. latent: (1, L, 4h, 4w), in quantiser steps.

        The measure is the mean square of the deep channels at a position, in units of their spread. Where the
        networks fail, it is twice that of photographs. q: quality in hundredths.
        """
        unit, deep = self.unit(q), latent[0, : self._deep]
        energy = np.einsum("cij,cij,c->ij", deep, deep, (unit**-2 / self._deep).astype(np.float32))
        rows, columns = (n // Y_CELL for n in energy.shape)
        largest = energy.reshape(rows, Y_CELL, columns, Y_CELL).max((1, 3))
        result: npt.NDArray[np.bool_] = largest > STRANGE * self._familiar
        return result


class Look:
    """The encoder's look at one picture at one quality.

    picture: samples under alpha 0 do not count. q: quality in hundredths. everywhere: look at all cells, not only at
    strange ones. threads: with several, flat cells are looked for in one of its own. errors: mean squared error of each
    cell of 16, float64 (rows, columns), NaN where nothing was compared. known: symbols of the tiles that hold strange
    cells, by number of the tile.
    """

    def __init__(
        self, picture: Picture, q: int, familiar: Familiar, *, everywhere: bool = False, threads: int = 1
    ) -> None:
        height, width, _ = picture.pixels.shape
        # Cells are compared in 8 bits. In 16 a slow ramp would have flat cells in 8, and would come back in bands.
        shown, deep = picture.eight, depth_of(picture.pixels) == 16
        self.pixels, self.alpha, self.q, self.known = shown.pixels, shown.alpha, q, Known()
        self._flats = aside(lambda: None if deep else worthy(flats.found(shown.pixels), q), threads)
        self.errors = np.full((-(-height // SIDE), -(-width // SIDE)), np.nan)
        self._familiar, self._cells = familiar, tiles.cells(width, height)
        # A picture narrower or lower than a cell is quickly looked at, and is seldom a photograph.
        all_of_it = everywhere or min(height, width) < CELL
        self._strange = np.full((self._cells.rows, self._cells.columns), all_of_it)

    @property
    def flats(self) -> Flats | None:
        """The flat cells; None at depth 16, or where they cost more than they are worth."""
        return self._flats()

    def notice(self, band: Box, latent: npt.NDArray[np.float32]) -> None:
        """Find the strange cells of a band, from its latent (1, L, 4h, 4w) and its pixels."""
        drawn_here = drawn(tiles.cut(self.pixels, band.times(CELL)))
        self._strange[band.within(self._cells)] |= self._familiar.strange(latent, self.q) | drawn_here

    def counted(self, area: Box) -> npt.NDArray[np.bool_]:
        """The samples of an area, in pixels, that the networks decide: bool (h, w), not under alpha 0, not flat."""
        rows, columns = slice(area.top, area.bottom), slice(area.left, area.right)
        seen = np.ones((area.rows, area.columns), np.bool_) if self.alpha is None else self.alpha[rows, columns] > 0
        return seen if self.flats is None else seen & ~self.flats.covers(area)

    def keep(self, number: int, tile: Box, r: Residual) -> None:
        """Keep the symbols of a tile that holds strange cells, so that the look need not decode them."""
        if self._strange[tile.within(self._cells)].any() and sum(a.nbytes for a in self.known.values()) < KEPT:
            self.known[number] = r

    def settle(self, correction: list[Chunk], paint: Paint, reach: int) -> tuple[list[Chunk], Patches | None]:
        """Look at the strange cells, without the correction and with it; find the patches.

        A picture that needs patches has no correction: it was fitted to cells that the patches replace. Arguments as
        for `at`. Returns the chunks of the correction that stays, and the patches.
        """
        self.at(partial(paint, []), reach)
        mended = self.mend()
        if mended is None and correction:
            plain = self.errors
            self.at(partial(paint, correction), reach)
            if self.mend() is None:
                return correction, None
            self.errors = plain
        return [], mended

    def at(self, paint: Callable[[list[Box]], Painted], reach: int) -> None:
        """Look at the strange cells, then at the surroundings of bad ones.

        paint: windows of cells -> their samples and places. reach: distance in cells to which the latent of a cell
        changes samples.
        """
        self.errors = np.full_like(self.errors, np.nan)
        strange, windows = self._strange, layout.windows(self._cells)
        while wanted := boxes(strange, windows):
            for part, painted in paint(wanted):
                self.see(part, painted)
            strange = self.spread(reach)

    def see(self, area: Box, painted: npt.NDArray[np.uint8]) -> None:
        """Compare an area of whole cells, in pixels, with its painted samples (h, w, C), which get the flat cells."""
        if self.flats is not None:
            self.flats.lay(painted, area)
        here = area.over(SIDE)
        rows, columns = slice(area.top, area.bottom), slice(area.left, area.right)
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        found = metrics.cell_errors(self.pixels[rows, columns], painted, alpha)
        self.errors[here.top : here.bottom, here.left : here.right] = found

    def spread(self, reach: int) -> npt.NDArray[np.bool_]:
        """The cells, bool (rows, columns), that are near a bad cell and were not looked at yet.

        A strange latent spoils its surroundings too. reach: the distance in cells.
        """
        rows, columns = self._cells.rows, self._cells.columns
        fine = np.full((rows * CELL // SIDE, columns * CELL // SIDE), -1.0)
        fine[: self.errors.shape[0], : self.errors.shape[1]] = np.nan_to_num(self.errors, nan=-1.0)
        worst = fine.reshape(rows, CELL // SIDE, columns, CELL // SIDE).max((1, 3))
        near = np.zeros((rows, columns), np.bool_)
        for i, j in np.argwhere(worst > poor(self.q) / BADLY):
            near[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1] = True
        result: npt.NDArray[np.bool_] = near & (worst < 0)
        return result

    def mend(self) -> Patches | None:
        """The patches of the cells that cost less as patches, in bits + lambda * squared error.

        A cell under the least PSNR becomes a patch at any cost. `errors` of these cells become those of their
        patches. None if the patches together are not worth a chunk.
        """
        weight, steps = quantize.lambda_of(self.q), quantize.patch_steps(self.q)
        mended, saved = np.copy(self.errors), 0.0
        for i, j in np.argwhere(weight * SIDE**2 * np.nan_to_num(self.errors) > ROW_BITS):
            ours = patches.cell(self.pixels, i, j)
            alpha = None if self.alpha is None else patches.cell(self.alpha, i, j)
            levels, area = patches.levels_of(ours, steps), ours[:, :, 0].size if alpha is None else (alpha > 0).sum()
            coded, bad = patches.differences(patches.whole(levels)).tobytes(), self.errors[i, j] > poor(self.q)
            rows = {coded[at : at + SIDE] for at in range(0, len(coded), SIDE)}
            if weight * area * self.errors[i, j] < ROW_BITS * len(rows) and not bad:
                continue
            error = metrics.cell_errors(ours, patches.samples(levels, steps), alpha)[0, 0]
            gain = weight * area * (self.errors[i, j] - error) - 8 * (len(zlib.compress(coded, 9)) - FRAME)
            if gain > 0 or bad:
                mended[i, j] = error
                saved += max(gain, 0)
        if saved <= 8 * CHUNK and not (self.errors > poor(self.q)).any():
            return None
        where = mended < self.errors
        self.errors = mended
        return patches.cut(self.pixels, where, steps)

    @property
    def worst(self) -> Cell | None:
        """The worst cell of 16 that was looked at; None if none was."""
        return None if np.isnan(self.errors).all() else metrics.worst_of(self.errors)

    @property
    def psnr(self) -> float | None:
        """PSNR in dB of all visible samples; None if some cells were not looked at."""
        height, width, _ = self.pixels.shape
        pixels = metrics.visible(height, width, self.alpha)
        error = float((pixels * self.errors).sum()) / max(1, pixels.sum())
        return None if math.isnan(error) else metrics.decibels(error)


def poor(q: int) -> float:
    """The mean squared error beyond which a cell of 16 pixels is sent at any cost. q: quality in hundredths."""
    result: float = 255**2 / 10 ** (min(POOR, POOREST + q / 600) / 10)
    return result


def worthy(found: Flats | None, q: int) -> Flats | None:
    """Flat cells that are worth their bits, in bits + lambda * squared error; else None. q: quality in hundredths."""
    if found is None:
        return None
    worth = quantize.lambda_of(q) * flats.SIDE**2 * FLAT_ERROR * len(found.colours)
    return found if worth > 8 * container.chunk_size(len(flats.encode(found))) else None


def drawn(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether each cell, bool (rows, columns), looks drawn: as flat areas with edges, or nearly as noise.

    Flat areas with edges: most neighbours are equal, and some samples differ much. Noise: neighbours differ much on
    average, in the cell or in a quarter of it. A network may paint dots of single pixels as an even gray, and hatching
    as dots.

    pixels: uint8 (H, W, C) of whole cells. Every eighth row is examined.
    """
    height, width, channels = pixels.shape
    few = pixels[::SPARSE]
    steps = np.maximum(few[:, 1:], few[:, :-1]) - np.minimum(few[:, 1:], few[:, :-1])
    largest = steps[:, :, 0]
    for c in range(1, channels):
        largest = np.maximum(largest, steps[:, :, c])
    # The step from the last column of a cell into the next cell belongs to neither.
    rows, columns = height // CELL, width // CELL
    own = np.zeros((len(few), width), np.uint8)
    own[:, :-1] = largest
    inside = own.reshape(rows, CELL // SPARSE, columns, CELL)[..., :-1]
    flat: npt.NDArray[np.bool_] = np.count_nonzero(inside == 0, axis=(1, 3)) > FLAT * inside[0, :, 0].size
    for i, j in np.argwhere(flat):
        cell = few[i * CELL // SPARSE : (i + 1) * CELL // SPARSE, j * CELL : (j + 1) * CELL]
        flat[i, j] = (cell.max((0, 1)) - cell.min((0, 1))).max() > SHARP
    half = CELL // 2
    quarters = own.reshape(rows, 2, half // SPARSE, columns, 2, half).sum((2, 5), dtype=np.uint32)
    size = half * half // SPARSE
    flat |= (quarters.sum((1, 3)) > 4 * ROUGH * size) | (quarters.max((1, 3)) > ROUGHER * size)
    return flat


def boxes(strange: npt.NDArray[np.bool_], windows: list[Box]) -> list[Box]:
    """The smallest box around the strange cells of each window that has some, by their tops.

    What paints them forgets the symbols above each one (`painting.paint`), which a box beside it may begin with.
    """
    found = []
    for window in windows:
        rows, columns = np.nonzero(strange[window.top : window.bottom, window.left : window.right])
        if len(rows):
            found.append(
                Box(
                    window.top + int(rows.min()),
                    window.left + int(columns.min()),
                    window.top + int(rows.max()) + 1,
                    window.left + int(columns.max()) + 1,
                )
            )
    return sorted(found)
