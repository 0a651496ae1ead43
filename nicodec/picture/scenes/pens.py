"""What scenes are drawn with: colours, slopes of colours, and sheets of which the patch shows a part.

Under the kinds of scenes, over Pillow.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nicodec.picture.scenes.fonts import Hand

Pixels: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Ink: TypeAlias = tuple[int, ...]


def hue(h: float, s: float, v: float) -> Ink:
    """A colour from hue, saturation and value, each in [0, 1]; a hue may lie outside and goes round."""
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(h % 1, min(1, max(0, s)), min(1, max(0, v))))


def vivid(rng: np.random.Generator) -> Ink:
    """A saturated colour."""
    return hue(rng.random(), rng.uniform(0.7, 1), rng.uniform(0.7, 1))


def palette(rng: np.random.Generator, count: int) -> list[Ink]:
    """Colours that go together: near in hue, or of all hues; pale, full, dark or gray."""
    start, spread = rng.random(), rng.choice([0.1, 0.4, 1])
    low, high = ((0.1, 0.4), (0.5, 1), (0.3, 0.7), (0, 0.08))[rng.choice(4, p=(0.25, 0.4, 0.25, 0.1))]
    values = rng.uniform(0.15, 1, count) ** rng.choice([0.5, 1])
    hues = start + spread * rng.random(count)
    return [hue(h, s, v) for h, s, v in zip(hues, rng.uniform(low, high, count), values, strict=True)]


def contrast(rng: np.random.Generator, paper: Ink) -> Ink:
    """An ink that can be read on a paper: black, white, or a colour that is much lighter or darker."""
    dark = 0.3 * paper[0] + 0.59 * paper[1] + 0.11 * paper[2] < 128
    if rng.random() < 0.4:
        return (255, 255, 255) if dark else (0, 0, 0)
    return hue(
        rng.random(), rng.uniform(0, 1) * (0.6 if dark else 1), rng.uniform(0.85, 1) if dark else rng.uniform(0, 0.5)
    )


def slope(rng: np.random.Generator, side: int, inks: Sequence[Ink]) -> Image.Image:
    """Colours that pass into one another: from edge to edge, or as clouds. RGB, side x side."""
    shape = [(1, 2), (2, 1), (2, 2), (1, 3), (3, 3), (4, 4)][rng.integers(6)]
    grid = np.array([inks[i] for i in rng.integers(len(inks), size=shape[0] * shape[1])], np.uint8)
    small = Image.fromarray(grid.reshape(*shape, -1)[..., :3])
    # The middle of what is drawn larger, so that the flat rims of the first and last colour stay outside.
    h, w = shape
    return small.resize((side, side), Image.Resampling.BICUBIC, box=(0.3, 0.3, w - 0.3, h - 0.3))


def blob(rng: np.random.Generator, x: float, y: float, radius: float, rough: float) -> Floats:
    """A closed, smooth outline (48, 2) round a place. rough: 0 is a circle."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = np.arange(2, 6)[:, None]
    bumps = (rng.normal(0, rough, (4, 1)) / waves * np.cos(waves * t + rng.uniform(0, 6, (4, 1)))).sum(0)
    r = radius * (1 + bumps)
    return np.stack([x + r * np.cos(t), y + r * np.sin(t) * rng.uniform(0.5, 1)], -1)


def smooth(points: Floats) -> Floats:
    """A line (N, 2) with its corners cut off three times."""
    for _ in range(3):
        a, b = points[:-1], points[1:]
        points = np.concatenate([points[:1], np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, 2)])
    return points


def walk(rng: np.random.Generator, extent: float, count: int, turn: float = 0.6) -> Floats:
    """A way through a scene, as corners (count, 2). turn: the spread of the turns, in radians."""
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, turn, count))
    steps = extent * rng.uniform(0.1, 0.4) * np.stack([np.cos(headings), np.sin(headings)], -1)
    way: Floats = rng.uniform(0, extent, 2) + np.cumsum(steps, 0) - steps[: count // 2].sum(0)
    return way


class Sheet:
    """A window of side x side pixels on a scene, drawn `grain` times as fine and then reduced.

    A scene is as large as the window or larger, so edges lie anywhere. Coordinates are pixels of the scene.
    """

    def __init__(self, rng: np.random.Generator, side: int, paper: Ink | Image.Image, grain: int) -> None:
        """paper: a colour, or a picture that fills the window."""
        self.side, self.grain = side, grain
        self.extent = side * (rng.uniform(1, 2.5) if rng.random() < 0.5 else 1)
        corner = rng.uniform(0, 1, 2) * (self.extent - side)
        self.corner = np.floor(corner) if grain == 1 else corner
        if isinstance(paper, Image.Image):
            self.image = paper.resize((side * grain,) * 2)
        else:
            self.image = Image.new("RGB", (side * grain,) * 2, paper[:3])
        # This mode lays inks with a fourth sample, their opacity, over what is there.
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def _at(self, points: Any) -> list[float]:
        flat: list[float] = ((np.asarray(points, float).reshape(-1, 2) - self.corner) * self.grain).ravel().tolist()
        return flat

    def polygon(self, points: Any, ink: Ink | None, rim: Ink | None = None, width: float = 0) -> None:
        """points: (N, 2). rim: the ink of the outline."""
        at = self._at(points)
        if ink is not None:
            self.pen.polygon(at, ink)
        if rim is not None:
            self.pen.line([*at, *at[:4]], rim, self._width(width), "curve")

    def line(self, points: Any, ink: Ink, width: float) -> None:
        """points: (N, 2)."""
        self.pen.line(self._at(points), ink, self._width(width), "curve")

    def box(
        self, x: float, y: float, w: float, h: float, ink: Ink | None, rim: Ink | None = None, width: float = 1,
        radius: float = 0,
    ) -> None:  # fmt: skip
        """A rectangle whose corners may be round."""
        if w > 0 and h > 0:
            x0, y0, x1, y1 = self._at([(x, y), (x + w, y + h)])
            edge = 0 if rim is None else self._width(width)
            end = 1 if self.grain == 1 else 0
            self.pen.rounded_rectangle(
                (x0, y0, max(x0, x1 - end), max(y0, y1 - end)), radius * self.grain, ink, rim, edge
            )

    def disc(
        self, x: float, y: float, rx: float, ry: float, ink: Ink | None, rim: Ink | None = None, width: float = 1
    ) -> None:
        """An ellipse round a place."""
        at = self._at([(x - rx, y - ry), (x + rx, y + ry)])
        self.pen.ellipse(at, ink, rim, 0 if rim is None else self._width(width))

    def text(self, hand: Hand, x: float, y: float, text: str, ink: Ink) -> None:
        """hand: of `grain` times the size."""
        left, top = self._at((x, y))
        if left < self.side * self.grain and top < self.side * self.grain:
            hand.write(self.pen, (left, top), text, ink)

    def _width(self, width: float) -> int:
        return max(1, round(width * self.grain))

    def pixels(self) -> Pixels:
        """The patch (side, side, 3)."""
        return np.array(self.image if self.grain == 1 else self.image.reduce(self.grain))
