"""A run from a finished model to the same model with layers that paint the natural picture.

Under the command line; `learner` learns, `export.natural` writes. The state lies beside the model, as that of `train`.
"""

from __future__ import annotations

import itertools
import math
import shlex
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nicodec import progress
from nicodec.errors import BadFile, BadModel, NicError
from nicodec.model import checkpoint, modelfile
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import BOTH, SHUFFLE
from nicodec.storage.files import shown
from nicodec.train import loop
from nicodec.train.abreast import torch_threads
from nicodec.train.data import Patches
from nicodec.train.endings import explained
from nicodec.train.export import natural as export
from nicodec.train.held import Held
from nicodec.train.natural.learner import MEASURED, Learner, Look, Options
from nicodec.train.notes import notes
from nicodec.train.options import STATE, BadOption, check_out, check_there, run_of
from nicodec.train.run import pick_device, widths
from nicodec.train.state import read_held, read_meta

# A run looks at held-out pictures this often, and not before this number of steps. Seconds between two saved states.
LOOKS, LEAST, SAVE_EVERY = 10, 100, 300.0
# The ranges of options; the first of the two is the least.
RANGES = {
    "steps": (1, 10**8), "batch": (1, 4096), "rate": (1e-8, 1.0), "bias": (0.0, 1e6), "variance": (0.0, 1e6),
    "texture": (0.0, 1e6), "seed": (0, 2**63 - 1),
}  # fmt: skip


def train(
    images: list[Path],
    out: Path,
    said: dict[str, Any],
    *,
    start: str = "photo",
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> Checkpoint:
    """Learn from pictures, and write the model `start` with the layers to `out`; the state lies in `out`.run.

    said: options that were given, by the names of `Options`; a resumed run takes the others from its state. Raises
    NicError for pictures, models, states and options that cannot be used, and if something would be overwritten.
    """
    state = run_of(out) / STATE
    _check(images, out, said, resume=resume, force=force)
    begin, metadata = _start(start)
    options, kept = Options(**said), None
    if resume:
        options, kept = _resumed(state, said), read_held(state)
    with explained(out, state, progress.say, resume=resume), torch_threads(threads):
        learner = Learner(options, begin, _read(images, out, begin, pick_device(device), kept, options.seed))
        if resume:
            learner.load(state)
        state.parent.mkdir(exist_ok=True)
        learner.save(state)
        _learn(learner, state)
        with progress.working("writing and checking the model"):
            history = _history(learner, out, begin)
            made = export.add(metadata, begin, learner.finished(), out, history)
        progress.say(
            f"{shown(out)}: {out.stat().st_size / 1e6:.1f} MB, {made.identity[:16]}, layers of step"
            f" {learner.best_step} of {learner.step}"
        )
    return made


def _check(images: list[Path], out: Path, said: dict[str, Any], *, resume: bool, force: bool) -> None:
    for name, value in said.items():
        low, high = RANGES[name]
        if not low <= value <= high:  # negated, so that nan is refused too
            raise BadOption(f"--{name} is {low:g} to {high:g}, not {value}")
    check_out(out)
    check_there(images)
    if not (resume or force) and (out.exists() or run_of(out).exists()):
        raise NicError(f"{shown(out)} or its run exists already; --resume goes on with it, -f starts anew")


def _start(name: str) -> tuple[Checkpoint, dict[str, str]]:
    """The model to start from, and the metadata of its file. Raises NicError for one that cannot have the layers."""
    path = checkpoint.find(name)
    data = modelfile.read(path)
    begin = checkpoint.of(data, path)
    if (begin.config.transform, begin.config.upsample) != (BOTH, SHUFFLE):
        raise BadModel(f"{shown(path)}: only a model with the usual transform and upsampling can have these layers")
    widths(path, begin.config)
    return begin, modelfile.parse(data, shown(path))[0]


def _resumed(state: Path, said: dict[str, Any]) -> Options:
    """The options of a state, with those that were given. Raises BadFile if it is the state of another kind of run."""
    try:
        saved = Options(**read_meta(state)["natural"])
        for name, (low, high) in RANGES.items():
            if not low <= getattr(saved, name) <= high:
                raise ValueError(name)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"{shown(state)}: not a state of layers for the natural picture ({error})") from None
    return replace(saved, **said)


def _read(
    images: list[Path], out: Path, begin: Checkpoint, device: torch.device, kept: Held | None, seed: int
) -> Patches:
    colour = "rgb" if begin.config.colours > 1 else "gray"
    with progress.bar(None) as advance:
        count = itertools.count(1)

        def note(name: str, pixels: int) -> None:
            advance(f"reading pictures: {next(count)}")

        data = Patches(images, device, seed, note, colour=colour, kept=kept, folder=out.parent)
    for line in notes(data, data.square):
        progress.say(line)
    held = "one of them is looked at" if data.held.borrowed else f"{len(data.validation)} held out"
    progress.say(f"{data.photographs} photographs, {data.pixels / 1e6:.3g} megapixels, {held}.")
    return data


def _learn(learner: Learner, state: Path) -> None:
    """All steps, with looks at held-out pictures. Ctrl-C ends them; the state is saved in any case."""
    if learner.goes_on and not learner.measured:
        learner.measure_limits()
    every = max(LEAST, learner.options.steps // LOOKS)
    if not math.isfinite(learner.best_loss):
        _say(learner, learner.look())
    last = saved = time.monotonic()
    with loop.interrupted() as stopped, progress.bar(1, share=True) as advance:
        try:
            while learner.progress() < 1 and not stopped:
                loss, error, distance = learner.train_step()
                now = time.monotonic()
                learner.seconds, last = learner.seconds + now - last, now
                text = f"step {learner.step} loss {loss:.2f} squared error {error:.1f} texture {distance:.4f}"
                advance(text, learner.progress())
                if not learner.measured and learner.progress() >= MEASURED:
                    learner.measure_limits()
                if learner.step % every == 0 or learner.progress() >= 1:
                    _say(learner, learner.look())
                if now - saved > SAVE_EVERY:
                    learner.save(state)
                    saved = time.monotonic()
        finally:
            learner.save(state)
    if stopped:  # this look is beside the schedule, so the state has nothing of it
        _say(learner, learner.look())


def _say(learner: Learner, found: Look) -> None:
    best = ", the best so far" if learner.best_step == learner.step else ""
    progress.say(
        f"step {learner.step}: held-out pictures give up {found.lost:.2f} dB; the distance of textures is"
        f" {found.texture:.4f}, that of faithful pictures {found.faithful:.4f}; loss {found.loss:.3f}{best}"
    )


def _history(learner: Learner, out: Path, begin: Checkpoint) -> dict[str, Any]:
    """What the file tells of how its layers were made, without a path or a name of anything of the user's."""
    words = ["python", "-m", "nicodec.train.natural", "PICTURES", "-o", out.name, "--from", begin.name]
    for name, value in asdict(learner.options).items():
        words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return {
        "command": shlex.join(words),
        "start": begin.identity[:16],
        "layers": "natural" if learner.goes_on else "g_s",
        "options": asdict(learner.options),
        "steps": learner.step,
        "best": learner.best_step,
        "seconds": round(learner.seconds),
        "device": learner.device.type,
        "torch": torch.__version__,
    }
