"""Charts and diagrams: bars, lines, pies, points, axes with labels, boxes with arrows.

One kind of scene, beside the others; `draw` goes through it.
"""

from __future__ import annotations

import numpy as np

from nicodec.picture.scenes.fonts import Fonts, Hand
from nicodec.picture.scenes.pens import Ink, Pixels, Sheet, contrast, palette

GRAY = (190, 190, 190)


def chart(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Axes, a grid, and what they measure."""
    grain = int(rng.integers(1, 4))
    paper, ink = _paper(rng)
    sheet = Sheet(rng, len(photograph), paper, grain)
    e = sheet.extent
    hand = fonts.hand(rng, rng.uniform(7, 15) * grain)
    inks = palette(rng, 5)
    left, top, right, bottom = e * 0.12, e * 0.1, e * 0.97, e * 0.88
    kind = rng.integers(4)
    if kind == 3:
        _pie(rng, sheet, inks, paper)
    else:
        rows = int(rng.integers(3, 9))
        for y in np.linspace(bottom, top, rows).tolist():
            if rng.random() < 0.8:
                sheet.line([(left, y), (right, y)], GRAY, 1 / grain if rng.random() < 0.5 else 1)
            sheet.text(hand, 1, y - hand.size / grain * 0.6, str(rng.integers(1000)), ink)
        (_bars, _lines, _scatter)[kind](rng, sheet, inks, (left, top, right, bottom))
        sheet.line([(left, top), (left, bottom), (right, bottom)], ink, 1)
        for x in np.linspace(left, right, 6)[:-1].tolist():
            sheet.text(hand, x, bottom + 2, hand.word(rng)[:5], ink)
    sheet.text(hand, e * 0.2, 1, hand.line(rng, 0.5 * e * grain), ink)
    if rng.random() < 0.5:
        _legend(rng, sheet, hand, inks, ink)
    return sheet.pixels()


def _paper(rng: np.random.Generator) -> tuple[Ink, Ink]:
    paper = (255, 255, 255) if rng.random() < 0.6 else palette(rng, 1)[0]
    return paper, contrast(rng, paper)


def _bars(rng: np.random.Generator, sheet: Sheet, inks: list[Ink], box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    count, kinds = int(rng.integers(3, 24)), int(rng.integers(1, 4))
    step, rim = (right - left) / count, (0, 0, 0) if rng.random() < 0.3 else None
    for i in range(count):
        for k in range(kinds):
            h, w = rng.uniform(0.05, 1) * (bottom - top), step * 0.8 / kinds
            sheet.box(left + i * step + k * w, bottom - h, w, h, inks[k], rim)


def _lines(rng: np.random.Generator, sheet: Sheet, inks: list[Ink], box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    x = np.linspace(left, right, int(rng.integers(5, 60)))
    for ink in inks[: rng.integers(1, 5)]:
        y = np.clip(rng.uniform(top, bottom) + rng.normal(0, (bottom - top) / 12, len(x)).cumsum(), top, bottom)
        way = np.stack([x, y], -1)
        if rng.random() < 0.3:
            sheet.polygon([(left, bottom), *way.tolist(), (right, bottom)], (*ink, 110))
        sheet.line(way, ink, rng.uniform(0.7, 3))
        if rng.random() < 0.4:
            for at, height in way.tolist():
                sheet.disc(at, height, 2.5, 2.5, ink, (255, 255, 255))


def _scatter(rng: np.random.Generator, sheet: Sheet, inks: list[Ink], box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    for ink in inks[: rng.integers(1, 5)]:
        centre, spread, r = rng.uniform((left, top), (right, bottom)), rng.uniform(3, 30), rng.uniform(1, 4)
        for x, y in rng.normal(centre, spread, (int(rng.integers(5, 50)), 2)).tolist():
            sheet.disc(x, y, r, r, (*ink, 170))


def _pie(rng: np.random.Generator, sheet: Sheet, inks: list[Ink], paper: Ink) -> None:
    (x, y), r = sheet.extent * rng.uniform(0.35, 0.65, 2), sheet.extent * rng.uniform(0.25, 0.45)
    ends = np.concatenate([[0], rng.random(int(rng.integers(2, 8))).cumsum()])
    ends *= 2 * np.pi / ends[-1]
    rim = paper if rng.random() < 0.6 else None
    for i in range(len(ends) - 1):
        t = np.linspace(ends[i], ends[i + 1], 24)
        arc = np.stack([x + r * np.cos(t), y + r * np.sin(t)], -1)
        sheet.polygon([(x, y), *arc.tolist()], inks[i % len(inks)], rim, 1.5)
    if rng.random() < 0.4:
        sheet.disc(x, y, r * 0.5, r * 0.5, paper)


def _legend(rng: np.random.Generator, sheet: Sheet, hand: Hand, inks: list[Ink], ink: Ink) -> None:
    size = hand.size / sheet.grain
    x, y = (rng.uniform(0.1, 0.7, 2) * sheet.extent).tolist()
    sheet.box(x - 3, y - 3, 60 + size, len(inks) * size * 1.3 + 6, (255, 255, 255, 230), GRAY)
    for k, each in enumerate(inks):
        sheet.box(x, y + k * size * 1.3 + 2, size * 0.7, size * 0.7, each)
        sheet.text(hand, x + size, y + k * size * 1.3, hand.word(rng)[:8], (0, 0, 0))


def diagram(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Boxes and ellipses with words in them, joined by arrows."""
    grain = int(rng.integers(1, 4))
    paper, ink = _paper(rng)
    sheet = Sheet(rng, len(photograph), paper, grain)
    e, inks, size = sheet.extent, palette(rng, 4), rng.uniform(7, 15)
    hand, width = fonts.hand(rng, size * grain), rng.uniform(0.7, 2.5)
    pitch = rng.uniform(4, 7) * size
    rows = int(e / pitch) + 1
    places = [(x * pitch, y * pitch) for y in range(rows) for x in range(rows)]
    for (x0, y0), k in zip(places, rng.integers(3, size=len(places)).tolist(), strict=True):
        x1, y1 = x0 + pitch * (k != 1), y0 + pitch * (k != 0)
        way = [(x0, y0), (x1, y1)] if rng.random() < 0.6 else [(x0, y0), (x1, y0), (x1, y1)]
        sheet.line(way, ink, width)
        x, y = (x0 + 0.6 * (x1 - x0), y0 + 0.6 * (y1 - y0))
        sheet.polygon([(x - 3, y - 3), (x + 4, y), (x - 3, y + 3)], ink)
    for x, y in places:
        word, fill = hand.word(rng), inks[rng.integers(4)]
        w = max(hand.length(word) / grain + size, 2 * size)
        if rng.random() < 0.7:
            sheet.box(x - w / 2, y - size, w, 2 * size, fill, ink, width, radius=size * float(rng.choice([0, 0.5])))
        else:
            sheet.disc(x, y, w * 0.6, 1.3 * size, fill, ink, width)
        sheet.text(hand, x - w / 2 + size / 2, y - size * 0.6, word, contrast(rng, fill))
    return sheet.pixels()
