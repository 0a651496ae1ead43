"""The report of a benchmark: mean curves and BD-rates, as files and as tables in the terminal.

Under `run`, after the measuring: single points in; results.json, points.csv, rd.png and tables out.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from nicodec.bench import figures
from nicodec.bench.coders import Coder, Point
from nicodec.errors import LimitExceeded, NicError
from nicodec.picture import metrics
from nicodec.storage.files import atomic_write, shown

if TYPE_CHECKING:
    from rich.console import Console

REFERENCE = "jpeg"
WINDOW = (0.15, 1.5)
"""Bits per pixel at which people keep photographs. BD-rates are given over all rates, and in this range."""

_MAX_ANCHOR_BYTES = 1 << 24


@dataclass(frozen=True)
class WorstCell:
    """The cell of 16 x 16 pixels with the least PSNR in dB, over all pictures. x, y: its top left corner, in pixels."""

    image: str
    psnr: float
    x: int
    y: int


@dataclass(frozen=True)
class MeanPoint:
    """Means over the pictures at one setting; published curves have neither a setting nor a worst cell."""

    setting: float | None
    bpp: float
    psnr: float
    msssim: float | None
    worst: WorstCell | None = None


@dataclass(frozen=True)
class Curve:
    """One codec in the report."""

    name: str
    label: str
    how: str
    source: str
    """"measured" in this run or "published" elsewhere."""
    points: tuple[MeanPoint, ...]
    encode_s_per_mp: float | None = None
    decode_s_per_mp: float | None = None


@dataclass(frozen=True)
class Comparison:
    """BD-rate of `codec` against `reference`, in percent: of the mean curves, and of single pictures."""

    codec: str
    reference: str
    metric: str
    """"psnr" or "msssim"."""
    window: tuple[float, float] | None
    rate: metrics.BdRate | None
    images: int = 0
    """The number of pictures whose own two curves could be compared."""
    image_mean: float | None = None
    image_worst: float | None = None
    worst_image: str | None = None


@dataclass
class Report:
    """All results of a run. `Report.print` shows them, `Report.write` saves them."""

    conditions: dict[str, Any]
    images: list[dict[str, Any]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def comparison(
        self, codec: str, reference: str, metric: str = "psnr", window: tuple[float, float] | None = None
    ) -> Comparison | None:
        """The comparison with these arguments, or None if it was not made."""
        wanted = (codec, reference, metric, window)
        return next((c for c in self.comparisons if (c.codec, c.reference, c.metric, c.window) == wanted), None)

    def write(self, out: Path) -> list[Path]:
        """Write results.json, points.csv and rd.png into `out`, each replaced whole. Returns their paths."""
        everything = {
            "conditions": self.conditions, "left_out": self.left_out, "images": self.images,
            "curves": [asdict(curve) for curve in self.curves],
            "bd_rates": [asdict(comparison) for comparison in self.comparisons],
        }  # fmt: skip
        table = io.StringIO()
        rows = csv.DictWriter(table, [f.name for f in fields(Point)], lineterminator="\n")
        rows.writeheader()
        rows.writerows(plain(asdict(point)) for point in self.points)
        files = {
            "results.json": (json.dumps(plain(everything), indent=1, allow_nan=False) + "\n").encode(),
            "points.csv": table.getvalue().encode(),
            "rd.png": figures.rd_plot(self.curves, self._title()),
        }
        _make_folder(out)
        for name, data in files.items():
            atomic_write(out / name, data, overwrite=True)
        return [out / name for name in files]

    def _title(self) -> str:
        count = len(self.images)
        return f"{count} photograph{'s' * (count != 1)}, real files, mean over images"

    def print(self, console: Console) -> None:
        """Print three tables for 80 columns.

        They show every codec against JPEG; nicodec against every codec, with times; the worst cell of every codec.
        """
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        window = f"{WINDOW[0]:g}-{WINDOW[1]:g}"
        against_jpeg = ("PSNR", window, "mean of\nimages", "worst\nimage", "MS-SSIM", window)
        ours_and_times = ("PSNR", window, "MS-SSIM", window, "encode\nms/MP", "decode\nms/MP")
        tables = []
        for title, headings in (
            (f"{self._title()}\nBD-rate against JPEG, %, over all rates and {window} bpp", against_jpeg),
            ("BD-rate of nicodec against each, %; wall time", ours_and_times),
            ("worst cell of 16x16 pixels, of all files", ("dB", "setting", "x, y", "image")),
        ):
            table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
            table.add_column("codec", no_wrap=True)
            for heading in headings:
                table.add_column(heading, justify="right", overflow="fold")
            tables.append(table)
        for curve in self.curves:
            label = f"{curve.label} (published)" if curve.source == "published" else curve.label
            style = "bold" if curve.name == "nicodec" else "dim" if curve.source == "published" else ""
            psnr, psnr_window, msssim, msssim_window = self._four(curve.name, REFERENCE)
            images = (psnr.image_mean, psnr.image_worst) if psnr else (None, None)
            cells = [*map(_percent, (psnr, psnr_window)), *map(_signed, images)]
            cells += map(_percent, (msssim, msssim_window))
            tables[0].add_row(label, *cells, style=style)
            times = [_milliseconds(t) for t in (curve.encode_s_per_mp, curve.decode_s_per_mp)]
            tables[1].add_row(label, *map(_percent, self._four("nicodec", curve.name)), *times, style=style)
            found = [(point.worst, point.setting) for point in curve.points if point.worst]
            if found:
                cell, setting = min(found, key=lambda one: one[0].psnr)
                place = f"{cell.x}, {cell.y}"
                tables[2].add_row(label, f"{cell.psnr:.1f}", f"{setting:g}", place, escape(cell.image), style=style)
        console.print(*tables, sep="\n")
        for name, reason in self.left_out.items():
            console.print(f"left out: {name}: {reason}", markup=False)

    def _four(self, codec: str, reference: str) -> list[Comparison | None]:
        return [
            self.comparison(codec, reference, metric, window)
            for metric in ("psnr", "msssim")
            for window in (None, WINDOW)
        ]


def read_anchors(path: Path, names: Sequence[str] | None = None) -> list[Curve]:
    """Published curves from a JSON file, for `run`. Raises NicError naming the file if it is malformed or too large."""
    try:
        if path.stat().st_size > _MAX_ANCHOR_BYTES:
            raise LimitExceeded(f"{shown(path)}: more than {_MAX_ANCHOR_BYTES >> 20} MiB")
        table = json.loads(path.read_bytes())
        if not isinstance(table, dict):
            raise ValueError("not a table of names")
        wanted = [n for n in table if table[n]["source"] == "published"] if names is None else list(names)
        curves = [_anchor(name, table[name]) for name in wanted]
    except KeyError as error:
        raise NicError(f"{shown(path)}: no {error} among its curves") from error
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NicError(f"{shown(path)}: not a file of curves: {error}") from error
    return curves


def _anchor(name: str, entry: dict[str, Any]) -> Curve:
    points = []
    for p in entry["points"]:
        msssim = None if p.get("msssim") is None else float(p["msssim"])
        point = MeanPoint(None, float(p["bpp"]), float(p["psnr"]), msssim)
        if not (0 < point.bpp < 1e3 and 0 < point.psnr < 200 and (msssim is None or 0 <= msssim <= 1)):
            raise ValueError(f"{name}: a point is out of range")
        points.append(point)
    return Curve(name, name.split(":")[-1], str(entry.get("description", "")), "published", tuple(points))


def mean_curve(row: Coder, report: Report) -> Curve:
    """The curve of a codec: the mean over the pictures at each setting, and the median of times for each megapixel."""
    own = [point for point in report.points if point.codec == row.name]
    megapixels = {i["name"]: i["width"] * i["height"] / 1e6 for i in report.images}
    means = []
    for setting in dict.fromkeys(point.setting for point in own):
        at = [point for point in own if point.setting == setting]
        similar = [point.msssim for point in at if point.msssim is not None]
        worst = min(at, key=lambda point: point.worst_psnr)
        means.append(
            MeanPoint(
                setting,
                fmean(p.bpp for p in at),
                fmean(p.psnr for p in at),
                fmean(similar) if similar else None,
                WorstCell(worst.image, worst.worst_psnr, worst.worst_x, worst.worst_y),
            )
        )
    return Curve(
        row.name, row.label, row.how, "measured", tuple(means),
        encode_s_per_mp=median(point.encode_s / megapixels[point.image] for point in own),
        decode_s_per_mp=median(point.decode_s / megapixels[point.image] for point in own),
    )  # fmt: skip


def compare(report: Report) -> list[Comparison]:
    """Every codec against JPEG, and nicodec against every other: in both metrics, over all rates and in `WINDOW`."""
    names = [curve.name for curve in report.curves]
    pairs = [(name, REFERENCE) for name in names if name != REFERENCE and REFERENCE in names]
    if "nicodec" in names:
        pairs += [("nicodec", name) for name in names if name not in ("nicodec", REFERENCE)]
    single: dict[tuple[str, str], list[Point]] = {}
    for point in report.points:
        single.setdefault((point.codec, point.image), []).append(point)
    found = []
    for metric in ("psnr", "msssim"):
        mean_curves = {curve.name: _as_curve(curve.points, metric) for curve in report.curves}
        image_curves = {key: _as_curve(points, metric) for key, points in single.items()}
        for codec, reference in pairs:
            for window in (None, WINDOW):
                rate = metrics.bd_rate(mean_curves[reference], mean_curves[codec], window=window)
                percents: dict[str, float] = {}
                for image in (image["name"] for image in report.images):
                    one, other = image_curves.get((reference, image)), image_curves.get((codec, image))
                    own = metrics.bd_rate(one, other, window=window) if one and other else None
                    if own is not None:
                        percents[image] = own.percent
                spread = _spread(percents)
                found.append(Comparison(codec, reference, metric, window, rate, len(percents), *spread))
    return found


def _spread(percents: dict[str, float]) -> tuple[float | None, float | None, str | None]:
    """The mean, the worst percentage, and the name of its picture; None without pictures."""
    if not percents:
        return None, None, None
    worst = max(percents, key=percents.__getitem__)
    return fmean(percents.values()), percents[worst], worst


def _as_curve(points: Sequence[MeanPoint | Point], metric: str) -> list[tuple[float, float]]:
    if metric == "psnr":
        return [(point.bpp, point.psnr) for point in points]
    return [(point.bpp, metrics.msssim_db(point.msssim)) for point in points if point.msssim is not None]


def plain(value: Any) -> Any:
    """A value for JSON and CSV: floats rounded to six digits after the point, infinite ones as None."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NicError(f"{shown(path)}: cannot be made: {error.strerror}") from error


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f}"


def _signed(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:+.1f}"


def _percent(comparison: Comparison | None) -> str:
    return _signed(comparison.rate.percent if comparison and comparison.rate else None)
