"""Windows and menus, as on screens: bars, lists, forms, tables and code, in light and dark themes.

One kind of scene, beside the others; `draw` goes through it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from nicodec.picture.scenes.fonts import Fonts, Hand
from nicodec.picture.scenes.pens import Ink, Pixels, Sheet, contrast, hue, palette, slope, vivid


@dataclass(frozen=True)
class Theme:
    """The colours of a screen: ground, raised ground, text, faint lines, and what is chosen."""

    ground: Ink
    raised: Ink
    ink: Ink
    faint: Ink
    chosen: Ink


def _theme(rng: np.random.Generator) -> Theme:
    dark, h, s = rng.random() < 0.45, rng.random(), rng.uniform(0, 0.25)
    v = rng.uniform(0.05, 0.25) if dark else rng.uniform(0.88, 1)
    step = 0.08 if dark else -0.07
    ink = hue(h, s / 3, rng.uniform(0.75, 1) if dark else rng.uniform(0, 0.3))
    return Theme(hue(h, s, v), hue(h, s, v + step), ink, hue(h, s, v + 3 * step), vivid(rng))


def window(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """A screen with one to three windows over a plain ground, a slope or the photograph."""
    side = len(photograph)
    grain = 1 if rng.random() < 0.75 else 2
    paper: Ink | Image.Image = palette(rng, 1)[0]
    if rng.random() < 0.4:
        paper = Image.fromarray(photograph) if rng.random() < 0.5 else slope(rng, side, palette(rng, 2))
    sheet, theme = Sheet(rng, side, paper, grain), _theme(rng)
    size = float(rng.choice([8, 10, 11, 12, 13, 14, 16, 20]))
    hand = fonts.hand(rng, size * grain)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.integers(-side // 2, side // 2, 2).tolist()
        w, h = rng.integers(side // 2, 2 * side, 2).tolist()
        radius, bar = float(rng.choice([0, 0, 4, 8])), round(size * 2)
        sheet.box(x + 3, y + 4, w, h, (0, 0, 0, 60), radius=radius)
        sheet.box(x, y, w, h, theme.ground, theme.faint, 1, radius)
        sheet.box(x, y, w, bar, theme.raised, radius=radius)
        sheet.text(hand, x + size, y + size / 3, hand.line(rng, w * grain / 3), theme.ink)
        for k in range(3):
            ink = vivid(rng) if radius else theme.ink
            sheet.disc(x + w - size * (1 + 1.4 * k), y + bar / 2, size * 0.4, size * 0.4, ink)
        body = (_list, _form, _table, _code)[rng.integers(4)]
        body(rng, sheet, hand, theme, (x + 6, y + bar + 4, w - 12, h - bar - 8))
    return sheet.pixels()


Area = tuple[float, float, float, float]


def _list(rng: np.random.Generator, sheet: Sheet, hand: Hand, theme: Theme, area: Area) -> None:
    """Rows of an icon and a text, one of them chosen; now and then lines between them."""
    x, y, w, h = area
    size = hand.size / sheet.grain
    step, ruled = round(size * rng.uniform(1.4, 2.6)), rng.random() < 0.3
    chosen = int(rng.integers(8))
    for i in range(int(min(h, 2 * sheet.side) / step)):
        top = y + i * step
        if i == chosen:
            sheet.box(x, top, w, step, theme.chosen, radius=float(rng.choice([0, 3])))
        if ruled:
            sheet.line([(x, top), (x + w, top)], theme.faint, 1)
        sheet.box(x + 3, top + 3, step - 6, step - 6, palette(rng, 1)[0], radius=2)
        ink = contrast(rng, theme.chosen) if i == chosen else theme.ink
        sheet.text(
            hand,
            x + step + 3,
            top + (step - size) / 2 - 1,
            hand.line(rng, w * sheet.grain * rng.uniform(0.1, 0.6)),
            ink,
        )


def _form(rng: np.random.Generator, sheet: Sheet, hand: Hand, theme: Theme, area: Area) -> None:
    """Buttons, fields, check boxes, sliders."""
    x, y, w, h = area
    size = hand.size / sheet.grain
    step = round(size * rng.uniform(2, 3))
    for i in range(int(min(h, 2 * sheet.side) / step)):
        top, kind, text = y + i * step, rng.integers(4), hand.line(rng, w * sheet.grain * 0.3)
        long, tall = hand.length(text) / sheet.grain, step * 0.75
        if kind == 0:
            fill = theme.chosen if rng.random() < 0.4 else theme.raised
            sheet.box(x, top, long + 2 * size, tall, fill, theme.faint, 1, radius=float(rng.choice([0, 3, tall / 2])))
            sheet.text(hand, x + size, top + (tall - size) / 2 - 1, text, contrast(rng, fill))
        elif kind == 1:
            sheet.text(hand, x, top + 2, text, theme.ink)
            sheet.box(x + long + size, top, w - long - size, tall, theme.ground, theme.faint)
            sheet.text(hand, x + long + size + 3, top + 2, hand.word(rng), theme.ink)
        elif kind == 2:
            sheet.box(x, top, size, size, theme.ground, theme.ink)
            if rng.random() < 0.5:
                ways = [(x + 2, top + size / 2), (x + size / 2, top + size - 3), (x + size - 2, top + 2)]
                sheet.line(ways, theme.chosen, 2)
            sheet.text(hand, x + 1.6 * size, top - 1, text, theme.ink)
        else:
            at = x + w * rng.random()
            sheet.box(x, top + size / 2, w, 3, theme.faint)
            sheet.box(x, top + size / 2, at - x, 3, theme.chosen)
            sheet.disc(at, top + size / 2 + 1, size / 2, size / 2, theme.chosen, theme.ground)


def _table(rng: np.random.Generator, sheet: Sheet, hand: Hand, theme: Theme, area: Area) -> None:
    """Cells with words and numbers, a head, rules or banded rows."""
    x, y, w, h = area
    size = hand.size / sheet.grain
    step, columns = round(size * rng.uniform(1.4, 2.2)), int(rng.integers(2, 7))
    wide = max(3 * size, w / columns)
    banded = rng.random() < 0.5
    for i in range(int(min(h, 2 * sheet.side) / step)):
        top = y + i * step
        if i == 0 or (banded and i % 2):
            sheet.box(x, top, w, step, theme.chosen if i == 0 and rng.random() < 0.3 else theme.raised)
        if not banded:
            sheet.line([(x, top), (x + w, top)], theme.faint, 1)
        for k in range(int(w / wide)):
            sheet.text(
                hand, x + k * wide + 3, top + (step - size) / 2 - 1, hand.word(rng)[: int(wide / size * 1.6)], theme.ink
            )
    if not banded:
        for k in range(int(w / wide) + 1):
            sheet.line([(x + k * wide, y), (x + k * wide, y + h)], theme.faint, 1)


def _code(rng: np.random.Generator, sheet: Sheet, hand: Hand, theme: Theme, area: Area) -> None:
    """Lines with indents, numbers in a margin, and words in the colours of a syntax."""
    x, y, _, h = area
    size = hand.size / sheet.grain
    inks = [theme.ink, theme.ink, *(contrast(rng, theme.ground) for _ in range(2)), vivid(rng)]
    step, indent, numbered = round(size * rng.uniform(1.2, 1.7)), 0, rng.random() < 0.5
    for i in range(int(min(h, 2 * sheet.side) / step)):
        indent = max(0, min(4, indent + int(rng.integers(-1, 2))))
        at = x + (3 * size if numbered else 0) + indent * 2 * size
        if numbered:
            sheet.text(hand, x, y + i * step, str(i + 87), theme.faint)
        for _ in range(int(rng.integers(0, 7))):
            word = hand.word(rng) + ("", "", "(", ")", " =", ";", ".", "{", "}")[rng.integers(9)]
            sheet.text(hand, at, y + i * step, word, inks[rng.integers(len(inks))])
            at += hand.length(word + " ") / sheet.grain
