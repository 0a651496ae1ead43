"""`nicodec encode`: the options, checked, and the work for each picture.

Between `app` and `run`.
"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from nicodec.cli.options import (
    Backend,
    Engine,
    Force,
    Json,
    Models,
    Out,
    Preserve,
    Quiet,
    SkipExisting,
    Strip,
    StripGps,
    Threads,
    Update,
    number,
)
from nicodec.progress import say
from nicodec.storage import is_nic


def encode(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [OUT]",
            help="IN: pictures in any format that Pillow reads, folders, patterns, URLs (s3://, gs://, abfs://,"
            " file:///); - is stdin. OUT: the .nic file, the folder or URL for many, or - for stdout."
            " Default: beside IN, with the suffix .nic; p.jpg and p.png in one folder become p.jpg.nic and"
            " p.png.nic. The last of several names is OUT, unless it is a file that"
            " exists and can be read as IN.",
        ),
    ],
    out: Out = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "-q", "--quality", min=0, max=100, callback=number, help="0 (smallest) to 100 (finest).", show_default="50"
        ),
    ] = None,
    bpp: Annotated[
        float | None, typer.Option("--bpp", help="The most bits for each pixel, met within 1 %.", show_default=False)
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="BYTES", help="The most bytes, met within 2 %: 120k, 1.5M.", show_default=False),
    ] = None,
    psnr: Annotated[
        float | None, typer.Option("--psnr", help="The least PSNR in dB, met within 0.1 dB.", show_default=False)
    ] = None,
    effort: Annotated[
        int,
        typer.Option(
            "-e",
            "--effort",
            min=1,
            max=9,
            help="Above 1: refine for smaller files, slowly, and print the PSNR. A refined file has"
            " another PSNR too: add --psnr to compare sizes at equal quality.",
        ),
    ] = 1,
    lossless: Annotated[
        bool | None,
        typer.Option(
            "--lossless/--no-lossless",
            help="Keep all samples as they are. Default: where that costs less, as for line art, screenshots, icons.",
            show_default=False,
        ),
    ] = None,
    models: Models = None,
    with_model: Annotated[
        bool,
        typer.Option(
            "--with-model",
            help="Put the file of the model into the folder of the results too, so that the folder can be handed on: a"
            " decoder looks beside a file and in the three folders above it, but not in buckets. Released models are"
            " in every installation, and not written.",
        ),
    ] = False,
    backend: Backend = None,
    engine: Engine = "local",
    threads: Threads = None,
    force: Force = False,
    skip_existing: SkipExisting = False,
    update: Update = False,
    preserve: Preserve = False,
    strip: Strip = False,
    strip_gps: StripGps = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Decode all of the file and compare: prints PSNR and the worst cell of 16 x 16 pixels, and mends"
            " cells that came out badly. Without it the encoder compares only what is unlike photographs.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Decode each file and print its PSNR; a line for each of many files, skipped ones too.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Encode pictures as .nic files.

    [dim]
    nicodec encode photo.jpg                   photo.nic beside it
    nicodec encode photo.png small.nic -q 30   smaller, and another name
    nicodec encode photo.png --size 120k       the best in 120,000 bytes
    nicodec encode photo.png -e 5              smaller still, for a minute's work
    nicodec encode holiday/ archive/           a whole tree of folders
    nicodec encode scans/ -m photo -m mine     with each model, and the better file is kept
    cat photo.png | nicodec encode - > photo.nic
    [/dim]
    """
    from nicodec.cli import jobs, run  # not before: --help needs neither
    from nicodec.cli import plan as planning

    most = None if size is None else _size(size)
    wishes = {"-q": quality, "--bpp": bpp, "--size": most, "--psnr": psnr}
    given = {option: value for option, value in wishes.items() if value is not None}
    alone = [*given, *(["--lossless"] if lossless else [])]
    if len(alone) > 1:
        raise typer.BadParameter(f"{' and '.join(alone)} exclude each other")
    for option, value in given.items():
        if option != "-q" and not 0 < value < float("inf"):
            raise typer.BadParameter(f"{option} takes a number above 0, not {value:g}")
    manner = run.Manner(engine, threads, force, skip_existing, quiet, verbose, as_json, update, preserve)

    from nicodec.picture import writer

    plan = run.planned(sources, out, (".nic",), manner, is_input=writer.is_picture, reads=lambda name: not is_nic(name))

    if with_model and any(job.target == "-" for job in plan.jobs):
        raise planning.BadUsage("--with-model needs a folder; name OUT in place of stdout")

    from nicodec import effort as refining
    from nicodec.choice import Choice
    from nicodec.cli.ending import Ending
    from nicodec.codec import Codec

    codecs = [Codec(model, threads=1 if plan.many else threads, backend=backend) for model in models or ["photo"]]
    for codec in codecs:
        refining.check(effort, codec.checkpoint)  # once, not for each picture
    if len(codecs) > 1 and not (quiet or lossless):
        say(f"each picture is encoded with {len(codecs)} models, which takes the time of {len(codecs)} encodings")
    work = jobs.Encode(
        Choice(*codecs),
        {
            "quality": quality,
            "target_bytes": most,
            "target_bpp": bpp,
            "target_psnr": psnr,
            "effort": effort,
            "lossless": lossless,
            "strip": strip,
            "strip_gps": strip_gps,
            "check": check,
        },
        manner.writing(plan),
        measured=effort > 1 or verbose,
        watched=not (plan.many or quiet or as_json),
    )
    compare = len(codecs) > 1 and most is None and bpp is None  # at a size all pictures cost the same
    ending = Ending(codecs, compare, with_model, plan.root, manner.replaces, quiet)
    raise typer.Exit(run.run(plan, work, "encoded", manner, ending))


def _size(text: str) -> float:
    """Bytes as the option gives them: 120000, 120k, 1.5M, 1MiB."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+) ?(?:([kmg])(i?))?b?", text.strip().lower())
    if not found:
        raise typer.BadParameter(f"--size takes bytes, as 120000, 120k or 1.5M, not {text!r}")
    number, unit, binary = found.groups()
    scale: int = (1024 if binary else 1000) ** (" kmg".index(unit) if unit else 0)
    return float(number) * scale
