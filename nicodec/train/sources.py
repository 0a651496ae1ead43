"""Folders, tar shards and files -> the bytes of every picture in them, each once.

Before `reading`, which decodes them. What cannot be read is left out and counted.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nicodec.errors import BadImage, one_line
from nicodec.picture import writer
from nicodec.storage import tree
from nicodec.storage.files import shown

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst")


@dataclass
class Left:
    """What `sources` left out. skipped: names of what cannot be read. repeated: files that were named before."""

    skipped: list[str] = field(default_factory=list)
    repeated: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)


class File(NamedTuple):
    """A picture or a tar file. name: its path below the folder that was given. named: it was given itself."""

    name: str
    path: Path
    named: bool


def digest(name: str) -> bytes:
    """What decides the order of pictures, and which of them are held out: 32 bytes of the path below a folder."""
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()


def listed(paths: list[Path]) -> list[File]:
    """All files of pictures and tar files in the folders (recursively) and files given, in the order of `digest`.

    So those that a limit leaves out are left out by chance. Folders are walked as by all commands (`storage.tree`).
    """
    files = list[File]()
    for path in paths:
        if path.is_dir():
            for found in tree.walk(os.fspath(path)):
                file = Path(found)
                # A folder that cannot be listed is left out and counted, as a file that cannot be read.
                if writer.is_picture(file.name) or is_tar(file) or tree.is_closed(found):
                    files.append(File(file.relative_to(path).as_posix(), file, named=file == path))
        else:
            # A link to nothing is left out wherever it is: a folder of links is often given as `links/*`.
            files.append(File(path.name, path, named=path.exists() or not path.is_symlink()))
    return sorted(files, key=lambda file: (digest(file.name), file.path))


def sources(files: Iterable[File], left: Left | None = None) -> Iterator[tuple[str, bytes]]:
    """Path below the folder that was given, and bytes, of every picture in the files.

    A file that is named twice is read once. left: takes note of what is left out. Raises BadImage for a name that
    is not there, and for a tar file that is damaged or has no picture.
    """
    left = Left() if left is None else left
    for file in files:
        yield from _one(file, left)


def is_tar(path: Path) -> bool:
    """Whether a name is that of a tar file, compressed or not."""
    return path.name.lower().endswith(TARS)


def _one(file: File, left: Left) -> Iterator[tuple[str, bytes]]:
    path = file.path
    try:
        found = os.stat(path)
        if (found.st_dev, found.st_ino) in left.seen:
            left.repeated += 1
            return
        left.seen.add((found.st_dev, found.st_ino))
        if stat.S_ISDIR(found.st_mode):
            os.listdir(path)  # which says why it cannot be
        data = b"" if is_tar(path) else path.read_bytes()
    except (OSError, ValueError) as error:
        if file.named:
            raise BadImage(f"{shown(path)}: {one_line(error)}") from None
        left.skipped.append(file.name)
        return
    if is_tar(path):
        for name, data in _members(path, left):
            yield f"{file.name}/{name}", data
    else:
        yield file.name, data


def _members(path: Path, left: Left) -> Iterator[tuple[str, bytes]]:
    """Errors of tar files come from four libraries and have many classes; none is raised where this yields."""
    if path.suffix.lower() == ".zst" and "zst" not in tarfile.TarFile.OPEN_METH:
        raise BadImage(f"{shown(path)}: this Python reads no .zst; pack it as .tar or .tar.gz")
    try:
        tar = tarfile.open(path)  # noqa: SIM115 (closed below)
    except Exception as error:
        raise BadImage(f"{shown(path)}: cannot be read as a tar file ({one_line(error)})") from None
    names: set[str] = set()
    links: list[tarfile.TarInfo] = []
    count = 0
    with tar:
        members = iter(tar)
        while True:
            try:
                member = next(members, None)
            except Exception as error:
                if not count:
                    raise BadImage(f"{shown(path)}: cannot be read as a tar file ({one_line(error)})") from None
                left.skipped.append(f"the rest of {path.name}")
                break
            if member is None:
                break
            names.add(posixpath.normpath(member.name))
            if member.isdir() or not writer.is_picture(member.name) or tree.in_litter(member.name.split("/")):
                continue
            if member.issym() or member.islnk():
                links.append(member)
                continue
            try:
                handle = tar.extractfile(member)
                data = None if handle is None else handle.read()
            except Exception:
                data = None
            if data is None:
                left.skipped.append(member.name)
                continue
            count += 1
            yield member.name, data
    for link in links:
        start = "" if link.islnk() else posixpath.dirname(link.name)
        if posixpath.normpath(posixpath.join(start, link.linkname)) in names:
            left.repeated += 1
        else:
            left.skipped.append(link.name)
    if not count:
        raise BadImage(f"{shown(path)}: no picture is in this tar file")
