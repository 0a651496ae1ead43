"""`nicodec restore`: the options, checked, and the work for each picture.

Between `app` and `run`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nicodec.cli.options import (
    Backend,
    Engine,
    Force,
    Json,
    Out,
    Preserve,
    Quiet,
    SkipExisting,
    Strip,
    StripGps,
    Threads,
    Update,
    Verbose,
    number,
    suffixes_of,
)
from nicodec.storage import is_nic


def restore(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [OUT]",
            help="IN: pictures in any format that Pillow reads, folders, patterns, URLs; - is stdin. OUT: the picture,"
            " in the format of its suffix, the folder or URL for many, or - for stdout, as PNG. Default: beside IN,"
            " with the suffix .png. The last of several names is OUT.",
        ),
    ],
    model: Annotated[
        str, typer.Option("-m", "--model", help="Name, id or .nicmodel file of a model that has learnt to restore.")
    ],
    out: Out = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "-q",
            "--quality",
            min=0,
            max=100,
            callback=number,
            help="How much of the picture is kept: 0 is the smoothest.",
            show_default="100",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="png, jpg, webp, avif, jp2, tiff, bmp, ppm, pgm, tga or npy.",
            show_default="OUT's",
        ),
    ] = None,
    strip: Strip = False,
    strip_gps: StripGps = False,
    backend: Backend = None,
    engine: Engine = "local",
    threads: Threads = None,
    force: Force = False,
    skip_existing: SkipExisting = False,
    update: Update = False,
    preserve: Preserve = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Restore damaged pictures, with a model that `nicodec train --clean-from` has made.

    [dim]
    nicodec restore night.jpg clear.png -m night.nicmodel
    nicodec restore scans/ restored/ -m scans.nicmodel --format jpg
    [/dim]
    """
    from nicodec.cli import jobs, run  # not before: --help needs neither

    manner = run.Manner(engine, threads, force, skip_existing, quiet, verbose, as_json, update, preserve)

    from nicodec.picture import writer

    suffixes = suffixes_of(format)

    # IN and OUT are pictures alike, so an existing file says nothing: as with cp, the last of several names is OUT.
    if out is None and len(sources) > 1:
        *sources, out = sources

    def reads(name: str) -> bool:
        return not is_nic(name)

    plan = run.planned(
        sources, out, suffixes, manner, is_input=writer.is_picture, reads=reads, by_suffix=format is None
    )

    from nicodec.codec import Codec
    from nicodec.coding import cleaning

    codec = Codec(model, threads=1 if plan.many else threads, backend=backend)
    cleaning.check(codec.checkpoint)  # once, not for each picture
    whole = {"region": None, "scale": 1}
    work = jobs.Restore(
        codec,
        {"quality": quality, "strip": strip, "strip_gps": strip_gps},
        jobs.Decode(None, None, whole, format, manner.writing(plan)),
    )
    raise typer.Exit(run.run(plan, work, "restored", manner))
