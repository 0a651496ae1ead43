"""Draws for what a file does not say: the width of each symbol that is zero, filled at random; and noise beside them.

Beside `painting`; `windows` adds them to the latents of g_s. A zero stands for all numbers in its bin, and its table
tells their spread. The faithful picture takes the middle. The natural picture draws, as a variational autoencoder does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.container import CELL
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import quantize
from nicodec.errors import NicError
from nicodec.model.backends import Planes
from nicodec.model.checkpoint import Checkpoint

# The numbers that a draw chooses from: one for each value of a byte.
LEVELS = 256
# The tables that a byte can name; a model has fewer.
TABLES = 256
MAX_SEED = 2**32 - 1
# Positions along a side of a cell at /8, where layers that learnt from draws take noise.
NOISE_CELL = CELL // 8
# What is drawn, by the second word of the counter of Philox.
OF_LATENT, OF_NOISE = 0, 1
# Equally likely numbers of the standard normal distribution.
NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / LEVELS) for i in range(LEVELS)], np.float32)

# The numbers below were chosen by DISTS, LPIPS and PSNR of photographs (docs/LOG.md).
# At natural=1 a draw is its table's width times this, and times the table's missing share to a power. Much is sent of a
# wide table, and a draw beside it blurs an edge. Little is sent of a narrow one, and its draws are grain.
STRENGTH, POWER = 1.8, 2
# The missing share of all channels of a position at which draws begin: at quality 0, with each unit of quality less by
# FALL, and at least. They are full from WIDE above it on. It is low at edges, letters and features of faces, whose
# widths are those of a few strong channels; it is high in texture. With few bits more is missing in a face too.
BEGIN, FALL, LEAST, WIDE = 0.25, 0.005, 0.05, 0.2
# The variance of a symbol of a settled table, in quantiser steps; nothing is drawn for it.
SETTLED = 0.05**2


def check_draws(natural: object, seed: object) -> None:
    """Raise NicError unless natural is a number in 0..1, and seed a whole number in 0..2^32 - 1."""
    number = isinstance(natural, int | float | np.integer | np.floating)
    if not number or not 0 <= natural <= 1:  # type: ignore[operator]  # negated, so that NaN is refused too
        raise NicError(f"natural must be a number from 0 to 1, not {natural!r}")
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise NicError(f"seed must be a whole number from 0 to {MAX_SEED}, not {seed!r}")


class Widths:
    """What the tables of a model say of a symbol, in quantiser steps; each first by deep or linear channel and table.

    If a table is that of a Gaussian, its share of zeros and the dead zone tell its width. Measured on photographs, the
    spread of what became zero is within an eighth of that, but for the narrowest (docs/NATURAL.md). A settled table
    says that nothing is missing.

    variance: float32 (2, TABLES), of a symbol before it is rounded. missing: float32 (2, TABLES), of one that became
    zero. levels: float32 (2, TABLES, LEVELS), equally likely numbers to draw at natural=1. deep: the channels that are.
    """

    def __init__(self, checkpoint: Checkpoint, tables: Tables) -> None:
        linear = checkpoint.array("thresholds")
        self.deep = checkpoint.config.deep
        self.variance = np.full((2, TABLES), SETTLED, np.float32)
        self.missing = np.zeros((2, TABLES), np.float32)
        self.levels = np.zeros((2, TABLES, LEVELS), np.float32)
        for kind, zones in enumerate((quantize.learnt(linear), linear)):
            for table in range(min(len(tables.low), TABLES)):
                entry, zone = -int(tables.low[table]), float(zones[min(table, len(zones) - 1)])
                shares = tables.probabilities(table)
                if tables.settled[table] or not 0 <= entry < len(shares):
                    continue
                width, numbers = _gaussian(float(shares[entry]), zone)
                self.variance[kind, table] = width**2
                self.missing[kind, table] = np.square(numbers).mean()
                strength = STRENGTH * (self.missing[kind, table] / width**2) ** POWER
                self.levels[kind, table] = np.clip(strength * numbers, -zone, zone)


def _gaussian(zeros: float, zone: float) -> tuple[float, npt.NDArray[np.float64]]:
    """The width of a Gaussian of which this share is under `zone` in magnitude, and equally likely numbers of it."""
    normal = NormalDist()
    width = zone / normal.inv_cdf((1 + zeros) / 2)
    numbers = [normal.inv_cdf((1 - zeros) / 2 + zeros * (i + 0.5) / LEVELS) for i in range(LEVELS)]
    return width, width * np.array(numbers)


@dataclass(frozen=True)
class Draw:
    """The draws of one file. widths: of the model. natural: 0..1. key: two numbers that make the draws, 64 bits each.

    quality: of the file, in hundredths. noise: the channels that layers take which learnt from draws; 0 without them.
    With them draws are always full, and `natural` mixes the two pictures; else it is the strength of the draws.

    A draw depends on the key, on its cell and on its place there alone, so a region is the crop of the whole.
    """

    widths: Widths
    natural: float
    key: tuple[int, int]
    quality: int
    noise: int = 0

    @cached_property
    def _levels(self) -> npt.NDArray[np.float32]:
        return self.widths.levels * np.float32(1 if self.noise else self.natural)

    def of(self, cells: Box, r: npt.NDArray[np.int16], index: npt.NDArray[np.uint8]) -> Planes:
        """What to add to the latent of a box of cells, float32 (1, L, 4h, 4w), in quantiser steps.

        r: their symbols. index: the table of each. Symbols that are not zero get nothing.
        """
        positions = r.shape[2] * r.shape[3]
        missing = np.zeros(positions)
        variance = np.full(positions, r.shape[1] * SETTLED)
        result, chosen = np.zeros(r.shape, np.float32), self._bytes(cells, OF_LATENT, r.shape[1], Y_CELL)
        for kind, part in enumerate((slice(0, self.widths.deep), slice(self.widths.deep, None))):
            own, drawn = np.ascontiguousarray(index[:, part]), result[:, part].reshape(-1)
            # Most symbols have settled tables, so the others are taken out.
            places = np.flatnonzero((self.widths.missing[kind] > 0)[own])
            tables, empty = own.reshape(-1)[places], r[:, part].reshape(-1)[places] == 0
            at = places % positions
            variance += np.bincount(at, self.widths.variance[kind][tables] - SETTLED, positions)
            missing += np.bincount(at, self.widths.missing[kind][tables] * empty, positions)
            level = chosen[:, part].reshape(-1)[places]
            # Of one picture all channels of a part lie in one piece, so `drawn` is a view.
            drawn[places] = self._levels[kind][tables, level] * empty
        begin = max(BEGIN - FALL * self.quality / 100, LEAST)
        result *= np.clip((missing / variance - begin) / WIDE, 0, 1).reshape(r.shape[2:]).astype(np.float32)
        return result

    def grain(self, cells: Box) -> Planes:
        """Standard normal noise for a box of cells, float32 (1, noise, 8h, 8w)."""
        return NORMAL[self._bytes(cells, OF_NOISE, self.noise, NOISE_CELL)]

    def _bytes(self, cells: Box, kind: int, channels: int, side: int) -> npt.NDArray[np.uint8]:
        """Random bytes for a box of cells, (1, channels, side * h, side * w). kind: OF_LATENT or OF_NOISE."""
        result = np.empty((1, channels, side * cells.rows, side * cells.columns), np.uint8)
        size = channels * side**2
        for i, j in np.ndindex(cells.rows, cells.columns):
            # A generator that counts: its numbers follow from key and place, whatever was drawn before.
            place = [0, kind, cells.top + i, cells.left + j]
            raw = np.random.Philox(key=np.array(self.key, np.uint64), counter=place).random_raw(-(-size // 8))
            own = raw.astype("<u8").view(np.uint8)[:size].reshape(channels, side, side)
            result[0, :, side * i : side * (i + 1), side * j : side * (j + 1)] = own
        return result
