"""Drawn patches: chequers, stripes, noise, codes, shapes and letters, as no photograph shows them.

A few of them stand among the patches of `data`. A network that saw photographs alone made a hundred times
its usual latent of a chequerboard, and a file larger than its pixels (docs/DESIGN.md).
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels: TypeAlias = npt.NDArray[np.uint8]
Draw: TypeAlias = Callable[[np.random.Generator, int], Pixels]


def draw(rng: np.random.Generator, side: int) -> Pixels:
    """A patch (side, side, 3): one pattern, or one beside another."""
    patch = _one(rng, side)
    if rng.random() < 0.3:
        at = int(rng.integers(side))
        patch[:, at:] = _one(rng, side)[:, at:]
    return patch


def _one(rng: np.random.Generator, side: int) -> Pixels:
    return KINDS[rng.integers(len(KINDS))](rng, side)


def _colour(rng: np.random.Generator) -> Pixels:
    """Any colour (3,), as often gray, as often one at the corners of the cube."""
    kind = rng.integers(3)
    if kind == 0:
        return np.full(3, rng.integers(256), np.uint8)
    levels = rng.integers(256, size=3) if kind == 1 else 255 * rng.integers(2, size=3)
    return levels.astype(np.uint8)


def _ink(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(_colour(rng).tolist())


def _of_two(rng: np.random.Generator, where: npt.NDArray[np.bool_]) -> Pixels:
    patch: Pixels = np.where(where[..., None], _colour(rng), _colour(rng))
    return patch


def _chequers(rng: np.random.Generator, side: int) -> Pixels:
    i, j = (np.arange(side) + rng.integers(64) for _ in range(2))
    size = np.rint(2 ** rng.uniform(0, 6, 2)).astype(int)
    return _of_two(rng, (i[:, None] // size[0] + j // (size[0] if rng.random() < 0.7 else size[1])) % 2 == 0)


def _stripes(rng: np.random.Generator, side: int) -> Pixels:
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    i, j = np.ogrid[:side, :side]
    wave = np.sin(
        (i * np.sin(angle) + j * np.cos(angle)) * 2 * np.pi / 2 ** rng.uniform(1, 7) + 6 * rng.random()
    )
    if rng.random() < 0.5:
        return _of_two(rng, wave > 0)
    share = (wave[..., None] + 1) / 2
    patch: Pixels = (share * _colour(rng) + (1 - share) * _colour(rng)).astype(np.uint8)
    return patch


def _noise(rng: np.random.Generator, side: int) -> Pixels:
    size = int(2 ** rng.uniform(0, 5))
    shape = (-(-side // size), -(-side // size), 3 if rng.random() < 0.5 else 1)
    levels = rng.integers(256, size=shape) if rng.random() < 0.5 else 255 * rng.integers(2, size=shape)
    grown = levels.repeat(size, axis=0).repeat(size, axis=1)[:side, :side]
    patch: Pixels = np.broadcast_to(grown, (side, side, 3)).astype(np.uint8)
    return patch


def _codes(rng: np.random.Generator, side: int) -> Pixels:
    """Squares of two colours, often on the grid of the network."""
    size = int(2 ** rng.integers(1, 5) if rng.random() < 0.5 else rng.integers(2, 17))
    dark = rng.random((-(-side // size),) * 2) < rng.uniform(0.3, 0.7)
    return _of_two(rng, dark.repeat(size, axis=0).repeat(size, axis=1)[:side, :side])


def _shapes(rng: np.random.Generator, side: int) -> Pixels:
    canvas = Image.new("RGB", (side, side), _ink(rng))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 30)):
        corners = sorted(rng.integers(-side // 8, side + side // 8, (2, 2)).tolist())
        colour = _ink(rng)
        (x0, y0), (x1, y1) = corners
        box = (x0, min(y0, y1), x1, max(y0, y1))
        kind = rng.integers(3)
        if kind == 0:
            pen.line((x0, y0, x1, y1), colour, width=int(rng.integers(1, 5)))
        elif kind == 1:
            pen.rectangle(box, colour)
        else:
            pen.ellipse(box, colour)
    return np.array(canvas)


def _letters(rng: np.random.Generator, side: int) -> Pixels:
    canvas = Image.new("RGB", (side, side), _ink(rng))
    pen, letters = ImageDraw.Draw(canvas), list(string.ascii_letters + string.digits + 8 * " ")
    for top in range(0, side, int(rng.integers(11, 24))):
        pen.text((int(rng.integers(-8, 8)), top), "".join(rng.choice(letters, side // 5)), _ink(rng))
    return np.array(canvas)


KINDS: tuple[Draw, ...] = (_chequers, _stripes, _noise, _codes, _shapes, _letters)
