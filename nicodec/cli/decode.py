"""`nicodec decode`: the options, checked, and the work for each file.

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
    ModelOfFile,
    Out,
    Preserve,
    Quiet,
    Region,
    SkipExisting,
    Threads,
    Update,
    Verbose,
    number,
    region_of,
    suffixes_of,
)
from nicodec.errors import NicError
from nicodec.storage import is_nic


def _depth(value: int | None) -> int | None:
    if value not in (None, 8, 16):
        raise typer.BadParameter("8 or 16")
    return value


def decode(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [OUT]",
            help="IN: .nic files, folders, patterns, URLs (s3://, gs://, abfs://, file:///); - is stdin. OUT: the"
            " picture, in the format of its suffix, the folder or URL for many, or - for stdout, as PNG."
            " Default: beside IN, with the suffix .png. The last of several names is OUT, unless it is a .nic file"
            " that exists.",
        ),
    ],
    out: Out = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="png, jpg, webp, avif, jp2, tiff, bmp, ppm, pgm, tga or npy.",
            show_default="OUT's",
        ),
    ] = None,
    quality_out: Annotated[
        int | None,
        typer.Option(
            "--quality-out",
            min=1,
            max=100,
            help="Of JPEG, WebP and AVIF. Without it WebP has no loss.",
            show_default="95",
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="COLOUR",
            help="Lay transparent pictures over this colour of CSS, as white or #rrggbb; JPEG, BMP and PPM need it.",
            show_default="alpha is kept",
        ),
    ] = None,
    region: Region = None,
    preview: Annotated[bool, typer.Option("--preview", help="A small picture, an eighth of the size.")] = False,
    natural: Annotated[
        float,
        typer.Option(
            "--natural",
            metavar="0-1",
            min=0,
            max=1,
            callback=number,
            help="Draw texture that the file leaves out, as strong as the file says it was. 0 is faithful, 1 is all."
            " PSNR falls.",
            show_default="0",
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=2**32 - 1, help="Of --natural: the same seed gives the same picture.", show_default="0"
        ),
    ] = 0,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            metavar="8|16",
            callback=_depth,
            help="Bits of each sample, 16 for PNG, TIFF and npy. Default: those of the source.",
            show_default=False,
        ),
    ] = None,
    model: ModelOfFile = None,
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
    """Decode .nic files to PNG, JPEG, WebP, AVIF, TIFF, PPM or NumPy arrays.

    [dim]
    nicodec decode photo.nic                   photo.png beside it
    nicodec decode photo.nic photo.jpg
    nicodec decode logo.nic logo.jpg --background white
    nicodec decode archive/ pictures/ --format webp
    nicodec decode photo.nic part.png --region 1000,500,640,480
    nicodec decode archive/ thumbnails/ --preview
    nicodec decode photo.nic natural.png --natural 1
    [/dim]
    """
    from nicodec.cli import jobs, run  # not before: --help needs neither

    if preview and region is not None:
        raise typer.BadParameter("--preview and --region exclude each other")
    part = None if region is None else region_of(region)
    manner = run.Manner(engine, threads, force, skip_existing, quiet, verbose, as_json, update, preserve)

    from nicodec.picture import backgrounds, writer

    try:
        if background is not None:
            backgrounds.colour(background)
    except NicError as error:
        raise typer.BadParameter(f"--background: {error}") from None
    suffixes = suffixes_of(format)
    plan = run.planned(sources, out, suffixes, manner, is_input=is_nic, reads=is_nic, by_suffix=format is None)
    for target in () if quality_out is None else {job.target for job in plan.jobs}:
        if not writer.has_quality(format, None if target == "-" else target):
            raise typer.BadParameter("--quality-out is for JPEG, WebP and AVIF")
    if depth == 16 and (background is not None or preview):
        raise typer.BadParameter("--depth 16 excludes --background and --preview")
    for target in {job.target for job in plan.jobs} if depth == 16 else ():
        if not writer.holds_deep(format, None if target == "-" else target):
            raise typer.BadParameter("--depth 16 is for PNG, TIFF and npy")
    work = jobs.Decode(
        model,
        1 if plan.many else threads,
        {"region": part, "scale": 1 / 8 if preview else 1, "natural": natural, "seed": seed},
        format,
        manner.writing(plan),
        quality_out,
        depth,
        background,
        backend,
        watched=not (plan.many or quiet or as_json),
    )
    raise typer.Exit(run.run(plan, work, "decoded", manner))
