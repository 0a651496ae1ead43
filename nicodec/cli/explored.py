"""What the commands that explore share: which files they take, and one function over many with progress.

Between these commands and `parallel`. A file that fails is named, and does not stop the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Generic

from nicodec import parallel, progress
from nicodec.cli import plan, report
from nicodec.cli.plan import BadUsage, Job
from nicodec.errors import NicError
from nicodec.parallel.threads import Result
from nicodec.progress import say
from nicodec.storage import is_nic
from nicodec.storage.files import shown

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

    work: job -> result; picklable. engine, threads: as for `parallel.engine`. Here a single file is worked on in this
    process, and its NicError is raised. Raises BadUsage for stdin on a cluster.
    """

    def __init__(
        self,
        work: Callable[[Job], Result],
        jobs: list[Job],
        threads: int | None,
        *,
        engine: parallel.Name = "local",
        quiet: bool,
    ) -> None:
        if engine != "local" and any(job.source == "-" for job in jobs):
            raise BadUsage(f"--engine {engine}: - cannot go to a cluster")
        self._work, self._jobs, self._quiet = work, jobs, quiet
        self._alone = engine == "local" and len(jobs) == 1
        self._engine = parallel.engine(engine, threads)
        self.failed: list[NicError] = []

    def __iter__(self) -> Iterator[tuple[Job, Result]]:
        if self._alone:
            (job,) = self._jobs
            with report.about(job.source, self._quiet, job.target):
                result = self._work(job)
            yield job, result
            return
        with (
            report.notes() as notes,
            progress.bar(len(self._jobs), hidden=self._quiet) as advance,
            closing(parallel.in_turn(self._engine, self._work, self._jobs)) as answers,
        ):
            for job, answer in answers:
                try:
                    with report.naming(job.source, job.target):
                        result = answer.get()
                except (NicError, MemoryError) as error:
                    if isinstance(error, MemoryError):
                        error = NicError(f"{shown(job.source)}: not enough memory")
                    self.failed.append(error)
                    say(f"nicodec: {error}")
                else:
                    yield job, result
                if not self._quiet:
                    report.say_notes(job.source, notes.take())
                advance(shown(os.path.basename(job.source)))


@contextmanager
def indexed(
    folder: str, path: str | None, workers: int | None, engine: parallel.Name, *, quiet: bool
) -> Iterator[tuple[index.Index, index.Change]]:
    """The index of a folder, up to date, and what that took. Says it, unless `quiet`. Raises NicError.

    workers, engine: as for `parallel.engine`.
    """
    from nicodec.explore import index as indexing
    from nicodec.storage import is_url, path_of

    folder, path = path_of(folder), None if path is None else path_of(path)
    if is_url(folder) or folder == "-":
        raise BadUsage(f"{shown(folder)}: only a folder of this machine can have an index")
    if path is not None and (is_url(path) or path == "-"):
        raise BadUsage(f"{shown(path)}: the index has to be a file of this machine")
    place = path or os.path.join(folder, indexing.NAME)
    new = not os.path.lexists(place)
    with indexing.Index(folder, path) as found:
        if new and not quiet:  # before the long work: the folder is the user's, and it stays there
            say(f"{shown(place)}: a new index, with each picture small; it may be removed at any time")
        with progress.bar(None, hidden=quiet) as advance:
            change = found.update(
                parallel.engine(engine, workers),
                progress=lambda name, done, of: advance(f"{done}/{of} {shown(name)}", done),
            )
        if not quiet:
            if change.remade:
                say(f"{shown(found.path)}: was made by another release; it is made anew")
            for name, error in change.failed.items():
                say(f"{shown(os.path.join(folder, name))}: {error}")
        yield found, change
