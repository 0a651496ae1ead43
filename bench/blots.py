"""Destroyed parts: codes pictures, and looks for cells of 16 x 16 pixels that came back as something else.

    python bench/blots.py drawn [--count 2000] [--seed 0]     pictures of `drawings`, each at one quality
    python bench/blots.py folder PATH...                      pictures of one's own, each at several qualities

A mean over a picture hides a small destroyed part; its worst cell shows it. With several qualities of a
picture, falls of PSNR as quality rises are listed too. --linear decodes each file once more, without what the
deep layers of the decoder paint: a cell that they alone have destroyed is a *blot*. -o writes a row for each
file, --show the worst as PNGs to look at.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import drawings
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track
from rich.table import Table

import nicodec
from nicodec.bench.photographs import find_images
from nicodec.bitstream import container, tiles
from nicodec.coding import layout, quantize
from nicodec.parallel.threads import cores
from nicodec.picture import metrics, reader
from nicodec.picture.metrics import CELL_SIDE, Cell, cell_errors, decibels

Pixels = NDArray[np.uint8]

LIMITS = (20, 15, 14, 9)  # dB
BLOT = 15  # dB: with less, little of a cell is left
FALL = 0.3  # dB: less may be chance
MARK, NEAR, ZOOM = "#ff00ff", 48, 6  # the frame around the worst cell; pixels around it, magnified so often


@dataclass(frozen=True)
class Job:
    """One file to make. source: the path of a picture, or seed and number of a drawn one."""

    name: str
    source: Path | tuple[int, int]
    quality: float

    def pixels(self) -> Pixels:
        """(H, W, 1) or (H, W, 3); Raises BadImage."""
        if isinstance(self.source, Path):
            return reader.read(self.source).pixels
        drawn = drawings.draw(*self.source)
        return drawn.reshape(*drawn.shape[:2], -1)


@dataclass(frozen=True)
class Linear:
    """What the linear layers alone make of the same file, and how its cells compare."""

    psnr: float
    there: float
    """PSNR of the cell that is the worst as decoded."""
    blots: list[Cell]
    """Cells under 15 dB that have at least 15 dB by the linear layers alone; their PSNR as decoded."""
    both: int
    """Cells under 15 dB either way."""


@dataclass(frozen=True)
class Row:
    """One file."""

    name: str
    quality: float
    size: tuple[int, int, int]
    """Width, height, channels."""
    bytes: int
    psnr: float
    worst: Cell
    cells: int
    under: dict[int, int]
    """How many cells have fewer decibels than each of `LIMITS`."""
    linear: Linear | None


@dataclass(frozen=True)
class Failure:
    """A picture that could not be read, coded or decoded, and why."""

    name: str
    quality: float
    error: str


@dataclass(frozen=True)
class Fall:
    """How far the PSNR of a picture falls from one quality to a higher one."""

    name: str
    low: float
    high: float
    db: float


def look(job: Job, codec: nicodec.Codec, linear: bool) -> Row | Failure:
    """Code one picture, and measure all of its cells. What stands in the way is a Failure."""
    try:
        pixels = job.pixels()
        data = codec.encode(pixels, quality=job.quality, lossless=False)
        decoded = samples(codec.decode(data))
        plain = linear_only(codec, data) if linear else None
    except nicodec.NicError as error:
        return Failure(job.name, job.quality, str(error))
    height, width, channels = pixels.shape
    errors = cell_errors(pixels, decoded)
    return Row(
        job.name,
        job.quality,
        (width, height, channels),
        len(data),
        metrics.psnr(pixels, decoded),
        metrics.worst_cell(pixels, decoded),
        errors.size,
        {limit: int((errors > mse(limit)).sum()) for limit in LIMITS},
        None if plain is None else compare(pixels, decoded, plain),
    )


def samples(decoded: Image.Image) -> Pixels:
    """A gray or RGB image as (H, W, channels)."""
    return np.asarray(decoded).reshape(decoded.height, decoded.width, -1)


def mse(db: float) -> float:
    """The mean squared error that so many decibels are."""
    return 255**2 / 10 ** (db / 10)


def compare(pixels: Pixels, decoded: Pixels, plain: Pixels) -> Linear:
    """A file as decoded beside what its linear layers alone give."""
    errors, others = cell_errors(pixels, decoded), cell_errors(pixels, plain)
    bad, also = errors > mse(BLOT), others > mse(BLOT)
    places = np.argwhere(bad & ~also).tolist()
    blots = [Cell(decibels(float(errors[i, j])), CELL_SIDE * j, CELL_SIDE * i) for i, j in places]
    there = decibels(float(others.flat[errors.argmax()]))
    return Linear(metrics.psnr(pixels, plain), there, blots, int((bad & also).sum()))


def linear_only(codec: nicodec.Codec, data: bytes) -> Pixels:
    """What a file decodes to by the linear layer of g_s alone (docs/FORMAT.md, section 3)."""
    file = container.unpack(data)
    header = file.header
    symbols, tensors = codec.symbols_of(file), codec.checkpoint.tensors
    weight, bias = (tensors[f"g_s.shortcut.{part}"].astype(np.float32) for part in ("weight", "bias"))
    # Latents come in quantiser steps; the layer reads what they were before their gains.
    gain = codec.familiar.gain(header.quality).astype(np.float32)
    weight = weight.reshape(len(weight), -1) / gain
    canvas = np.empty((header.height, header.width, header.channels), np.uint8)
    whole = tiles.Box(0, 0, header.height, header.width)
    for window in layout.windows(symbols.cells):
        latent = np.concatenate(codec.crew.alone.latent(window, symbols, header.quality)(), axis=1)[0]
        flat = np.tensordot(weight, latent.astype(np.float32), 1) + bias[:, None, None]
        rows, columns = latent.shape[1:]
        planes = flat.reshape(16, 16, 3, rows, columns).transpose(2, 3, 0, 4, 1)
        planes = planes.reshape(1, 3, 16 * rows, 16 * columns)
        seen = window.times(container.CELL)
        part = seen.cut(whole)
        quantize.samples(tiles.crop(planes, seen, part), canvas[part.within(whole)])
    return canvas


def falls(rows: Sequence[Row], *, best: bool) -> list[Fall]:
    """The largest fall of PSNR of each picture that has one, as its quality rises; the largest first.

    best: against the best of all lower qualities, not against the next lower one.
    """
    found = []
    for name, group in by_picture(rows):
        before, largest = group[0], Fall(name, 0, 0, 0.0)
        for row in group[1:]:
            if before.psnr - row.psnr > largest.db:
                largest = Fall(name, before.quality, row.quality, before.psnr - row.psnr)
            if not best or row.psnr > before.psnr:
                before = row
        if largest.db:
            found.append(largest)
    return sorted(found, key=lambda fall: -fall.db)


def by_picture(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The files of each picture by rising quality."""
    ordered = sorted(rows, key=lambda row: (row.name, row.quality))
    return ((name, list(group)) for name, group in groupby(ordered, lambda row: row.name))


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """What the files of a run come to, in numbers."""
    linear = [row.linear for row in rows if row.linear is not None]
    found = {
        "files": len(rows),
        "bytes": sum(row.bytes for row in rows),
        "median_psnr": statistics.median(row.psnr for row in rows) if rows else math.nan,
        "cells": sum(row.cells for row in rows),
        "cells_under": {limit: sum(row.under[limit] for row in rows) for limit in LIMITS},
        "files_under": {limit: sum(row.under[limit] > 0 for row in rows) for limit in LIMITS},
        "falls_from_the_next": [asdict(fall) for fall in falls(rows, best=False) if fall.db > FALL],
        "falls_from_the_best": [asdict(fall) for fall in falls(rows, best=True) if fall.db > FALL],
    }
    if linear:
        found["blots"] = sum(len(one.blots) for one in linear)
        found["files_with_blots"] = sum(bool(one.blots) for one in linear)
        found["under_either_way"] = sum(one.both for one in linear)
    return found


def worst_first(rows: Sequence[Row], count: int) -> list[Row]:
    """The files with the worst cells."""
    return sorted(rows, key=lambda row: row.worst.psnr)[:count]


def report(rows: Sequence[Row], count: int, console: Console) -> None:
    """The summary, and tables of the worst: so many files, blots and falls."""
    total = summary(rows)
    console.print(
        f"{total['files']:,} files, {total['bytes']:,} bytes, median PSNR {total['median_psnr']:.2f} dB;"
        f" {total['cells']:,} cells of 16 pixels"
    )
    under, files = total["cells_under"], total["files_under"]
    for limit in LIMITS:
        console.print(f"  under {limit:>2} dB: {under[limit]:>6,} cells in {files[limit]:>5,} files")
    if "blots" in total:
        console.print(
            f"  blots: {total['blots']:,} cells in {total['files_with_blots']:,} files are under {BLOT} dB,"
            f" and would not be by the linear layers alone; {total['under_either_way']:,} are either way"
        )
    for from_what, key in (("the next lower", "next"), ("the best lower", "best")):
        fallen = total[f"falls_from_the_{key}"]
        if fallen:
            table = Table(title=f"falls of over {FALL} dB from {from_what} quality: {len(fallen)} pictures")
            for heading in ("picture", "from", "to", "dB"):
                table.add_column(heading, overflow="fold")
            for fall in fallen[:count]:
                table.add_row(fall["name"], f"{fall['low']:g}", f"{fall['high']:g}", f"{fall['db']:.2f}")
            console.print(table)
    table = Table(title="the worst cells")
    for heading in ("", "picture", "quality", "x, y", "dB", "mean dB", *["by the linear layers"] * ("blots" in total)):
        table.add_column(heading, overflow="fold")
    for rank, row in enumerate(worst_first(rows, count), 1):
        numbers = [f"{row.worst.psnr:.1f}", f"{row.psnr:.1f}"]
        if row.linear is not None:
            numbers.append(f"{row.linear.there:.1f}")
        place = f"{row.worst.x}, {row.worst.y}"
        table.add_row(str(rank), row.name, f"{row.quality:g}", place, *numbers)
    console.print(table)


def beside(job: Job, cell: Cell, codec: nicodec.Codec) -> Image.Image:
    """A picture and what it decodes to; below them, magnified, what is around a cell."""
    pixels = job.pixels()
    decoded = codec.decode(codec.encode(pixels, quality=job.quality, lossless=False)).convert("RGB")
    original = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).convert("RGB")
    corner = zip((cell.x, cell.y), original.size, strict=True)
    left, top = (max(0, min(at - (NEAR - CELL_SIDE) // 2, side - NEAR)) for at, side in corner)
    width, height = max(original.width, NEAR * ZOOM), original.height
    whole = Image.new("RGB", (2 * width + 8, height + 8 + NEAR * ZOOM), "#808080")
    frame = (cell.x - 2, cell.y - 2, cell.x + CELL_SIDE + 1, cell.y + CELL_SIDE + 1)
    for n, picture in enumerate((original, decoded)):
        near = picture.crop((left, top, left + NEAR, top + NEAR))
        near = near.resize((NEAR * ZOOM, NEAR * ZOOM), Image.Resampling.NEAREST)
        whole.paste(near, (n * (width + 8), height + 8))
        ImageDraw.Draw(picture).rectangle(frame, None, MARK)
        whole.paste(picture, (n * (width + 8), 0))
    return whole


def show(rows: Sequence[Row], jobs: Sequence[Job], count: int, codec: nicodec.Codec, folder: Path) -> None:
    """The worst files as PNGs, named by rank, picture and quality."""
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {(job.name, job.quality): job for job in jobs}
    for rank, row in enumerate(worst_first(rows, count), 1):
        name = f"{rank:02} {row.name.replace('/', ' ')} q{row.quality:g} {row.worst.psnr:.1f} dB.png"
        beside(by_name[row.name, row.quality], row.worst, codec).save(folder / name)


def plain(value: Any) -> Any:
    """For JSON: cells by the names of their parts, floats to four digits, null for what is no number."""
    if isinstance(value, Cell):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def save(rows: Sequence[Row], failures: Sequence[Failure], conditions: dict[str, Any], path: Path) -> None:
    """Conditions, summary, failures and rows; each row in a line of its own."""
    told = {"summary": summary(rows), "failures": [asdict(failure) for failure in failures]}
    head = json.dumps(plain(conditions | told), indent=1)
    lines = ",\n".join("  " + json.dumps(plain(asdict(row))) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head[:-2]},\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def drawn_jobs(count: int, seed: int, qualities: Sequence[float]) -> list[Job]:
    """The first pictures of a seed, each at all of these qualities, or at its own if there are none."""
    jobs = []
    for number in range(count):
        kind, own = drawings.kind(number), drawings.quality(seed, number)
        jobs += [Job(f"{kind} {number}", (seed, number), quality) for quality in qualities or [own]]
    return jobs


def folder_jobs(paths: Sequence[Path], qualities: Sequence[float]) -> list[Job]:
    """Pictures and folders of them; named from the folder that they have in common."""
    found = [path.resolve() for path in find_images(paths)]
    common = os.path.commonpath([path.parent for path in found])
    names = [path.relative_to(common).as_posix() for path in found]
    return [Job(name, path, q) for name, path in zip(names, found, strict=True) for q in qualities]


def quality_list(text: str) -> list[float]:
    """ "45:95:5", from, to and in steps of; or "30,62.5"."""
    if ":" not in text:
        return [float(part) for part in text.split(",")]
    first, last, step = (float(part) for part in text.split(":"))
    if step <= 0:
        raise ValueError("steps must rise")
    return [float(quality) for quality in np.arange(first, last + step / 2, step)]


_codec: nicodec.Codec  # of a worker process


def _begin(model: str) -> None:
    global _codec
    _codec = nicodec.Codec(model, threads=1)


def _look(job: Job, linear: bool) -> Row | Failure:
    return look(job, _codec, linear)


def look_at_all(jobs: Sequence[Job], codec: nicodec.Codec, linear: bool, workers: int) -> Iterator[Row | Failure]:
    """A row for each job, in order; by processes of one thread each, or one alone by this process."""
    if workers == 1:
        yield from (look(job, codec, linear) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # threads of the runtime do not survive a fork
    with context.Pool(workers, _begin, (str(codec.checkpoint.path),)) as pool:
        yield from pool.imap(partial(_look, linear=linear), jobs)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("-m", "--model", default="photo", help="name, hash or .nicmodel file")
    both.add_argument("-o", "--out", type=Path, help="write all rows to this JSON file")
    both.add_argument("-j", "--workers", type=int, default=cores(), help="processes; default: all cores")
    both.add_argument("--linear", action="store_true", help="look also at what the linear layers alone give")
    both.add_argument("--show", type=Path, metavar="DIR", help="write the worst as PNGs into this folder")
    both.add_argument("--worst", type=int, default=20, metavar="N", help="how many to list and to show")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    drawn = modes.add_parser("drawn", parents=[both], help="drawn pictures")
    drawn.add_argument("--count", type=int, default=2000)
    drawn.add_argument("--seed", type=int, default=0)
    drawn.add_argument("--qualities", type=quality_list, default=[], help="default: one of its own for each")
    folder = modes.add_parser("folder", parents=[both], help="pictures of one's own")
    folder.add_argument("paths", nargs="+", type=Path, help="pictures and folders")
    folder.add_argument("--qualities", type=quality_list, default=quality_list("45:95:5"), help="FROM:TO:STEP or A,B,C")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    options = arguments(given)
    if options.mode == "drawn":
        jobs = drawn_jobs(options.count, options.seed, options.qualities)
        conditions = {"mode": "drawn", "count": options.count, "seed": options.seed}
    else:
        jobs = folder_jobs(options.paths, options.qualities)
        conditions = {"mode": "folder", "pictures": len({job.name for job in jobs})}
    codec = nicodec.Codec(options.model, threads=1)
    done = look_at_all(jobs, codec, options.linear, options.workers)
    rows, failures = [], []
    for result in track(done, "looking", len(jobs), console=Console(stderr=True), transient=True):
        if isinstance(result, Row):
            rows.append(result)
        else:
            failures.append(result)
    console = Console(width=110)
    report(rows, options.worst, console)
    for failure in failures:
        console.print(f"failed: {failure.name}, quality {failure.quality:g}: {failure.error}", markup=False)
    if options.out is not None:
        conditions |= {"nicodec": nicodec.__version__, "model": codec.checkpoint.id.hex()}
        save(rows, failures, conditions, options.out)
    if options.show is not None:
        show(rows, jobs, options.worst, codec, options.show)


if __name__ == "__main__":
    main()
