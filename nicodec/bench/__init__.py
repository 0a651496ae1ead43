"""The benchmark: photographs in, every codec's real files measured, a report of rate against distortion out.

Between the command line and the codec, called as any user would: `coders` measures, `report` concludes.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from nicodec import checkpoint, metrics
from nicodec.bench import coders, figures, photographs
from nicodec.bench.coders import Coder, Point, measure
from nicodec.bench.photographs import find_images, load
from nicodec.bench.report import WINDOW, Report, compare, mean_curve, read_anchors
from nicodec.errors import ModelNotFound, NicError
from nicodec.files import atomic_write, shown

_PACKAGES = ("nicodec", "numpy", "pillow", "onnxruntime", "constriction", "bjontegaard", "pillow-jxl-plugin")


def run(
    images: Sequence[Path] | None,
    out: Path,
    *,
    codecs: Sequence[str] | None = None,
    points: int = 11,
    model: str = "photo",
    further: Sequence[str] = (),
    threads: int = 1,
    anchors: Path | None = None,
    anchor_names: Sequence[str] | None = None,
    progress: bool = True,
) -> Report:
    """Measure, compare, and write results.json, points.csv and rd.png into the folder `out`.

    images: files and folders; None for the photographs of scikit-image.
    codecs: names of rows of `coders.coders`, None for all; one that this installation lacks is left out.
    points: settings per codec, at least 4.
    model: the one of nicodec that is compared with every other codec; further: more of them, as other codecs.
    threads: for every codec that can be told.
    anchors: a JSON file of published curves, {name: {"description", "source", "points": [{"bpp", "psnr",
        "msssim"}]}}; anchor_names chooses among them, by default all with the source "published".

    One picture is held in memory at a time.
    Raises ValueError for arguments outside these, BadImage and other NicErrors naming the picture at fault.
    """
    if points < 4:
        raise ValueError(f"a curve needs at least 4 points, not {points}")
    metrics.import_extra("matplotlib")  # before the long work, not after it
    metrics.import_extra("bjontegaard")
    if out.exists() and not out.is_dir():
        raise NicError(f"{shown(out)}: not a folder")
    rows, left_out = _choose(coders.coders(model, threads, further), codecs)
    published = read_anchors(anchors, anchor_names) if anchors else []
    paths = find_images(images) if images is not None else photographs.photographs()
    report = Report(_conditions(model, further, points, threads), left_out=left_out)
    names = [_name(path, paths) for path in paths]
    for path, name in zip(paths, names, strict=True):
        # Reading all of them first finds a bad picture before the long work, not in it.
        image, digest = load(path)
        report.images.append({"name": name, "width": image.width, "height": image.height, "sha256": digest})
    jobs = [(row, setting) for row in rows for setting in row.settings(points)]
    with _progress(progress, len(paths) * len(jobs)) as advance:
        for row in rows:  # warm-up: loads the library and the model
            measure(row, row.setting(0.5), image, names[-1])
        for path, name in zip(paths, names, strict=True):
            image, _ = load(path)
            for row, setting in jobs:
                report.points.append(measure(row, setting, image, name))
                advance(f"{name} {row.name}")
    report.conditions["load_average_after"] = _load_average()
    report.curves = [mean_curve(row, report) for row in rows] + published
    report.comparisons = compare(report)
    report.write(out)
    return report


def crops(
    images: Sequence[Path] | None,
    out: Path,
    *,
    target_bpp: float = 0.2,
    side: int = 128,
    codecs: Sequence[str] | None = None,
    model: str = "photo",
    further: Sequence[str] = (),
    progress: bool = True,
) -> list[dict[str, Point]]:
    """Write one PNG to `out`: for each picture the same square of the original and of what each codec makes.

    images: as for `run`. target_bpp: each codec runs at the setting whose file of the whole picture comes
        closest to it; the labels state the true rate.
    side: of the square, in pixels, cut to the picture. It lies where the picture has most detail.
    codecs: in this order; None for JPEG, AVIF and nicodec. model, further: as for `run`.

    Returns the measurements behind each row. Raises ValueError for an impossible rate, BadImage, and
    NicError where none of the codecs is here.
    """
    if not 0 < target_bpp <= 24:
        raise ValueError(f"a rate in bits per pixel, not {target_bpp:g}")
    if out.parent.exists() and not out.parent.is_dir():
        raise NicError(f"{shown(out.parent)}: not a folder")
    codecs = codecs or ("jpeg", "avif", "nicodec")
    rows, _ = _choose(coders.coders(model, further=further), codecs)
    rows.sort(key=lambda row: list(codecs).index(row.codec))
    paths = find_images(images) if images is not None else photographs.photographs()
    sheet: list[list[tuple[str, Image.Image]]] = []
    found: list[dict[str, Point]] = []
    with _progress(progress, len(paths) * len(rows)) as advance:
        for path in paths:
            original, _ = load(path)
            box = _busiest(original, min(side, *original.size))
            sheet.append([(path.stem.replace("_", " "), original.crop(box))])
            found.append({})
            for row in rows:
                setting = _nearest_setting(row, original, target_bpp)
                point = found[-1][row.name] = measure(row, setting, original, path.name)
                back = row.decode(row.encode(original, setting))
                sheet[-1].append((f"{row.label}  {point.bpp:.2f} bpp  {point.psnr:.1f} dB", back.crop(box)))
                advance(f"{path.name} {row.name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, figures.side_by_side(sheet), overwrite=True)
    return found


def _busiest(image: Image.Image, side: int) -> tuple[int, int, int, int]:
    """The square with the most detail of those on a grid of half its side: left, top, right, bottom."""
    gray = np.asarray(image.convert("L"), np.float32)
    detail = np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1]
    places = [
        (x, y, x + side, y + side)
        for y in range(0, image.height - side + 1, max(1, side // 2))
        for x in range(0, image.width - side + 1, max(1, side // 2))
    ]
    return max(places, key=lambda box: float(detail[box[1] : box[3] - 1, box[0] : box[2] - 1].sum()))


def _choose(rows: list[Coder], names: Sequence[str] | None) -> tuple[list[Coder], dict[str, str]]:
    """The rows asked for that can run, and of the others why not."""
    known = {row.codec for row in rows}
    for name in names or ():
        if name not in known:
            raise ValueError(f"no codec {name!r}; there are {', '.join(sorted(known))}")
    asked = [row for row in rows if names is None or row.codec in names]
    usable = [row for row in asked if not row.missing]
    left_out = {row.name: row.missing for row in asked if row.missing}
    if not usable:
        raise NicError(
            "none of the codecs asked for can run here: " + "; ".join(map(": ".join, left_out.items()))
        )
    return usable, left_out


def _nearest_setting(row: Coder, image: Image.Image, target_bpp: float) -> float:
    """Halve the ladder until it cannot be halved; of all settings tried, the one nearest to the rate."""
    tried: dict[float, float] = {}
    low, high = 0.0, 1.0
    for _ in range(9):  # 1/512 of the ladder is finer than any whole-numbered setting
        middle = (low + high) / 2
        for position in (low, middle, high):
            setting = row.setting(position)
            if setting not in tried:
                tried[setting] = metrics.bpp(len(row.encode(image, setting)), *image.size)
        low, high = (low, middle) if tried[row.setting(middle)] > target_bpp else (middle, high)
    return min(tried, key=lambda setting: abs(math.log(tried[setting] / target_bpp)))


def _name(path: Path, paths: Sequence[Path]) -> str:
    """The file's name; with its folder where another picture has the same."""
    return path.name if sum(other.name == path.name for other in paths) == 1 else str(path)


def _conditions(model: str, further: Sequence[str], points: int, threads: int) -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for feature in ("libjpeg_turbo", "webp", "avif", "jpg_2000"):
        versions[feature] = str(features.version(feature))
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": model,
        "model_sha256": _sha256(model),
        "further": {coders.FURTHER + other: _sha256(other) for other in further},
        "points_per_codec": points,
        "threads": threads,
        "bd_rate": f"bjontegaard, Akima; window {WINDOW[0]:g} to {WINDOW[1]:g} bpp of the tested codec",
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "load_average_before": _load_average(),
        "system": platform.platform(),
        "versions": versions,
    }


def _sha256(model: str) -> str | None:
    """Which bytes the name stood for; None where nicodec's own row is left out for want of a model."""
    try:
        return checkpoint.load(checkpoint.find(model)).sha256
    except ModelNotFound:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _load_average() -> list[float] | None:
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


@contextmanager
def _progress(show: bool, total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=not show, transient=True) as bar:
        task = bar.add_task("warm-up", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)
