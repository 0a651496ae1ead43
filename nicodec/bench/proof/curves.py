"""Curves of rate and distortion -> SVG for the page: lines, ticks, names at the ends; colours are those of its style.

Under `page`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from nicodec.bench.coders import FURTHER
from nicodec.bench.proof.numbers import OWN, PHOTO, Line

# In units of the drawing; the right margin holds the names.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 370, 30, 112, 22, 34
# Least distance of two names, and the range under the model's own PSNR that is shown, in dB.
APART, BELOW = 15, 3.0
_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def svg(lines: Sequence[Line], title: str) -> str:
    """The drawing. Rates are drawn over a logarithm, so that equal distances are equal shares of bits."""
    found = {line.name: [p for p in line.points if p[0] > 0 and math.isfinite(p[1])] for line in lines}
    own = found.get(OWN) or [p for points in found.values() for p in points]
    if not own:
        return ""
    low = math.floor(min(y for _, y in own) - BELOW)
    # A curve below the picture is left out; one that leaves it is cut off.
    found = {name: [p for p in points if p[1] >= low] for name, points in found.items()}
    shown = [p for points in found.values() for p in points]
    high = math.ceil(max(y for _, y in shown))
    first, last = math.log(min(x for x, _ in shown) * 0.95), math.log(max(x for x, _ in shown) * 1.05)

    def place(rate: float, psnr: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (math.log(rate) - first) / max(last - first, 1e-6)
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (high - psnr) / max(high - low, 1)

    parts = _grid(first, last, low, high, place)
    names = list[tuple[float, str, str]]()
    for line in sorted(lines, key=lambda line: line.name == OWN):  # its own curve lies above the others
        if points := found[line.name]:
            places = [place(*point) for point in points]
            kind = style(line, lines)
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline class="{kind}" points="{path}"/>')
            parts += [f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places]
            names.append((places[-1][1], line.label.partition(",")[0], kind))
    for y, name, kind in _apart(names):
        text = html.escape(name if len(name) <= 16 else name[:15] + "…")
        parts.append(f'<text class="name {kind}" x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}">{text}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">' + "".join(parts) + "</svg>"
    )


def style(line: Line, lines: Sequence[Line]) -> str:
    """The class of a line in the style of the page."""
    if line.name == PHOTO:
        return "photo"
    further = line.name.startswith(FURTHER)
    return "own" if line.name == OWN else "start" if further else line.name.replace(":", "-")


def _grid(first: float, last: float, low: int, high: int, place: object) -> list[str]:
    assert callable(place)
    parts, step = list[str](), max(1, round((high - low) / 6))
    for psnr in range(-(-low // step) * step, high + 1, step):
        _, y = place(1.0, psnr)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{psnr}</text>')
    for rate in _RATES:
        if first <= math.log(rate) <= last:
            x, _ = place(rate, low)
            y = HEIGHT - BOTTOM
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y}"/>')
            parts.append(f'<text x="{x:.1f}" y="{y + 14}" text-anchor="middle">{rate:g}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">bits per pixel</text>')
    parts.append('<text x="0" y="12">PSNR in dB</text>')
    return parts


def _apart(names: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """The names from top to bottom, moved until none overlap."""
    ordered = sorted(names)
    heights = [y for y, _, _ in ordered]
    for _ in range(200):
        heights = [min(max(y, TOP + 6), HEIGHT - BOTTOM - APART) for y in heights]
        for i in range(len(heights) - 1):
            overlap = APART - (heights[i + 1] - heights[i])
            if overlap > 1e-6:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    return [(y, name, kind) for y, (_, name, kind) in zip(heights, ordered, strict=True)]
