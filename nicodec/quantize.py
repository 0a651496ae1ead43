"""Quality and quantisation: quality -> integers, floats <-> integer symbols. The only place that rounds.

Between the float networks of `transform` and the integers of `prior` and `entropy`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.errors import NicError

# Symbols travel as int16; z as int8, in the range for which the scale decoder is proven exact.
MAX_SYMBOL = 2**15 - 1
MAX_HYPER = 63
# The share of what thresholds are above one half that counts for the deep channels: they have learnt to leave
# out nearly all of what is not worth its bits (docs/DESIGN.md).
LEFT = 1 / 16
# lambda, in bits per pixel for each unit of squared error on the 0..255 scale, at quality 0 and 100.
# This pair defines what a quality number means, and so stays from release to release.
LAMBDA_MIN, LAMBDA_MAX = 0.0005, 0.4
# Rows of samples that are made at a time: few enough for all steps to find them in the cache.
IN_CACHE = 64


def quality_index(quality: float) -> int:
    """Quality 0..100 -> hundredths, 0..10000, as the file stores it. Raises NicError outside the range."""
    number = isinstance(quality, int | float | np.integer | np.floating)
    if not number or not 0 <= quality <= 100:  # said so that NaN is refused too
        raise NicError(f"quality must be a number from 0 to 100, not {quality!r}")
    return round(float(quality) * 100)


def lambda_of(q: int) -> float:
    """Quality in hundredths, 0..10000 -> lambda, log-linear."""
    return LAMBDA_MIN * math.exp(q * math.log(LAMBDA_MAX / LAMBDA_MIN) / 10000)


def patch_steps(q: int) -> int:
    """Quality in hundredths -> how many steps of a patch there are from 0 to 255.

    Twice as many as are best for bits and squared error of dense samples: patches are seldom dense, and a
    finer step costs a flat or a sharp edge nothing.
    """
    return max(1, round(255 * math.sqrt(lambda_of(q) / 6)))


def hyper_symbols(
    z: npt.NDArray[np.float32], low: npt.NDArray[np.integer[Any]], high: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.int8]:
    """Hyper latent (1, Z, h, w) -> int8, inside the range low..high, (Z,) each, that its tables cover."""
    clipped: npt.NDArray[np.float32] = np.clip(np.floor(z + 0.5), low[:, None, None], high[:, None, None])
    return clipped.astype(np.int8)


def phase0(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Mask of shape (1, L, h, w), true where channel + row + column is even: what is decoded first."""
    _, channels, rows, columns = shape
    c, i, j = np.ogrid[:channels, :rows, :columns]
    mask: npt.NDArray[np.bool_] = ((i + j) % 2 == c % 2)[None]  # no large array of numbers on the way
    return mask


def residual(difference: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """A latent less its mean, in quantiser steps -> symbols of the same shape, -32767..32767."""
    clipped: npt.NDArray[np.float32] = np.clip(np.floor(difference + 0.5), -MAX_SYMBOL, MAX_SYMBOL)
    return clipped.astype(np.int16)


def worthwhile(
    difference: npt.NDArray[np.float32], index: npt.NDArray[np.uint8], thresholds: npt.NDArray[np.float32]
) -> npt.NDArray[np.int16]:
    """As `residual`, but a one that is smaller than the threshold of its table becomes zero.

    difference, index: (1, L, h, w). thresholds: by table, in quantiser steps.
    """
    symbols = residual(difference)
    flat, sizes, tables = symbols.reshape(-1), np.abs(difference).reshape(-1), index.reshape(-1)
    ones = np.flatnonzero(np.abs(flat) == 1)
    flat[ones[sizes[ones] < thresholds.take(tables[ones], mode="clip")]] = 0
    return symbols


def learnt(thresholds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What is left of thresholds, by table, for the deep channels."""
    lower: npt.NDArray[np.float32] = np.float32(0.5) + np.float32(LEFT) * (thresholds - np.float32(0.5))
    return lower


def sparse(
    y: npt.NDArray[np.float32], index: npt.NDArray[np.uint8], thresholds: npt.NDArray[np.float32]
) -> npt.NDArray[np.int16]:
    """As `worthwhile`, for whatever is smaller than its threshold, and quick where little is not zero.

    y, index: (1, L, h, w). thresholds: by table. Few are expected to be one half and more.
    """
    symbols = np.zeros(y.shape, np.int16)
    large = np.abs(y) >= 0.5
    values = y[large]
    rounded = residual(values)
    rounded[np.abs(values) < thresholds.take(index[large], mode="clip")] = 0
    symbols[large] = rounded
    return symbols


def planes(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Samples (H, W, 1) or (H, W, 3) -> planes (1, 3, H, W) in [-1/2, 1/2]; gray becomes three alike."""
    rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).transpose(2, 0, 1)[None]
    x = rgb.astype(np.float32, order="C")
    x /= 255  # in place, here and below: nothing in the codec is larger
    x -= 0.5
    return x


def samples(x: npt.NDArray[np.float32], channels: int) -> npt.NDArray[np.uint8]:
    """Planes (1, 3, H, W), about [-1/2, 1/2] -> samples (H, W, channels); gray is their mean."""
    planes: npt.NDArray[np.float32] = x[0] if channels == 3 else x[0].mean(0, keepdims=True)
    result = np.empty((*planes.shape[1:], channels), np.uint8)
    for c, top in np.ndindex(channels, -(-planes.shape[1] // IN_CACHE)):
        rows = slice(top * IN_CACHE, (top + 1) * IN_CACHE)
        scaled = planes[c, rows] * np.float32(255)
        scaled += 127.5
        np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled)
        result[rows, :, c] = scaled.astype(np.uint8)
    return result
