"""Draws for what a file does not say: the width of each symbol that is zero, filled at random.

Beside `painting`, which adds them to the latents of g_s. A zero stands for all numbers in its bin, and its table tells
their spread. The faithful picture takes the middle. The natural picture draws, as a variational autoencoder does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import quantize
from nicodec.errors import NicError
from nicodec.model.backends import Planes
from nicodec.model.checkpoint import Checkpoint

# The share of the drawn width at natural=1.
STRENGTH = 1.0
# The numbers that a draw chooses from: one for each value of a byte.
LEVELS = 256
MAX_SEED = 2**32 - 1


def check_draws(natural: object, seed: object) -> None:
    """Raise NicError unless natural is a number in 0..1, and seed a whole number in 0..2^32 - 1."""
    number = isinstance(natural, int | float | np.integer | np.floating)
    if not number or not 0 <= natural <= 1:  # type: ignore[operator]  # negated, so that NaN is refused too
        raise NicError(f"natural must be a number from 0 to 1, not {natural!r}")
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise NicError(f"seed must be a whole number from 0 to {MAX_SEED}, not {seed!r}")


class Widths:
    """The numbers to draw from, by table, in quantiser steps.

    If a table is that of a Gaussian, its share of zeros and the dead zone tell its width. Measured on photographs, the
    spread of what became zero is within 5 % of that, in all tables that hold at least 1 symbol in 200. Nothing is drawn
    for a settled table, which says that nothing is missing.
    """

    def __init__(self, checkpoint: Checkpoint, tables: Tables) -> None:
        linear = checkpoint.array("thresholds")
        zones = quantize.learnt(linear), linear
        # By deep or linear channel, table and level. Every byte is the number of a table here, as a model may name any.
        self.values = np.stack([_all_levels(tables, zone) for zone in zones])
        self.deep = checkpoint.config.deep


def _all_levels(tables: Tables, zones: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(256, LEVELS), from the dead zone of each table; the last zone holds for all further tables."""
    result = np.zeros((256, LEVELS), np.float32)
    for table in range(len(tables.low)):
        result[table] = _levels(tables, table, float(zones[min(table, len(zones) - 1)]))
    return result


def _levels(tables: Tables, table: int, zone: float) -> npt.NDArray[np.float32]:
    """Numbers under `zone` in magnitude that are equally likely, (LEVELS,), by a Gaussian with the zeros of a table."""
    entry = -int(tables.low[table])
    if tables.settled[table] or not 0 <= entry < len(tables.probabilities(table)):
        return np.zeros(LEVELS, np.float32)
    normal = NormalDist()
    zeros = float(tables.probabilities(table)[entry])
    sigma = zone / normal.inv_cdf((1 + zeros) / 2)
    levels = [sigma * normal.inv_cdf((1 - zeros) / 2 + zeros * (i + 0.5) / LEVELS) for i in range(LEVELS)]
    return np.array(levels, np.float32)


@dataclass(frozen=True)
class Draw:
    """The draws of one file. widths: of the model. natural: 0..1. key: two numbers that make the draws, 64 bits each.

    A draw depends on the key, on its cell and on its place there alone, so a region is the crop of the whole.
    """

    widths: Widths
    natural: float
    key: tuple[int, int]

    @cached_property
    def _values(self) -> npt.NDArray[np.float32]:
        return self.widths.values * np.float32(STRENGTH * self.natural)

    def of(self, cells: Box, r: npt.NDArray[np.int16], index: npt.NDArray[np.uint8]) -> Planes:
        """What to add to the latent of a box of cells, float32 (1, L, 4h, 4w), in quantiser steps.

        r: their symbols. index: the table of each. Symbols that are not zero get nothing.
        """
        channels = r.shape[1]
        size = channels * Y_CELL**2
        chosen = np.empty(r.shape, np.uint8)
        for i in range(cells.rows):
            for j in range(cells.columns):
                # A generator that counts: its numbers follow from key and place, whatever was drawn before.
                place = [0, 0, cells.top + i, cells.left + j]
                raw = np.random.Philox(key=self.key, counter=place).random_raw(-(-size // 8))
                own = raw.astype("<u8").view(np.uint8)[:size].reshape(channels, Y_CELL, Y_CELL)
                chosen[0, :, Y_CELL * i : Y_CELL * (i + 1), Y_CELL * j : Y_CELL * (j + 1)] = own
        deep = self.widths.deep
        result = np.empty(r.shape, np.float32)
        for values, part in zip(self._values, (slice(0, deep), slice(deep, channels)), strict=True):
            result[:, part] = values[index[:, part], chosen[:, part]]
        result[r != 0] = 0
        return result
