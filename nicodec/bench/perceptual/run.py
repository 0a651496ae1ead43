"""The benchmark by people's judgement: photographs in, rate against six measures out, from real files of every codec.

Beside `bench.run`, for the command line. `coders` makes the files, `Measures` judges them. It shows nicodec twice: the
faithful picture, and the natural one of the same file.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from nicodec import extras, progress
from nicodec.bench import coders, photographs
from nicodec.bench.coders import Coder, round_trip
from nicodec.bench.conditions import conditions, load_average
from nicodec.bench.perceptual import LEAST_SIDE, Measures
from nicodec.bench.run import choose
from nicodec.errors import NicError
from nicodec.picture import PilImage, metrics
from nicodec.storage.files import atomic_write, shown

if TYPE_CHECKING:
    from rich.console import Console

OURS = ("nicodec", "nicodec-natural")
RIVALS = ("jpeg", "webp", "avif", "avif-ssim", "avif-iq", "jxl")
WINDOW = (0.12, 0.4)
"""Bits per pixel of nicodec's quality 10 to 40 on photographs, where codecs smear. BD-rates are given in this range."""


def _falling(distance: float) -> float:
    """A distance on a scale that rises, as MS-SSIM is shown: -10 log10."""
    return -10 * math.log10(distance) if distance > 0 else math.inf


SCALES: dict[str, Callable[[float], float]] = {
    "psnr": float,
    "msssim": metrics.msssim_db,
    "ssimulacra2": float,
    "lpips_alex": _falling,
    "lpips_vgg": _falling,
    "dists": _falling,
}
"""The measures, and the rising scale of each over which a BD-rate is a mean."""


@dataclass(frozen=True)
class Point:
    """One picture through one codec at one setting. msssim: None for a picture that is too small."""

    codec: str
    setting: float
    image: str
    n_bytes: int
    bpp: float
    psnr: float
    msssim: float | None
    ssimulacra2: float
    lpips_alex: float
    lpips_vgg: float
    dists: float


@dataclass
class Report:
    """All results of a run. rates: BD-rate in per cent by codec of ours, reference and measure; None: no number."""

    conditions: dict[str, Any]
    labels: dict[str, str]
    images: list[dict[str, Any]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def curve(self, codec: str, measure: str) -> list[tuple[float, float]]:
        """Means over the pictures at each setting: bits per pixel, and the measure on its rising scale."""
        own = [point for point in self.points if point.codec == codec and getattr(point, measure) is not None]
        found = []
        for setting in dict.fromkeys(point.setting for point in own):
            at = [point for point in own if point.setting == setting]
            mean = fmean(getattr(point, measure) for point in at)
            found.append((fmean(point.bpp for point in at), SCALES[measure](mean)))
        return found

    def rate(self, codec: str, reference: str, measure: str) -> float | None:
        """BD-rate of `codec` against `reference` in `WINDOW`, in per cent; None where it has none."""
        found = metrics.bd_rate(self.curve(reference, measure), self.curve(codec, measure), window=WINDOW)
        return None if found is None else found.percent

    def pairs(self) -> list[tuple[str, str]]:
        """Each of ours that was measured, against each rival and then against the other of ours."""
        ours = [name for name in OURS if name in self.labels]
        found = [(one, other) for one in ours for other in self.labels if other not in OURS]
        return found + [(one, other) for other, one in pairwise(ours)]

    def write(self, out: Path) -> None:
        """Write perceptual.json and perceptual.csv into `out`, each replaced whole."""
        table = io.StringIO()
        rows = csv.DictWriter(table, [f.name for f in fields(Point)], lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(point) for point in self.points)
        rates = [
            {
                "codec": one,
                "reference": other,
                "measure": measure,
                "window": WINDOW,
                "percent": self.rate(*pair, measure),
            }
            for pair in self.pairs()
            for one, other in [pair]
            for measure in SCALES
        ]
        curves = {codec: {measure: self.curve(codec, measure) for measure in SCALES} for codec in self.labels}
        everything = {
            "conditions": self.conditions, "left_out": self.left_out, "images": self.images, "curves": curves,
            "bd_rates": rates,
        }  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "perceptual.csv", table.getvalue().encode(), overwrite=True)
        atomic_write(
            out / "perceptual.json", (json.dumps(_plain(everything), indent=1) + "\n").encode(), overwrite=True
        )

    def print(self, console: Console) -> None:
        """Print one table for 80 columns: ours against each codec, in each measure."""
        from rich import box
        from rich.table import Table

        count = len(self.images)
        title = f"{count} photograph{'s' * (count != 1)}: BD-rate at {WINDOW[0]:g}-{WINDOW[1]:g} bpp, %"
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for heading in ("codec", "against"):
            table.add_column(heading, no_wrap=True)
        for heading in ("PSNR", "MS-SSIM", "SSIMU-\nLACRA2", "LPIPS\nAlex", "LPIPS\nVGG", "DISTS"):
            table.add_column(heading, justify="right")
        for one, other in self.pairs():
            found = (self.rate(one, other, measure) for measure in SCALES)
            cells = ["-" if percent is None else f"{percent:+.1f}" for percent in found]
            table.add_row(self.labels[one], self.labels[other], *cells)
        console.print(table)
        for name, reason in self.left_out.items():
            console.print(f"left out: {name}: {reason}", markup=False)


def run(
    images: Sequence[Path] | None,
    out: Path,
    *,
    codecs: Sequence[str] | None = None,
    points: int = 11,
    model: str = "photo",
    threads: int = 1,
    measures: Measures | None = None,
    show_progress: bool = True,
) -> Report:
    """Measure, compare, and write perceptual.json and perceptual.csv into the folder `out`.

    Arguments and errors are those of `bench.run.run`. measures: loaded ones; None for `Measures()`, with its errors.
    A tuning of AVIF that this libavif lacks is left out, with the reason.
    """
    if points < 4:
        raise ValueError(f"a curve needs at least 4 points, not {points}")
    extras.load("bjontegaard", "bench", "the benchmark")  # checked before the long work, as the weights are
    if out.exists() and not out.is_dir():
        raise NicError(f"{shown(out)}: not a folder")
    natural = coders.nicodec(model, threads, natural=1)
    table = coders.coders(model, threads, tunes=("psnr", "ssim", "iq"))
    known = [row for row in table if row.name in (*RIVALS, *OURS)]
    known.append(replace(natural, name=OURS[1], label="natural", how=f"{natural.how}, natural=1"))
    rows, left_out = choose(known, codecs)
    paths = photographs.find_images(images) if images is not None else photographs.photographs()
    loaded = [photographs.load(path) for path in paths[:1]]
    rows = [row for row in rows if _runs(row, loaded[0][0], left_out)]
    report = Report(conditions(model, (), points, threads), {row.name: row.label for row in rows}, left_out=left_out)
    judge = measures or Measures()
    jobs = [(row, setting) for row in rows for setting in row.settings(points)]
    with progress.bar(len(paths) * len(jobs), hidden=not show_progress) as advance:
        for path in paths:
            image, digest = photographs.load(path)
            if min(image.size) < LEAST_SIDE:
                raise NicError(f"{shown(path)}: a side is under {LEAST_SIDE} pixels, too small for these measures")
            report.images.append({"name": path.name, "width": image.width, "height": image.height, "sha256": digest})
            before = np.asarray(image)
            for row, setting in jobs:
                report.points.append(_measured(judge, row, setting, image, before, path.name))
                advance(f"{path.name} {row.name}")
    report.conditions["load_average_after"] = load_average()
    report.write(out)
    return report


def _runs(row: Coder, image: PilImage, left_out: dict[str, str]) -> bool:
    """Whether a codec can run here; a tuning of AVIF that is not there goes to `left_out`."""
    try:
        round_trip(row, row.setting(0.5), image.crop((0, 0, 64, 64)), row.name)
    except NicError as error:
        if not row.name.startswith("avif-"):
            raise
        left_out[row.name] = str(error)
        return False
    return True


def _measured(
    judge: Measures, row: Coder, setting: float, image: PilImage, before: np.ndarray[Any, Any], name: str
) -> Point:
    data, back, _, _ = round_trip(row, setting, image, name)
    after = np.asarray(back)
    return Point(
        row.name, setting, name, len(data),
        metrics.bpp(len(data), *image.size),
        metrics.psnr(before, after),
        metrics.msssim(before, after) if min(image.size) >= metrics.MSSSIM_MIN_SIDE else None,
        *judge.of(before, after),
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """A value for JSON: floats rounded to six digits after the point, infinite ones as None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
