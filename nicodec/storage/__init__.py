"""Where files are: on this machine, in a bucket, or on the standard streams; one interface for all of them.

Under the command line. `store_of` is the door: a name says by its form which store it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from nicodec.storage import buckets, files, streams


class Store(Protocol):
    """Files by name. Everything raises NicError, which names the file."""

    def exists(self, name: str) -> bool:
        """Whether a file or a folder has this name. A device or a pipe does not count: a write takes nothing away."""

    def is_folder(self, name: str) -> bool:
        """Whether results named after their sources can go below this name."""

    def is_one(self, name: str) -> bool:
        """Whether a name is that of one file, be it there or not: no folder and no pattern."""

    def found(self, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """The wanted files of a folder or a pattern, or the file itself, each with its path below the name."""

    def inside(self, folder: str, below: str) -> str:
        """The name of a path below a folder."""

    def key(self, name: str) -> str:
        """The same for two names of one file."""

    def place(self, name: str) -> str:
        """The same for two ways to write one name; two names of one file differ."""

    def changed(self, name: str) -> int | None:
        """When a file was last written, in nanoseconds; None if unknown."""

    def start(self, name: str) -> bytes:
        """The first bytes of a file, at most `files.START`; none if they take much work."""

    def check(self, name: str, *, folders: bool = False) -> None:
        """Refuse a name that cannot be written to, as far as that is known before. folders: as for `write`."""

    def source(self, name: str) -> str | bytes:
        """What the codec can read a picture from: the path of a file here, or its bytes."""

    def size(self, name: str) -> int:
        """Bytes of a file; 0 if it is not there."""

    def read(self, name: str) -> bytes:
        """The bytes of a file."""

    def write(self, name: str, data: bytes, *, overwrite: bool, folders: bool = False) -> None:
        """Write a file whole or not at all. folders: make those that it needs."""


def store_of(name: str) -> Store:
    """The store that a name belongs to: - is a stream, a URL is in a bucket, all others are files here."""
    if name == "-":
        return streams.Streams()
    return buckets.Buckets() if is_url(name) else files.Files()


def is_url(name: str) -> bool:
    """Whether a name is a URL: a scheme, and ://."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name) is not None


def is_nic(name: str) -> bool:
    """Whether a name is that of a .nic file."""
    return name.lower().endswith(".nic")


def path_of(name: str) -> str:
    """A file:// URL as the path that it is; every other name as it is. Raises NicError."""
    return buckets.path_of(name)
