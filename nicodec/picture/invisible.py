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

# Planes are (C, h, w) here, because NumPy is quick where rows are long.
Floats = npt.NDArray[np.float32]
Known = npt.NDArray[np.bool_]

# Rings of pixels around the visible ones that take the mean of their known neighbours. Further pixels are filled from
# coarser levels, each of half the size. Without the rings, visible samples at the edge came back 1 to 2 dB worse.
RINGS = 4
# Levels that are made anew for each strip of rows, so that only the coarse ones are in memory as a whole.
LEVELS = 4
SIDE = 2**LEVELS
# Rows of a strip, and the rows around it that bear on it.
STRIP, HALO = 16 * SIDE, 2 * SIDE
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
        pixels[...] = GRAY * (np.iinfo(pixels.dtype).max // 255)
        return replace(picture, pixels=pixels)
    coarse = _pushed(*_coarse(picture.pixels, alpha))
    height = len(alpha)
    for top in range(0, height, STRIP):
        clear = alpha[top : top + STRIP] == 0
        if not clear.any():
            continue
        above, below = max(0, top - HALO), min(height, top + STRIP + HALO)
        levels = _pulled(*_rings(picture.pixels[above:below], alpha[above:below]), LEVELS)
        found = coarse[:, above // SIDE : -(-below // SIDE)]
        for values, known in levels[-2::-1]:
            found = _over(found, values, known)
        smooth = np.rint(found[:, top - above : top - above + len(clear)]).astype(pixels.dtype)
        for c, plane in enumerate(smooth):
            np.copyto(pixels[top : top + STRIP, :, c], plane, where=clear)
    return replace(picture, pixels=pixels)


def _coarse(pixels: Array, alpha: Array) -> tuple[Floats, Known]:
    """The level at 1 / SIDE of a picture, made strip by strip: its values and which of them are known."""

    def strips() -> Iterator[tuple[Floats, Known]]:
        for top in range(0, len(alpha), STRIP):
            above, below = max(0, top - SIDE), min(len(alpha), top + STRIP + SIDE)
            values, known = _pulled(*_rings(pixels[above:below], alpha[above:below]), LEVELS)[-1]
            inside = slice((top - above) // SIDE, (top - above + STRIP) // SIDE)
            yield values[:, inside], known[inside]

    values, known = zip(*strips(), strict=True)
    return np.concatenate(values, axis=1), np.concatenate(known)


def _rings(pixels: Array, alpha: Array) -> tuple[Floats, Known]:
    """The visible samples (C, h, w) with `RINGS` rings around them, 0 elsewhere; and which samples are known now."""
    known = alpha > 0
    values = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    values *= known
    # One row and one column of nothing on each side spare a check of each neighbour.
    framed = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    there = np.pad(known, 1)
    near = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    for _ in range(RINGS):
        wide = there[:, :-2] | there[:, 1:-1] | there[:, 2:]
        new = ~known & (wide[:-2] | wide[1:-1] | wide[2:])
        rows, columns = np.nonzero(new)
        rows, columns = rows + 1, columns + 1
        counts = sum(there[rows + i, columns + j].astype(np.float32) for i, j in near)
        framed[:, rows, columns] = sum(framed[:, rows + i, columns + j] for i, j in near) / counts
        there[rows, columns] = True
        known |= new
    return framed[:, 1:-1, 1:-1], known


def _pulled(values: Floats, known: Known, most: int | None = None) -> list[tuple[Floats, Known]]:
    """The levels from fine to coarse. A sample is the mean of the known ones among the four below it; else 0.

    most: the number of coarser levels; None goes on to a single sample.
    """
    levels = [(values, known)]
    while len(levels) <= most if most is not None else max(known.shape) > 1:
        counts = _fours(known[None].astype(np.float32))
        values = _fours(values) / np.maximum(counts, 1)
        known = counts[0] > 0
        levels.append((values, known))
    return levels


def _fours(planes: Floats) -> Floats:
    """The sums of 2 x 2 samples; there is nothing beyond an odd side."""
    _, height, width = planes.shape
    sums = np.zeros((len(planes), -(-height // 2), -(-width // 2)), np.float32)
    for i, j in np.ndindex(2, 2):
        part = planes[:, i::2, j::2]
        sums[:, : part.shape[1], : part.shape[2]] += part
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
    found = _doubled(_doubled(coarser, 1), 2)[:, : known.shape[0], : known.shape[1]]
    np.copyto(found, values, where=known)
    return found


def _doubled(planes: Floats, axis: int) -> Floats:
    """Planes of twice the size along an axis, each sample three parts its own and one part its neighbour's."""
    size = planes.shape[axis]
    shape = list(planes.shape)
    shape[axis] = 2 * size
    made = np.empty(shape, np.float32)
    own, to = planes.swapaxes(0, axis), made.swapaxes(0, axis)
    to[::2] = to[1::2] = own * np.float32(0.75)
    to[2::2] += own[:-1] * np.float32(0.25)
    to[1:-1:2] += own[1:] * np.float32(0.25)
    to[:1] += own[:1] * np.float32(0.25)
    to[-1:] += own[-1:] * np.float32(0.25)
    return made
