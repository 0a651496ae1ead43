"""Flat illustration: shapes and landscapes of few colours, maps, icons and sprites.

One kind of scene, beside the others; `draw` goes through it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from nicodec.picture.scenes.fonts import Fonts
from nicodec.picture.scenes.pens import Floats, Ink, Pixels, Sheet, blob, contrast, palette, slope, smooth, walk

BLACK = (0, 0, 0)


def shapes(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Many shapes over one another, as in cartoons and posters, with or without outlines."""
    inks = palette(rng, int(rng.integers(3, 10)))
    sheet = _sheet(rng, len(photograph), inks)
    outlined = rng.random() < 0.5
    rim, width = (BLACK if rng.random() < 0.6 else inks[-1]), float(np.exp(rng.uniform(-0.3, 1.6)))
    for _ in range(int(np.exp(rng.uniform(np.log(8), np.log(70))))):
        ink = inks[rng.integers(len(inks))]
        if rng.random() < 0.1:
            ink = (*ink, int(rng.integers(60, 200)))
        shape(rng, sheet, ink, rim if outlined else None, width)
    return sheet.pixels()


def shape(rng: np.random.Generator, sheet: Sheet, ink: Ink, rim: Ink | None, width: float) -> None:
    """One shape anywhere: a blob, a polygon, a star, a disc, a box, a curve, a row of dots."""
    e, kind = sheet.extent, rng.integers(8)
    (x, y), r = rng.uniform(-0.05, 1.05, 2) * e, e * float(np.exp(rng.uniform(-4, -0.9)))
    if kind < 2:
        outline = blob(rng, x, y, r, rng.uniform(0, 0.7))
        sheet.polygon(outline, ink, rim, width)
        if rng.random() < 0.5:  # its lit side, or its shadow
            tone = (255, 255, 255, 70) if rng.random() < 0.5 else (0, 0, 0, 60)
            sheet.polygon((outline - (x, y)) * rng.uniform(0.4, 0.85) + (x - r / 8, y - r / 8), tone)
    elif kind == 2:
        sheet.polygon(rng.normal((x, y), r, (int(rng.integers(3, 6)), 2)), ink, rim, width)
    elif kind == 3:
        spikes = int(rng.integers(3, 9))
        t = np.arange(2 * spikes) * np.pi / spikes + rng.uniform(0, 3)
        star = np.where(np.arange(2 * spikes) % 2, r, r * rng.uniform(0.3, 0.9))
        sheet.polygon(np.stack([x + star * np.cos(t), y + star * np.sin(t)], -1), ink, rim, width)
    elif kind == 4:
        sheet.disc(x, y, r, r * rng.choice([1, rng.uniform(0.4, 1)]), ink, rim, width)
    elif kind == 5:
        sheet.box(x - r, y - r / 2, 2 * r, r * rng.uniform(0.3, 2), ink, rim, width, radius=rng.choice([0, r / 5]))
    elif kind == 6:
        way = smooth(walk(rng, e, int(rng.integers(3, 7))))
        if rim is not None:
            sheet.line(way, rim, 3 * width + 2)
        sheet.line(way, ink, float(np.exp(rng.uniform(0, 2.5))))
    else:
        step = rng.uniform(0.8, 3) * r / 4
        for i in range(int(rng.integers(3, 9))):
            sheet.disc(x + i * step, y, r / 5, r / 5, ink, rim, width)


def landscape(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Hills behind hills, a sun, clouds, trees and houses."""
    side = len(photograph)
    inks = palette(rng, 8)
    sheet = Sheet(rng, side, slope(rng, side, inks[:2]), int(rng.integers(2, 4)))
    e, rim = sheet.extent, (BLACK if rng.random() < 0.3 else None)
    x, y = rng.uniform(0, e), rng.uniform(0, e / 2)
    sheet.disc(x, y, e / 9, e / 9, inks[2], rim)
    for x, y in rng.uniform(0, e, (int(rng.integers(0, 5)), 2)).tolist():
        for k in range(4):
            sheet.disc(x + k * e / 22, y / 2, e / 24, e / (20 + 8 * (k % 2)), (255, 255, 255, 220))
    hills = int(rng.integers(2, 6))
    for i in range(hills):
        t = np.linspace(0, e, 40)
        level = e * (0.35 + 0.6 * i / hills)
        rise = sum(rng.normal(0, e / 14 / k) * np.sin(t * k * 3 / e + rng.uniform(0, 6)) for k in range(1, 6))
        edge = np.stack([t, level + rise], -1)
        sheet.polygon([*edge.tolist(), [e, e], [0, e]], inks[3 + i % 5], rim, 1.5)
        for k in rng.integers(40, size=int(rng.integers(0, 8))).tolist():
            x, y = edge[k].tolist()
            h, ink = e * rng.uniform(0.02, 0.09), inks[int(rng.integers(8))]
            if rng.random() < 0.6:
                sheet.box(x - h / 8, y - h / 2, h / 4, h, inks[7])
                sheet.polygon([(x - h / 2, y), (x, y - 1.6 * h), (x + h / 2, y)], ink, rim, 1)
            else:
                sheet.box(x - h / 2, y - h, h, h * 1.2, ink, rim)
                sheet.polygon([(x - h / 1.6, y - h), (x, y - 1.7 * h), (x + h / 1.6, y - h)], inks[2], rim, 1)
    return sheet.pixels()


def plan(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """A map: regions with borders, rivers, roads with edges, places and their names."""
    side = len(photograph)
    inks = palette(rng, 6)
    grain = int(rng.integers(1, 4))
    sheet = Sheet(rng, side, inks[0], grain)
    n, rim = int(rng.integers(3, 8)), palette(rng, 1)[0]
    pitch = sheet.extent / (n - 1)
    places = np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1)), -1)
    knots = (places + rng.uniform(-0.9, 0, places.shape)) * pitch
    rough = pitch * float(rng.choice([0, 0.03, 0.06]))
    across = _border(rng, knots[:, :-1], knots[:, 1:], rough)
    down = _border(rng, knots[:-1], knots[1:], rough)
    for i in range(n):
        for j in range(n):
            ring = (across[i, j], down[i, j + 1], across[i + 1, j, ::-1], down[i, j, ::-1])
            sheet.polygon(np.concatenate(ring), inks[rng.integers(len(inks))], rim, 1)
    for _ in range(int(rng.integers(0, 3))):
        sheet.line(smooth(walk(rng, sheet.extent, 7)), (90, 150, 220), rng.uniform(1, 6))
    edge, road = contrast(rng, inks[0]), palette(rng, 1)[0]
    for _ in range(int(rng.integers(0, 6))):
        way, width = walk(rng, sheet.extent, 5, 0.3), rng.uniform(1.5, 5)
        sheet.line(way, edge, width + 1.5)
        sheet.line(way, road, width)
    hand = fonts.hand(rng, rng.uniform(7, 14) * grain)
    for x, y in rng.uniform(0, sheet.extent, (int(rng.integers(0, 14)), 2)).tolist():
        sheet.disc(x, y, 2, 2, (255, 255, 255), BLACK)
        sheet.text(hand, x + 4, y - 6, hand.word(rng).title(), BLACK)
    return sheet.pixels()


def _border(rng: np.random.Generator, a: Floats, b: Floats, rough: float) -> Floats:
    """Ways (..., 12, 2) from places a to places b (..., 2) that stray between them."""
    t = np.linspace(0, 1, 12)[:, None]
    stray = rng.normal(0, rough, (*a.shape[:-1], 12, 2)).cumsum(-2)
    start, end = a[..., None, :] - stray[..., :1, :], b[..., None, :] - stray[..., -1:, :]
    way: Floats = start * (1 - t) + end * t + stray
    return way


def icons(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Rows of small signs, each a few shapes or a letter on a plate."""
    side = len(photograph)
    grain = int(rng.integers(1, 4))
    paper = (255, 255, 255) if rng.random() < 0.5 else palette(rng, 1)[0]
    sheet = Sheet(rng, side, paper, grain)
    size = float(np.exp(rng.uniform(np.log(16), np.log(64))))
    pitch, radius = size * rng.uniform(1.1, 1.8), size * float(rng.choice([0, 0.2, 0.5]))
    hand = fonts.hand(rng, size * 0.6 * grain)
    x0, y0 = (sheet.corner - pitch * rng.random(2)).tolist()
    places = [(x, y) for y in np.arange(y0, y0 + side + pitch, pitch) for x in np.arange(x0, x0 + side + pitch, pitch)]
    for x, y in places:
        inks = palette(rng, 3)
        sheet.box(x, y, size, size, inks[0], BLACK if rng.random() < 0.2 else None, 1, radius)
        ink, kind, c = contrast(rng, inks[0]), rng.integers(4), size / 2
        if kind == 0:
            sheet.text(hand, x + size / 4, y + size / 8, hand.word(rng)[:1].upper(), ink)
        elif kind == 1:
            sheet.polygon(rng.uniform(0.15, 0.85, (int(rng.integers(3, 7)), 2)) * size + (x, y), ink)
        elif kind == 2:
            sheet.disc(x + c, y + c, c * 0.6, c * 0.6, ink, inks[1], size / 12)
            sheet.line([(x + c, y + c / 2), (x + c, y + c), (x + 1.4 * c, y + c)], inks[2], size / 14)
        else:
            for k in range(3):
                sheet.box(x + size * 0.2, y + size * (0.25 + 0.2 * k), size * rng.uniform(0.2, 0.6), size * 0.1, ink)
    return sheet.pixels()


def sprites(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Pixel art: mirrored figures and tiles of few colours, each pixel a whole number of pixels."""
    side = len(photograph)
    inks = np.array([*palette(rng, int(rng.integers(3, 8))), BLACK], np.uint8)
    factor, figure = int(rng.choice([1, 2, 2, 3, 4, 4, 5, 6, 8])), int(rng.choice([8, 12, 16]))
    small = -(-side // factor) + figure
    rows = -(-small // figure)
    ground = rng.integers(2, size=(rows, rows)) if rng.random() < 0.5 else np.zeros((rows, rows), int)
    scene = ground.repeat(figure, 0).repeat(figure, 1)
    kinds = [_figure(rng, figure, len(inks)) for _ in range(4)]
    for i in range(rows):
        for j in range(rows):
            if rng.random() < 0.7:
                part = scene[i * figure : (i + 1) * figure, j * figure : (j + 1) * figure]
                drawn = kinds[rng.integers(len(kinds))]
                np.copyto(part, drawn, where=drawn >= 0)
    y, x = rng.integers(factor * (scene.shape[0] - small) + factor * figure, size=2)
    large: Pixels = inks[scene].repeat(factor, 0).repeat(factor, 1)
    return large[y : y + side, x : x + side]


def _figure(rng: np.random.Generator, size: int, inks: int) -> npt.NDArray[np.int64]:
    """Numbers of inks (size, size), -1 where the ground shows: noise made smooth, mirrored, with an outline."""
    half = rng.random((size, size // 2))
    for _ in range(int(rng.integers(0, 3))):
        half = (half + np.roll(half, 1, 0) + np.roll(half, 1, 1) + np.roll(half, -1, 0)) / 4
    ranks = (half.argsort(None).argsort() * (inks - 1) // half.size).reshape(half.shape)
    t = np.hypot(*np.meshgrid(np.linspace(0, 1, size // 2), np.linspace(-1, 1, size)))
    inside = t + rng.normal(0, 0.15, t.shape) < 0.85
    ranks = np.concatenate([ranks[:, ::-1], ranks], 1)
    inside = np.concatenate([inside[:, ::-1], inside], 1)
    around = inside | np.roll(inside, 1, 0) | np.roll(inside, -1, 0) | np.roll(inside, 1, 1) | np.roll(inside, -1, 1)
    return np.where(inside, ranks, np.where(around, inks - 1, -1))


def _sheet(rng: np.random.Generator, side: int, inks: list[Ink]) -> Sheet:
    paper: Ink | Image.Image = (255, 255, 255) if rng.random() < 0.25 else inks[0]
    if rng.random() < 0.3:
        paper = slope(rng, side, inks[:3])
    return Sheet(rng, side, paper, int(rng.choice([1, 2, 3, 4], p=(0.1, 0.4, 0.4, 0.1))))
