"""`nicodec cost`: the bits and the squared error of pictures, whole and by cells, as lines, JSON or maps.

Under `app`; `explore.cost` measures, `picture.overlay` draws.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nicodec.cli.options import Engine, Force, Json, Quiet, Threads, number
from nicodec.progress import say, working
from nicodec.storage import store_of

if TYPE_CHECKING:
    from nicodec.cli.jobs import Writing
    from nicodec.cli.plan import Job
    from nicodec.explore.cost import Cost

NO_ERROR = "bits alone: the picture that it was made of is not known; --source names it"


def cost(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Pictures in any format that Pillow reads, .nic files, folders, patterns, URLs; - is stdin. A picture"
            " is encoded, with loss, and decoded. A .nic file is taken as it is.",
        ),
    ],
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, callback=number, help="To encode pictures with.")
    ] = 50,
    original: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="PICTURE",
            help="The picture that the one .nic FILE was made of. Without it a .nic file has bits and no error.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="OUT",
            help="Also draw the cost of each cell over the picture, or the bits where the error is not known: a PNG, or"
            " a folder of them for several files, or - for stdout.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            help="Name, id or .nicmodel file, for pictures; for .nic files the one to try first.",
            show_default="photo; the file's own",
        ),
    ] = None,
    threads: Threads = None,
    engine: Engine = "local",
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say what pictures cost the codec: bits + lambda * squared error, for the whole and for each cell of 16 pixels.

    Cells that cost much are unlike what the model was trained on, or full of detail. lambda is that of the quality. The
    sum is the negative ELBO of the codec, in bits.

    [dim]
    nicodec cost photo.jpg --map cost.png      where the bits and the errors are
    nicodec cost photo.nic --source photo.png  of a file that is there already
    nicodec cost scans/ --json > costs.json    of many, with all cells
    [/dim]
    """
    from nicodec.cli import explored, plan  # not before: --help needs neither
    from nicodec.cli.jobs import Writing
    from nicodec.cli.report import SOME_FAILED, label

    if out == "-" and as_json:
        raise typer.BadParameter("--json and the map cannot both go to stdout")
    jobs = explored.jobs(sources, out, ".png")
    if original is not None and len(jobs) > 1:
        raise plan.BadUsage("--source is the picture of one .nic file; several files are named")
    for job in jobs if out is not None else ():
        plan.check_target(job, force, folders=True)
    alone = len(jobs) == 1 and engine == "local"
    write = Writing(force, again=engine == "ray", folders=True)
    watched = alone and not (quiet or as_json)
    measure = Measure(quality, model, threads if alone else 1, original, write, watched)
    work = explored.Work(measure, jobs, threads, engine=engine, quiet=quiet or as_json)
    facts = []
    for job, found in work:
        if as_json:
            facts.append({"file": job.source} | facts_of(found))
        elif out != "-":
            print(line(job.source, found))
        if job.target and not (quiet or as_json):
            say(f"{label(job.source, 'stdin')} -> {label(job.target, 'stdout')}")
        if found.error is None and not (quiet or as_json):
            say(f"{job.source}: {NO_ERROR}")
    if as_json:
        print(json.dumps(facts))
    if work.failed:
        raise typer.Exit(SOME_FAILED)


@dataclass(frozen=True)
class Measure:
    """The cost of the source of a job, and its map if the job has a target. watched: show that it works.

    Raises as `cost.of`, and NicError.
    """

    quality: float
    model: str | None
    threads: int | None
    original: str | None
    write: Writing
    watched: bool = False

    def __call__(self, job: Job) -> Cost:
        with working("measuring", hidden=not self.watched):
            return self._found(job)

    def _found(self, job: Job) -> Cost:
        from nicodec import api
        from nicodec.bitstream import container
        from nicodec.cli.plan import BadUsage
        from nicodec.explore import cost
        from nicodec.picture import overlay, reader

        source = store_of(job.source).source(job.source)
        if api.is_nic(source):
            data = store_of(job.source).read(job.source) if isinstance(source, str) else source
            codec = api.codec_for(container.unpack(data), self.model, self.threads, job.source)
            picture = None if self.original is None else _picture(self.original)
            found = cost.of(data, codec, original=picture)
        elif self.original is not None:
            raise BadUsage("--source goes with a .nic file, and this is a picture")
        else:
            codec = api.codec_of(self.model or "photo", self.threads)
            picture = _picture(job.source) if isinstance(source, str) else reader.taken(source, strip=True)
            found = cost.of(picture, codec, quality=self.quality)
        if job.target:
            if picture is None:
                picture = reader.read(codec.decode(data))
            words = "cost" if found.error is not None else "bits"
            values = found.bits if found.cost is None else found.cost
            title = f"{words} of each cell of 16 x 16 pixels" + ", in bits" * (words == "cost")
            made = overlay.overlay(picture.eight.pixels, values, title)
            self.write(job, made)
        return found


def _picture(name: str) -> Any:
    from nicodec.errors import holding
    from nicodec.picture import reader

    with holding():  # what travels beside the pixels, and how they were converted, bears on nothing here
        return reader.taken(store_of(name).source(name), strip=True)


def line(source: str, found: Cost) -> str:
    """The numbers of the whole, and the costliest cell."""
    from nicodec.cli.report import label
    from nicodec.picture.metrics import decibels

    pixels = found.width * found.height
    said = f"{label(source, 'stdin')}: {found.width}x{found.height} at quality {found.quality:g}"
    said += f": {found.total_bits:,.0f} bits ({found.total_bits / pixels:.3f} a pixel)"
    values = found.bits
    if found.error is not None and found.cost is not None:
        values = found.cost
        said += f", error {found.error.sum() / pixels:.2f} ({decibels(found.error.sum() / pixels):.2f} dB)"
        said += f", cost {found.cost.sum():,.0f} bits ({found.cost.sum() / pixels:.3f} a pixel)"
    row, column = divmod(int(values.argmax()), values.shape[1])
    return f"{said}; costliest cell {values.max():,.0f} bits at {16 * column},{16 * row}"


def facts_of(found: Cost) -> dict[str, Any]:
    """For JSON: the sums, then the same of each cell, row by row. error and cost are null where they are not known."""
    arrays = {"bits": found.bits, "error": found.error, "cost": found.cost}
    return {
        "width": found.width,
        "height": found.height,
        "quality": found.quality,
        "lambda": found.weight,
        "bits": found.total_bits,
        "error": found.total_error,
        "cost": found.total_cost,
        "other_bits": found.other,
        "cells": {name: None if array is None else array.round(2).tolist() for name, array in arrays.items()},
    }
