"""Measures of a coded picture: PSNR, worst cell of 16, MS-SSIM, bits per pixel, BD-rate.

Under `codec`, `coding.look` and the benchmark. Decoded pixels and file lengths come in, plain numbers go out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nicodec import extras
from nicodec.picture import Samples

MSSSIM_MIN_SIDE = 161
"""Shortest side in pixels that MS-SSIM can measure: each of its five scales needs the 11 taps of the filter."""

CELL_SIDE = 16
"""Width and height in pixels of the cells in `cell_errors`: one position of the latent."""

Curve = Sequence[tuple[float, float]]
"""A rate-distortion curve: (bits per pixel, decibels), in any order."""

_MSSSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik (2003), finest scale first
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_HALF = 5  # taps on each side of the filter's centre
_TAPS = np.exp(-(np.arange(-_HALF, _HALF + 1) ** 2) / (2 * 1.5**2))
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)
_STRIP = 64  # rows compared or blurred at a time: a strip and its products stay in the processor's cache

_MIN_POINTS = 4  # Bjøntegaard's own method needs four; quoted BD-rates use eight or more (bench/CONDITIONS.md)
_MIN_OVERLAP_DB = 0.5  # an average over a shorter range means nothing


def psnr(a: Samples, b: Samples, alpha: Samples | None = None) -> float:
    """Peak signal-to-noise ratio in dB of two pictures: one mean squared error over all visible samples.

    a, b: both uint8 or both uint16, equal shape (H, W) or (H, W, C), else ValueError. alpha: (H, W); samples under
    alpha 0 do not count. Only a strip of differences is in memory at a time. Returns inf where the pictures are equal,
    or nothing is visible.
    """
    _check_pair(a, b, (np.uint8, np.uint16))
    total, count = 0.0, 0
    for top in range(0, len(a), _STRIP):
        rows = slice(top, top + _STRIP)
        difference = a[rows].astype(np.float32) - b[rows]  # squares of 8 bits are at most 65025: exact
        if a.dtype == np.uint16:
            difference /= 257
        if alpha is not None:
            difference = difference[alpha[rows] > 0]
        total += float(np.square(difference, out=difference).sum(dtype=np.float64))
        count += difference.size
    return decibels(total / count if count else 0)


def decibels(mse: float) -> float:
    """The PSNR in dB of a mean squared error of 8-bit samples; inf for 0."""
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def cell_errors(
    a: NDArray[np.uint8], b: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None
) -> NDArray[np.float64]:
    """Mean squared error of each cell of 16 x 16 pixels, float64 (rows, columns) of cells.

    The grid starts at the top left. The mean of a cell is over its visible samples inside the picture, 0 without any.
    a, b, alpha: as for `psnr`. Sums are exact. Only 16 rows of differences are in memory at a time.
    """
    _check_pair(a, b)
    height, width = a.shape[:2]
    lefts, tops = np.arange(0, width, CELL_SIDE), np.arange(0, height, CELL_SIDE)
    channels = a.size // (height * width)
    columns = np.minimum(width - lefts, CELL_SIDE)
    errors = np.empty((len(tops), len(lefts)), np.float64)
    for row, top in enumerate(tops):
        strip = slice(top, top + CELL_SIDE)
        difference = a[strip].astype(np.int32) - b[strip]
        squares = np.square(difference).reshape(len(difference), width, -1)
        pixels = len(difference) * columns
        if alpha is not None:
            seen = alpha[strip] > 0
            squares *= seen[:, :, None]
            pixels = np.maximum(np.add.reduceat(seen.sum(axis=0), lefts), 1)
        sums = np.add.reduceat(squares.sum(axis=(0, 2), dtype=np.int64), lefts)
        errors[row] = sums / (pixels * channels)
    return errors


def visible(height: int, width: int, alpha: NDArray[Any] | None) -> NDArray[np.int64]:
    """The number of pixels of each cell that are inside the picture and not under alpha 0, (rows, columns)."""
    lefts, tops = np.arange(0, width, CELL_SIDE), np.arange(0, height, CELL_SIDE)
    if alpha is None:
        return np.outer(np.minimum(height - tops, CELL_SIDE), np.minimum(width - lefts, CELL_SIDE))
    columns = np.add.reduceat(alpha > 0, lefts, axis=1, dtype=np.int64)
    found: NDArray[np.int64] = np.add.reduceat(columns, tops, axis=0)
    return found


class Cell(NamedTuple):
    """A cell of 16 x 16 pixels: its PSNR in dB, and its top left corner in pixels."""

    psnr: float
    x: int
    y: int


def worst_cell(a: NDArray[np.uint8], b: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> Cell:
    """The cell with the largest of `cell_errors`, the first of equals; its PSNR is inf where the pictures are equal.

    A mean over the whole picture hides a small destroyed part; the worst cell shows it.
    """
    return worst_of(cell_errors(a, b, alpha))


def worst_of(errors: NDArray[np.float64]) -> Cell:
    """The worst cell from the errors of all. NaN means not known; at least one error must be known."""
    row, column = np.unravel_index(int(np.nanargmax(errors)), errors.shape)
    return Cell(decibels(float(errors[row, column])), CELL_SIDE * int(column), CELL_SIDE * int(row))


def msssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Multi-scale structural similarity, 0 to 1: over five scales for each channel, then the mean over channels.

    a, b: uint8, equal shape (H, W) or (H, W, C), both sides at least `MSSSIM_MIN_SIDE`, else ValueError.
    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment" (2003). The
    convention is that of the package pytorch-msssim: 11-tap Gaussian of sigma 1.5, valid region, 2x2 means.
    """
    _check_pair(a, b)
    height, width = a.shape[:2]
    if min(height, width) < MSSSIM_MIN_SIDE:
        raise ValueError(f"MS-SSIM needs sides of at least {MSSSIM_MIN_SIDE} pixels, not {width}x{height}")
    x, y = (image.reshape(height, width, -1).astype(np.float32) for image in (a, b))
    return float(np.mean([_msssim_plane(x[..., c], y[..., c]) for c in range(x.shape[2])]))


def msssim_db(similarity: float) -> float:
    """MS-SSIM on a scale that is about linear to the eye: -10 log10(1 - similarity), inf for 1."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def bpp(n_bytes: int, width: int, height: int) -> float:
    """Bits per pixel of a whole file of `n_bytes`, headers included. Raises ValueError for an impossible size."""
    if n_bytes < 0 or width < 1 or height < 1:
        raise ValueError(f"no picture: {n_bytes} bytes for {width}x{height} pixels")
    return 8 * n_bytes / (width * height)


@dataclass(frozen=True)
class BdRate:
    """Mean difference in rate at equal quality, and the range of quality, in dB, that the mean is over."""

    percent: float
    """Below zero where the tested curve needs fewer bits."""
    low_db: float
    high_db: float


def bd_rate(reference: Curve, test: Curve, *, window: tuple[float, float] | None = None) -> BdRate | None:
    """Bjøntegaard delta rate of `test` against `reference` by the package bjontegaard, Akima over log rate.

    Points may come in any order. A point is left out if another one is as good for no more bits. Also left out
    are values that are not finite, and rates of 0. So both curves rise strictly. The mean is over the decibels that
    both curves cover. `window`, the lowest and highest bits per pixel, narrows it to the decibels of the *tested*
    curve at these rates.
    Returns None where a curve has fewer than four such points, or the common range is below 0.5 dB. Raises
    MissingExtra where bjontegaard is not installed. Sources: G. Bjøntegaard, VCEG-M33 (2001); Akima pieces as
    proposed by C. Herglotz et al., "The Bjøntegaard Bible" (2023).
    """
    bjontegaard = extras.load("bjontegaard", "bench", "a BD-rate")
    (ref_rate, ref_db), (test_rate, test_db) = _front(reference), _front(test)
    if min(len(ref_db), len(test_db)) < _MIN_POINTS:
        return None
    low, high = max(ref_db[0], test_db[0]), min(ref_db[-1], test_db[-1])
    if high - low < _MIN_OVERLAP_DB:
        return None
    _, log_ref, log_test = bjontegaard.bd_rate(
        ref_rate, ref_db, test_rate, test_db,
        method="akima", require_matching_points=False, interpolators=True, min_overlap=0,
    )  # fmt: skip
    if window is not None:
        low = max(low, _db_at(log_test, test_rate, test_db, window[0]))
        high = min(high, _db_at(log_test, test_rate, test_db, window[1]))
        if high - low < _MIN_OVERLAP_DB:
            return None
    mean = (log_test.integrate(low, high) - log_ref.integrate(low, high)) / (high - low)
    return BdRate(float((10**mean - 1) * 100), float(low), float(high))


def rate_at(curve: Curve, db: float) -> float | None:
    """Bits per pixel at which a curve reaches a PSNR in dB, interpolated as in `bd_rate`; None outside the curve.

    Raises MissingExtra where bjontegaard is not installed.
    """
    bjontegaard = extras.load("bjontegaard", "bench", "a rate between two points")
    rates, known = _front(curve)
    if len(known) < _MIN_POINTS or not known[0] <= db <= known[-1]:
        return None
    _, log_rate, _ = bjontegaard.bd_rate(
        rates, known, rates, known, method="akima", require_matching_points=False, interpolators=True, min_overlap=0
    )
    return float(10 ** log_rate(db))


def _check_pair(a: Samples, b: Samples, dtypes: tuple[type, ...] = (np.uint8,)) -> None:
    if a.dtype not in dtypes or b.dtype != a.dtype:
        raise ValueError(f"pictures must be {' or '.join(d.__name__ for d in dtypes)}, not {a.dtype} and {b.dtype}")
    if a.shape != b.shape or a.ndim not in (2, 3) or a.size == 0:
        raise ValueError(f"pictures must have one shape (H, W) or (H, W, C), not {a.shape} and {b.shape}")


def _msssim_plane(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    product = 1.0
    for scale, weight in enumerate(_MSSSIM_WEIGHTS):
        whole, contrast = _ssim_means(x, y)
        last = scale == len(_MSSSIM_WEIGHTS) - 1
        product *= max(whole if last else contrast, 0.0) ** weight
        if not last:
            x, y = _halve(x), _halve(y)
    return product


def _ssim_means(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure term over the valid region of two planes (H, W)."""
    rows, columns = x.shape[0] - 2 * _HALF, x.shape[1] - 2 * _HALF
    whole = contrast = 0.0
    for top in range(0, rows, _STRIP):
        xs, ys = (plane[top : top + _STRIP + 2 * _HALF] for plane in (x, y))
        # Variances do not depend on the zero; with a zero near the pixels, float32 is exact enough: 1e-6.
        zero = xs.mean()
        xs, ys = xs - zero, ys - zero
        # Only the sum of the two variances is needed, so four blurs are enough, not five.
        mean_x, mean_y, squares, cross = map(_blur, (xs, ys, xs * xs + ys * ys, xs * ys))
        covariance = cross - mean_x * mean_y
        variances = squares - mean_x * mean_x - mean_y * mean_y
        mean_x, mean_y = mean_x + zero, mean_y + zero
        cs = (2 * covariance + _C2) / (variances + _C2)
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
        contrast += float(cs.sum(dtype=np.float64))
        whole += float((luminance * cs).sum(dtype=np.float64))
    return whole / (rows * columns), contrast / (rows * columns)


def _blur(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian of 11 taps down, then across; valid region (H - 10, W - 10)."""
    for axis in (0, 1):
        plane = plane.swapaxes(0, axis)
        n = len(plane) - 2 * _HALF
        out = _TAPS[_HALF] * plane[_HALF : _HALF + n]
        for k in range(_HALF):  # the filter is symmetric: add first, multiply once
            out += _TAPS[k] * (plane[k : k + n] + plane[2 * _HALF - k : 2 * _HALF - k + n])
        plane = out.swapaxes(0, axis)
    return plane


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 x 2. An odd side first gets a row of zeros at its low end, as avg_pool2d pads it."""
    plane = np.pad(plane, [(side % 2, 0) for side in plane.shape])
    total = plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]
    mean: NDArray[np.float32] = total * np.float32(0.25)
    return mean


def _front(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points that `bd_rate` keeps: rates and decibels, both rising strictly."""
    usable = [(rate, db) for rate, db in curve if math.isfinite(rate) and math.isfinite(db) and rate > 0]
    front: list[tuple[float, float]] = []
    for rate, db in sorted(usable, key=lambda point: (point[0], -point[1])):
        if not front or db > front[-1][1] + 1e-6:
            front.append((rate, db))
    points = np.array(front, np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _db_at(log_rate: Any, rates: NDArray[np.float64], db: NDArray[np.float64], rate: float) -> float:
    """Decibels at which an interpolated curve reaches `rate`; beyond the curve, the decibels of its end."""
    if rate <= rates[0] or rate >= rates[-1]:
        return float(db[0] if rate <= rates[0] else db[-1])
    return float(log_rate.solve(math.log10(rate), extrapolate=False)[0])
