"""Lights: neon, lamps, stars, lit windows and bokeh on the dark, and textures of full colours.

One kind of scene, beside the others; `draw` goes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from nicodec.picture.scenes.fonts import Fonts
from nicodec.picture.scenes.pens import Ink, Pixels, Sheet, blob, hue, palette, slope, smooth, vivid, walk

Light: TypeAlias = npt.NDArray[np.float32]


def neon(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Glowing tubes and letters, one to three colours."""
    side = len(photograph)
    scene = _night(rng, photograph)
    for _ in range(rng.integers(1, 4)):
        mask = _letters(rng, side, fonts) if rng.random() < 0.5 else _tubes(rng, side)
        ink = vivid(rng) if rng.random() < 0.85 else hue(rng.random(), 0.3, 1)
        reach = float(np.exp(rng.uniform(np.log(1), np.log(side / 8))))
        core = np.asarray(mask, np.float32)[..., None] / 255
        halo = _glow(core, ((0.5, 0.3 * reach), (0.7, reach), (0.6, 3 * reach)))
        white = rng.uniform(0, 0.9)
        scene += np.float32(rng.uniform(0, 1.2)) * halo * np.array(ink, np.float32)
        scene += core * (np.array(ink, np.float32) * (1 - white) + 255 * white - 0.7 * scene)
    return _seen(rng, scene)


def _letters(rng: np.random.Generator, side: int, fonts: Fonts) -> Image.Image:
    """Letters as a mask L, full or as outlines."""
    size = float(np.exp(rng.uniform(np.log(9), np.log(70))))
    grain = 1 if size > 40 else 2
    hand = fonts.hand(rng, size * grain)
    canvas = Image.new("L", (side * grain,) * 2)
    pen = ImageDraw.Draw(canvas)
    hollow = size > 18 and rng.random() < 0.5
    for top in np.arange(rng.uniform(-0.5, 0.8) * size, side, size * rng.uniform(1.1, 2.5))[: rng.integers(1, 6)]:
        at, text = (rng.uniform(-0.5, 0.2) * side * grain, top * grain), hand.line(rng, side * grain)
        hand.write(pen, at, text, 255, max(1, round(size * grain / 18)) if hollow else 0)
        if hollow:
            hand.write(pen, at, text, 0)
    return canvas.reduce(grain) if grain > 1 else canvas


def _tubes(rng: np.random.Generator, side: int) -> Image.Image:
    """Lines, curves, rings and frames as a mask L."""
    sheet = Sheet(rng, side, (0, 0, 0), 2)
    e, width, white = sheet.extent, rng.uniform(0.7, 5), (255, 255, 255)
    for _ in range(rng.integers(1, 9)):
        kind, (x, y), r = rng.integers(5), rng.uniform(0, e, 2), rng.uniform(0.05, 0.4) * e
        if kind == 0:
            sheet.line(smooth(walk(rng, e, 6)), white, width)
        elif kind == 1:
            sheet.disc(x, y, r, r, None, white, width)
        elif kind == 2:
            sheet.box(x - r, y - r / 2, 2 * r, r, None, white, width, radius=rng.choice([0, r / 4]))
        elif kind == 3:
            sheet.polygon(blob(rng, x, y, r, rng.uniform(0, 0.8)), None, white, width)
        else:
            sheet.line(rng.uniform(0, e, (2, 2)), white, width)
    return sheet.image.getchannel(0).reduce(2)


def points(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Bright points with halos: stars, a city from afar, fairy lights, lamps with rays."""
    side = len(photograph)
    scene = _night(rng, photograph)
    inks = [vivid(rng), *palette(rng, 2), (255, 255, 255), hue(rng.uniform(0.05, 0.15), rng.uniform(0.2, 0.9), 1)]
    inks = inks[rng.integers(3) :]
    sparks = np.zeros((side, side, 3), np.float32)
    count = int(np.exp(rng.uniform(np.log(12), np.log(side * side / 20))))
    y, x = (rng.integers(side, size=count) for _ in range(2))
    if rng.random() < 0.3:  # in rows, as along streets
        pitch = rng.uniform(5, 40)
        y = (y // pitch * pitch + x * rng.uniform(-0.3, 0.3)).astype(int) % side
    power = rng.pareto(rng.uniform(0.8, 2.5), count).clip(0, 12)
    np.add.at(sparks, (y, x), np.array(inks, np.float32)[rng.integers(len(inks), size=count)] * power[:, None])
    width = float(rng.choice([0.35, 0.6, rng.uniform(0.5, 2)]))
    near, far = rng.random(2)
    return _seen(rng, scene + _glow(sparks, ((1 + 4 * width**2, width), (near, 4 * width), (2 * far, 14 * width))))


def bokeh(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Discs of light out of focus, the lit windows of a facade, or a lamp with a wide halo."""
    side = len(photograph)
    kind = rng.random()
    sheet = Sheet(rng, side, Image.fromarray(_night(rng, photograph).clip(0, 255).astype(np.uint8)), 2)
    inks, e = [vivid(rng), *palette(rng, 3), hue(0.1, 0.5, 1)], sheet.extent
    if kind < 0.5:
        size, clear = rng.uniform(2, side / 5), int(rng.integers(40, 160))
        for x, y, s in rng.uniform(0, e, (rng.integers(5, 60), 3)).tolist():
            r, ink = size * (0.5 + s / e), inks[int(s) % len(inks)]
            sheet.disc(x, y, r, r, (*ink, clear), (*ink, min(255, 2 * clear)) if clear < 100 else None, 1)
    elif kind < 0.8:
        w, h = rng.uniform(1.5, 9), rng.uniform(2, 12)
        gap, lit = rng.uniform(1.3, 2.5), rng.uniform(0.1, 0.9)
        for y in np.arange(0, e, h * gap).tolist():
            for x in np.arange(0, e, w * gap)[:40].tolist():
                if rng.random() < lit:
                    sheet.box(x, y, w, h, (*inks[int(x + y) % len(inks)], int(rng.integers(60, 256))))
    else:
        lamps = Sheet(rng, side, (0, 0, 0), 2)
        for x, y in rng.uniform(0, side, (rng.integers(1, 9), 2)).tolist():
            r = rng.uniform(0.5, side / 12)
            lamps.disc(x, y, r, r, inks[int(x) % len(inks)])
            sheet.disc(x, y, r, r, (255, 255, 240))
        glow = _glow(np.array(lamps.image.reduce(2), np.float32), ((1, side / 20), (2, side / 8), (1, side / 3)))
        return _seen(rng, np.asarray(sheet.image.reduce(2), np.float32) + glow)
    picture = sheet.image.reduce(2)
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2)))
    return _seen(rng, np.asarray(picture, np.float32))


def texture(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """Full colours in fine detail: threads, petals, grains, or the photograph in colours far too full."""
    side = len(photograph)
    kind = rng.random()
    if kind < 0.3:
        x = photograph.astype(np.float32)
        gray = x.mean(2, keepdims=True)
        tint = np.array(vivid(rng), np.float32) / 255
        full = gray + (x - gray) * rng.uniform(1.5, 4)
        return (full if rng.random() < 0.6 else x * tint).clip(0, 255).astype(np.uint8)
    inks = [vivid(rng) for _ in range(rng.integers(2, 6))]
    sheet = Sheet(rng, side, slope(rng, side, inks), 2)
    count, width, e = int(rng.integers(30, 220)), float(np.exp(rng.uniform(-0.7, 1.6))), sheet.extent
    places, heading = rng.uniform(0, e, (count, 2)), rng.uniform(0, np.pi)
    if kind < 0.65:  # threads
        turned = heading + rng.normal(0, rng.choice([0, 0.2, 2]), count)
        ways = np.stack([np.cos(turned), np.sin(turned)], -1) * rng.uniform(0.05, 0.5, (count, 1)) * e
        for a, way, i in zip(places, ways, rng.integers(len(inks), size=count).tolist(), strict=True):
            sheet.line((a, a + way), inks[i], width)
    else:  # petals and grains
        r = width * rng.uniform(0.7, 4, (count, 2))
        for (x, y), (a, b), i in zip(
            places.tolist(), r.tolist(), rng.integers(len(inks), size=count).tolist(), strict=True
        ):
            sheet.disc(x, y, a, b, inks[i], (0, 0, 0, 90) if kind < 0.8 else None)
    return sheet.pixels()


def _night(rng: np.random.Generator, photograph: Pixels) -> Light:
    """A dark ground (side, side, 3), in 0 to 255."""
    side, kind = len(photograph), rng.random()
    if kind < 0.4:
        return photograph * np.float32(rng.uniform(0.03, 0.4))
    dark: list[Ink] = [hue(rng.random(), rng.random(), 0.25 * rng.random() ** 2) for _ in range(3)]
    if kind < 0.7:
        return np.asarray(slope(rng, side, dark), np.float32).copy()
    return np.full((side, side, 3), dark[0] if kind < 0.85 else 0, np.float32)


def _glow(light: Light, halos: Sequence[tuple[float, float]]) -> Light:
    """Light (side, side, channels) spread as a sum of Gaussians (share, radius), exact however faint and wide."""
    f2 = np.fft.fftfreq(len(light))[:, None] ** 2 + np.fft.rfftfreq(len(light)) ** 2
    spread = sum(share * np.exp(-2 * np.pi**2 * radius**2 * f2) for share, radius in halos)
    waves = np.fft.rfft2(light, axes=(0, 1)) * np.asarray(spread)[..., None]
    glow: Light = np.fft.irfft2(waves, light.shape[:2], axes=(0, 1)).astype(np.float32)
    return glow


def _seen(rng: np.random.Generator, scene: npt.NDArray[np.floating[Any]]) -> Pixels:
    """A scene of light as a camera shows it; now and then with noise."""
    if rng.random() < 0.4:
        scene = scene + rng.standard_normal(scene.shape, np.float32) * np.float32(rng.uniform(0, 4))
    result: Pixels = np.clip(scene, 0, 255).astype(np.uint8)
    return result
