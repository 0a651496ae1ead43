"""The commands about files and models: `info`, `verify`, `models`, `bench`, `train`.

Registered by `cli`; heavy imports are inside the commands here too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nicodec import batch
from nicodec.console import SOME_FAILED, about, label, say
from nicodec.errors import MissingExtra, NicError
from nicodec.files import is_nic, shown
from nicodec.jobs import read_bytes
from nicodec.options import Force, Json, ModelOfFile, Quiet, Threads

NIC_FILES = ".nic files, folders, patterns, URLs as for decode; - is stdin."


def info(
    sources: Annotated[list[str], typer.Argument(metavar="FILE", help=NIC_FILES)],
    as_json: Json = False,
) -> None:
    """Say what .nic files hold, without decoding them."""
    from nicodec import api

    paths, failed = _nic_files(sources), False
    for path in paths:
        try:
            with about(path, quiet=False):
                found = api.info(read_bytes(path))
        except NicError as error:
            if len(paths) == 1:
                raise
            say(f"nicodec: {error}")
            failed = True
            continue
        if as_json:
            chunks = [{"kind": kind, "bytes": size} for kind, size in found.chunks]
            print(json.dumps({"source": path} | asdict(found) | {"chunks": chunks}))
            continue
        rows = [("file", label(path, "stdin"))] if len(paths) > 1 else []
        rows += [
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
        if path != paths[-1]:
            print()
    if failed:
        raise typer.Exit(SOME_FAILED)


def verify(
    sources: Annotated[list[str], typer.Argument(metavar="FILE", help=NIC_FILES)],
    model: ModelOfFile = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Decode .nic files completely, checksums included, and say which are sound."""
    from nicodec.api import codec_for

    paths = _nic_files(sources)
    failed: list[NicError] = []
    for source in paths:
        try:
            with about(source, quiet):
                data = read_bytes(source)
                codec_for(data, model, threads).decode(data)
        except NicError as error:
            failed.append(error)
            print(error)
        else:
            if not quiet:
                print(f"{label(source, 'stdin')}: ok")
    if failed:
        raise typer.Exit(failed[0].exit_code if len(paths) == 1 else SOME_FAILED)


def _nic_files(arguments: list[str]) -> list[str]:
    paths = list(batch.found(arguments, is_nic))
    if not paths:
        raise NicError("nothing to do: no .nic file is there")
    return paths


def models(as_json: Json = False) -> None:
    """List the installed models."""
    from nicodec import checkpoint

    found = list(checkpoint.installed())
    if as_json:
        print(json.dumps([entry | {"path": str(path)} for entry, path in found]))
        return
    for entry, path in found:
        print(f"{shown(entry['name'])}  {entry['sha256'][:16]}  {shown(path)}")
        with suppress(KeyError, IndexError, TypeError, ValueError):  # somebody else's manifest
            for line in _about_model(entry):
                print(f"    {shown(line)}")
    if not found:
        say("no model is installed; NICODEC_MODELS names folders to look in")


def _about_model(entry: dict[str, Any]) -> Iterator[str]:
    """What a manifest tells of a model."""
    cost = entry["kmac_per_pixel"]
    yield (
        f"{entry['parameters'] / 1e6:.1f} million parameters; multiplications for each pixel:"
        f" {1000 * cost['encode']:,.0f} to encode, {1000 * cost['decode']:,.0f} to decode"
    )
    first, last = entry["rd"]["points"][0], entry["rd"]["points"][-1]
    yield (
        f"{first['bpp']:.3f} to {last['bpp']:.2f} bpp, {first['psnr']:.1f} to {last['psnr']:.1f} dB"
        f" ({entry['rd']['images']})"
    )


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
    models: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--model",
            help="Name, hash or .nicmodel file; of several the first is compared with all others.",
            show_default="photo",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("-j", "--threads", min=1, help="Threads for every codec that can be told.")
    ] = 1,
    anchors: Annotated[
        Path | None, typer.Option(help="JSON with published curves to draw and compare.")
    ] = None,
    crops: Annotated[
        float | None,
        typer.Option(
            metavar="BPP",
            help="Measure nothing, but show the pictures at this rate beside JPEG and AVIF: crops.png.",
        ),
    ] = None,
) -> None:
    """Measure rate and distortion of real files beside JPEG, WebP, AVIF, JPEG 2000 and JPEG XL."""
    from rich.console import Console

    from nicodec import bench as benchmark

    model, *further = models or ["photo"]
    if crops is not None:
        try:
            benchmark.crops(
                images or None,
                out / "crops.png",
                target_bpp=crops,
                codecs=codecs,
                model=model,
                further=further,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        typer.echo(shown(out / "crops.png"))
        return
    try:
        report = benchmark.run(
            images or None,
            out,
            codecs=codecs or None,
            points=points,
            model=model,
            further=further,
            threads=threads,
            anchors=anchors,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    report.print(Console())


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
    network: Annotated[
        Literal["full", "fast"] | None,
        typer.Option(
            help="full: the smallest files; fast: encodes four and decodes two times as fast.",
            show_default="that of --from or --resume, else full",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Patches in a step; a CPU is busiest with 8 for each core.")
    ] = 8,
    patch: Annotated[
        int, typer.Option(min=64, help="Side of a patch, a multiple of 64; twice that at the end, up to 256.")
    ] = 128,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    drawn: Annotated[
        float, typer.Option(min=0, max=1, help="Share of patches that are drawn: shapes, letters, noise.")
    ] = 1 / 32,
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
        drawn=drawn,
        seed=seed,
        threads=threads,
        device=device,
    )
    run(images, out, options, resume=resume, again=again, start=start, force=force, network=network)
