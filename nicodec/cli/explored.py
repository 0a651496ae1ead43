"""What the commands that explore share: which files they take, and one function over many with progress.

Between these commands and `parallel`. A file that fails is named, and does not stop the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic

from nicodec import progress
from nicodec.cli import plan, report
from nicodec.cli.plan import BadUsage, Job
from nicodec.errors import NicError
from nicodec.parallel.processes import Local
from nicodec.parallel.threads import Result
from nicodec.progress import say
from nicodec.storage import is_nic

if TYPE_CHECKING:
    from nicodec.explore import index


def is_source(name: str) -> bool:
    """Whether a file of a folder is taken: a picture or a .nic file."""
    from nicodec.picture import writer

    return is_nic(name) or writer.is_picture(name)


def jobs(names: list[str], out: str | None, suffix: str) -> list[Job]:
    """The files that names mean, each with what is made of it; without `out` nothing is: "".

    Raises NicError if there are none, BadUsage if - is one of several.
    """
    if out is not None:
        found = plan.plan(names, out, (suffix,), is_input=is_source, reads=is_source).jobs
        if not found:
            raise NicError("nothing to do: no picture or .nic file is there")
        return found
    paths = plan.files(names, is_source, "picture or .nic file")
    if len(paths) > 1 and "-" in paths:
        raise BadUsage("- cannot be one of several inputs")
    return [Job(path, "") for path in paths]


class Work(Generic[Result]):
    """The results of one function over files, each with its job. failed: those that raised a NicError, named by now.

    work: job -> result; picklable. threads: processes at once, None for all cores. A single file is worked on here,
    and its NicError is raised.
    """

    def __init__(self, work: Callable[[Job], Result], jobs: list[Job], threads: int | None, *, quiet: bool) -> None:
        self._work, self._jobs, self._threads, self._quiet = work, jobs, threads, quiet
        self.failed: list[NicError] = []

    def __iter__(self) -> Iterator[tuple[Job, Result]]:
        if len(self._jobs) == 1:
            (job,) = self._jobs
            with report.about(job.source, self._quiet, job.target):
                result = self._work(job)
            yield job, result
            return
        answers = Local(self._threads).answers(self._work, self._jobs)
        with report.notes() as notes, progress.bar(len(self._jobs), hidden=self._quiet) as advance:
            for job, answer in answers:
                try:
                    with report.naming(job.source, job.target):
                        result = answer.get()
                except NicError as error:
                    self.failed.append(error)
                    say(f"nicodec: {error}")
                else:
                    yield job, result
                if not self._quiet:
                    report.say_notes(job.source, notes.take())
                advance(os.path.basename(job.source))


@contextmanager
def indexed(
    folder: str, path: str | None, workers: int | None, *, quiet: bool
) -> Iterator[tuple[index.Index, index.Change]]:
    """The index of a folder, up to date, and what that took. Says it, unless `quiet`. Raises NicError."""
    from nicodec.explore import index as indexing
    from nicodec.storage import is_url, path_of
    from nicodec.storage.files import shown

    folder = path_of(folder)
    if is_url(folder) or folder == "-":
        raise BadUsage(f"{shown(folder)}: only a folder of this machine can have an index")
    with indexing.Index(folder, path) as found:
        with progress.bar(None, hidden=quiet) as advance:
            change = found.update(workers=workers, progress=lambda name, done, of: advance(f"{done}/{of} {name}", done))
        if not quiet:
            if change.remade:
                say(f"{shown(found.path)}: was made by another release; it is made anew")
            for name, error in change.failed.items():
                say(f"{shown(os.path.join(folder, name))}: cannot be read: {error.removeprefix(shown(name))}")
        yield found, change
