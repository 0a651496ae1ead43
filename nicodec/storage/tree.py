"""The files of a folder: regular ones, each once, without the litter of file managers.

Under `files` and `buckets`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

# Folders that file managers, cameras and file systems make for themselves.
_LITTER = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"))


def is_litter(name: str, *, folder: bool) -> bool:
    """Whether a name in a folder is that of litter: a hidden folder, or a file that tells of another one."""
    if folder:
        return name.startswith(".") or name.lower() in _LITTER
    return name.startswith("._") or name.lower() in (".ds_store", "thumbs.db", "desktop.ini")


def in_litter(parts: Iterable[str]) -> bool:
    """Whether the parts of a path below a folder lead to litter."""
    *folders, name = parts
    ordinary = (part for part in folders if part not in (os.curdir, os.pardir))
    return is_litter(name, folder=False) or any(is_litter(part, folder=True) for part in ordinary)


def walk(folder: str) -> Iterator[str]:
    """The paths of the files in a folder and below it, sorted in each.

    Links to folders are followed after everything else, and no folder is walked twice. Pipes and devices are left out.
    Folders that cannot be listed come last, as `is_closed` tells: who reads one is told why, and no part of a tree is
    missing without a word.
    """
    seen: set[str] = set()
    errors: list[OSError] = []
    left = [folder]
    while left:
        links: list[str] = []
        for start in left:
            for here, folders, names in os.walk(start, onerror=errors.append):
                real = os.path.realpath(here)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                folders[:] = sorted(name for name in folders if not is_litter(name, folder=True))
                links += [path for path in (os.path.join(here, name) for name in folders) if os.path.islink(path)]
                ordinary = (name for name in sorted(names) if not is_litter(name, folder=False))
                yield from (path for path in (os.path.join(here, name) for name in ordinary) if _is_regular(path))
        left = links
    # A folder that went away meanwhile is no part of the tree.
    yield from (os.path.join(error.filename, "") for error in errors if not isinstance(error, FileNotFoundError))


def is_closed(path: str) -> bool:
    """Whether a path that `walk` gave is that of a folder that cannot be listed: it ends with a separator."""
    return path.endswith(os.sep)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # a link to nothing: the command that reads it says so
        return os.path.islink(path)
