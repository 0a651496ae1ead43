"""`nicodec train`: pictures in, one .nicmodel file and a report of what it does out.

The face of training: reads the pictures, drives `loop` under a progress bar, calls `export`, and measures
the result on pictures that it was not trained on.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nicodec import progress
from nicodec.bench import run as bench
from nicodec.errors import BadImage, BadModel, NicError, one_line
from nicodec.model import card, checkpoint, shelf
from nicodec.model.card import Card, Point
from nicodec.model.config import NETWORKS, ModelConfig
from nicodec.model.modelfile import SUFFIX
from nicodec.nn.model import Model
from nicodec.picture import Picture, writer
from nicodec.storage.files import shown
from nicodec.train import correction, export, loop, preview, tables
from nicodec.train.data import HELD_SIDE, Patches, centre
from nicodec.train.loop import Step
from nicodec.train.options import (
    NO_HISTORY,
    RATE_FROM,
    BadOption,
    Options,
    check,
    check_fonts,
    check_out,
    check_there,
    command,
    plain,
    resumed,
)
from nicodec.train.state import read_meta
from nicodec.train.store import Pixels
from nicodec.train.trainer import Trainer, pick_device

# The number of training pictures whose symbols are counted for the tables.
COUNTED = 96
# The same for z, which has hundreds of times fewer symbols.
COUNTED_Z = 256
# The number of training pictures on which the preview and the basis of corrections are fitted.
FITTED = 48
# The most central squares of held-out pictures on which the finished codec is measured.
MEASURED = 24


def train(
    images: list[Path],
    out: Path,
    options: Options,
    *,
    resume: bool,
    again: bool,
    start: str | None,
    force: bool,
    network: str | None = None,
    validation: list[Path] | None = None,
    said: Mapping[str, Any] | None = None,
    report: Callable[[Step], None] | None = None,
) -> None:
    """Train as `options` say and write `out`; the run's state, log and report lie in the folder `out`.run.

    resume: go on from the state there. again: with a new schedule. start: a model to start from.
    network: one of `model.config.NETWORKS`; None: that of the state or the model, else that of the options.
    validation: pictures to hold out. said: the arguments that were given, by the names of `nicodec.train.train`; a
    resumed run takes all others from its state. report: called with every report of the loop.
    Raises NicError for unusable options, pictures, states and models, and if something would be overwritten.
    """
    console, said = Console(stderr=True, soft_wrap=True, highlight=False), said or {}
    folder, state = out.with_suffix(".run"), out.with_suffix(".run") / "state.safetensors"
    # Before minutes of reading, all that can be wrong with the arguments.
    check(options)
    if options.name is not None and (why := shelf.taken(options.name)):
        raise BadOption(f"--name {options.name}: {why}")
    check_out(out)
    if not resume and not force and (out.exists() or folder.exists()):
        raise NicError(f"{shown(out)} or its run exists already; --resume goes on with it, -f starts anew")
    if again and not resume:
        raise BadOption("--again goes with --resume")
    if resume and start is not None:
        raise BadOption("--from starts a run; it does not go with --resume")
    check_there([*images, *(validation or [])])
    begin = None if start is None else checkpoint.load(checkpoint.find(start))
    if network is not None and begin is not None and begin.config != NETWORKS[network]:
        raise NicError(f"{shown(begin.path)} has another network than --network {network}")
    changed: list[str] = []
    if resume:
        saved = read_meta(state).get("options")
        model = ModelConfig.of(saved.get("model") if isinstance(saved, dict) else None, shown(state))
        options, changed = resumed(replace(options, model=_widths(state, model)), said, saved, shown(state))
    elif begin is not None:
        options = replace(options, model=_widths(begin.path, begin.config))
        origin = f"{card.cleaned(begin.name)} {begin.identity[:8]}"
        options = replace(options, origin=origin)
        if "rate" not in said:
            options = replace(options, rate=RATE_FROM)
    if network is not None:
        options = replace(options, model=NETWORKS[network])
    check_fonts(options.fonts)
    device = pick_device(options.device)
    for line in changed:
        console.print(line, markup=False)

    with _refusals(out), _threads(options.threads):
        began = time.monotonic()
        data = _read(images, validation, device, options, out, console)
        trainer = Trainer(options, data)
        if resume:
            trainer.load(state, restart=again)
        elif begin is not None:
            trainer.start_from(begin)
        if not resume:
            (folder / "log.jsonl").unlink(missing_ok=True)
        held = "one of them is measured on" if data.borrowed else f"{len(data.validation)} held out"
        console.print(
            f"{data.photographs} photographs of {data.pixels / 1e6:.0f} megapixels, {held};"
            f" read in {time.monotonic() - began:.0f} s. Training on {device.type}"
            f"{' in bf16' if trainer.amp else ''}; Ctrl-C saves and exports what there is."
        )
        with progress.bar(1, share=True) as advance:

            def show(step: Step) -> None:
                advance(
                    f"step {step.number} loss {step.loss:.2f}"
                    f" {step.bpp:.3f} bpp {step.psnr:.2f} dB {step.pixels_per_second / 1e6:.2f} Mpx/s",
                    step.fraction,
                )
                if report is not None:
                    report(step)

            held_out = loop.run(trainer, folder, show)
        name = options.name or card.cleaned(out.stem)
        history: dict[str, Any] = {
            "command": shlex.join(command(name + SUFFIX, said, options.origin)),
            "options": {key: value for key, value in plain(asdict(options)).items() if key not in NO_HISTORY},
            "steps": trainer.step,
            "pixels": trainer.pixels,
            "seconds": round(trainer.seconds),
            "device": device.type,
            "torch": torch.__version__,
        }
        said_of_it = Card(
            licence=options.licence,
            note=options.note,
            made=datetime.now(timezone.utc).date().isoformat(),
            start=options.origin,
            curve=tuple(Point(point["quality"], point["bpp"], point["psnr"]) for point in held_out),
        )
        with trainer.averaged() as model_now, progress.working("counting symbols, writing and checking the model"):
            counts = tables.count(model_now, data.squares(COUNTED), data.pictures(COUNTED_Z), amp=trainer.amp)
            fitted = preview.fit(model_now, data.squares(FITTED), amp=trainer.amp)
            fitted |= correction.fit(model_now, data.squares(FITTED), amp=trainer.amp)
            made = export.write_model(model_now, out, name, history, counts, fitted, said_of_it)
        size = f"{made.path.stat().st_size / 1e6:.1f} MB"
        console.print(f"{shown(out)}: {size}, {made.identity[:16]}", markup=False)
        measure(data.validation, out, folder, console)


@contextmanager
def _refusals(out: Path) -> Iterator[None]:
    """Turns an error of the disk or of memory into a NicError of one line."""
    try:
        yield
    except OSError as error:
        raise NicError(f"{shown(error.filename or out)}: {one_line(error)}") from None
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise NicError(f"not enough memory, a smaller --batch or --patch needs less: {one_line(error)}") from None


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """torch with `count` threads (None: as before) for the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _widths(path: Path, config: ModelConfig) -> ModelConfig:
    """The config that a file names, if the file can hold that network. Raises BadModel."""
    with torch.device("meta"):  # no memory yet
        parameters = sum(p.numel() for p in Model(config).parameters())
    if parameters > path.stat().st_size:
        raise BadModel(f"{shown(path)}: not a network of these widths, {config}")
    return config


def measure(pictures: list[Pixels], model: Path, folder: Path, console: Console) -> None:
    """Benchmark a model against JPEG on pictures that were held out: results.json, points.csv and rd.png."""
    held_out = folder / "held-out"
    held_out.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures[:MEASURED]):
        writer.write(writer.to_pil(Picture(centre(picture, HELD_SIDE))), held_out / f"{i:02}.png")
    report = bench.run([held_out], folder, codecs=["jpeg", "nicodec"], model=str(model))
    report.print(console)


def _read(
    images: list[Path],
    validation: list[Path] | None,
    device: torch.device,
    options: Options,
    out: Path,
    console: Console,
) -> Patches:
    with progress.bar(None) as advance:
        seen = [0, 0]

        def note(name: str, pixels: int) -> None:
            seen[0], seen[1] = seen[0] + 1, seen[1] + pixels
            advance(f"reading pictures: {seen[0]}, {seen[1] / 1e6:.0f} megapixels")

        data = Patches(
            images,
            device,
            options.seed,
            note,
            drawn=options.drawn,
            gray=options.gray,
            fonts=None if options.fonts is None else Path(options.fonts),
            validation=validation,
            folder=out.parent,
        )
    if not data.has(options.patch):
        raise BadImage(f"no training picture has sides of {options.patch} pixels or more; --patch 64 needs the least")
    for names, why in ((data.skipped, "not readable as pictures"), (data.small, "sides under 64 pixels")):
        if names:
            more = " …" if len(names) > 5 else ""
            listed = ", ".join(shown(name) for name in names[:5])
            console.print(f"{len(names)} left out, {why}: {listed}{more}", markup=False)
    if data.repeated:
        console.print(f"{data.repeated} files are named more than once, and count once")
    if data.kept_apart:
        console.print(f"{data.kept_apart} of the pictures are held out, and not trained on")
    if data.in_file:
        console.print(
            f"The pictures take {data.size / 1e9:.1f} GB, over half of the free memory: they are read from a temporary"
            f" file in {shown(out.parent)}. Fewer or smaller pictures train faster.",
            markup=False,
        )
    return data
