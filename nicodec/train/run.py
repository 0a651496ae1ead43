"""`nicodec train`: pictures in, one .nicmodel file and a report of what it does out.

The face of training: reads the pictures, drives `loop` under a progress bar, calls `export`, and measures
the result on pictures that it was not trained on.
"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from nicodec import bench, checkpoint, image
from nicodec.errors import BadModel, NicError
from nicodec.files import shown
from nicodec.train import export, preview, tables
from nicodec.train.data import Patches, Pixels
from nicodec.train.loop import Options, Step, Trainer, centre, pick_device, read_meta
from nicodec.train.model import NETWORKS, Model, ModelConfig

# Training pictures whose symbols are counted for the tables.
COUNTED = 96
# The same for z, which has hundreds of times fewer symbols.
COUNTED_Z = 256
# Training pictures on which the preview is fitted.
FITTED = 48
# Held-out pictures, or central squares of them, on which the finished codec is measured.
MEASURED, MEASURED_SIDE = 24, 384


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
) -> None:
    """Train as `options` say and write `out`; the run's state, log and report lie in the folder `out`.run.

    resume: go on from the state there; again: but under a new schedule. start: a model to start from.
    network: one of `model.NETWORKS`; None: that of the state or the model, else that of the options.
    Raises NicError for unusable pictures, states and models, and if something would be overwritten.
    """
    console = Console(stderr=True)
    folder = out.with_suffix(".run")
    if out.suffix != checkpoint.SUFFIX:
        raise NicError(f"{shown(out)}: the name of a model ends with {checkpoint.SUFFIX}")
    if not resume and not force and (out.exists() or folder.exists()):
        raise NicError(f"{shown(out)} or its run exists already; --resume goes on with it, -f starts anew")
    if again and not resume:
        raise NicError("--again goes with --resume")
    if resume and start is not None:
        raise NicError("--from starts a run; it does not go with --resume")
    device = pick_device(options.device)
    # Before minutes of reading, as all that can be wrong with the arguments.
    begin = None if start is None else checkpoint.load(checkpoint.find(start))
    if network is not None and begin is not None and begin.config != vars(NETWORKS[network]):
        raise NicError(f"{shown(begin.path)} has another network than --network {network}")
    state = folder / "state.safetensors"
    if network is not None:
        options = replace(options, model=NETWORKS[network])
    elif resume:
        options = replace(options, model=_widths(state, read_meta(state).get("options", {}).get("model")))
    elif begin is not None:
        options = replace(options, model=_widths(begin.path, begin.config))
    if options.threads:
        torch.set_num_threads(options.threads)

    began = time.monotonic()
    data = _read(images, device, options, console)
    trainer = Trainer(options, data)
    if resume:
        trainer.load(state, restart=again)
    elif begin is not None:
        trainer.start_from(begin)
    if not resume:
        (folder / "log.jsonl").unlink(missing_ok=True)
    console.print(
        f"{len(data.entries)} pictures of {data.size / 3e6:.0f} megapixels, {len(data.validation)} held out;"
        f" read in {time.monotonic() - began:.0f} s. Training on {device.type}"
        f"{' in bf16' if trainer.amp else ''}; Ctrl-C saves and exports what there is."
    )
    with _bar(console, "{task.fields[text]}") as bar:
        task = bar.add_task("train", total=1.0, text="")

        def report(step: Step) -> None:
            bar.update(
                task,
                completed=step.fraction,
                text=f"step {step.number} loss {step.loss:.2f}"
                f" {step.bpp:.3f} bpp {step.psnr:.2f} dB {step.pixels_per_second / 1e6:.2f} Mpx/s",
            )

        trainer.run(folder, report)
    history: dict[str, Any] = {
        "command": shlex.join(["nicodec", *sys.argv[1:]]),
        "options": asdict(options),
        "steps": trainer.step,
        "pixels": trainer.pixels,
        "seconds": round(trainer.seconds),
        "device": device.type,
        "torch": torch.__version__,
        "start": start,
    }
    with trainer.averaged() as model, console.status("counting symbols, writing and checking the model"):
        counts = tables.count(model, data.squares(COUNTED), data.pictures(COUNTED_Z), amp=trainer.amp)
        small = preview.fit(model, data.squares(FITTED), amp=trainer.amp)
        made = export.write_model(model, out, out.stem, history, counts, small)
    console.print(f"{shown(out)}: {made.path.stat().st_size / 1e6:.1f} MB, {made.sha256[:16]}")
    measure(data.validation, out, folder, console)


def _widths(path: Path, saved: Any) -> ModelConfig:
    """The config that a file names, if it can hold that network. Raises BadModel."""
    try:
        config = ModelConfig.of(saved)
        with torch.device("meta"):  # no memory yet
            parameters = sum(p.numel() for p in Model(config).parameters())
        if parameters <= path.stat().st_size:
            return config
    except (TypeError, ValueError, RuntimeError):
        pass
    raise BadModel(f"{shown(path)}: not a network of these widths, {saved}")


def measure(pictures: list[Pixels], model: Path, folder: Path, console: Console) -> None:
    """Benchmark a model against JPEG on pictures that were held out: results.json, points.csv and rd.png."""
    held_out = folder / "held-out"
    held_out.mkdir(parents=True, exist_ok=True)
    squares = [s for s in (centre(p, MEASURED_SIDE) for p in pictures) if s is not None][:MEASURED]
    for i, square in enumerate(squares):
        image.write(image.to_pil(image.Picture(np.ascontiguousarray(square))), held_out / f"{i:02}.png")
    report = bench.run([held_out], folder, codecs=["jpeg", "nicodec"], model=str(model))
    report.print(console)


def _read(images: list[Path], device: torch.device, options: Options, console: Console) -> Patches:
    with _bar(console, "{task.fields[text]}") as bar:
        task = bar.add_task("read", total=None, text="reading pictures")
        seen = [0, 0]

        def note(name: str, pixels: int) -> None:
            seen[0], seen[1] = seen[0] + 1, seen[1] + pixels
            bar.update(task, text=f"reading pictures: {seen[0]}, {seen[1] / 1e6:.0f} megapixels")

        data = Patches(images, device, options.seed, note, drawn=options.drawn)
    if data.skipped:
        console.print(
            f"{len(data.skipped)} left out, not readable as pictures: {', '.join(data.skipped[:5])} …"
        )
    return data


def _bar(console: Console, text: str) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(text),
        TimeRemainingColumn(),
        console=console,
    )
