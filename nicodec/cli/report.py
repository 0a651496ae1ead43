"""The messages of commands: a line for one file; failures and a summary for many; the same as JSON.

Under `run` and the commands. What is for people goes to stderr.
"""

from __future__ import annotations

import json
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from nicodec import errors
from nicodec.cli.plan import Job
from nicodec.errors import NicError
from nicodec.progress import say
from nicodec.storage.files import shown

SOME_FAILED, INTERRUPTED = 5, 130


@dataclass(frozen=True)
class Done:
    """The result of a job. said: a line for a person; facts: the same for programs."""

    width: int
    height: int
    bytes_in: int
    bytes_out: int
    said: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A job with its result or its error; with neither if it was skipped."""

    job: Job
    done: Done | None = None
    error: NicError | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        source, target = label(self.job.source, "stdin"), label(self.job.target, "stdout")
        said = "is there already, skipped" if self.done is None else self.done.said
        return f"{source} -> {target}: {said}"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        facts: dict[str, Any] = {"source": self.job.source, "target": self.job.target}
        if self.error is not None:
            return facts | {"error": str(self.error)}
        if self.done is None:
            return facts | {"skipped": True}
        done = self.done
        facts |= {"width": done.width, "height": done.height, "bytes_in": done.bytes_in}
        return facts | {"bytes_out": done.bytes_out} | done.facts | {"notes": list(self.notes)}


@dataclass
class Total:
    """Sums over many files, as they come."""

    files: int = 0
    skipped: int = 0
    failed: int = 0
    megapixels: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome, seconds: float) -> None:
        """One more; seconds: since the start."""
        self.seconds = seconds
        if outcome.done is None:
            self.failed += outcome.error is not None
            self.skipped += outcome.error is None
            return
        self.files += 1
        self.megapixels += outcome.done.width * outcome.done.height / 1e6
        self.bytes_in += outcome.done.bytes_in
        self.bytes_out += outcome.done.bytes_out

    @property
    def speed(self) -> str:
        return f"{self.megapixels / max(self.seconds, 1e-9):.1f} Mpx/s"

    @property
    def volume(self) -> str:
        return f"{_bytes(self.bytes_in)} -> {_bytes(self.bytes_out)}"

    def __str__(self) -> str:
        text = f"{self.files or 'no'} file{'s' * (self.files != 1)}"
        if self.files:
            smaller = 0 < self.bytes_out < self.bytes_in
            text += f", {self.volume}" + smaller * f" ({100 * self.bytes_out / self.bytes_in:.1f} %)"
            text += f", {self.megapixels:.1f} megapixels in {self.seconds:.1f} s ({self.speed})"
        left = [f"{n} {what}" for n, what in ((self.skipped, "skipped"), (self.failed, "failed")) if n]
        return "; ".join([text, ", ".join(left)]) if left else text


def as_json(outcomes: list[Outcome], total: Total) -> str:
    """What `--json` prints, of one file and of many."""
    return json.dumps({"files": [outcome.facts() for outcome in outcomes], "total": vars(total)})


def _bytes(count: float) -> str:
    power = min(3, max(0, (len(str(round(count))) - 1) // 3))
    return f"{count:,.0f} bytes" if power == 0 else f"{count / 1000**power:.3g} {' kMG'[power]}B"


def finite(decibels: float) -> float | None:
    """Decibels for JSON, which knows no infinity: None where nothing was lost."""
    return decibels if math.isfinite(decibels) else None


def label(path: str, stream: str) -> str:
    """A path as messages show it; - is the name of the stream."""
    return stream if path == "-" else shown(path)


class Notes(threading.local):
    """The warnings of this thread since the last `take`, one line each."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._lines))

    def take(self) -> tuple[str, ...]:
        lines, self._lines = self.lines, []
        return lines


@contextmanager
def notes() -> Iterator[Notes]:
    """Collects warnings for each thread, which `warnings.catch_warnings` alone cannot do."""
    found = Notes()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: found.add(" ".join(str(message).split()))
        yield found


@contextmanager
def about(source: str, quiet: bool, target: str = "") -> Iterator[Notes]:
    """Names the input in every NicError; yields the warnings. Says them, one line each, if no error was raised.

    An error that already names `target` stays as it is.
    """
    with notes() as found:
        with naming(source, target):
            yield found
        if not quiet:
            say_notes(source, found.take())


def naming(source: str, target: str) -> AbstractContextManager[None]:
    """Names the input in every NicError that does not begin with the name of source or target."""
    return errors.naming(label(source, "stdin"), label(target, "stdout"))


def say_written(source: str, target: str, size: int) -> None:
    """One line: what a file was made of, its name and its bytes."""
    say(f"{label(source, 'stdin')} -> {label(target, 'stdout')}: {size:,} bytes")


def say_notes(source: str, lines: tuple[str, ...]) -> None:
    for line in lines:
        say(f"{label(source, 'stdin')}: {line}")
