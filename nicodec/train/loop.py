"""The training loop: steps of `trainer`, and beside them a state file, a log and reports.

Between `run`, which shows a bar, and `trainer`.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nicodec.errors import NicError, one_line
from nicodec.storage.files import shown
from nicodec.train.options import plain
from nicodec.train.trainer import Trainer
from nicodec.train.watch import Diverged, Watch

# Seconds between two lines of the log.
LOG_EVERY = 10.0
# The share of the schedule at which the limits of the caps are measured.
MEASURED = 0.5
# Seconds between two reports: to read a number from a GPU is to wait for all its work.
REPORT_EVERY = 0.2


@dataclass(frozen=True)
class Step:
    """What the loop reports: the step's number, share of the schedule, means of about fifty steps."""

    number: int
    fraction: float
    loss: float
    bpp: float
    psnr: float
    pixels_per_second: float


def run(trainer: Trainer, out: Path, report: Callable[[Step], None]) -> list[dict[str, float]]:
    """Train until the schedule ends or Ctrl-C, keeping state.safetensors and log.jsonl in `out`.

    Returns what `Trainer.validate` finds at the end.

    Raises Diverged if training goes astray, and NicError if `out` cannot be written. What was saved before stays.
    """
    file, log = out / "state.safetensors", out / "log.jsonl"
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    saved_step = trainer.step if file.exists() and trainer.step else None
    watch = Watch()
    last = reported = logged = validated = saved = time.monotonic()
    before = trainer.pixels
    with _interrupted() as stopped:
        try:
            while trainer.progress() < 1 and not stopped:
                begun = trainer.progress()
                watch.add(trainer.train_step())
                now = time.monotonic()
                trainer.spent += now - last
                trainer.seconds += now - last
                if begun < MEASURED <= trainer.progress():
                    trainer.measure_limits()
                if now - reported > REPORT_EVERY:
                    watch.check()
                    speed = (trainer.pixels - before) / (now - reported)
                    report(Step(trainer.step, trainer.progress(), *watch.means(), speed))
                    reported, before = now, trainer.pixels
                if now - logged > LOG_EVERY:
                    _log(trainer, log, **dict(zip(("loss", "bpp", "psnr"), watch.means(), strict=True)))
                    logged = now
                if now - validated > trainer.options.validate_every:
                    _log(trainer, log, validation=trainer.validate())
                    validated = time.monotonic()
                if now - saved > trainer.options.save_every and watch.well():
                    trainer.save(file)
                    saved, saved_step = time.monotonic(), trainer.step
                # Validation and saving take nothing from the schedule.
                last = time.monotonic()
            watch.check(last=True)
            held_out = trainer.validate()
            _log(trainer, log, validation=held_out)
            trainer.save(file)
        except Diverged as error:
            kept = "no state was saved yet"
            if saved_step is not None:
                kept = f"the state of step {saved_step} is kept, and --resume goes on from it"
            raise Diverged(f"{error}, at step {trainer.step}; {kept}; a smaller --rate may help") from None
        except BaseException:
            # An error loses no work, unless the disk is the error or the last steps went astray.
            if watch.well():
                with suppress(NicError):
                    trainer.save(file)
            raise
    return held_out


@contextmanager
def _interrupted() -> Iterator[list[bool]]:
    """A list that is not empty after Ctrl-C; in other threads than the main one it stays empty."""
    stopped: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    previous = signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NicError(f"{shown(path)}: cannot be written: {one_line(error)}") from None


def _log(trainer: Trainer, path: Path, **values: Any) -> None:
    entry = {"step": trainer.step, "pixels": trainer.pixels, "seconds": round(trainer.seconds, 1), **values}
    with _writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(plain(entry), allow_nan=False) + "\n")
