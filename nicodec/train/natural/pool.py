"""Training pictures as a decoder has them before g_s, and the draws of `coding.natural` in their latents.

Between `data` and `learner`. What is coded is frozen, so a square is coded once and learnt from many times, each time
at another place and with other draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream.container import CELL
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box
from nicodec.coding.natural import Draw, Widths
from nicodec.errors import NicError
from nicodec.model import tables
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.model import Model, Output
from nicodec.train.data import Patches
from nicodec.train.store import Pixels

# Squares in the pool, of 1.6 MB each for `photo`, and steps for each new one. With 4 parts in a step each square is
# learnt from 8 times. To code a square takes about a third of the time of a step.
SQUARES, STEPS_PER_SQUARE = 64, 2
# The side of a part in pixels, where squares have room for it.
PART = 128
# Qualities in hundredths. Most squares have one of the low ones, where much is drawn.
LOW, HIGH, OFTEN = (300, 5000), (5000, 9500), 0.75
# Patches of squares are counted from here on: other patches of the pictures than those of `nicodec train`.
FIRST = 10**6
# On a few squares, most of them drawn, the codec itself loses its way: squared errors of millions. Encoders find such
# cells and send their samples. A square is left out if a cell of its faithful picture has a larger squared error than
# this, in levels (14 dB). Another one takes its place, up to so many times.
LOST, TRIES = 2500.0, 16


@dataclass(frozen=True)
class Coded:
    """One square as a decoder has it.

    pixels: of the source, uint8 (S, S, C). y: the decoded latent, float32 (L, S/16, S/16) in quantiser steps. r: its
    symbols, int16. index: the table of each, uint8. quality: in hundredths.
    """

    pixels: Pixels
    y: npt.NDArray[np.float32]
    r: npt.NDArray[np.int16]
    index: npt.NDArray[np.uint8]
    quality: int

    @classmethod
    def of(cls, pixels: Pixels, output: Output, quality: int) -> Coded:
        """A square that went through the network alone."""
        y, r, index = (t[0].permute(2, 0, 1).float().nan_to_num().cpu() for t in (output.y_hat, output.r, output.index))
        return cls(pixels, y.numpy(), r.numpy().astype(np.int16), index.numpy().astype(np.uint8), quality)

    def part(self, top: int, left: int, side: int) -> Coded:
        """A square of `side` pixels in it. top, left: in positions of the latent."""
        n = side // STRIDE
        pixels = self.pixels[STRIDE * top : STRIDE * top + side, STRIDE * left : STRIDE * left + side]
        at = slice(None), slice(top, top + n), slice(left, left + n)
        return Coded(pixels, self.y[at], self.r[at], self.index[at], self.quality)


@dataclass(frozen=True)
class Batch:
    """What layers learn from: pixels (B, S, S, C) in [-1/2, 1/2], y with draws (B, h, w, L) in steps, quality (B,)."""

    pixels: Tensor
    y: Tensor
    quality: Tensor


@torch.no_grad()
def code(model: Model, pixels: Pixels, quality: int, *, amp: bool) -> tuple[Coded, Tensor]:
    """A square through the codec, and its faithful picture (1, S, S, C). Sides are multiples of 64."""
    device = model.spread.device
    x = torch.tensor(pixels, device=device)[None].float() / 255 - 0.5
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        output = model(x, torch.tensor([quality], device=device))
    return Coded.of(pixels, output, quality), output.pixels.float()


class Draws:
    """The full draws of a model, as its decoder makes them."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.widths = Widths(checkpoint, tables.y_tables(checkpoint))

    def latent(self, coded: Coded, key: tuple[int, int]) -> npt.NDArray[np.float32]:
        """The latent of a square with draws in it, float32 (L, h, w). key: the same key makes the same draws."""
        cells = Box(0, 0, *(side // Y_CELL for side in coded.y.shape[1:]))
        draw = Draw(self.widths, 1.0, key, coded.quality)
        result: npt.NDArray[np.float32] = coded.y + draw.of(cells, coded.r[None], coded.index[None])[0]
        return result

    def batch(self, squares: Sequence[Coded], seed: int, number: int, device: torch.device) -> Batch:
        """Squares of one size with draws. number: counts the squares of a run, so that no two have the same draws."""
        drawn = [self.latent(square, (seed, number + i)) for i, square in enumerate(squares)]
        pixels = torch.from_numpy(np.stack([square.pixels for square in squares])).to(device)
        y = torch.from_numpy(np.stack(drawn)).to(device).permute(0, 2, 3, 1)
        quality = torch.tensor([square.quality for square in squares], device=device)
        return Batch(pixels.float() / 255 - 0.5, y, quality)


class Pool:
    """The last squares that were coded. They depend on seed and step alone, so a resumed run has the same ones."""

    def __init__(self, model: Model, draws: Draws, data: Patches, seed: int, *, amp: bool, size: int = SQUARES) -> None:
        self.model, self.draws, self.data, self.seed, self.amp, self.size = model, draws, data, seed, amp, size
        self._side, self._next, self._kept = data.square, 0, dict[int, Coded]()

    def batch(self, step: int, count: int) -> Batch:
        """The parts that a step learns from, each twice, one after the other, with other draws.

        Raises NicError if the codec loses its way on all pictures that are tried.
        """
        first = step // STEPS_PER_SQUARE
        for number in range(max(first, self._next), first + self.size):
            self._kept[number % self.size] = self._coded(number)
        self._next = first + self.size
        rng = np.random.default_rng([self.seed, step])
        side = min(PART, self._side)
        room = (self._side - side) // STRIDE + 1
        chosen = zip(rng.integers(self.size, size=count), *rng.integers(room, size=(2, count)), strict=True)
        parts = [self._kept[int(i)].part(int(top), int(left), side) for i, top, left in chosen]
        twice = [part for part in parts for _ in range(2)]
        return self.draws.batch(twice, self.seed, step * len(twice), self.data.device)

    def _coded(self, number: int) -> Coded:
        for tried in range(FIRST + number * TRIES, FIRST + (number + 1) * TRIES):
            rng = np.random.default_rng([self.seed, tried])
            quality = int(rng.integers(*(LOW if rng.random() < OFTEN else HIGH)))
            patches, _, _ = self.data.batch(tried, 1, self._side)
            square, faithful = code(self.model, patches[0].cpu().numpy(), quality, amp=self.amp)
            if not is_lost(square, faithful):
                return square
        raise NicError(f"the model cannot code these pictures: {TRIES} squares had cells of under 14 dB")


def is_lost(square: Coded, faithful: Tensor) -> bool:
    """Whether a cell of a faithful picture (1, S, S, C) has nothing to do with its source."""
    source = torch.from_numpy(square.pixels).to(faithful) / 255 - 0.5
    errors = (255 * (faithful[0] - source)).square().mean(-1)
    # Negated, so that nan is lost too.
    return not float(torch.nn.functional.avg_pool2d(errors[None], CELL).max()) <= LOST
