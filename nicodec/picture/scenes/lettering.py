"""Lettering: texts of many fonts, sizes and colours on paper, on slopes of colour and on the photograph.

One kind of scene, beside the others; `draw` goes through it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nicodec.picture.scenes.fonts import Fonts, Hand
from nicodec.picture.scenes.pens import Ink, Pixels, contrast, hue, palette, slope, vivid

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def page(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Texts on paper: printed pages, posters, labels."""
    side = len(photograph)
    kind = rng.random()
    if kind < 0.35:
        ground = (255,) * 3 if rng.random() < 0.5 else hue(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.8, 1))
    else:
        ground = palette(rng, 1)[0] if kind < 0.7 else BLACK
    paper = Image.new("RGB", (side, side), ground)
    if rng.random() < 0.3:
        paper = slope(rng, side, palette(rng, 3))
        ground = _mean(paper)
    for _ in range(rng.choice(3, p=(0.7, 0.2, 0.1)) + 1):
        paper = _write(rng, paper, fonts, contrast(rng, ground), plate=False)
    return _camera(rng, np.array(paper)) if rng.random() < 0.3 else np.array(paper)


def overlay(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Texts on the photograph: titles, signs, subtitles, stamps; with shadows, outlines or plates."""
    paper = Image.fromarray(photograph)
    if rng.random() < 0.2:
        paper = paper.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 6)))
    if rng.random() < 0.2:
        paper = paper.point([int(i * 0.4) for i in range(256)] * 3)
    for _ in range(rng.integers(1, 3)):
        ink = vivid(rng) if rng.random() < 0.35 else contrast(rng, _mean(paper))
        paper = _write(rng, paper, fonts, ink, plate=rng.random() < 0.35)
    return _camera(rng, np.array(paper)) if rng.random() < 0.2 else np.array(paper)


def caption(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """One text over the photograph, which stays as it is around the letters."""
    paper = Image.fromarray(photograph)
    return np.array(
        _write(rng, paper, fonts, vivid(rng) if rng.random() < 0.35 else contrast(rng, _mean(paper)), plate=False)
    )


def _mean(paper: Image.Image) -> Ink:
    colour = paper.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return colour if isinstance(colour, tuple) else (128,) * 3


def _write(rng: np.random.Generator, paper: Image.Image, fonts: Fonts, ink: Ink, *, plate: bool) -> Image.Image:
    """One block of text, with what lies under it: a plate, a shadow, an outline."""
    side = paper.width
    size = float(np.exp(rng.uniform(np.log(6), np.log(90))))
    grain = 1 if size > 45 or rng.random() < 0.5 else 2
    # Small letters fill their part of the patch; large ones are a word or two.
    letters, ground = _block(rng, side, fonts.hand(rng, size * grain), grain)
    angle = 0.0 if rng.random() < 0.6 else rng.normal(0, 8) if rng.random() < 0.6 else rng.uniform(-180, 180)
    slant = 0.0 if rng.random() < 0.85 else rng.uniform(-0.4, 0.4)
    letters = _turn(letters, angle, slant).reduce(grain)
    paper = paper.copy()
    if plate:
        ground = _turn(ground, angle, slant).reduce(grain)
        base = palette(rng, 1)[0]
        share = float(rng.choice([1, rng.uniform(0.3, 0.9)]))
        paper.paste(base, (0, 0), ground.point([int(share * i) for i in range(256)]))
        ink = contrast(rng, base)
    elif size > 10 and rng.random() < 0.5:
        _underlay(rng, paper, letters, size, contrast(rng, ink))
    if size > 20 and rng.random() < 0.2:
        paper.paste(slope(rng, side, [ink, *palette(rng, 2)]), (0, 0), letters)
    else:
        opacity = 1.0 if rng.random() < 0.85 else rng.uniform(0.3, 0.9)
        paper.paste(ink, (0, 0), letters.point([int(opacity * i) for i in range(256)]) if opacity < 1 else letters)
    return paper


def _underlay(rng: np.random.Generator, paper: Image.Image, letters: Image.Image, size: float, ink: Ink) -> None:
    """A shadow or an outline in another ink."""
    if rng.random() < 0.5:
        soft = letters.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.1 * size)))
        paper.paste(ink if rng.random() < 0.3 else BLACK, tuple(rng.integers(-3, 4, 2).tolist()), soft)
    else:
        paper.paste(ink, (0, 0), letters.filter(ImageFilter.MaxFilter(3 if size < 25 else 5)))


def _block(rng: np.random.Generator, side: int, hand: Hand, grain: int) -> tuple[Image.Image, Image.Image]:
    """Lines of text, and the plate that they stand on, as masks L of grain times the side."""
    whole = side * grain
    letters, ground = Image.new("L", (whole, whole)), Image.new("L", (whole, whole))
    pen, under = ImageDraw.Draw(letters), ImageDraw.Draw(ground)
    step = hand.size * rng.uniform(1.0, 1.9)
    lines = int(rng.integers(1, 3 + int(whole / step))) if rng.random() < 0.6 else 1 + int(whole / step)
    top = rng.uniform(-0.5, 0.5) * hand.size if lines * step > whole else rng.uniform(0, whole - lines * step)
    left = rng.uniform(-0.5, 0.3) * min(whole, 6 * hand.size)
    width = whole * rng.uniform(0.4, 1.2)
    middle = rng.random() < 0.3
    stroke = 0 if hand.size < 14 or rng.random() < 0.85 else max(1, int(hand.size / 16))
    for i in range(lines):
        text = hand.line(rng, width)
        x = left + (0.5 * (width - hand.length(text)) if middle else 0)
        hand.write(pen, (x, top + i * step), text, 255, stroke)
        if rng.random() < 0.03:
            pen.line((x, top + i * step + hand.size * 1.1, x + width, top + i * step + hand.size * 1.1), 255, grain)
    pad = hand.size * rng.uniform(0.1, 0.6)
    box = (left - pad, top - pad, left + width + pad, top + lines * step + pad)
    under.rounded_rectangle(box, hand.size * rng.uniform(0, 0.6), 255)
    return letters, ground


def _turn(mask: Image.Image, angle: float, slant: float) -> Image.Image:
    if not angle and not slant:
        return mask
    a, c = np.deg2rad(angle), mask.width / 2
    turn = np.array([[np.cos(a), np.sin(a) + slant], [-np.sin(a), np.cos(a)]])
    shift = c - turn @ np.array([c, c])
    rows = np.column_stack([turn, shift]).ravel().tolist()
    return mask.transform(mask.size, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)


def _camera(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """As if photographed: uneven light, a little softness and noise."""
    side = len(pixels)
    light = np.asarray(slope(rng, side, [(c, c, c) for c in rng.integers(120, 256, 3).tolist()]), np.float32) / 255
    soft = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    noise = rng.standard_normal((side, side, 1), np.float32) * np.float32(rng.uniform(0, 5))
    result: Pixels = np.clip(np.asarray(soft, np.float32) * light + noise, 0, 255).astype(np.uint8)
    return result
