"""The command line: the program, and its commands `encode`, `decode` and `compare`.

The top of the package. Results go to stdout, everything else to stderr; heavy imports are inside the
commands, so that --help is quick. Exit codes: 0 fine, 2 usage, 3 bad input, 4 unsupported, 5 some failed.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from nicodec import __version__, batch, console, jobs, tools
from nicodec.batch import Job, Plan
from nicodec.console import about, label, say
from nicodec.errors import NicError
from nicodec.files import is_nic
from nicodec.jobs import read_bytes, write_bytes
from nicodec.options import (
    Engine,
    Force,
    Json,
    Model,
    ModelOfFile,
    Out,
    Quiet,
    SkipExisting,
    Threads,
    Verbose,
)

app = typer.Typer(
    name="nicodec",
    help="A neural image codec: photographs in far fewer bytes than JPEG, on an ordinary CPU, offline.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: runs the app and turns every NicError into one line on stderr and its exit code."""
    # As Ctrl-C does, so that what was begun is removed; whoever had it ignored keeps it so.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except NicError as error:
        say(f"nicodec: {error}")
        sys.exit(error.exit_code)
    except MemoryError:
        say("nicodec: not enough memory for this picture")
        sys.exit(NicError.exit_code)
    except ImportError as error:
        # A signal while a library of compiled code is loading comes out as the failure of its import.
        if isinstance(error.__cause__, KeyboardInterrupt):
            sys.exit(128 + signal.SIGINT)
        if isinstance(error.__cause__, SystemExit):
            raise error.__cause__ from None
        raise


def _version(show: bool) -> None:
    if show:
        print(f"nicodec {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def _region(text: str) -> tuple[int, int, int, int]:
    """X,Y,WIDTH,HEIGHT as the option gives it."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(n.strip().isascii() and n.strip().isdecimal() for n in numbers):
        raise typer.BadParameter(f"--region takes X,Y,WIDTH,HEIGHT in whole pixels, not {text!r}")
    x, y, width, height = (int(n) for n in numbers)
    return x, y, width, height


@app.command()
def encode(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
            help="Pictures in any format that Pillow reads, folders, patterns, URLs (s3://, gs://, abfs://,"
            " file:///); - is stdin. OUT: the .nic file, the folder or URL for many, or - for stdout."
            " Default: beside IN, with the suffix .nic.",
        ),
    ],
    out: Out = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "-q", "--quality", min=0, max=100, help="0 (smallest) to 100 (finest).", show_default="50"
        ),
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option("--bpp", help="At most so many bits for each pixel.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="BYTES", help="At most so large: 120k, 1.5M.", show_default=False),
    ] = None,
    psnr: Annotated[
        float | None, typer.Option("--psnr", help="At least this PSNR in dB.", show_default=False)
    ] = None,
    effort: Annotated[
        int,
        typer.Option(
            "-e", "--effort", min=1, max=9, help="Above 1: refine for smaller files, slowly; needs torch."
        ),
    ] = 1,
    model: Model = "photo",
    engine: Engine = "local",
    threads: Threads = None,
    force: Force = False,
    skip_existing: SkipExisting = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out colour profile, EXIF and XMP.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Decode all of the file and compare: prints PSNR and the worst cell of 16 x 16 pixels; cells"
            " that came out badly are mended. Without it only what is unlike photographs is compared.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Encode pictures as .nic files.

    [dim]
    nicodec encode photo.jpg                   photo.nic beside it
    nicodec encode photo.png small.nic -q 30   smaller, and another name
    nicodec encode photo.png --size 120k       the best in 120,000 bytes
    nicodec encode photo.png -e 5              smaller still, for a minute's work
    nicodec encode holiday/ archive/           a whole tree of folders
    cat photo.png | nicodec encode - > photo.nic
    [/dim]
    """
    wishes = {"-q": quality, "--bpp": bpp, "--size": size, "--psnr": psnr}
    given = [option for option, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} exclude each other")
    most = None if size is None else _size(size)
    manner = console.Manner(engine, threads, force, skip_existing, quiet, verbose, as_json)

    from nicodec import image

    plan = _plan(sources, out, ".nic", image.is_picture, manner)

    from nicodec.codec import Codec
    from nicodec.extras import check_effort

    if engine == "local":
        check_effort(effort)
    work = jobs.Encode(
        Codec(model, threads=1 if plan.many else threads),
        {
            "quality": quality,
            "target_bytes": most,
            "target_bpp": bpp,
            "target_psnr": psnr,
            "effort": effort,
            "strip": strip,
            "check": check,
        },
        force,
        again=engine == "ray",
    )
    watch = effort > 1 and not (plan.many or quiet or as_json)
    raise typer.Exit(console.run(plan, console.watched(work) if watch else work, "encoded", manner))


@app.command()
def decode(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
            help=".nic files, folders, patterns, URLs (s3://, gs://, abfs://, file:///); - is stdin. OUT: the"
            " picture, in the format of its suffix, the folder or URL for many, or - for stdout, as PNG."
            " Default: beside IN, with the suffix .png.",
        ),
    ],
    out: Out = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="png, jpg, webp, avif, tiff, ppm or npy.", show_default="OUT's"
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WIDTH,HEIGHT", help="Decode only this part, in pixels.", show_default="all"
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="A small picture, an eighth of the size.")
    ] = False,
    model: ModelOfFile = None,
    engine: Engine = "local",
    threads: Threads = None,
    force: Force = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Decode .nic files to PNG, JPEG, WebP, AVIF, TIFF, PPM or NumPy arrays.

    [dim]
    nicodec decode photo.nic                   photo.png beside it
    nicodec decode photo.nic photo.jpg
    nicodec decode archive/ pictures/ --format webp
    nicodec decode photo.nic part.png --region 1000,500,640,480
    nicodec decode archive/ thumbnails/ --preview
    [/dim]
    """
    if preview and region is not None:
        raise typer.BadParameter("--preview and --region exclude each other")
    part = None if region is None else _region(region)
    manner = console.Manner(engine, threads, force, skip_existing, quiet, verbose, as_json)

    from nicodec import image

    suffix = ".png" if format is None else image.suffix_of(format)
    plan = _plan(sources, out, suffix, is_nic, manner)

    work = jobs.Decode(
        model,
        1 if plan.many else threads,
        {"region": part, "scale": 1 / 8 if preview else 1},
        format,
        force,
        again=engine == "ray",
    )
    raise typer.Exit(console.run(plan, work, "decoded", manner))


def _plan(
    sources: list[str], out: str | None, suffix: str, is_input: Callable[[str], bool], manner: console.Manner
) -> Plan:
    """What to do; what is sure to fail is refused before anything heavy is loaded."""
    if manner.force and manner.skip_existing:
        raise typer.BadParameter("-f and --skip-existing exclude each other")
    plan = batch.plan(sources, out, suffix, is_input=is_input)
    if manner.engine == "ray":
        if any("-" in (job.source, job.target) for job in plan.jobs):
            raise NicError("--engine ray: - cannot go to a cluster")
        return replace(plan, many=True)
    if plan.many:
        return plan
    job = plan.jobs[0]
    if job.target == "-" and manner.as_json:
        raise typer.BadParameter("--json and the result cannot both go to stdout")
    if not manner.skip_existing:
        console.check_target(job, manner.force)
    return plan


def _size(text: str) -> float:
    """Bytes as the option gives them: 120000, 120k, 1.5M, 1MiB."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+) ?(?:([kmg])(i?))?b?", text.strip().lower())
    if not found:
        raise typer.BadParameter(f"--size takes bytes, as 120000, 120k or 1.5M, not {text!r}")
    number, unit, binary = found.groups()
    scale: int = (1024 if binary else 1000) ** (" kmg".index(unit) if unit else 0)
    return float(number) * scale


@app.command()
def compare(
    source: Annotated[
        str,
        typer.Argument(metavar="ORIGINAL", help="A picture in any format that Pillow reads; - is stdin."),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CANDIDATE",
            help=".nic, JPEG, WebP, AVIF, PNG, JPEG XL, ... files made of it. Default: as --all.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            help="The HTML page; - is stdout. Default: ORIGINAL with the suffix .compare.html.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Make JPEG, WebP and AVIF too, none larger than the first .nic among the candidates;"
            " without one, make that as well.",
        ),
    ] = False,
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, help="Of the .nic that is made.")
    ] = 50,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WIDTH,HEIGHT",
            help="Show only this part, in pixels; the numbers are of the whole.",
            show_default="all",
        ),
    ] = None,
    model: ModelOfFile = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make one HTML page that shows a picture beside what codecs made of it, with sizes and measures."""
    part = None if region is None else _region(region)
    target = out or ("-" if source == "-" else os.path.splitext(source)[0] + ".compare.html")
    console.check_target(Job(source, target), force)

    from nicodec import compare as comparison
    from nicodec.container import MAGIC

    def load(path: str) -> tuple[comparison.Version, bool]:
        """A file's version, and whether it is a .nic."""
        name = "stdin" if path == "-" else os.path.basename(path) if unique else path
        with about(path, quiet):
            data = read_bytes(path)
            return comparison.load(name, data, model, threads), data.startswith(MAGIC)

    paths = files or []
    unique = len({os.path.basename(path) for path in [source, *paths]}) == 1 + len(paths)
    original, _ = load(source)
    candidates = [load(path) for path in paths]
    versions = [version for version, _ in candidates]
    with about(source, quiet):
        if everything or not paths:
            made = next((version for version, is_nic in candidates if is_nic), None)
            more = len(comparison.RIVALS) + (made is None)
            comparison.area(original, versions, part, more)  # before the long work, not after it
            if made is None:
                made = comparison.ours(original, quality, model or "photo", threads)
                versions.insert(0, made)
            versions += comparison.rivals(original, made.n_bytes, threads)
        page = comparison.page(original, versions, part)
    data = page.encode()
    write_bytes(target, data, force)
    if not quiet:
        result = f"{1 + len(versions)} pictures, {len(data):,} bytes"
        say(f"{label(source, 'stdin')} -> {label(target, 'stdout')}: {result}")


for command in (tools.info, tools.verify, tools.models, tools.bench, tools.train):
    app.command()(command)
