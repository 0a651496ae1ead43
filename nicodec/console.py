"""Runs the jobs of a command and reports: a line for one file; a bar, failures and a summary for many.

Between `cli`, which knows the options, and `batch`, which knows the files. Results are printed to stdout if
they are JSON; everything for people goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from nicodec import batch, buckets, cluster
from nicodec.batch import Job, Plan
from nicodec.errors import NicError
from nicodec.files import shown
from nicodec.jobs import Done, Encode
from nicodec.workers import Apart, cores, in_order

SOME_FAILED, INTERRUPTED = 5, 130
# So many targets at once are looked for before a cluster is given its work.
LOOKING = 16


class SameFile(NicError):
    """The command would write over what it reads."""

    exit_code = 2


@dataclass(frozen=True)
class Outcome:
    """One of done and error; neither if the target was there and was to be left."""

    job: Job
    done: Done | None = None
    error: NicError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manner:
    """How to run and how to report."""

    engine: Literal["local", "ray"] = "local"
    threads: int | None = None
    force: bool = False
    skip_existing: bool = False
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def label(path: str, stream: str) -> str:
    """A path as messages show it; - is the name of the stream."""
    return stream if path == "-" else shown(path)


def check_target(job: Job, force: bool) -> None:
    """Refuses before the work what the write would refuse after it. Raises NicError."""
    source, target = job.source, job.target
    if buckets.is_url(target):
        if not force and buckets.exists(target):
            raise NicError(f"{shown(target)}: exists already; -f overwrites it")
        return
    if target == "-" or not os.path.lexists(target):
        return
    if os.path.isdir(target):
        raise NicError(f"{shown(target)}: is a folder")
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise SameFile(f"{shown(target)}: IN and OUT are the same file")
    if not force:
        raise NicError(f"{shown(target)}: exists already; -f overwrites it")


@contextmanager
def about(source: str, quiet: bool, target: str = "") -> Iterator[None]:
    """Names the input in every NicError, and makes one line of every warning, once all is well.

    What could not be written is named by itself.
    """
    with batch.notes() as notes:
        with _naming(source, target):
            yield
        _say_notes(source, () if quiet else notes.take())


@contextmanager
def _naming(source: str, target: str) -> Iterator[None]:
    name, made = label(source, "stdin"), label(target, "stdout")
    try:
        yield
    except NicError as error:
        text = str(error)
        error.args = (text if text.startswith((f"{name}:", f"{made}:")) else f"{name}: {text}",)
        raise


def _say_notes(source: str, lines: list[str] | tuple[str, ...]) -> None:
    for line in lines:
        say(f"{label(source, 'stdin')}: {line}")


def run(plan: Plan, work: Callable[[Job], Done], verb: str, manner: Manner) -> int:
    """Do all jobs; returns the exit code of many files. Of one, raises its NicError.

    work: does one job; of many, in a process of its own for each worker, to which it is pickled, on the
    machines that the engine of `manner` says.
    verb: what was done to the files, for the summary.
    """
    return _many(plan.jobs, work, verb, manner) if plan.many else _one(plan, work, manner)


def _one(plan: Plan, work: Callable[[Job], Done], manner: Manner) -> int:
    (job,) = plan.jobs
    if _is_to_skip(job, manner):
        outcome = Outcome(job)
    else:
        check_target(job, manner.force)
        with about(job.source, manner.quiet, job.target):
            if plan.makes_folders:
                _make_folder(job.target)
            outcome = Outcome(job, work(job))
    if manner.as_json:
        print(json.dumps(_facts(outcome)))
    elif not manner.quiet:
        _say_outcome(outcome)
    return 0


def _many(jobs: list[Job], work: Callable[[Job], Done], verb: str, manner: Manner) -> int:
    if not jobs:
        raise NicError("nothing to do: no file of a known kind is there")
    taken = batch.clashes(jobs)
    started = time.monotonic()
    outcomes: list[Outcome] = []
    total = Total()

    def prepare(job: Job) -> Outcome | None:
        """What becomes of a job that needs no work; else makes the folder of its target."""
        try:
            with _naming(job.source, job.target):
                if job.source in taken:
                    other = shown(taken[job.source].source)
                    raise NicError(f"{shown(job.target)} is what {other} becomes; use another OUT")
                if _is_to_skip(job, manner):
                    return Outcome(job)
                check_target(job, manner.force)
                _make_folder(job.target)
                return None
        except NicError as error:
            return Outcome(job, error=error)

    def finish(job: Job, do: Callable[[], Done]) -> Outcome:
        try:
            with _naming(job.source, job.target):
                return Outcome(job, do(), notes=tuple(notes.take()))
        except NicError as error:
            return Outcome(job, error=error)
        except MemoryError:
            return Outcome(job, error=NicError(f"{shown(job.source)}: not enough memory"))

    def here() -> Generator[Outcome, None, None]:
        crew = min(manner.threads or cores(), len(jobs))
        with Apart(work) if crew > 1 else nullcontext(work) as do:
            yield from in_order(lambda job: prepare(job) or finish(job, partial(do, job)), jobs, crew)

    def on_cluster() -> Generator[Outcome, None, None]:
        left = []
        for job, settled in zip(jobs, in_order(prepare, jobs, LOOKING), strict=True):
            if settled is None:
                left.append(job)
            else:
                yield settled
        for job, answer in cluster.spread(work, left, manner.threads):
            yield finish(job, answer.get)

    stopped = False
    with (
        batch.notes() as notes,
        _bar(len(jobs), manner.quiet or manner.as_json) as advance,
        closing(here() if manner.engine == "local" else on_cluster()) as results,
    ):
        try:
            for outcome in results:
                outcomes.append(outcome)
                total.add(outcome, time.monotonic() - started)
                if not manner.quiet:
                    _say_notes(outcome.job.source, outcome.notes)
                if outcome.error is not None:
                    say(f"nicodec: {outcome.error}")
                elif manner.verbose:
                    _say_outcome(outcome)
                advance(total)
        except KeyboardInterrupt:
            stopped = True
    if manner.as_json:
        print(json.dumps({"files": [_facts(o) for o in outcomes], "total": vars(total)}))
    elif not manner.quiet:
        say(f"{verb} {total}")
    if stopped:
        say(f"stopped with {len(jobs) - len(outcomes)} files to go; --skip-existing goes on from here")
        return INTERRUPTED
    return SOME_FAILED if total.failed else 0


def _is_to_skip(job: Job, manner: Manner) -> bool:
    if not manner.skip_existing or job.target == "-":
        return False
    return buckets.exists(job.target) if buckets.is_url(job.target) else os.path.isfile(job.target)


def _make_folder(target: str) -> None:
    folder = os.path.dirname(target)
    try:
        if folder and not buckets.is_url(target):
            os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise NicError(f"{shown(folder)}: cannot be made: {error.strerror}") from None


def _say_outcome(outcome: Outcome) -> None:
    source, target = label(outcome.job.source, "stdin"), label(outcome.job.target, "stdout")
    said = "is there already, skipped" if outcome.done is None else outcome.done.said
    say(f"{source} -> {target}: {said}")


def _facts(outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"source": outcome.job.source, "target": outcome.job.target}
    if outcome.error is not None:
        return facts | {"error": str(outcome.error)}
    if outcome.done is None:
        return facts | {"skipped": True}
    done = outcome.done
    facts |= {"width": done.width, "height": done.height, "bytes_in": done.bytes_in}
    return facts | {"bytes_out": done.bytes_out} | done.facts | {"notes": list(outcome.notes)}


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
    def rate(self) -> str:
        return f"{self.megapixels / max(self.seconds, 1e-9):.1f} Mpx/s"

    @property
    def volume(self) -> str:
        return f"{_bytes(self.bytes_in)} -> {_bytes(self.bytes_out)}"

    def __str__(self) -> str:
        text = f"{self.files or 'no'} file{'s' * (self.files != 1)}"
        if self.files:
            smaller = 0 < self.bytes_out < self.bytes_in
            text += f", {self.volume}" + smaller * f" ({100 * self.bytes_out / self.bytes_in:.1f} %)"
            text += f", {self.megapixels:.1f} megapixels in {self.seconds:.1f} s ({self.rate})"
        left = [f"{n} {what}" for n, what in ((self.skipped, "skipped"), (self.failed, "failed")) if n]
        return "; ".join([text, ", ".join(left)]) if left else text


def _bytes(count: float) -> str:
    power = min(3, max(0, (len(str(round(count))) - 1) // 3))
    return f"{count:,.0f} bytes" if power == 0 else f"{count / 1000**power:.3g} {' kMG'[power]}B"


@contextmanager
def _bar(jobs: int, hidden: bool) -> Iterator[Callable[[Total], None]]:
    """A progress bar on stderr, where that is a terminal."""
    if hidden or not sys.stderr.isatty():
        yield lambda total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=jobs, text="")

        def advance(total: Total) -> None:
            progress.update(task, advance=1, text=f"{total.rate}  {total.volume}")

        yield advance


def watched(work: Encode) -> Callable[[Job], Done]:
    """The same, with a bar on stderr, where that is a terminal, that shows what effort gains."""
    if not sys.stderr.isatty():
        return work
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"), TimeRemainingColumn())

    def watch(job: Job) -> Done:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1, text="")

            def progress(done: float, cost: float) -> None:
                bar.update(task, completed=done, text=f"cost {100 * cost:.1f} %")

            return replace(work, options=work.options | {"progress": progress})(job)

    return watch
