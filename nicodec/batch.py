"""Many files: the arguments of a command -> one job for each picture, each with where it goes.

Between the command line, which reports, and `codec`, which sees one picture at a time.
"""

from __future__ import annotations

import glob
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nicodec import buckets
from nicodec.errors import NicError
from nicodec.files import shown

_MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Job:
    """One file to read and the one to make of it; - is a stream."""

    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """jobs: in the order of the arguments, folders sorted. many: a folder, a pattern or several are named.

    makes_folders: the results go into folders that may not be there yet.
    """

    jobs: list[Job]
    many: bool
    makes_folders: bool


def plan(
    arguments: list[str],
    out: str | None,
    suffix: str,
    *,
    is_input: Callable[[str], bool],
) -> Plan:
    """What IN... [OUT] means.

    arguments: files, folders, patterns, URLs, or - alone. out: where the results go, if an option said so;
    else the last of several arguments says it if it is a folder or cannot be an input. suffix: of the
    results. is_input: whether a name is that of a file to take from a folder.

    One file goes to OUT itself, or into it if it is a folder; everything else goes into the folder OUT, with
    the tree below each folder or pattern; without OUT each result lies beside its source. A bucket does not
    know of folders: a URL as OUT is one unless its name has a suffix.
    Raises NicError if OUT cannot be what it has to be, or a URL cannot be listed.
    """
    sources = [buckets.path_of(name) for name in arguments]
    out = None if out is None else buckets.path_of(out)
    if out is None and len(sources) > 1 and _is_out(sources, is_input):
        out = sources.pop()
    if len(sources) == 1 and _is_one(sources[0]):
        job = Job(sources[0], _single(sources[0], out, suffix))
        return Plan([job], many=False, makes_folders=out is not None and out.endswith(os.sep))
    if "-" in sources:
        raise NicError("- cannot be one of several inputs")
    if out is not None and (out == "-" or (os.path.exists(out) and not os.path.isdir(out))):
        raise NicError(f"{shown(out)}: several results need a folder to go to")
    jobs = [
        Job(path, os.path.splitext(path if out is None else _inside(out, below))[0] + suffix)
        for source in sources
        for path, below in _files(source, is_input)
    ]
    return Plan(jobs, many=True, makes_folders=True)


def found(arguments: list[str], is_input: Callable[[str], bool]) -> Iterator[str]:
    """The files that arguments as those of `plan` name. Raises NicError if a URL cannot be listed."""
    for source in map(buckets.path_of, arguments):
        yield from (path for path, _ in _files(source, is_input))


def _is_one(source: str) -> bool:
    """Whether an argument is one file, be it there or not, and no folder and no pattern."""
    if buckets.is_url(source):
        return buckets.exists(source)
    return not os.path.isdir(source) and not _is_pattern(source)


def _single(source: str, out: str | None, suffix: str) -> str:
    name = os.path.splitext(os.path.basename(source))[0] + suffix
    if out is None:
        return "-" if source == "-" else os.path.splitext(source)[0] + suffix
    is_folder = (
        not buckets.has_suffix(out) if buckets.is_url(out) else out.endswith(os.sep) or os.path.isdir(out)
    )
    return _inside(out, name) if is_folder else out


def _is_out(arguments: list[str], is_input: Callable[[str], bool]) -> bool:
    """Whether the last of several arguments names where the results go."""
    *before, last = arguments
    if last == "-" or last.endswith(os.sep) or os.path.isdir(last):
        return True
    if buckets.is_url(last):
        return not is_input(last)
    if len(before) == 1:
        return not is_input(last) or os.path.abspath(before[0]) == os.path.abspath(last)
    return not os.path.exists(last) and not os.path.splitext(last)[1] and not _is_pattern(last)


def _is_pattern(name: str) -> bool:
    return bool(_MAGIC & set(name)) and not os.path.lexists(name) and bool(_matches(name))


def _matches(pattern: str) -> list[str]:
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def _inside(out: str, below: str) -> str:
    if buckets.is_url(out):
        return "/".join((out.rstrip("/"), *below.split(os.sep)))
    return os.path.join(out, below)


def _files(source: str, is_input: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """The files that an argument names, and the path of each below it."""
    if buckets.is_url(source):
        yield from ((url, os.path.join(*parts)) for url, parts in buckets.below(source, is_input))
    elif os.path.isdir(source):
        for folder, inside, names in os.walk(source):
            inside.sort()
            for name in sorted(filter(is_input, names)):
                path = os.path.join(folder, name)
                yield path, os.path.relpath(path, source)
    elif _is_pattern(source):
        fixed = source[: min(source.index(c) for c in _MAGIC if c in source)]
        start = os.path.dirname(fixed)
        yield from ((path, os.path.relpath(path, start or os.curdir)) for path in _matches(source))
    else:
        yield source, os.path.basename(source)


def clashes(jobs: list[Job]) -> dict[str, Job]:
    """Sources whose target another job, that comes first, writes as well -> that job."""
    first: dict[str, Job] = {}
    later: dict[str, Job] = {}
    for job in jobs:
        key = job.target if buckets.is_url(job.target) else os.path.normcase(os.path.abspath(job.target))
        if first.setdefault(key, job) is not job:
            later[job.source] = first[key]
    return later


class Notes(threading.local):
    """The lines that warnings in this thread became since the last `take`."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    def take(self) -> list[str]:
        lines, self._lines = list(dict.fromkeys(self._lines)), []
        return lines


@contextmanager
def notes() -> Iterator[Notes]:
    """Collects warnings for each thread, which `warnings.catch_warnings` alone cannot do."""
    found = Notes()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: found.add(" ".join(str(message).split()))
        yield found
