"""A picture -> the same picture with smooth samples where nobody sees them: under alpha 0.

Before the analysis in `codec`, which has loss. Whatever stands under alpha 0 would cost bytes, and would spoil the
samples beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nicodec.picture import Array, Picture

Floats = npt.NDArray[np.float32]
Known = npt.NDArray[np.bool_]

# Rings of pixels around the visible ones that take the mean of their known neighbours. Further pixels are filled from
# coarser levels, each of half the size. Without the rings, visible samples at the edge came back 1 to 2 dB worse.
RINGS = 4
# Levels that are made anew for each strip of rows, so that only the coarse ones are in memory as a whole.
LEVELS = 4
SIDE = 2**LEVELS
# Rows of a strip, and the rows around it that bear on it.
STRIP, HALO = 8 * SIDE, 2 * SIDE
# The value of a picture without any visible sample: about the zero of the networks.
GRAY = 128


def filled(picture: Picture) -> Picture:
    """The picture with smooth samples under alpha 0, which continue the visible ones; these stay as they are.

    A picture without alpha 0 is returned itself. Time is linear in the pixels. Beside a copy of the pixels, memory
    follows the width of the picture and not its area.
    """
    alpha = picture.alpha
    if alpha is None or alpha.all():
        return picture
    pixels = picture.pixels.copy()
    if not alpha.any():
        pixels[...] = GRAY
        return replace(picture, pixels=pixels)
    coarse = _pushed(*_coarse(picture.pixels, alpha))
    height = len(alpha)
    for top in range(0, height, STRIP):
        clear = alpha[top : top + STRIP] == 0
        if not clear.any():
            continue
        above, below = max(0, top - HALO), min(height, top + STRIP + HALO)
        levels = _pulled(*_rings(picture.pixels[above:below], alpha[above:below]), LEVELS)
        found = coarse[above // SIDE : -(-below // SIDE)]
        for values, known in levels[-2::-1]:
            found = _over(found, values, known)
        inside = found[top - above : top - above + len(clear)]
        pixels[top : top + STRIP][clear] = np.rint(inside[clear]).astype(np.uint8)
    return replace(picture, pixels=pixels)


def _coarse(pixels: Array, alpha: Array) -> tuple[Floats, Known]:
    """The level at 1 / SIDE of a picture, made strip by strip: its values and which of them are known."""

    def strips() -> Iterator[tuple[Floats, Known]]:
        for top in range(0, len(alpha), STRIP):
            above, below = max(0, top - SIDE), min(len(alpha), top + STRIP + SIDE)
            values, known = _pulled(*_rings(pixels[above:below], alpha[above:below]), LEVELS)[-1]
            inside = slice((top - above) // SIDE, (top - above) // SIDE + STRIP // SIDE)
            yield values[inside], known[inside]

    values, known = zip(*strips(), strict=True)
    return np.concatenate(values), np.concatenate(known)


def _rings(pixels: Array, alpha: Array) -> tuple[Floats, Known]:
    """The visible samples, float32 (h, w, C), with `RINGS` rings around them; and which samples are known now."""
    known = alpha > 0
    values = pixels.astype(np.float32)
    values[~known] = 0
    for _ in range(RINGS):
        if known.all():
            break
        counts = _around(known.astype(np.float32)[:, :, None])
        new = ~known & (counts[:, :, 0] > 0)
        values[new] = _around(values)[new] / counts[new]
        known |= new
    return values, known


def _around(planes: Floats) -> Floats:
    """The sums of 3 x 3 samples; there is nothing outside."""
    for axis in (0, 1):
        whole = planes.swapaxes(0, axis)
        sums = whole.copy()
        sums[1:] += whole[:-1]
        sums[:-1] += whole[1:]
        planes = sums.swapaxes(0, axis)
    return planes


def _pulled(values: Floats, known: Known, most: int | None = None) -> list[tuple[Floats, Known]]:
    """The levels from fine to coarse. A sample is the mean of the known ones among the four below it.

    most: the number of coarser levels; None goes on to a single sample.
    """
    levels = [(values, known)]
    while len(levels) <= most if most is not None else max(known.shape) > 1:
        counts = _fours(known.astype(np.float32)[:, :, None])
        values = _fours(values) / np.maximum(counts, 1)
        known = counts[:, :, 0] > 0
        levels.append((values, known))
    return levels


def _fours(planes: Floats) -> Floats:
    """The sums of 2 x 2 samples; there is nothing beyond an odd side."""
    height, width, _ = planes.shape
    planes = np.pad(planes, ((0, height % 2), (0, width % 2), (0, 0)))
    sums: Floats = planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2]
    return sums


def _pushed(values: Floats, known: Known) -> Floats:
    """A level whose unknown samples are filled from its coarser levels."""
    levels = _pulled(values, known)
    found = levels[-1][0]
    for finer in levels[-2::-1]:
        found = _over(found, *finer)
    return found


def _over(coarser: Floats, values: Floats, known: Known) -> Floats:
    """A level whose unknown samples are interpolated between those of the next coarser level."""
    if known.all():
        return values
    doubled = coarser
    for axis in (0, 1):
        near = np.pad(doubled.swapaxes(0, axis), ((1, 1), (0, 0), (0, 0)), mode="edge")
        middle = near[1:-1] * np.float32(0.75)
        both = np.stack((middle + near[:-2] * np.float32(0.25), middle + near[2:] * np.float32(0.25)), 1)
        doubled = both.reshape(-1, *near.shape[1:])[: known.shape[axis]].swapaxes(0, axis)
    doubled[known] = values[known]
    return doubled
