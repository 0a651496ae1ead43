"""The benchmark: photographs in, a report of rate against distortion out, from real files of every codec.

Between the command line and the modules beside it: `coders` measures, `report` compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nicodec import extras, progress
from nicodec.bench import coders, photographs
from nicodec.bench.coders import Coder, measure
from nicodec.bench.conditions import conditions, load_average
from nicodec.bench.photographs import find_images, load
from nicodec.bench.report import Report, compare, mean_curve, read_anchors
from nicodec.errors import NicError
from nicodec.storage.files import shown


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
    show_progress: bool = True,
) -> Report:
    """Measure, compare, and write results.json, points.csv and rd.png into the folder `out`.

    images: files and folders; None for the photographs of scikit-image.
    codecs: names of rows of `coders.coders`; None for all. A codec that this installation lacks is left out.
    points: settings for each codec, at least 4.
    model: the model of nicodec that is compared with every other codec. further: more models, as other codecs.
    threads: for every codec that can be told.
    anchors: a JSON file of published curves, {name: {"description", "source", "points": [{"bpp", "psnr",
        "msssim"}]}}. anchor_names: names of some of them; None for all with the source "published".

    One picture is in memory at a time. Raises ValueError for too few points or an unknown codec, and MissingExtra
    without the extra [bench]. Raises BadImage and other NicErrors, which name the picture at fault.
    """
    if points < 4:
        raise ValueError(f"a curve needs at least 4 points, not {points}")
    extras.load("matplotlib", "bench", "the benchmark")  # checked before the long work, not after it
    extras.load("bjontegaard", "bench", "the benchmark")
    if out.exists() and not out.is_dir():
        raise NicError(f"{shown(out)}: not a folder")
    rows, left_out = choose(coders.coders(model, threads, further), codecs)
    published = read_anchors(anchors, anchor_names) if anchors else []
    paths = find_images(images) if images is not None else photographs.photographs()
    report = Report(conditions(model, further, points, threads), left_out=left_out)
    names = [_name(path, paths) for path in paths]
    for path, name in zip(paths, names, strict=True):
        # All pictures are read once first, so that a bad one is found before the long work.
        image, digest = load(path)
        report.images.append({"name": name, "width": image.width, "height": image.height, "sha256": digest})
    jobs = [(row, setting) for row in rows for setting in row.settings(points)]
    with progress.bar(len(paths) * len(jobs), hidden=not show_progress) as advance:
        for row in rows:  # warm-up, which loads the library and the model
            measure(row, row.setting(0.5), image, names[-1])
        for path, name in zip(paths, names, strict=True):
            image, _ = load(path)
            for row, setting in jobs:
                report.points.append(measure(row, setting, image, name))
                advance(f"{name} {row.name}")
    report.conditions["load_average_after"] = load_average()
    report.curves = [mean_curve(row, report) for row in rows] + published
    report.comparisons = compare(report)
    report.write(out)
    return report


def choose(rows: list[Coder], names: Sequence[str] | None) -> tuple[list[Coder], dict[str, str]]:
    """The wanted rows that can run here, and the reasons of those that cannot, by name.

    Raises ValueError for an unknown name, and NicError if no row can run.
    """
    known = {row.codec for row in rows}
    for name in names or ():
        if name not in known:
            raise ValueError(f"no codec {name!r}; there are {', '.join(sorted(known))}")
    asked = [row for row in rows if names is None or row.codec in names]
    usable = [row for row in asked if not row.missing]
    left_out = {row.name: row.missing for row in asked if row.missing}
    if not usable:
        raise NicError("none of the codecs asked for can run here: " + "; ".join(map(": ".join, left_out.items())))
    return usable, left_out


def _name(path: Path, paths: Sequence[Path]) -> str:
    """The name of the file, or its whole path where another picture has the same name."""
    return path.name if sum(other.name == path.name for other in paths) == 1 else str(path)
