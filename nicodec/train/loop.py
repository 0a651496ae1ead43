"""The training loop: steps of `trainer`, and beside them a state file, a log, reports, and looks at the held-out.

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
from nicodec.train import limits
from nicodec.train.options import STATE, plain
from nicodec.train.schedule import WARM_UP
from nicodec.train.trainer import Trainer
from nicodec.train.watch import Watch

LOG = "log.jsonl"
# Seconds between two lines of the log.
LOG_EVERY = 10.0
# The share of a schedule from nothing at which the limits of the caps are measured.
MEASURED = 0.5
# Seconds between two reports: to read a number from a GPU is to wait for all its work.
REPORT_EVERY = 0.2
# The held-out pictures are looked at so often in a schedule, for at most this share of its time.
LOOKS, LOOKING = 20, 0.05
# After so many looks without a better state, once the rate is warm, and when training diverges, a run goes back to its
# best state. It does so RETURNS times, then it ends.
PATIENCE, RETURNS = 4, 2


@dataclass(frozen=True)
class Step:
    """What the loop reports: the step's number, share of the schedule, means of about fifty steps."""

    number: int
    fraction: float
    loss: float
    bpp: float
    psnr: float
    pixels_per_second: float


def begin(trainer: Trainer, out: Path) -> None:
    """Look at the held-out pictures once, which tells how fast this machine is. A run that goes on knows it.

    The state is saved first, in place of that of an earlier run: whatever ends this one from here on, it can go on.
    """
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    trainer.save(out / STATE)
    if trainer.best.start is None:
        _look(trainer, out / LOG)


def run(
    trainer: Trainer, out: Path, report: Callable[[Step], None], say: Callable[[str], None] = lambda text: None
) -> None:
    """Train until the schedule ends, Ctrl-C, or nothing becomes better; `trainer.best` has the best state then.

    out: the folder of state.safetensors and log.jsonl. say: called with a line about what is out of the ordinary.

    Raises NicError if `out` cannot be written. What was saved before stays.
    """
    file, log, watch = out / STATE, out / LOG, Watch()
    begin(trainer, out)
    last = reported = logged = saved = time.monotonic()
    before = trainer.pixels
    with interrupted() as stopped:
        try:
            while trainer.progress() < 1 and not stopped:
                begun = trainer.progress()
                values = trainer.train_step()
                if trainer.since == 1:  # its loss may be another one
                    watch = Watch()
                watch.add(values)
                now = time.monotonic()
                # Looking, saving and logging count: a schedule ends when it was said to end.
                trainer.spent += now - last
                trainer.seconds += now - last
                last = now
                if begun < MEASURED <= trainer.progress() and not limits.measured(trainer.model):
                    trainer.measure_limits()
                    trainer.best.forget()  # which had no limits
                why = ""
                if now - reported > REPORT_EVERY:
                    why = watch.fault()
                    speed = (trainer.pixels - before) / (now - reported)
                    report(Step(trainer.step, trainer.progress(), *watch.means(), speed))
                    reported, before = now, trainer.pixels
                if now - logged > LOG_EVERY:
                    note(trainer, log, **dict(zip(("loss", "bpp", "psnr"), watch.means(), strict=True)))
                    logged = now
                better = False
                if not why and _due(trainer, begun):
                    better = _look(trainer, log)
                    if trainer.best.checks >= PATIENCE and trainer.since > WARM_UP:
                        why = f"held-out pictures were no better in {trainer.best.checks} looks"
                if why:
                    if trainer.returns >= RETURNS:
                        say(f"{why}: training ends early, with the best state, of step {trainer.best.step}")
                        break
                    trainer.go_back()
                    say(f"{why}: back to the best state, of step {trainer.best.step}, at half the rate")
                    watch = Watch()
                if (better or now - saved > trainer.options.save_every) and watch.well():
                    trainer.save(file)
                    saved = time.monotonic()
            if watch.well() and trainer.step > trainer.best.step:
                _look(trainer, log)
            else:
                trainer.take_best()  # what is astray is not worth keeping
            trainer.save(file)
        except BaseException:
            # An error loses no work, unless the disk is the error or the last steps went astray.
            if watch.well():
                with suppress(NicError):
                    trainer.save(file)
            raise


def _due(trainer: Trainer, begun: float) -> bool:
    """Whether it is time to look at the held-out. begun: progress before the last step."""
    if int(LOOKS * begun) == int(LOOKS * trainer.progress()):
        return False
    return trainer.options.steps is not None or trainer.looking <= LOOKING * trainer.seconds


def _look(trainer: Trainer, log: Path) -> bool:
    """Look at the held-out pictures; whether the present state is the best."""
    verdict = trainer.look()
    note(trainer, log, look=verdict, gained=trainer.best.gained)
    return verdict == "better"


@contextmanager
def interrupted() -> Iterator[list[bool]]:
    """A list that is not empty after Ctrl-C; in other threads than the main one it stays empty.

    The second Ctrl-C does what it does elsewhere: the last look and the last save may take seconds.
    """
    stopped: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(*_: object) -> None:
        stopped.append(True)
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, stop)
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


def note(trainer: Trainer, path: Path, **values: Any) -> None:
    """One line of the log."""
    entry = {"step": trainer.step, "pixels": trainer.pixels, "seconds": round(trainer.seconds, 1), **values}
    with _writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(plain(entry), allow_nan=False) + "\n")
