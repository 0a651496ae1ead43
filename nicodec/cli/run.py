"""Runs the jobs of a command: one here, many on an engine. A job that fails does not stop the others.

Between the commands, which know the options, and `parallel`. `report` prints the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace

import typer

from nicodec import parallel, progress
from nicodec.cli import plan as planning
from nicodec.cli import report
from nicodec.cli.ending import Ending
from nicodec.cli.jobs import Writing
from nicodec.cli.plan import BadUsage, Job, Plan
from nicodec.cli.report import INTERRUPTED, SOME_FAILED, Done, Outcome, Total
from nicodec.errors import NicError
from nicodec.parallel.threads import in_order
from nicodec.progress import say
from nicodec.storage import is_nic, store_of
from nicodec.storage.files import Files, shown

# Targets that are looked for at a time, before the work begins: buckets take a while to answer.
LOOKING = 16


@dataclass(frozen=True)
class Manner:
    """How to run and how to report."""

    engine: parallel.Name = "local"
    threads: int | None = None
    force: bool = False
    skip_existing: bool = False
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    update: bool = False
    preserve: bool = False

    def writing(self, plan: Plan) -> Writing:
        """How the jobs of a plan write their files."""
        return Writing(self.replaces, again=self.engine == "ray", folders=plan.folders, preserve=self.preserve)

    @property
    def replaces(self) -> bool:
        """Whether a file that is there, and is not skipped, is replaced."""
        return self.force or self.update


def planned(
    names: list[str],
    out: str | None,
    suffixes: tuple[str, ...],
    manner: Manner,
    *,
    is_input: Callable[[str], bool],
    reads: Callable[[str], bool],
    by_suffix: bool = False,
) -> Plan:
    """The plan of `plan.plan`. Refuses a job that is sure to fail before anything heavy is loaded.

    Raises NicError, and BadParameter for options that exclude each other.
    """
    ways = {"-f": manner.force, "--skip-existing": manner.skip_existing, "--update": manner.update}
    given = [option for option, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} exclude each other")
    plan = planning.plan(names, out, suffixes, is_input=is_input, reads=reads, by_suffix=by_suffix)
    plan = replace(plan, reads_nic=reads is is_nic)
    if not manner.quiet:
        for note in plan.notes:
            say(note)
    if manner.preserve and not all(
        isinstance(store_of(n), Files) for job in plan.jobs for n in (job.source, job.target)
    ):
        raise BadUsage("--preserve: only files of this machine have times and permissions to keep")
    if manner.engine == "ray":
        if any("-" in (job.source, job.target) for job in plan.jobs):
            raise BadUsage("--engine ray: - cannot go to a cluster")
        return replace(plan, many=True, folders=True)
    if plan.many:
        return plan
    job = plan.jobs[0]
    if job.target == "-" and manner.as_json:
        raise typer.BadParameter("--json and the result cannot both go to stdout")
    planning.check_stdout(job.target, "the result is not text and")
    planning.check_source(job, plan.reads_nic)
    if not _is_to_skip(job, manner):
        planning.check_target(job, manner.replaces, plan.folders)
    return plan


def run(plan: Plan, work: Callable[[Job], Done], verb: str, manner: Manner, ending: Ending | None = None) -> int:
    """Do all jobs; returns the exit code. A plan of one file raises its NicError.

    work: does one job; for many it is pickled for the engine of `manner`. verb: for the summary, such as "encoded".
    ending: adds notes to the outcomes of many files, and does what comes after the last line.
    """
    return _many(plan, work, verb, manner, ending) if plan.many else _one(plan, work, manner, ending)


def _one(plan: Plan, work: Callable[[Job], Done], manner: Manner, ending: Ending | None) -> int:
    job, started, total = plan.jobs[0], time.monotonic(), Total()
    if _is_to_skip(job, manner):
        outcome = Outcome(job)
    else:
        planning.check_target(job, manner.replaces, plan.folders)
        try:
            with report.about(job.source, manner.quiet, job.target) as notes:
                done = work(job)
                outcome = Outcome(job, done, notes=notes.lines)
        except NicError as error:
            if manner.as_json:
                failed = Outcome(job, error=error)
                total.add(failed, time.monotonic() - started)
                print(report.as_json([failed], total))
            raise
    total.add(outcome, time.monotonic() - started)
    if manner.as_json:
        print(report.as_json([outcome], total))
    elif not manner.quiet:
        say(str(outcome))
    if ending is not None:
        ending.close([outcome])
    return 0


def _many(plan: Plan, work: Callable[[Job], Done], verb: str, manner: Manner, ending: Ending | None) -> int:
    jobs = plan.jobs
    if not jobs:
        left = f"; {plan.left}" if plan.left else ""
        raise NicError(f"nothing to do: no file of a known kind is there{left}")
    taken = planning.clashes(jobs)
    started, outcomes, total, stopped = time.monotonic(), list[Outcome](), Total(), False

    def settled(job: Job) -> Outcome | None:
        """The outcome of a job that needs no work."""
        try:
            with report.naming(job.source, job.target):
                if job.source in taken:
                    other = shown(taken[job.source].source)
                    raise NicError(f"{shown(job.target)} is what {other} becomes; use another OUT")
                if _is_to_skip(job, manner):
                    return Outcome(job)
                planning.check_source(job, plan.reads_nic)
                planning.check_target(job, manner.replaces, plan.folders, leaves=True)
                return None
        except NicError as error:
            return Outcome(job, error=error)

    def results() -> Generator[Outcome, None, None]:
        left = []
        for job, outcome in zip(jobs, in_order(settled, jobs, LOOKING), strict=True):
            if outcome is None:
                left.append(job)
            else:
                yield outcome
        for job, answer in parallel.engine(manner.engine, manner.threads).answers(work, left):
            try:
                with report.naming(job.source, job.target):
                    yield Outcome(job, answer.get(), notes=notes.take())
            except NicError as error:
                yield Outcome(job, error=error)
            except MemoryError:
                yield Outcome(job, error=NicError(f"{shown(job.source)}: not enough memory"))

    with (
        report.notes() as notes,
        progress.bar(len(jobs), hidden=manner.quiet or manner.as_json) as advance,
        closing(results()) as found,
    ):
        try:
            for outcome in found:
                outcomes.append(outcome)
                total.add(outcome, time.monotonic() - started)
                if not manner.quiet:
                    report.say_notes(outcome.job.source, outcome.notes)
                if outcome.error is not None:
                    say(f"nicodec: {outcome.error}")
                elif manner.verbose:
                    say(str(outcome))
                advance(f"{total.speed}  {total.volume}")
        except KeyboardInterrupt:
            stopped = True
    if ending is not None:
        before, outcomes = outcomes, ending.noted(outcomes)
        for outcome, old in zip(outcomes, before, strict=True) if not manner.quiet else ():
            report.say_notes(outcome.job.source, outcome.notes[len(old.notes) :])
    if plan.left and not manner.quiet:
        say(plan.left)
    if manner.as_json:
        print(report.as_json(outcomes, total))
    elif not manner.quiet:
        say(f"{verb} {total}")
    if ending is not None:
        ending.close(outcomes)
    if stopped:
        say(f"stopped with {len(jobs) - len(outcomes)} files to go; --skip-existing goes on from here")
        return INTERRUPTED
    return SOME_FAILED if total.failed else 0


def _is_to_skip(job: Job, manner: Manner) -> bool:
    store = store_of(job.target)
    if not (manner.skip_existing or manner.update) or not store.exists(job.target) or store.is_folder(job.target):
        return False
    if manner.skip_existing:
        return True
    source, target = store_of(job.source).changed(job.source), store.changed(job.target)
    return source is not None and target is not None and source <= target
