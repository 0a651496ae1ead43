"""A picture -> features of its cells at several scales, and how unlike the mean of good cells each one is.

Under `learning` and `checking`; above g_a of a model, through `coding.latents`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.codec import Codec
from nicodec.coding import latents
from nicodec.picture import Array, Picture, writer
from nicodec.picture.metrics import CELL_SIDE

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

# The quality at which g_a sees pictures, and the scales: at scale n a cell covers 16 n pixels each way.
QUALITY, SCALES = 50, (1, 2, 4)
# How much each scale counts where several do: the coarsest sees what is large and faint.
COUNTS = (1, 1, 2)
# g_a sees a picture in pieces of PIECE pixels each way, and MARGIN more on each side: within its limit and its reach.
PIECE, MARGIN = 768, 64
# Cells that are multiplied at a time, so that memory follows the features and no more.
BLOCK = 4096
# Added to a mean square of about 1, so that its logarithm is bounded.
FLOOR = 1e-3


def shown(picture: Picture) -> Array:
    """Samples in 8 bits, uint8 (H, W, 1 or 3), laid over white."""
    eight = picture.eight
    pixels: Array = eight.pixels.astype(np.uint8, copy=False)
    if eight.alpha is not None:
        alpha = eight.alpha[:, :, None].astype(np.float32) / 255
        pixels = np.rint(pixels * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return pixels


def grid(height: int, width: int) -> tuple[int, int]:
    """The rows and columns of cells of a picture."""
    return -(-height // CELL_SIDE), -(-width // CELL_SIDE)


def features(pixels: Array, codec: Codec, scale: int) -> Floats:
    """The deep channels of uint8 (H, W, C) reduced by `scale`, float32 (D, rows, columns), in units of their spread.

    Cells at the right and the bottom are filled with the last samples. Raises BadModel if the network fails.
    """
    small = (
        pixels
        if scale == 1
        else writer.reduced(pixels, scale).reshape(-1, -(-pixels.shape[1] // scale), pixels.shape[2])
    )
    height, width = small.shape[:2]
    whole = np.pad(small, ((0, -height % CELL_SIDE), (0, -width % CELL_SIDE), (0, 0)), mode="edge")
    rows, columns = grid(height, width)
    found = np.empty((codec.checkpoint.config.deep, rows, columns), np.float32)
    for top in range(0, rows * CELL_SIDE, PIECE):
        for left in range(0, columns * CELL_SIDE, PIECE):
            above, before = min(top, MARGIN), min(left, MARGIN)
            part = whole[top - above : top + PIECE + MARGIN, left - before : left + PIECE + MARGIN]
            deep = latents.features(codec, np.ascontiguousarray(part), QUALITY)
            y, x, n = above // CELL_SIDE, before // CELL_SIDE, PIECE // CELL_SIDE
            inner = deep[:, y : y + n, x : x + n]
            at = top // CELL_SIDE, left // CELL_SIDE
            found[:, at[0] : at[0] + inner.shape[1], at[1] : at[1] + inner.shape[2]] = inner
    return found


def beside(found: Floats) -> Floats:
    """(D, rows, columns) -> (2 D, rows, columns): the features of each cell, then the mean of its four neighbours."""
    around = np.pad(found, ((0, 0), (1, 1), (1, 1)), mode="edge")
    near = around[:, :-2, 1:-1] + around[:, 2:, 1:-1] + around[:, 1:-1, :-2] + around[:, 1:-1, 2:]
    return np.concatenate([found, near * np.float32(0.25)])


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over cells of one scale, of what `beside` gives: count, float64 (2 D,) and (2 D, 2 D)."""

    count: int
    first: Doubles
    second: Doubles

    @classmethod
    def of(cls, found: Floats) -> Moments:
        """found: (D, rows, columns)."""
        cells = beside(found).reshape(2 * len(found), -1)
        first, second = np.zeros(len(cells)), np.zeros((len(cells), len(cells)))
        for start in range(0, cells.shape[1], BLOCK):
            part = cells[:, start : start + BLOCK].astype(np.float64)
            first += part.sum(axis=1)
            second += part @ part.T
        return cls(cells.shape[1], first, second)

    def plus(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)

    def less(self, other: Moments) -> Moments:
        return Moments(self.count - other.count, self.first - other.first, self.second - other.second)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The features of good cells at one scale, given their neighbours.

    mean: float32 (2 D,), of what `beside` gives. whitening: float32 (2 D, D): (x - mean) @ whitening is the part of the
    features that neighbours do not predict, with mean 0 and covariance 1. Source: T. Defard et al., "PaDiM" (2020);
    here one Gaussian for all places, and conditional on the neighbours.
    """

    mean: Floats
    whitening: Floats

    @classmethod
    def of(cls, moments: Moments) -> Gaussian:
        """The covariance is drawn towards a multiple of one, the more the fewer cells there are for each channel."""
        size = len(moments.first)
        half = size // 2
        mean = moments.first / moments.count
        covariance = moments.second / moments.count - np.outer(mean, mean)
        share = size / (moments.count + size)
        level = max(float(np.trace(covariance)) / size, 1e-6)
        covariance = (1 - share) * covariance + share * level * np.eye(size)
        weights = np.linalg.solve(covariance[half:, half:], covariance[half:, :half])
        values, vectors = np.linalg.eigh(covariance[:half, :half] - covariance[:half, half:] @ weights)
        white = vectors / np.sqrt(np.maximum(values, 1e-6 * level))
        whitening = np.concatenate([white, -weights @ white])
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    def unlike(self, found: Floats) -> Floats:
        """log of the mean square of whitened features, float32 (rows, columns); about 0 for good cells."""
        return self._log(beside(found) - self.mean[:, None, None])

    def apart(self, found: Floats, other: Floats) -> Floats:
        """The same of the difference of two features, halved, since two good cells that have nothing to do with each
        other differ by twice the covariance. Same shapes.
        """
        return self._log(beside(found - other) * np.float32(np.sqrt(0.5)))

    def _log(self, off: Floats) -> Floats:
        cells = off.reshape(len(off), -1)
        result = np.empty(cells.shape[1], np.float32)
        for start in range(0, len(result), BLOCK):
            white = cells[:, start : start + BLOCK].T @ self.whitening
            result[start : start + BLOCK] = np.log(np.square(white).mean(axis=1) + FLOOR)
        return result.reshape(off.shape[1:])


def unlike(found: Sequence[Floats], gaussians: Sequence[Gaussian]) -> list[Floats]:
    """`Gaussian.unlike` at each of SCALES, all on the cells of scale 1, float32 (rows, columns)."""
    shape = found[0].shape[1:]
    return [spread(g.unlike(f), n, shape) for f, g, n in zip(found, gaussians, SCALES, strict=False)]


def together(unlike: Sequence[Floats]) -> Floats:
    """The mean over the first scales, as COUNTS weighs them, float32 (rows, columns)."""
    counts = COUNTS[: len(unlike)]
    total: Floats = np.sum([count * part for count, part in zip(counts, unlike, strict=True)], axis=0)
    return (total / sum(counts)).astype(np.float32)


def spread(values: Floats, scale: int, shape: tuple[int, ...]) -> Floats:
    """Values of cells at a scale -> those of the cells at scale 1, (rows, columns), linearly between their centres."""
    if scale == 1:
        return values
    rows, columns = ((np.arange(n) + 0.5) / scale - 0.5 for n in shape)
    return sampled(values, rows, columns)


def sampled(values: Floats, rows: Doubles, columns: Doubles) -> Floats:
    """Values at places between rows and columns of an array, linearly; beyond an edge those of the edge."""

    def along(array: Floats, places: Doubles) -> Floats:
        places = np.clip(places, 0, len(array) - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, len(array) - 1)
        share = (places - low).astype(np.float32)[:, None]
        between: Floats = array[low] * (1 - share) + array[high] * share
        return between

    return np.ascontiguousarray(along(along(values, rows).T, columns).T)
