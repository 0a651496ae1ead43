"""Patterns: what no photograph shows, such as boards, scans, letters, dither, zone plates and noise.

One kind of scene, beside the others; `scenes.draw` goes through it. A network that saw photographs alone made a
hundred times its usual latent of a chequerboard, and a disc of noise of a clean line (docs/LOG.md).
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nicodec.picture.scenes.fonts import Fonts
from nicodec.picture.scenes.pens import Ink, Pixels

Mask: TypeAlias = npt.NDArray[np.bool_]
Pattern: TypeAlias = Callable[[np.random.Generator, Pixels], Pixels]

# An ordered dither of 4x4 pixels (Bayer 1973), as thresholds in (0, 1).
BAYER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16


def draw(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """A patch of the size of a photograph (side, side, 3): one pattern, or one beside another.

    Some patterns are the photograph itself, made black and white, dithered, dark, bright or noisy.
    """
    side = len(photograph)
    patch = _one(rng, photograph)
    if rng.random() < 0.3:
        at = int(rng.integers(side))
        patch[:, at:] = _one(rng, photograph)[:, at:]
    return patch


def _one(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    return np.array(KINDS[rng.integers(len(KINDS))](rng, photograph), np.uint8)


def _colour(rng: np.random.Generator) -> Pixels:
    """Any colour (3,), as often gray, as often one at the corners of the cube, as often black or white."""
    kind = rng.integers(4)
    if kind == 0:
        return np.full(3, rng.integers(256), np.uint8)
    if kind == 1:
        return rng.integers(256, size=3).astype(np.uint8)
    return (255 * rng.integers(2, size=3 if kind == 2 else 1)).astype(np.uint8).repeat(3 if kind == 3 else 1)


def _two(rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Ink and paper: half of them black and white."""
    if rng.random() < 0.5:
        dark, light = np.zeros(3, np.uint8), np.full(3, 255, np.uint8)
        return (dark, light) if rng.random() < 0.5 else (light, dark)
    return _colour(rng), _colour(rng)


def _ink(rng: np.random.Generator) -> Ink:
    return tuple(_colour(rng).tolist())


def _of_two(rng: np.random.Generator, where: Mask) -> Pixels:
    ink, paper = _two(rng)
    patch: Pixels = np.where(where[..., None], ink, paper)
    return patch


def _blend(rng: np.random.Generator, share: npt.NDArray[np.floating[Any]]) -> Pixels:
    """share: (side, side) in [0, 1]."""
    ink, paper = _two(rng)
    patch: Pixels = (share[..., None] * ink + (1 - share[..., None]) * paper).astype(np.uint8)
    return patch


def _chequers(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    i, j = (np.arange(len(photograph)) + rng.integers(64) for _ in range(2))
    size = np.rint(2 ** rng.uniform(0, 6, 2)).astype(int)
    return _of_two(rng, (i[:, None] // size[0] + j // (size[0] if rng.random() < 0.7 else size[1])) % 2 == 0)


def _stripes(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    i, j = np.ogrid[: len(photograph), : len(photograph)]
    wave = np.sin((i * np.sin(angle) + j * np.cos(angle)) * 2 * np.pi / 2 ** rng.uniform(1, 7) + 6 * rng.random())
    return _of_two(rng, wave > 0) if rng.random() < 0.5 else _blend(rng, (wave + 1) / 2)


def _zone_plate(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """Rings that become finer outwards, through all frequencies and directions."""
    i, j = np.ogrid[: len(photograph), : len(photograph)]
    y, x = rng.integers(-512, 513, 2) if rng.random() < 0.7 else rng.integers(len(photograph), size=2)
    wave = np.cos(np.pi * ((i - y) ** 2 + (j - x) ** 2) / 2 ** rng.uniform(6, 11))
    return _of_two(rng, wave > 0) if rng.random() < 0.25 else _blend(rng, (wave + 1) / 2)


def _squares(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """Squares of random levels, from single pixels to 32 x 32."""
    side, size = len(photograph), int(2 ** rng.uniform(0, 5))
    shape = (-(-side // size), -(-side // size), 3 if rng.random() < 0.5 else 1)
    levels = rng.integers(256, size=shape) if rng.random() < 0.5 else 255 * rng.integers(2, size=shape)
    grown = levels.repeat(size, axis=0).repeat(size, axis=1)[:side, :side]
    return np.broadcast_to(grown, (side, side, 3)).astype(np.uint8)


def _codes(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """Squares of two colours, often on the grid of the network."""
    side = len(photograph)
    size = int(2 ** rng.integers(1, 5) if rng.random() < 0.5 else rng.integers(2, 17))
    dark = rng.random((-(-side // size),) * 2) < rng.uniform(0.3, 0.7)
    return _of_two(rng, dark.repeat(size, axis=0).repeat(size, axis=1)[:side, :side])


def _shapes(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """Lines, rectangles and ellipses, full ones and outlines, often of two colours only."""
    side = len(photograph)
    plain = rng.random() < 0.5
    ink, paper = (tuple(c.tolist()) for c in _two(rng))
    canvas = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 30)):
        corners = sorted(rng.integers(-side // 8, side + side // 8, (2, 2)).tolist())
        colour = ink if plain else _ink(rng)
        (x0, y0), (x1, y1) = corners
        box = (x0, min(y0, y1), x1, max(y0, y1))
        kind, width = rng.integers(5), int(rng.integers(1, 9))
        if kind == 0:
            pen.line((x0, y0, x1, y1), colour, width=width)
        elif kind == 1:
            pen.rectangle(box, colour)
        elif kind == 2:
            pen.ellipse(box, colour)
        elif kind == 3:
            pen.rectangle(box, outline=colour, width=width)
        else:
            pen.ellipse(box, outline=colour, width=width)
    return np.array(canvas)


def _flats(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """A large flat of one colour with very few things on it: a frame, a line, a dot, a step."""
    side = len(photograph)
    canvas = Image.new("RGB", (side, side), _ink(rng))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):
        x, y, w, h = rng.integers(side, size=4).tolist()
        pen.rectangle((x, y, x + w, y + h), outline=_ink(rng), width=int(rng.integers(1, 12)))
        if rng.random() < 0.5:
            pen.rectangle((y, x, y + 16 * rng.random(), x + side * rng.random()), _ink(rng))
    return np.array(canvas)


def _board(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """Traces of a circuit board: lines in eight directions, pads with holes, flats with gaps."""
    side, scale = len(photograph), int(rng.integers(1, 4))
    canvas = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 3)):
        x, y, w, h = rng.integers(side, size=4).tolist()
        pen.rectangle((x, y, x + w, y + h), 255)
    for _ in range(rng.integers(2, 12)):
        x, y = rng.integers(side, size=2).tolist()
        width, colour = int(rng.integers(2, 6)) * scale, 255 if rng.random() < 0.8 else 0
        for _ in range(rng.integers(1, 6)):
            step = int(rng.integers(8, 1 + side // 2))
            dx, dy = rng.integers(-1, 2, 2).tolist()
            pen.line((x, y, x + dx * step, y + dy * step), colour, width=width)
            x, y = x + dx * step, y + dy * step
        radius = width + int(rng.integers(1, 8))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
        pen.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), 255 - colour)
    return _scanned(rng, canvas)


def _letters(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    side, size = len(photograph), int(rng.integers(8, 40))
    ink, paper = (tuple(c.tolist()) for c in _two(rng))
    canvas = Image.new("RGB", (side, side), paper)
    pen, letters = ImageDraw.Draw(canvas), list(string.ascii_letters + string.digits + 8 * " ")
    font = ImageFont.load_default(size)
    for top in range(int(rng.integers(-8, 8)), side, int(size * rng.uniform(1.1, 2))):
        line = "".join(rng.choice(letters, 1 + 3 * side // size))
        pen.text((int(rng.integers(-8, 8)), top), line, ink if rng.random() < 0.8 else _ink(rng), font=font)
    return np.array(canvas)


def _scan(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """A page of letters as a fax sends it."""
    return _scanned(rng, Image.fromarray(_letters(rng, photograph)).convert("L"))


def _scanned(rng: np.random.Generator, picture: Image.Image) -> Pixels:
    """Black and white, or nearly so: rough edges, specks, now and then the softness of a lens."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5))), np.float32)
    rough = soft + rng.normal(0, rng.choice([0, 10, 40]), soft.shape)
    if rng.random() < 0.7:
        return _of_two(rng, rough > rng.uniform(90, 165))
    return _blend(rng, np.clip(rough, 0, 255) / 255)


def _luma(photograph: Pixels) -> npt.NDArray[np.float32]:
    luma: npt.NDArray[np.float32] = photograph.mean(2, dtype=np.float32)
    return luma


def _binary(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    luma = _luma(photograph)
    return _of_two(rng, luma > np.quantile(luma, rng.uniform(0.1, 0.9)))


def _dithered(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """A photograph, or a slope, in few colours: by a matrix or by spreading the error."""
    side = len(photograph)
    if rng.random() < 0.3:
        photograph = _blend(rng, np.linspace(0, 1, side)[:, None] * np.ones(side))
    if rng.random() < 0.5:
        dots = np.tile(BAYER, (-(-side // 4), -(-side // 4)))[:side, :side]
        return _of_two(rng, _luma(photograph) / 255 > dots)
    if rng.random() < 0.5:
        return _of_two(rng, np.asarray(Image.fromarray(photograph).convert("1")))
    return np.asarray(Image.fromarray(photograph).convert("P").convert("RGB"))  # its 216 colours, dithered


def _few_levels(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    levels = int(rng.integers(2, 17))
    scaled = (photograph * rng.uniform(0.5, 1)).astype(int)
    result: Pixels = (scaled * levels // 256 * 255 // (levels - 1)).astype(np.uint8)
    return result


def _extreme(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """A photograph far too dark, far too bright, or with far too much contrast or colour."""
    x = photograph.astype(np.float32)
    gray = x.mean(2, keepdims=True)
    kind = rng.integers(4)
    if kind == 0:
        x = x * rng.uniform(0.02, 0.3)
    elif kind == 1:
        x = 255 - (255 - x) * rng.uniform(0.02, 0.3)
    elif kind == 2:
        x = (x - gray.mean()) * rng.uniform(2, 8) + 128
    else:
        x = gray + (x - gray) * rng.uniform(2, 8)
    return _clipped(x)


def _noisy(rng: np.random.Generator, photograph: Pixels) -> Pixels:
    """A photograph, often a dark one, under Gaussian noise or salt and pepper."""
    x = photograph * np.float32(rng.choice([0.1, 0.3, 1]))
    shape = (*x.shape[:2], rng.choice([1, 3]))
    if rng.random() < 0.7:
        return _clipped(x + rng.normal(0, 2 ** rng.uniform(1, 6), shape))
    hit = rng.random(shape) < 2 ** rng.uniform(-10, -2)
    return _clipped(np.where(hit, 255 * rng.integers(2, size=shape), x))


def _clipped(x: npt.NDArray[np.floating[Any]]) -> Pixels:
    result: Pixels = np.clip(x, 0, 255).astype(np.uint8)
    return result


KINDS: tuple[Pattern, ...] = (
    _chequers,
    _stripes,
    _zone_plate,
    _squares,
    _codes,
    _shapes,
    _shapes,
    _flats,
    _board,
    _board,
    _letters,
    _scan,
    _binary,
    _dithered,
    _few_levels,
    _extreme,
    _noisy,
)
