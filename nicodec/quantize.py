"""Quality and quantisation: quality -> integers, floats <-> integer symbols. The only place that rounds.

Between the float networks of `transform` and the integers of `prior` and `entropy`.
"""

from __future__ import annotations

import math

import numpy as np

from nicodec.errors import NicError

# Symbols travel as int16 and z as int8; encoders stay inside.
MAX_SYMBOL = 2**15 - 1


def quality_index(quality: float) -> int:
    """Quality 0..100 -> hundredths, 0..10000, as the file stores it. Raises NicError outside the range."""
    if (
        not isinstance(quality, int | float | np.number)
        or not math.isfinite(quality)
        or not 0 <= quality <= 100
    ):
        raise NicError(f"quality must be a number from 0 to 100, not {quality!r}")
    return round(float(quality) * 100)


def hyper_symbols(z: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Hyper latent (1, Z, h, w) float -> int8, inside the range (Z,) that the tables of each channel cover."""
    bounds = (b.reshape(1, -1, 1, 1) for b in (low, high))
    clipped: np.ndarray = np.clip(np.floor(z + 0.5), *bounds)
    return clipped.astype(np.int8)


def phase0(shape: tuple[int, ...]) -> np.ndarray:
    """Mask of shape (1, L, h, w), true where channel + row + column is even: what is decoded first."""
    _, channels, rows, columns = shape
    c, i, j = np.ogrid[:channels, :rows, :columns]
    mask: np.ndarray = (c + i + j) % 2 == 0
    return mask[None]


def residual(y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Latent and its mean, both in quantiser steps (1, L, h, w) -> symbols int16."""
    symbols: np.ndarray = np.clip(np.floor(y - mu + 0.5), -MAX_SYMBOL, MAX_SYMBOL)
    return symbols.astype(np.int16)


def samples(x: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Synthesised planes (1, 3, H, W), about [-1/2, 1/2] -> uint8 (height, width, channels); gray is their mean."""
    planes = x[0, :, :height, :width]
    if channels == 1:
        planes = planes.mean(0, keepdims=True)
    rounded = np.clip(np.rint(planes * 255 + 127.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))
