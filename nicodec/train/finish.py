"""The end of a run: the best state -> one model file, checked, and a report of what it does.

Between `run` and `export`. How much is counted and measured is what `plan` has time for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nicodec import progress
from nicodec.bench import run as bench
from nicodec.model.card import Card, Point
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture, writer
from nicodec.storage.files import shown
from nicodec.train import best, correction, export, limits, preview, tables, validate
from nicodec.train.data import HELD_SIDE
from nicodec.train.held import Held
from nicodec.train.plan import Effort
from nicodec.train.reading import centre
from nicodec.train.trainer import LIMITED, Trainer


def write(
    trainer: Trainer,
    out: Path,
    name: str,
    history: dict[str, Any],
    card: Card,
    effort: Effort,
    say: Callable[[str], None],
) -> Checkpoint:
    """Write the best state of a run as a model, with tables, a preview and corrections of its own pictures.

    card: all but the curve, which is measured here. say: called with lines about the result.
    Raises BadModel if what is written would not compute what was trained.
    """
    data, amp = trainer.data, trainer.amp
    for line in verdict(trainer):
        say(line)
    trainer.take_best()
    if not limits.measured(trainer.model):
        trainer.measure_limits()
    with trainer.averaged() as model, progress.working("counting symbols, writing and checking the model"):
        limits.measure_familiar(model, data.squares(LIMITED), amp=amp)
        curve = validate.points(validate.curves(model, data.validation, amp=amp))
        counts = tables.count(model, data.squares(effort.counted), data.pictures(effort.counted_z), amp=amp)
        fitted = preview.fit(model, data.squares(effort.fitted), amp=amp)
        fitted |= correction.fit(model, data.squares(effort.fitted), amp=amp)
        points = tuple(Point(p["quality"], p["bpp"], p["psnr"]) for p in curve)
        return export.write_model(model, out, name, history, counts, fitted, replace(card, curve=points))


def verdict(trainer: Trainer) -> list[str]:
    """What the held-out pictures say of the best state, in lines."""
    state, held = trainer.best, trainer.data.held
    assert state.curves is not None
    assert state.start is not None
    where = "on a picture that it learnt from, as there is no other" if held.borrowed else "on held-out pictures"
    said = []
    if state.step == 0 or not state.gained > 0:
        said.append(
            f"Nothing was better than the start {where}: its weights are kept, and get tables of these pictures."
        )
    else:
        said.append(
            f"The best state is that of step {state.step} of {trainer.step}: {100 * state.gained:.1f} % less"
            f" bits + λ · error than the start {where}, as estimated while training."
        )
    if state.guarded:
        loss = max(0.0, best.lost(state.start, state.curves))
        said.append(f"No picture of them lost more than {loss:.2f} dB at the same bits.")
    if numbers := best.falling(state.curves):
        listed = ", ".join(f"{i:02}" for i in numbers)
        said.append(f"PSNR does not rise with every step of quality on held-out pictures {listed}.")
    return said


def measure(held: Held, model: Path, start: str, folder: Path, effort: Effort, console: Console) -> None:
    """Benchmark a model against its start and JPEG on held-out pictures: results.json, points.csv and rd.png.

    start: the file of the model that training started from, or empty. folder: where the report lies.
    """
    if not effort.measured:
        return
    pictures = folder / "held-out"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.png"):  # of an earlier run
        old.unlink()
    for i, picture in enumerate(held.pictures[: effort.measured]):
        writer.write(writer.to_pil(Picture(centre(picture, HELD_SIDE))), pictures / f"{i:02}.png")
    if held.borrowed:
        console.print(f"{shown(folder)}: this report rests on a picture that was learnt from; there is no other.")
    further = [start] if start else []
    report = bench.run(
        [pictures], folder, codecs=["jpeg", "nicodec"], points=effort.qualities, model=str(model), further=further
    )
    report.print(console)
