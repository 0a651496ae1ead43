"""Quality -> integers, latents -> symbols, samples <-> planes.

Between the float networks of `model.backends` and the integers of `bitstream`. Only this module rounds the
results of the networks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.entropy import MAX_SYMBOL
from nicodec.errors import BadImage, NicError
from nicodec.picture import Samples

# The share of a threshold's excess over one half that deep channels use. They have learnt to leave out nearly all
# symbols that are not worth their bits (docs/LOG.md).
LEFT = 1 / 16
# lambda at quality 0 and 100, in bits per pixel for each unit of squared error on the scale 0..255. This pair defines
# the meaning of a quality number, so it stays from release to release.
LAMBDA_MIN, LAMBDA_MAX = 0.0005, 0.4
# The largest difference of neighbours that are smoothed at depth 16, in planes.
SLOW = 1.5 / 255
# Rows of samples that are made at a time, few enough to stay in the processor's cache.
IN_CACHE = 64
# Values that are rounded at a time, few enough to stay there too.
SOME = 2**15


def quality_index(quality: object) -> int:
    """Quality 0..100 -> hundredths, 0..10000, as the file stores it. Raises NicError outside the range."""
    number = isinstance(quality, int | float | np.integer | np.floating)
    if not number or not 0 <= quality <= 100:  # type: ignore[operator]  # negated, so that NaN is refused too
        raise NicError(f"quality must be a number from 0 to 100, not {quality!r}")
    return round(float(quality) * 100)  # type: ignore[arg-type]


def lambda_of(q: int) -> float:
    """Quality in hundredths, 0..10000 -> lambda, log-linear, from LAMBDA_MIN to LAMBDA_MAX."""
    return LAMBDA_MIN * math.exp(q * math.log(LAMBDA_MAX / LAMBDA_MIN) / 10000)


def cost(q: int, size: int, psnr: float, pixels: int) -> float:
    """Rate plus weighted distortion of a whole file, in bits: bits + lambda * squared error.

    q: quality in hundredths. size: in bytes. psnr: in dB, over so many pixels.
    """
    return 8 * size + lambda_of(q) * 255**2 * pixels * float(10 ** (-psnr / 10))


def patch_steps(q: int) -> int:
    """Quality in hundredths -> the number of steps of a patch from 0 to 255.

    It is twice the best number for dense samples, in bits + lambda * squared error. Patches are seldom dense, and finer
    steps cost nothing in flat areas and at sharp edges.
    """
    return max(1, round(255 * math.sqrt(lambda_of(q) / 6)))


def hyper_symbols(
    z: npt.NDArray[np.float32], low: npt.NDArray[np.integer[Any]], high: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.int8]:
    """Hyper latent (1, Z, h, w) -> int8, cut to low..high, (Z,) each, the range of its tables."""
    clipped: npt.NDArray[np.float32] = np.clip(np.floor(z + 0.5), low[:, None, None], high[:, None, None])
    return clipped.astype(np.int8)


def residual(difference: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """A latent less its mean, in quantiser steps -> symbols of the same shape, int16, -32767..32767."""
    clipped: npt.NDArray[np.float32] = np.clip(np.floor(difference + 0.5), -MAX_SYMBOL, MAX_SYMBOL)
    return clipped.astype(np.int16)


def symbols(
    values: npt.NDArray[np.float32], index: npt.NDArray[np.uint8], thresholds: npt.NDArray[np.float32]
) -> npt.NDArray[np.int16]:
    """As `residual`, with a dead zone: a value below the threshold of its table becomes zero.

    values, index: (1, L, h, w). thresholds: by table, in quantiser steps, from one half to one, or infinite.
    """
    made = np.empty(values.shape, np.int16)
    step = max(1, SOME // max(1, math.prod(values.shape[2:])))
    for first in range(0, values.shape[1], step):
        some = slice(first, first + step)
        chosen = values[:, some]
        kept = np.abs(chosen) >= thresholds.take(index[:, some], mode="clip")
        np.multiply(residual(chosen), kept, out=made[:, some])
    return made


def settled(thresholds: npt.NDArray[np.float32], tables: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The thresholds of all tables: infinite for settled ones. tables: whether each is settled, (T,)."""
    own = thresholds.take(np.arange(len(tables)), mode="clip")
    return np.where(tables, np.float32(np.inf), own)


def learnt(thresholds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The thresholds of the deep channels, by table, from those of the linear channels."""
    lower: npt.NDArray[np.float32] = np.float32(0.5) + np.float32(LEFT) * (thresholds - np.float32(0.5))
    return lower


def planes(pixels: Samples, colours: int = 3) -> npt.NDArray[np.float32]:
    """Samples (H, W, 1 or 3) of either depth -> planes (1, colours, H, W) in [-1/2, 1/2].

    colours: those of the model. Gray becomes three equal planes, and three equal channels one. Raises BadImage if a
    model of one colour would lose colour.
    """
    if colours < pixels.shape[2] and (pixels != pixels[:, :, :1]).any():
        raise BadImage("the picture is in colour, and the model knows gray pictures alone")
    own = pixels[:, :, :colours]
    x = np.broadcast_to(own, (*own.shape[:2], colours)).transpose(2, 0, 1)[None].astype(np.float32, order="C")
    x /= np.iinfo(pixels.dtype).max  # in place, here and below: no array of the codec is larger
    x -= 0.5
    return x


def smoothed(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Planes (1, C, H, W) -> the same, each sample the mean of the 3 x 3 around it where all of them are near it.

    Near is within SLOW. Networks leave a grain of less than a step of 8 bits, which a slow ramp of 16 bits would show.
    At an edge the last row and column are repeated.
    """
    height, width = x.shape[2:]
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    rows = [around[:, :, i : i + height] for i in range(3)]
    low, high, total = np.minimum.reduce(rows), np.maximum.reduce(rows), rows[0] + rows[1] + rows[2]
    low, high, total = (
        combined([part[..., j : j + width] for j in range(3)])
        for combined, part in ((np.minimum.reduce, low), (np.maximum.reduce, high), (sum, total))
    )
    near = np.maximum(high - x, x - low) <= np.float32(SLOW)
    result: npt.NDArray[np.float32] = np.where(near, total / np.float32(9), x)
    return result


def samples(x: npt.NDArray[np.float32], result: Samples) -> Samples:
    """Planes (1, 1 or 3, H, W), about [-1/2, 1/2] -> samples (H, W, channels), which are written to `result`.

    Gray is the mean of three planes. All channels of a picture are the one plane of a model of gray pictures.
    """
    top, channels = np.iinfo(result.dtype).max, result.shape[2]
    planes: npt.NDArray[np.float32] = x[0] if len(x[0]) <= channels else x[0].mean(0, keepdims=True)
    planes = np.broadcast_to(planes, (channels, *planes.shape[1:]))
    for c, strip in np.ndindex(channels, -(-planes.shape[1] // IN_CACHE)):
        rows = slice(strip * IN_CACHE, (strip + 1) * IN_CACHE)
        scaled = planes[c, rows] * np.float32(top)
        scaled += top / 2
        np.clip(np.rint(scaled, out=scaled), 0, top, out=scaled)
        result[rows, :, c] = scaled.astype(result.dtype)
    return result
