"""Pictures that no camera takes: letters, frames, dither, zone plates, circuit boards and more, by number.

Under `blots`, which codes them. A picture depends on its seed and its number alone, and so does its quality.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Draw = Callable[[np.random.Generator, int, int], Pixels]
Point = tuple[float, float]

SMALLEST, LARGEST = 16, 640  # pixels on a side
LOWEST, HIGHEST = 30, 95  # quality
BLACK_WHITE = np.array([[0] * 3, [255] * 3])
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])  # of 16


def draw(seed: int, number: int) -> Pixels:
    """The picture of this number: (H, W) or (H, W, 3)."""
    rng = np.random.default_rng((seed, number))
    side, ratio = rng.uniform(math.log(SMALLEST), math.log(LARGEST)), rng.normal(0, 0.4)
    width, height = np.exp(np.array([side + ratio, side - ratio])).clip(SMALLEST, LARGEST).astype(int).tolist()
    return KINDS[kind(number)](rng, width, height)


def kind(number: int) -> str:
    """What a picture shows. Kinds take turns, so that a few pictures show all of them."""
    return list(KINDS)[number % len(KINDS)]


def quality(seed: int, number: int) -> int:
    """A quality to code a picture at."""
    return int(np.random.default_rng((seed, number, 1)).integers(LOWEST, HIGHEST + 1))


def odds(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """Any colour, or one at a corner of the cube, where all samples are 0 or 255."""
    r, g, b = (255 * rng.integers(2, size=3) if odds(rng, 0.6) else rng.integers(256, size=3)).tolist()
    return r, g, b


def inked(rng: np.random.Generator, plane: Pixels) -> Pixels:
    """A gray plane as it is, or its negative, or between two colours instead of black and white."""
    if odds(rng, 0.5):
        return np.invert(plane) if odds(rng, 0.3) else plane
    ends = np.array([colour(rng), colour(rng)])
    if odds(rng, 0.5):
        ends[rng.integers(2)] = BLACK_WHITE[rng.integers(2)]
    mixed: Pixels = (ends[0] + np.rint((ends[1] - ends[0]) * (plane[..., None] / 255))).astype(np.uint8)
    return mixed


def sheet(
    rng: np.random.Generator, width: int, height: int, paint: Callable[[ImageDraw.ImageDraw, int], None]
) -> Pixels:
    """White paint on black, hard-edged, or drawn at twice the size and reduced. paint: takes that scale."""
    scale = int(rng.integers(1, 3))
    canvas = Image.new("L", (width * scale, height * scale))
    paint(ImageDraw.Draw(canvas), scale)
    return np.asarray(canvas.reduce(scale))


def point(rng: np.random.Generator, width: int, height: int) -> Point:
    """A place in a picture or a little outside."""
    return float(rng.uniform(-0.1, 1.1) * width), float(rng.uniform(-0.1, 1.1) * height)


def shapes(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Rectangles, ellipses, triangles and lines, filled or outlined, on one colour."""
    gray = odds(rng, 0.4)
    canvas = Image.new("L" if gray else "RGB", (width, height), _ink(rng, gray))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 12))):
        (x0, y0), (x1, y1), corner = (point(rng, width, height) for _ in range(3))
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        line = int(rng.integers(1, 9))
        fill = _ink(rng, gray) if odds(rng, 0.5) else None
        kind = rng.integers(4)
        if kind == 0:
            pen.rectangle(box, fill, _ink(rng, gray), line)
        elif kind == 1:
            pen.ellipse(box, fill, _ink(rng, gray), line)
        elif kind == 2:
            pen.polygon([(x0, y0), (x1, y1), corner], fill, _ink(rng, gray), line)
        else:
            pen.line((x0, y0, x1, y1), _ink(rng, gray), line)
    return np.asarray(canvas)


def _ink(rng: np.random.Generator, gray: bool) -> int | tuple[int, int, int]:
    return colour(rng)[0] if gray else colour(rng)


def frames(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Frames of strong colours, 1 to 8 pixels wide, on black or white, one inside the other."""
    canvas = Image.new("RGB", (width, height), (0, 0, 0) if odds(rng, 0.5) else (255, 255, 255))
    pen, inset = ImageDraw.Draw(canvas), 0
    for _ in range(int(rng.integers(1, 5))):
        inset += int(rng.integers(0, 24))
        line = int(rng.integers(1, 9))
        if 2 * (inset + line) >= min(width, height):
            break
        r, g, b = (255 * np.array([int(bit) for bit in f"{rng.integers(1, 7):03b}"])).tolist()
        pen.rectangle((inset, inset, width - 1 - inset, height - 1 - inset), None, (r, g, b), line)
        inset += line
    return np.asarray(canvas)


def text(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Lines of letters in a few sizes, most of them black on white."""
    gray = odds(rng, 0.5)
    plain = odds(rng, 0.6)
    canvas = Image.new("RGB", (width, height), (255, 255, 255) if plain else colour(rng))
    pen, top = ImageDraw.Draw(canvas), 0
    while top < height:
        size = int(rng.choice([8, 10, 12, 14, 18, 24, 36, 60]))
        pen.text((int(rng.integers(-4, 8)), top), words(rng, width * 2 // size), (0, 0, 0) if plain and odds(
            rng, 0.7) else colour(rng), ImageFont.load_default(size))  # fmt: skip
        top += size + int(rng.integers(1, 1 + size))
    return np.asarray(canvas.convert("L") if gray else canvas)


def words(rng: np.random.Generator, count: int) -> str:
    letters = string.ascii_letters + string.digits + 12 * " " + ".,-+=()"
    return "".join(letters[i] for i in rng.integers(len(letters), size=max(1, count)))


def dither(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Gradients and shapes in black and white alone, by a grid of thresholds or by spreading the error."""
    plane = gradient(rng, width, height) if odds(rng, 0.6) else shapes(rng, width, height)
    planes = plane.reshape(height, width, -1).transpose(2, 0, 1)
    if odds(rng, 0.5):
        planes = planes[:1]
    if odds(rng, 0.5):
        thresholds = np.tile(BAYER, (-(-height // 4), -(-width // 4)))[:height, :width] * 16 + 8
        ones = np.where(planes > thresholds, 255, 0)
    else:
        ones = np.stack([np.asarray(Image.fromarray(p.copy()).convert("1").convert("L")) for p in planes])
    dithered = ones.astype(np.uint8)
    return inked(rng, dithered[0]) if len(dithered) == 1 else np.stack([*dithered], axis=-1)


def gradient(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """From one level to another, straight or round, in one plane or in three."""
    y, x = np.ogrid[:height, :width]
    planes = []
    for _ in range(int(rng.choice([1, 3]))):
        low, high = rng.integers(256, size=2)
        if odds(rng, 0.5):
            angle = rng.uniform(0, 2 * math.pi)
            way = x * math.cos(angle) + y * math.sin(angle)
        else:
            middle = point(rng, width, height)
            way = np.hypot(x - middle[0], y - middle[1])
        share = (way - way.min()) / max(1.0, float(np.ptp(way)))
        planes.append(np.rint(low + (high - low) * share).astype(np.uint8))
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def zones(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Zone plates, cos(pi r^2 / k): rings from the coarsest to the finest that pixels hold."""
    y, x = np.ogrid[:height, :width]
    middle = (width / 2, height / 2) if odds(rng, 0.5) else point(rng, width, height)
    k = float(np.exp(rng.uniform(math.log(8), math.log(1500))))
    wave = np.cos(math.pi * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / k)
    if odds(rng, 0.25):
        wave = np.sign(wave)
    return inked(rng, np.rint(127.5 + rng.uniform(0.2, 1) * 127.5 * wave).astype(np.uint8))


def chequers(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Chequerboards with fields of 1 to 32 pixels."""
    y, x = np.ogrid[:height, :width]
    down, across = np.rint(2 ** rng.uniform(0, 5, 2)).astype(int)
    if odds(rng, 0.7):
        across = down
    fields = (y + rng.integers(32)) // down + (x + rng.integers(32)) // across
    return inked(rng, (255 * (fields % 2)).astype(np.uint8))


def fax(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """A page of small black letters, rules and a stamp on white, with specks; no grays."""
    page = Image.new("L", (width, height), 255)
    pen, size = ImageDraw.Draw(page), int(rng.integers(8, 22))
    font, top = ImageFont.load_default(size), int(rng.integers(0, 12))
    while top < height:
        if odds(rng, 0.15):
            pen.line((4, top, width - 4, top), 0, int(rng.integers(1, 4)))
        elif odds(rng, 0.85):
            pen.text((6, top), words(rng, int(rng.integers(1, 2 + 2 * width // size))), 0, font)
        top += size + 3
    if odds(rng, 0.4):
        x, y = point(rng, width, height)
        radius = rng.uniform(10, 60)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), None, 0, int(rng.integers(1, 6)))
    plane = np.where(np.asarray(page) < 128, 0, 255)
    specks = rng.random(plane.shape) < rng.choice([0, 0.002, 0.02])
    return np.where(specks, 255 - plane, plane).astype(np.uint8)


def boards(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Circuit boards: bundles of traces that turn by 45 degrees, pads and holes; black and white."""

    def paint(pen: ImageDraw.ImageDraw, scale: int) -> None:
        line = int(rng.integers(2, 13))
        gap = line + int(rng.integers(3, 16))
        for _ in range(max(1, width * height // 9000)):
            (x, y), way = point(rng, width, height), int(rng.integers(8))
            path = [(x, y)]
            for _ in range(int(rng.integers(2, 8))):
                length = float(rng.uniform(10, 160))
                x += length * round(math.cos(way * math.pi / 4))
                y += length * round(math.sin(way * math.pi / 4))
                path.append((x, y))
                way += int(rng.choice([-1, 1]))
            for n in range(int(rng.integers(1, 5))):
                moved = [((px + n * gap) * scale, (py + n * gap) * scale) for px, py in path]
                pen.line(moved, 255, line * scale, joint="curve")
                if odds(rng, 0.6):
                    _pad(pen, moved[0], line * scale * rng.uniform(0.8, 1.8), odds(rng, 0.7))
        for _ in range(int(rng.integers(0, 4))):  # rows of pads, where a chip would stand
            (x, y), side = point(rng, width, height), float(rng.uniform(3, 14))
            for n in range(int(rng.integers(3, 14))):
                at = (x + 2.2 * n * side) * scale, y * scale
                _pad(pen, at, side * scale, odds(rng, 0.5))

    plane = sheet(rng, width, height, paint)
    return np.invert(plane) if odds(rng, 0.3) else plane


def _pad(pen: ImageDraw.ImageDraw, at: Point, radius: float, hole: bool) -> None:
    for share, level in ((1.0, 255), (0.5, 0))[: 1 + hole]:
        r = radius * share
        pen.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), level)


def flats(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Strong flat colours with thin lines across."""
    canvas = Image.new("RGB", (width, height), colour(rng))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 10))):
        start, end, line = point(rng, width, height), point(rng, width, height), int(rng.integers(1, 4))
        if odds(rng, 0.6):
            end = (end[0], start[1]) if odds(rng, 0.5) else (start[0], end[1])
        pen.line((start, end), colour(rng), line)
    return np.asarray(canvas)


def faint(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Very dark or very bright, with a little contrast or a little noise."""
    shown = gradient(rng, width, height) if odds(rng, 0.5) else shapes(rng, width, height)
    contrast = rng.uniform(0.01, 0.12)
    level = shown * contrast + rng.normal(0, rng.choice([0, 1, 3]), shown.shape)
    level = np.clip(np.rint(level), 0, 255)
    return (level if odds(rng, 0.5) else 255 - level).astype(np.uint8)


def salt(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Black and white specks, few or many, on one level or on a gradient."""
    below = gradient(rng, width, height) if odds(rng, 0.5) else np.full((height, width), rng.integers(256))
    share = float(np.exp(rng.uniform(math.log(0.002), math.log(0.5))))
    shape = below.shape if odds(rng, 0.5) else (height, width)
    hit, white = rng.random(shape) < share, rng.random(shape) < rng.choice([0, 0.5, 1])
    if len(shape) < below.ndim:
        hit, white = hit[..., None], white[..., None]
    return np.where(hit, 255 * white, below).astype(np.uint8)


def edges(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Gradients that meet at a hard edge."""
    one, other = (gradient(rng, width, height).reshape(height, width, -1) for _ in range(2))
    y, x = np.ogrid[:height, :width]
    angle, middle = rng.choice([0, math.pi / 2, rng.uniform(0, math.pi)]), point(rng, width, height)
    side = (x - middle[0]) * math.cos(angle) + (y - middle[1]) * math.sin(angle) > 0
    joined = np.where(side[..., None], one, other)
    return joined[..., 0] if joined.shape[2] == 1 else joined


def pixels(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """One level or colour, and a few single pixels of another."""
    gray = odds(rng, 0.5)
    canvas = Image.new("L" if gray else "RGB", (width, height), _ink(rng, gray))
    for _ in range(int(rng.integers(1, 8))):
        canvas.putpixel((int(rng.integers(width)), int(rng.integers(height))), _ink(rng, gray))
    return np.asarray(canvas)


_KINDS = shapes, frames, text, dither, zones, chequers, fax, boards, flats, faint, salt, edges, pixels
KINDS: dict[str, Draw] = {show.__name__: show for show in _KINDS}
