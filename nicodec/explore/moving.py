"""Groups of copies -> the copies out of the way: moved, with a script that undoes it, or made hard links.

Under the command `duplicates`. Nothing is ever deleted, and nothing overwritten.
"""

from __future__ import annotations

import filecmp
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress

from nicodec.errors import NicError, one_line
from nicodec.explore import evidence
from nicodec.explore.duplicates import Group
from nicodec.storage.files import atomic_write, shown

SCRIPT = "undo.py"
_UNDO = '''"""Moves files back to where `nicodec duplicates --move` took them from: python undo.py

Nothing is overwritten. What is not there any more is named and left out. Folders that are empty then are removed.
"""

import os
import shutil

FROM, TO = os.path.dirname(os.path.abspath(__file__)), {folder}
FILES = {files}

back = 0
for name in FILES:
    moved, home = os.path.join(FROM, name), os.path.join(TO, name)
    if os.path.lexists(home) or not os.path.lexists(moved):
        print("left as it is:", ascii(name))
        continue
    os.makedirs(os.path.dirname(home), exist_ok=True)
    shutil.move(moved, home)
    back += 1
for name in FILES:
    below = os.path.dirname(name)
    while below:
        try:
            os.rmdir(os.path.join(FROM, below))
        except OSError:
            break
        below = os.path.dirname(below)
print("files moved back:", back)
'''


def move(groups: Iterable[Group], folder: str, target: str) -> tuple[list[str], list[str]]:
    """Move what is evidently a copy below `target`, under the same names.

    Returns the names of the files that were moved, and of those that stay beside the best of their groups: it is in
    doubt whether one of these is the original (`evidence`). A script `SCRIPT` in `target` is written first, and moves
    files back. Raises NicError as `check`, and if a file cannot be moved; what was moved by then, the script knows.
    """
    check(folder, target)
    names: list[str] = []
    doubtful: list[str] = []
    for group in groups:
        sure = {entry.path for entry in evidence.copies(group, folder)}
        for name in group.files[1:]:
            (names if name in sure else doubtful).append(name)
    if not names:
        return [], doubtful
    try:
        os.makedirs(target, exist_ok=True)
    except OSError as error:
        raise NicError(f"{shown(target)}: cannot be made: {one_line(error)}") from None
    home = os.path.realpath(folder)
    listed = "[\n" + "".join(f"    {name!a},\n" for name in names) + "]"
    script = _UNDO.format(folder=ascii(home), files=listed)
    atomic_write(os.path.join(target, SCRIPT), script.encode(), overwrite=False)
    for name in names:
        _move(os.path.join(folder, name), os.path.join(target, name))
    return names, doubtful


def check(folder: str, target: str) -> None:
    """Raise NicError unless files of a folder can be moved to `target`: a new or empty folder outside of it."""
    home, away = os.path.realpath(folder), os.path.realpath(target)
    if away == home or away.startswith(os.path.join(home, "")):
        raise NicError(f"{shown(target)}: lies in {shown(folder)}, so its files would be found as copies again")
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise NicError(f"{shown(target)}: is not an empty folder; moved files go to a folder of their own")


def _move(source: str, target: str) -> None:
    import shutil

    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            raise NicError(f"{shown(target)}: exists already and was left as it is")
        shutil.move(source, target)
    except OSError as error:
        raise NicError(f"{shown(source)}: cannot be moved: {one_line(error)}") from None


def link(groups: Iterable[Group], folder: str) -> list[str]:
    """Make byte-identical copies hard links to the best of them; returns the paths of those that became links.

    Bytes are compared anew. Other copies stay as they are, and so do files that are links already. A link has the
    time and the permissions of the best file. Raises NicError if the system refuses.
    """
    made = []
    for group in groups:
        best: dict[bytes, str] = {}
        for entry in group.entries:
            kept = best.setdefault(entry.content, entry.path)
            if kept != entry.path and _link(os.path.join(folder, kept), os.path.join(folder, entry.path)):
                made.append(entry.path)
    return made


def _link(kept: str, copy: str) -> bool:
    """Whether a copy was replaced by a link, in one step."""
    temporary = os.path.join(os.path.dirname(copy), f".{secrets.token_hex(8)}.nic.tmp")
    try:
        if os.path.islink(kept) or os.path.islink(copy) or os.path.samefile(kept, copy):
            return False
        if not filecmp.cmp(kept, copy, shallow=False):
            return False
        os.link(kept, temporary)
        os.replace(temporary, copy)
    except OSError as error:
        raise NicError(f"{shown(copy)}: cannot become a hard link: {one_line(error)}") from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    return True
