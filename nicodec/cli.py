"""The command line: `nicodec encode | decode | info | verify | models | bench | train`.

The top of the package. Results go to stdout, everything else to stderr; heavy imports are inside the
commands, so that --help is quick. Exit codes: 0 fine, 2 usage, 3 bad input, 4 unsupported, 5 some failed.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nicodec import __version__
from nicodec.errors import NicError

if TYPE_CHECKING:
    from nicodec.codec import Codec

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

Model = Annotated[
    str | None, typer.Option("-m", "--model", help="Name, hash or .nicmodel file.", show_default="photo")
]
Threads = Annotated[
    int | None, typer.Option("-j", "--threads", min=1, help="Threads to use.", show_default="all")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite an existing OUT.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Entry point: runs the app and turns every NicError into one line on stderr and its exit code."""
    try:
        app()
    except NicError as error:
        _say(f"nicodec: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
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


def _read(path: str) -> bytes:
    """The bytes of a .nic file; - is stdin."""
    from nicodec.errors import BadFile, LimitExceeded

    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"{path}: larger than {MAX_BYTES:,} bytes")
    return data


def _write(path: str, data: bytes, force: bool) -> None:
    from nicodec.files import atomic_write

    if path == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        atomic_write(path, data, overwrite=force)


def _refuse_existing(path: str, force: bool) -> None:
    """Refuse before the work, not after it; the write itself checks again."""
    if path != "-" and not force and os.path.lexists(path):
        raise NicError(f"{path}: exists already; -f overwrites it")


@app.command()
def encode(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A picture in any format that Pillow reads; - is stdin.")
    ],
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT]",
            help="The .nic file; - is stdout. Default: IN with the suffix .nic.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        float, typer.Option("-q", "--quality", min=0, max=100, help="0 (smallest) to 100 (finest).")
    ] = 50,
    model: Model = None,
    threads: Threads = None,
    force: Force = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out colour profile, EXIF and XMP.")] = False,
    quiet: Quiet = False,
) -> None:
    """Encode a picture as a .nic file."""
    target = out or ("-" if source == "-" else str(Path(source).with_suffix(".nic")))
    _refuse_existing(target, force)

    from nicodec import image
    from nicodec.codec import Codec

    picture = image.read(sys.stdin.buffer if source == "-" else source, strip=strip)
    data = Codec(model or "photo", threads=threads).encode(picture, quality=quality)
    _write(target, data, force)
    if not quiet:
        for note in picture.notes:
            _say(f"{source}: {note}")
        height, width = picture.pixels.shape[:2]
        _say(
            f"{source} -> {target}: {width}x{height}, {len(data):,} bytes, {8 * len(data) / (width * height):.3f} bpp"
        )


def _codec_for(data: bytes, model: str | None, threads: int | None) -> Codec:
    """The codec that a file asks for, or the one that the user names."""
    from nicodec import checkpoint, container
    from nicodec.codec import Codec

    return Codec(model or checkpoint.find_id(container.unpack(data)[0].model), threads=threads)


@app.command()
def decode(
    source: Annotated[str, typer.Argument(metavar="IN", help="A .nic file; - is stdin.")],
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT]",
            help="The picture, its format by its suffix; - is stdout, as PNG. Default: IN with the suffix .png.",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Decode a .nic file to PNG, JPEG, WebP, AVIF, TIFF or PPM."""
    target = out or ("-" if source == "-" else str(Path(source).with_suffix(".png")))
    _refuse_existing(target, force)

    from nicodec import image

    data = _read(source)
    with _named(source):
        picture = _codec_for(data, model, threads).decode(data)
    if target == "-":
        image.write(picture, sys.stdout.buffer, "PNG")
    else:
        image.write(picture, target, overwrite=force)
    if not quiet:
        _say(f"{source} -> {target}: {picture.width}x{picture.height} {picture.mode}")


class _named:
    """Puts the name of the file at hand before the text of a NicError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NicError) and not str(error).startswith(self.name):
            error.args = (f"{self.name}: {error}",)


@app.command()
def info(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A .nic file; - is stdin.")],
    as_json: Json = False,
) -> None:
    """Say what a .nic file holds, without decoding it."""
    from nicodec import codec

    with _named(source):
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
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help=".nic files; - is stdin.")],
    model: Model = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Decode .nic files completely, checksums included, and say which are sound."""
    failed: list[NicError] = []
    for source in sources:
        try:
            data = _read(source)
            _codec_for(data, model, threads).decode(data)
        except NicError as error:
            failed.append(error)
            print(f"{source}: {error}")
        else:
            if not quiet:
                print(f"{source}: ok")
    if failed:
        raise typer.Exit(failed[0].exit_code if len(sources) == 1 else SOME_FAILED)


@app.command()
def models(as_json: Json = False) -> None:
    """List the installed models."""
    from nicodec import checkpoint

    found = [entry | {"path": str(path)} for entry, path in checkpoint.installed()]
    if as_json:
        print(json.dumps(found))
        return
    for entry in found:
        print(
            f"{entry['name']}  {entry['sha256'][:16]}  {entry.get('parameters', 0) / 1e6:.1f} M parameters  {entry['path']}"
        )
        for point in entry.get("rd", {}).get("points", []):
            print(f"    q {point['quality']:<5g}{point['bpp']:8.3f} bpp{point['psnr']:8.2f} dB")


@app.command()
def bench(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[IMAGES]...",
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
    model: Model = None,
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

    report = benchmark.run(
        images or None,
        out,
        codecs=codecs or None,
        points=points,
        model=model or "photo",
        threads=threads,
        anchors=anchors,
    )
    report.print(Console())


@app.command()
def train(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Pictures, folders and tar files to learn from.")
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
    from nicodec.train import run

    run.train(
        images,
        out,
        minutes=minutes,
        steps=steps,
        resume=resume,
        again=again,
        start=start,
        batch=batch,
        patch=patch,
        rate=rate,
        seed=seed,
        threads=threads,
        device=device,
        force=force,
    )
