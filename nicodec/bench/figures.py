"""The plot of a benchmark: rate against distortion.

Under `report`: curves in, the bytes of a PNG out; it touches no file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from nicodec import extras
from nicodec.picture.metrics import msssim_db

_RATES = (0.0, 2.0)  # the range of bits per pixel that is shown
_INK, _FAINT = "#22262b", "#8a929c"
_COLOURS = {
    "jpeg": "#8c564b",
    "jpeg-444": "#c49c94",
    "webp": "#2a9d8f",
    "avif": "#e07b00",
    "avif-iq": "#f0b060",
    "jpeg2000": "#7a5cc2",
    "jxl": "#3a7fc8",
    "nicodec": "#d3123b",
}


class _Point(Protocol):
    @property
    def bpp(self) -> float: ...
    @property
    def psnr(self) -> float: ...
    @property
    def msssim(self) -> float | None: ...


class _Curve(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def points(self) -> Sequence[_Point]: ...


def rd_plot(curves: Sequence[_Curve], title: str) -> bytes:
    """PNG of two panels, PSNR and MS-SSIM in dB against bits per pixel, with a label at the end of each curve.

    Curves whose source is "published" are dashed. Raises MissingExtra where matplotlib is not installed.
    """
    figure = extras.load("matplotlib.figure", "bench", "the plot").Figure(
        figsize=(13, 6), dpi=150, layout="constrained"
    )
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, color=_INK)
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("PSNR (RGB)", "MS-SSIM"), strict=True):
        labels: list[_Label] = []
        shown: list[float] = []
        for curve in curves:
            pairs = [(p.bpp, _decibels(p, name)) for p in curve.points]
            line = sorted((x, y) for x, y in pairs if y is not None and y < 100)
            if not line:
                continue
            own, published = curve.name == "nicodec", curve.source == "published"
            colour = _COLOURS.get(curve.name.split(":")[0], _FAINT)
            axes.plot(
                *zip(*line, strict=True), color=colour, zorder=3 if own else 2,
                linewidth=2.6 if own else 1.4, linestyle=(0, (5, 3)) if published else "-",
                marker=None if published else "o", markersize=4.5 if own else 2.6,
            )  # fmt: skip
            line = _until(line, _RATES[1])
            shown += [y for _, y in line]
            labels.append(_Label(curve.label, colour, own, line[-1], _height(line, _RATES[1])))
        axes.set_xlim(_RATES)
        if shown:
            # Codecs that break down at low rates have very low points, which would flatten all curves.
            high = max(shown)
            axes.set_ylim(max(min(shown) - 0.5, high - 18), high + 0.5)
        axes.set_title(f"{name}, dB", loc="left", fontsize=11, color=_INK)
        axes.set_xlabel("bits per pixel", color=_INK)
        axes.grid(color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_INK, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(_FAINT)
        _write(axes, labels)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _decibels(point: _Point, panel: str) -> float | None:
    if panel != "MS-SSIM":
        return point.psnr
    return None if point.msssim is None else msssim_db(point.msssim)


def _until(line: Sequence[tuple[float, float]], limit: float) -> list[tuple[float, float]]:
    """A rising line, cut off at the right side of the panel."""
    inside = [(x, y) for x, y in line if x <= limit]
    beyond = [point for point in line if point[0] > limit]
    if inside and beyond:
        inside.append((limit, _height([inside[-1], beyond[0]], limit)))
    return inside or [line[0]]


def _height(line: Sequence[tuple[float, float]], at: float) -> float:
    """The height at a rate of the straight line through the last two points; it orders the labels."""
    x1, y1 = line[-1]
    x0, y0 = line[-2] if len(line) > 1 else (x1 - 1, y1)
    return y1 + (y1 - y0) * (at - x1) / (x1 - x0) if x1 > x0 else y1


class _Label(NamedTuple):
    text: str
    colour: str
    own: bool
    end: tuple[float, float]
    height: float


def _write(axes: Any, labels: Sequence[_Label]) -> None:
    """Draw the names to the right of the panel, in the order of the curves, moved apart until none overlap."""
    low, high = axes.get_ylim()
    step = (high - low) * 0.042
    ordered = sorted(labels, key=lambda label: label.height)
    heights = [label.height for label in ordered]
    for _ in range(200):
        heights = [min(max(height, low), high) for height in heights]
        for i in range(len(heights) - 1):
            overlap = step - (heights[i + 1] - heights[i])
            if overlap > 1e-9:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    for label, height in zip(ordered, heights, strict=True):
        axes.annotate(
            label.text, xy=label.end, xytext=(_RATES[1] * 1.025, height), annotation_clip=False, va="center",
            fontsize=10.5 if label.own else 9, fontweight="bold" if label.own else "normal",
            color=label.colour, arrowprops={"arrowstyle": "-", "color": label.colour,
                                            "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip
