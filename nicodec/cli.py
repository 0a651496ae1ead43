"""The command line: `nicodec encode | decode | info | verify | models | bench | train`.

The top of the package. Results go to stdout, everything else to stderr; heavy imports are inside the
commands, so that --help is quick. Exit codes: 0 fine, 2 usage, 3 bad input, 4 unsupported, 5 some failed.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nicodec import __version__
from nicodec.errors import BadFile, LimitExceeded, MissingExtra, NicError
from nicodec.files import atomic_write, shown

app = typer.Typer(
    name="nicodec",
    help="A neural image codec: photographs in far fewer bytes than JPEG, on an ordinary CPU, offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SOME_FAILED = 5
# A .nic file larger than this is not read into memory.
MAX_BYTES = 2**30

Model = Annotated[str, typer.Option("-m", "--model", help="Name, hash or .nicmodel file.")]
ModelOfFile = Annotated[
    str | None,
    typer.Option("-m", "--model", help="Name, hash or .nicmodel file.", show_default="the file's own"),
]
Threads = Annotated[
    int | None, typer.Option("-j", "--threads", min=1, help="Threads to use.", show_default="all")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing OUT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Entry point: runs the app and turns every NicError into one line on stderr and its exit code."""
    # As Ctrl-C does, so that what was begun is removed; whoever had it ignored keeps it so.
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except NicError as error:
        _say(f"nicodec: {error}")
        sys.exit(error.exit_code)
    except MemoryError:
        _say("nicodec: not enough memory for this picture")
        sys.exit(NicError.exit_code)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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


def _target(source: str, out: str | None, suffix: str, force: bool) -> str:
    """Where the result goes. Refuses before the work what the write would refuse after it."""
    target = out or ("-" if source == "-" else os.path.splitext(source)[0] + suffix)
    if target == "-" or not os.path.lexists(target):
        return target
    if os.path.isdir(target):
        raise NicError(f"{shown(target)}: is a folder")
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise typer.BadParameter(f"IN and OUT are the same file, {shown(target)}")
    if not force:
        raise NicError(f"{shown(target)}: exists already; -f overwrites it")
    return target


def _region(text: str) -> tuple[int, int, int, int]:
    """X,Y,WIDTH,HEIGHT as the option gives it."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(n.strip().isascii() and n.strip().isdecimal() for n in numbers):
        raise typer.BadParameter(f"--region takes X,Y,WIDTH,HEIGHT in whole pixels, not {text!r}")
    x, y, width, height = (int(n) for n in numbers)
    return x, y, width, height


def _label(path: str, stream: str) -> str:
    """A path as messages show it; - is the name of the stream."""
    return stream if path == "-" else shown(path)


@contextmanager
def _about(source: str, quiet: bool) -> Iterator[None]:
    """Names the input in every NicError, and makes one line of every warning, once all is well."""
    name = _label(source, "stdin")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except NicError as error:
        text = str(error)
        error.args = (text if text.startswith(name) else f"{name}: {text}",)
        raise
    if not quiet:
        for line in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
            _say(f"{name}: {line}")


def _read(path: str) -> bytes:
    """The bytes of a .nic file; - is stdin."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFile(error.strerror) from None
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"larger than {MAX_BYTES:,} bytes")
    return data


def _write(path: str, data: bytes, force: bool) -> None:
    """Bytes to a file, whole or not at all; - is stdout."""
    if path != "-":
        return atomic_write(path, data, overwrite=force)
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # whoever read has enough
    except OSError as error:
        raise NicError(f"stdout: cannot be written: {error.strerror}") from None


@app.command()
def encode(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A picture in any format that Pillow reads; - is stdin.")
    ],
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT",
            help="The .nic file; - is stdout. Default: IN with the suffix .nic.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, help="0 (smallest) to 100 (finest).")
    ] = 50,
    model: Model = "photo",
    threads: Threads = None,
    force: Force = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out colour profile, EXIF and XMP.")] = False,
    quiet: Quiet = False,
) -> None:
    """Encode a picture as a .nic file."""
    target = _target(source, out, ".nic", force)

    from nicodec import container
    from nicodec.codec import Codec

    codec = Codec(model, threads=threads)
    with _about(source, quiet):
        picture = sys.stdin.buffer if source == "-" else source
        data = codec.encode(picture, quality=quality, strip=strip)
    _write(target, data, force)
    if not quiet:
        made, _ = container.unpack(data)
        bpp = 8 * len(data) / (made.width * made.height)
        result = f"{made.width}x{made.height}, {len(data):,} bytes, {bpp:.3f} bpp"
        _say(f"{_label(source, 'stdin')} -> {_label(target, 'stdout')}: {result}")


@app.command()
def decode(
    source: Annotated[str, typer.Argument(metavar="IN", help="A .nic file; - is stdin.")],
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT",
            help="The picture, in the format of its suffix; - is stdout, as PNG."
            " Default: IN with the suffix .png.",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,WIDTH,HEIGHT", help="Decode only this part, in pixels.", show_default="all"
        ),
    ] = None,
    model: ModelOfFile = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Decode a .nic file to PNG, JPEG, WebP, AVIF, TIFF or PPM."""
    part = None if region is None else _region(region)
    target = _target(source, out, ".png", force)

    from nicodec import image
    from nicodec.codec import codec_for

    with _about(source, quiet):
        data = _read(source)
        picture = codec_for(data, model, threads).decode(data, region=part)
    if target == "-":
        buffer = io.BytesIO()
        image.write(picture, buffer, "PNG")
        _write(target, buffer.getvalue(), force)
    else:
        image.write(picture, target, overwrite=force)
    if not quiet:
        size = f"{picture.width}x{picture.height} {picture.mode}"
        _say(f"{_label(source, 'stdin')} -> {_label(target, 'stdout')}: {size}")


@app.command()
def info(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A .nic file; - is stdin.")],
    as_json: Json = False,
) -> None:
    """Say what a .nic file holds, without decoding it."""
    from nicodec import codec

    with _about(source, quiet=False):
        found = codec.info(_read(source))
    if as_json:
        print(json.dumps(asdict(found) | {"chunks": [{"kind": k, "bytes": n} for k, n in found.chunks]}))
        return
    rows = [
        ("size", f"{found.width}x{found.height} {found.mode}"),
        ("bytes", f"{found.size:,} ({found.bpp:.3f} bpp)"),
        ("quality", f"{found.quality:g}"),
        ("model", f"{found.model or 'not installed'} ({found.model_id})"),
        ("format", found.version),
        ("tiles", f"{found.tiles[0]}x{found.tiles[1]}"),
        ("chunks", ", ".join(f"{kind} {size:,}" for kind, size in found.chunks)),
        ("metadata", ", ".join(found.metadata) or "none"),
    ]
    for key, value in rows:
        print(f"{key:9}{value}")


@app.command()
def verify(
    sources: Annotated[list[str], typer.Argument(metavar="FILE", help=".nic files; - is stdin.")],
    model: ModelOfFile = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Decode .nic files completely, checksums included, and say which are sound."""
    from nicodec.codec import codec_for

    failed: list[NicError] = []
    for source in sources:
        try:
            with _about(source, quiet):
                data = _read(source)
                codec_for(data, model, threads).decode(data)
        except NicError as error:
            failed.append(error)
            print(error)
        else:
            if not quiet:
                print(f"{_label(source, 'stdin')}: ok")
    if failed:
        raise typer.Exit(failed[0].exit_code if len(sources) == 1 else SOME_FAILED)


@app.command()
def models(as_json: Json = False) -> None:
    """List the installed models."""
    from nicodec import checkpoint

    found = list(checkpoint.installed())
    if as_json:
        print(json.dumps([entry | {"path": str(path)} for entry, path in found]))
        return
    for entry, path in found:
        print(f"{shown(entry['name'])}  {entry['sha256'][:16]}  {shown(path)}")
    if not found:
        _say("no model is installed; NICODEC_MODELS names folders to look in")


@app.command()
def bench(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Pictures and folders. Default: the photographs of scikit-image.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for results.json, points.csv and rd.png.")
    ] = Path("bench-results"),
    codecs: Annotated[
        list[str] | None,
        typer.Option("-c", "--codec", help="Only this codec; may be repeated.", show_default="all"),
    ] = None,
    points: Annotated[int, typer.Option(min=4, help="Settings for each codec.")] = 11,
    model: Model = "photo",
    threads: Annotated[
        int, typer.Option("-j", "--threads", min=1, help="Threads for every codec that can be told.")
    ] = 1,
    anchors: Annotated[
        Path | None, typer.Option(help="JSON with published curves to draw and compare.")
    ] = None,
) -> None:
    """Measure rate and distortion of real files beside JPEG, WebP, AVIF, JPEG 2000 and JPEG XL."""
    from rich.console import Console

    from nicodec import bench as benchmark

    try:
        report = benchmark.run(
            images or None,
            out,
            codecs=codecs or None,
            points=points,
            model=model,
            threads=threads,
            anchors=anchors,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    report.print(Console())


@app.command()
def train(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES", help="Pictures, folders and tar files to learn from.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The .nicmodel file; its state and log lie beside it.")
    ],
    minutes: Annotated[float, typer.Option(min=0, help="Length of the schedule.")] = 120,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Length of the schedule in steps, instead of --minutes.", show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state beside OUT.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="With --resume: a new schedule, from the averaged weights.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start from this model instead of from nothing.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Patches in a step.")] = 8,
    patch: Annotated[
        int, typer.Option(min=64, help="Side of a patch, a multiple of 64; twice that at the end.")
    ] = 128,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    threads: Annotated[
        int | None, typer.Option("-j", "--threads", min=1, help="CPU threads.", show_default="all")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Force = False,
) -> None:
    """Train a codec for your own kind of picture: one command, one file."""
    try:
        from nicodec.train.loop import Options
        from nicodec.train.run import train as run
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}: pip install 'nicodec[train]'") from None

    options = Options(
        minutes=minutes,
        steps=steps,
        batch=batch,
        patch=patch,
        rate=rate,
        seed=seed,
        threads=threads,
        device=device,
    )
    run(images, out, options, resume=resume, again=again, start=start, force=force)
