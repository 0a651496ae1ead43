"""The end of a run: the best state -> one model file, checked, and one page that proves what it is worth.

Between `run` and `export`. How much is counted and measured is what `plan` has time for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nicodec import progress
from nicodec.bench import proof
from nicodec.bench.proof import Facts, Proof
from nicodec.errors import NicError
from nicodec.model import checkpoint, modelfile
from nicodec.model.card import Card, Point
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import NETWORKS
from nicodec.model.modelfile import SUFFIX
from nicodec.picture import Picture, writer
from nicodec.storage.files import atomic_write, shown
from nicodec.train import best, correction, export, limits, preview, restoring, tables, validate
from nicodec.train.options import page_of
from nicodec.train.plan import Effort
from nicodec.train.reading import is_gray
from nicodec.train.trainer import LIMITED, Trainer

# The time of a file of `photo` in units of one of `photo-fast`: it encodes five times and decodes twice as slowly.
PHOTO = 3.8


def write(
    trainer: Trainer,
    out: Path,
    name: str,
    history: dict[str, Any],
    card: Card,
    effort: Effort,
    begin: Checkpoint | None = None,
) -> Checkpoint:
    """Write the best state of a run as a model, with tables, a preview and corrections of its own pictures.

    card: all but the curve, which is measured here. begin: the start, where its symbols or its decoder stay: then its
    tables, preview and corrections stay too.
    Raises BadModel if what is written would not compute what was trained.
    """
    data, amp = trainer.data, trainer.amp
    trainer.take_best()
    if not limits.measured(trainer.model):
        trainer.measure_limits()
    with trainer.averaged() as model, progress.working("counting symbols, writing and checking the model"):
        if begin is None or trainer.options.freeze == "decoder":
            limits.measure_familiar(model, restoring.seen(trainer.damage, data.squares(LIMITED)), amp=amp)
        # A card says what a model does to pictures that it has not seen, or nothing.
        curve = [] if data.held.borrowed else validate.points(validate.curves(model, trainer.held, amp=amp))
        card = replace(card, curve=tuple(Point(p["quality"], p["bpp"], p["psnr"]) for p in curve))
        if begin is not None:
            stays = restoring.kept(begin, trainer.options.freeze)
            return export.write_model(model, out, name, history, None, stays, card)
        many = (restoring.seen(trainer.damage, p[None])[0] for p in data.pictures(effort.counted_z))
        counted = restoring.seen(trainer.damage, data.squares(effort.counted))
        counts = tables.count(model, counted, many, amp=amp)
        fitted = preview.fit(model, data.squares(effort.fitted), amp=amp)
        fitted |= correction.fit(model, data.squares(effort.fitted), amp=amp)
        return export.write_model(model, out, name, history, counts, fitted, card)


@contextmanager
def replacing(out: Path, say: Callable[[str], None]) -> Iterator[None]:
    """While a model is written: one that stands there keeps its content under a second name, as files may need it.

    say: called with a line where the new one is another model. Raises NicError if the copy cannot be written.
    """
    try:
        identity = checkpoint.load(out).identity if out.exists() else ""
    except NicError:  # nothing that a file could need
        identity = ""
    if not identity:
        yield
        return
    aside = out.with_name(f"{out.stem}-{identity[:8]}{SUFFIX}")
    made = not aside.exists()
    if made:
        atomic_write(aside, modelfile.read(out), overwrite=False)
    try:
        yield
    finally:  # nothing may have been written
        replaced = checkpoint.load(out).identity != identity
        if made and not replaced:
            aside.unlink()
    if replaced:
        say(f"{shown(aside)} is the model that was {shown(out)} before: files that it has made need it")


def verdict(trainer: Trainer) -> list[str]:
    """What the held-out pictures say of the best state, in lines."""
    state, held = trainer.best, trainer.data.held
    assert state.curves is not None
    assert state.start is not None
    where = "on a training picture, as there is no other" if held.borrowed else "on held-out pictures"
    said = []
    if state.step == 0 or not state.gained > 0:
        keeps_tables = trainer.options.freeze in restoring.FROZEN or trainer.options.skips
        counted = "" if keeps_tables else ", and get tables of these pictures"
        said.append(f"Nothing was better than the start {where}: its weights are kept{counted}.")
    else:
        said.append(
            f"The best state is that of step {state.step} of {trainer.step}: bits + λ · error"
            f" are {100 * state.gained:.1f} % less than those of the start {where}, as estimated while training."
        )
    if state.guarded:
        loss = max(0.0, best.lost(state.start, state.curves))
        said.append(f"No picture of them lost more than {loss:.2f} dB at the same bits.")
    if numbers := best.falling(state.curves):
        listed = ", ".join(f"{i:02}" for i in numbers)
        what = "PSNR" if trainer.options.distortion == "mse" else f"Fidelity by {trainer.options.distortion}"
        said.append(f"{what} does not rise with every step of quality on held-out pictures {listed}.")
    return said


def models(trainer: Trainer, start: str) -> float:
    """How many models the proof measures, in units of the time of the one that is trained. start: as in `measure`."""
    further = 0 if start in ("", "photo") else 1
    return 1 + further + (1 if trainer.options.model == NETWORKS["full"] else PHOTO)


def facts(trainer: Trainer, made: Checkpoint, name: str, said: tuple[str, ...]) -> Facts:
    """What is known of a run when its model is written. said: lines about the state that is kept."""
    data, library = trainer.data, trainer.data.library
    files = library.pictures + library.late + library.full
    return Facts(
        name=name,
        n_bytes=made.path.stat().st_size,
        start=trainer.options.origin.partition(" ")[0],
        files=files,
        pixels=library.pixels * files / library.pictures,
        learnt=data.photographs,
        learnt_pixels=data.pixels,
        held=0 if data.held.borrowed else len(data.validation),
        borrowed=data.held.borrowed,
        gray=data.is_gray,
        steps=trainer.step,
        best=trainer.best.step,
        early=trainer.progress() < 1,
        said=said,
    )


def measure(
    trainer: Trainer, known: Facts, model: Path, start: str, folder: Path, effort: Effort, seconds: Callable[[], float]
) -> Proof | None:
    """Measure a model on held-out pictures: a page beside it, and its numbers in `folder`; None if nothing is measured.

    start: the name or file of the model that training started from, or empty. seconds: that the run took so far.
    """
    if not effort.measured:
        return None
    pictures = folder / "held-out"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.png"):  # of an earlier run
        old.unlink()
    for i, picture in enumerate(trainer.data.validation[: effort.measured]):
        part = picture[..., :1] if is_gray(picture) else picture
        writer.write(writer.to_pil(Picture(np.ascontiguousarray(part))), pictures / f"{i:02}.png")
    return proof.prove(
        pictures,
        model,
        known,
        page_of(model),
        folder,
        start=start,
        rivals=effort.rivals,
        qualities=effort.qualities,
        threads=torch.get_num_threads(),
        seconds=seconds,
    )


def lines(found: Proof) -> list[str]:
    """What a proof says in the terminal."""
    words = proof.words
    warned = [f"Warning: {line}" for line in words.warnings(found)]
    return [line for line in (words.headline(found), words.summary(found), *warned) if line]
