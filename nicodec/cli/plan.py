"""The names of a command -> its jobs: each a file to read, and the file to make of it.

Between the commands and `run`. One rule says which name is OUT, the same for every command.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from nicodec.bitstream.container import MAGIC
from nicodec.errors import BadFile, NicError
from nicodec.storage import is_nic, path_of, store_of, tree
from nicodec.storage.files import shown

# The most kinds of files that the line about files left out names.
KINDS = 6


class BadUsage(NicError):
    """The names of a command do not go together."""

    exit_code = 2


@dataclass(frozen=True)
class Job:
    """One file to read and the one to make of it; - is a stream."""

    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """jobs: in the order of the names, folders sorted. many: a folder, a pattern or several files are named.

    folders: the results go into folders that may not be there yet. notes: lines to warn of. reads_nic: the sources are
    .nic files. left: the line about files of other kinds, if there are any. root: the folder of all results, if named.
    """

    jobs: list[Job]
    many: bool
    folders: bool
    notes: tuple[str, ...] = ()
    reads_nic: bool = False
    left: str = ""
    root: str | None = None


def split(names: list[str], out: str | None, reads: Callable[[str], bool]) -> tuple[list[str], str | None]:
    """IN... and OUT. The last of several names is OUT, unless it is an existing file that the command reads.

    names: files, folders, patterns, URLs, or -. out: OUT, if an option said it. reads: whether the command reads
    files of this name.
    """
    sources = [path_of(name) for name in names]
    if out is not None:
        return sources, path_of(out)
    if len(sources) == 1 or _can_be_read(sources[-1], reads):
        return sources, None
    return sources[:-1], sources[-1]


def _can_be_read(name: str, reads: Callable[[str], bool]) -> bool:
    store = store_of(name)
    if store.is_folder(name):
        return False
    if store.is_one(name):
        return store.exists(name) and reads(name)
    return any(reads(path) for path, _ in store.found(name, reads))


def plan(
    names: list[str],
    out: str | None,
    suffixes: tuple[str, ...],
    *,
    is_input: Callable[[str], bool],
    reads: Callable[[str], bool],
    by_suffix: bool = False,
) -> Plan:
    """The jobs of IN... [OUT], as `split` takes them apart.

    suffixes: those that results may have; the first is the default. is_input: whether a file of this name is taken
    from a folder. by_suffix: the suffix of OUT says the format, so it must be one of `suffixes`.

    One file goes to OUT itself, or into it if it is a folder. Everything else goes into the folder OUT, with the
    tree below each folder or pattern. Without OUT each result lies beside its source. A file that is named twice is
    read once. Sources whose results would have one name keep their own suffixes in it: p.jpg.nic and p.png.nic.
    Raises BadUsage if OUT cannot be what it has to be, NicError if a URL cannot be listed.
    """
    sources, out = split(names, out, reads)
    if len(sources) == 1 and store_of(sources[0]).is_one(sources[0]):
        target = destination(sources[0], out, suffixes[0])
        notes = other_suffix(target, suffixes)
        if notes and by_suffix:
            raise BadUsage(f"{shown(target)}: no format has this suffix, only {' '.join(suffixes)}")
        return Plan([Job(sources[0], target)], many=False, folders=target != out, notes=notes)
    if "-" in sources:
        raise BadUsage("- cannot be one of several inputs")
    if out is None and len(sources) == 2 and len({store_of(name).place(name) for name in sources}) == 1:
        raise BadUsage(f"{shown(sources[1])}: IN and OUT are the same file")
    if out is not None:
        store = store_of(out)
        if out == "-" or (store.exists(out) and not store.is_folder(out)):
            raise BadUsage(f"{shown(out)}: several results need a folder to go to")
    jobs: dict[str, Job] = {}
    others = Others(is_input, suffixes)
    for source in sources:
        store = store_of(source)
        for path, below in store.found(source, others.is_input):
            target = path if out is None else store_of(out).inside(out, below)
            # A folder that cannot be listed is a job that fails; it has no file of a result.
            made = os.path.join(target, "") if tree.is_closed(path) else os.path.splitext(target)[0] + suffixes[0]
            jobs.setdefault(store.place(path), Job(path, made))
    notes = () if out is None else _becomes_a_folder(out, lambda name: is_input(name) or _suffix(name) in suffixes)
    found = _apart(list(jobs.values()), suffixes[0])
    return Plan(found, many=True, folders=True, notes=notes, left=others.note(), root=out)


class Others:
    """Counts what is left in folders. is_input, suffixes: as for `plan`; results of the command do not count."""

    def __init__(self, is_input: Callable[[str], bool], suffixes: tuple[str, ...]) -> None:
        self._wanted, self._results = is_input, suffixes
        self._left: Counter[str] = Counter()

    def is_input(self, name: str) -> bool:
        if self._wanted(name):
            return True
        hidden = os.path.basename(name).startswith(".")
        if not hidden and _suffix(name) not in self._results:
            self._left[_suffix(name) or "without suffix"] += 1
        return False

    def note(self) -> str:
        """The line about them, if there are any."""
        count = self._left.total()
        if not count:
            return ""
        kinds = [f"{n} {shown(kind)}" for kind, n in self._left.most_common(KINDS)]
        kinds += ["..."] if len(self._left) > KINDS else []
        what = "file of another kind was" if count == 1 else "files of other kinds were"
        return f"{count} {what} left: {', '.join(kinds)}"


def _apart(jobs: list[Job], suffix: str) -> list[Job]:
    """The same jobs. If sources of several suffixes have one target, each target keeps the suffix of its source."""
    by_target: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_target[store_of(job.target).place(job.target)].append(job)
    clashing = {place for place, those in by_target.items() if len({_suffix(job.source) for job in those}) > 1}

    def own(job: Job) -> Job:
        if store_of(job.target).place(job.target) not in clashing:
            return job
        return Job(job.source, job.target.removesuffix(suffix) + os.path.splitext(job.source)[1] + suffix)

    return [own(job) for job in jobs] if clashing else jobs


def destination(source: str, out: str | None, suffix: str) -> str:
    """Where the one result of a source goes: OUT, or into the folder OUT, or beside the source."""
    name = os.path.splitext(os.path.basename(source))[0] + suffix
    if out is None:
        return "-" if source == "-" else os.path.splitext(source)[0] + suffix
    store = store_of(out)
    return store.inside(out, name) if store.is_folder(out) else out


def other_suffix(target: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """The warning that a file will not hold what its name says."""
    suffix = _suffix(target)
    if target == "-" or not suffix or suffix in suffixes:
        return ()
    return (f"{shown(target)}: becomes a {suffixes[0]} file, though its name says {suffix}",)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _becomes_a_folder(out: str, is_file: Callable[[str], bool]) -> tuple[str, ...]:
    """The warning that a name, which looks like that of a file, becomes a folder."""
    if os.path.isdir(out) or not is_file(out):
        return ()
    return (f"{shown(out)}: becomes a folder, since there are several results",)


def nic_files(names: list[str]) -> list[str]:
    """The .nic files that names mean, each once. Raises as `files`."""
    return files(names, is_nic, ".nic file")


def files(names: list[str], wanted: Callable[[str], bool], kind: str) -> list[str]:
    """The wanted files that names mean, each once. Raises NicError if there are none, or a URL cannot be listed."""
    paths: dict[str, str] = {}
    for name in map(path_of, names):
        store = store_of(name)
        for path, _ in store.found(name, wanted):
            paths.setdefault(store.place(path), path)
    if not paths:
        raise NicError(f"nothing to do: no {kind} is there")
    return list(paths.values())


def clashes(jobs: list[Job]) -> dict[str, Job]:
    """Each source whose target an earlier job writes -> that job."""
    first: dict[str, Job] = {}
    later: dict[str, Job] = {}
    for job in jobs:
        key = store_of(job.target).key(job.target)
        if first.setdefault(key, job) is not job:
            later[job.source] = first[key]
    return later


def check_source(job: Job, reads_nic: bool) -> None:
    """Refuses a file that is plainly of the wrong kind. reads_nic: the command reads .nic files. Raises BadFile."""
    start = store_of(job.source).start(job.source)
    if reads_nic and not start.startswith(MAGIC[: len(start)]):
        raise BadFile(f"{shown(job.source)}: not a .nic file")
    if not reads_nic and start.startswith(MAGIC):
        raise BadFile(f"{shown(job.source)}: already a .nic file")


def check_target(job: Job, force: bool, folders: bool, *, leaves: bool = False) -> None:
    """Refuses a target that the write would refuse, before the work. Raises NicError.

    folders: as for `Store.write`. leaves: the command has --skip-existing, and several files to do.
    """
    target, store = job.target, store_of(job.target)
    if store.exists(target):
        if store.is_folder(target):
            raise NicError(f"{shown(target)}: is a folder")
        if store.key(target) == store_of(job.source).key(job.source):
            raise BadUsage(f"{shown(target)}: IN and OUT are the same file")
    check_free(target, force, folders, leaves=leaves)


def check_stdout(target: str, what: str) -> None:
    """Refuses to write to a terminal what is not for reading. what: begins the sentence. Raises BadUsage."""
    if target == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise BadUsage(f"{what} does not go to a terminal; name OUT, or use a pipe")


def check_free(target: str, force: bool, folders: bool, *, leaves: bool = False) -> None:
    """Refuses a name that is taken, or in a folder that cannot be written to. leaves: as above. Raises NicError."""
    store = store_of(target)
    if not force and store.exists(target):
        ways = "-f overwrites it" + ", --skip-existing leaves it" * leaves
        raise NicError(f"{shown(target)}: exists already; {ways}")
    store.check(target, folders=folders)
