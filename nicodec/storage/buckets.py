"""Names of files that are URLs of object stores (s3://, gs://, abfs://): listed, read, written.

Beside `files`. The only importer of pyarrow, which comes with the extra [ray] and finds the credentials as its
documentation says: in the environment, or in the machine's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from nicodec import extras
from nicodec.errors import BadFile, LimitExceeded, NicError
from nicodec.storage import tree
from nicodec.storage.files import MAX_BYTES, shown

# An object in these is there whole or not at all: one put, or parts that are joined at the end.
_STORES = ("s3", "gs", "gcs", "abfs", "abfss")


def path_of(name: str) -> str:
    """A file:// URL as the path that it is; every other name as it is."""
    if not name.startswith("file://"):
        return name
    # They bring half of the network with them.
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise NicError(f"{shown(name)}: a file of another machine; file:/// has three slashes")
    return url2pathname(parts.path)


class Buckets:
    """`storage.Store` of URLs. A bucket needs no folders: a URL names one if it has no suffix, or files below it."""

    def exists(self, name: str) -> bool:
        return self._type(name) == "File"

    def is_folder(self, name: str) -> bool:
        return not _has_suffix(name) or self._type(name) == "Directory"

    def is_one(self, name: str) -> bool:
        found = self._type(name)
        return found == "File" or (found == "NotFound" and _has_suffix(name))

    def found(self, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        from_here = name.rstrip("/")
        with _failures_name(name, BadFile) as (system, path):
            info = system.get_file_info(path)
            if info.is_file:
                yield name, info.base_name
                return
            from pyarrow.fs import FileSelector, FileType

            if info.type != FileType.Directory:
                raise BadFile(f"{shown(name)}: no such file or folder")
            found = system.get_file_info(FileSelector(path, recursive=True))
        files = sorted(f.path for f in found if f.is_file)
        ordinary = (f for f in files if not tree.in_litter(f[len(path) :].lstrip("/").split("/")))
        for each in filter(wanted, ordinary):
            inside = each[len(path) :].lstrip("/")
            parts = tuple(inside.split("/"))
            if any(part in ("", ".", "..") or os.path.basename(part) != part for part in parts):
                raise BadFile(f"{shown(f'{from_here}/{inside}')}: not the name of a file in a folder")
            yield f"{from_here}/{inside}", os.path.join(*parts)

    def inside(self, folder: str, below: str) -> str:
        return "/".join((folder.rstrip("/"), *below.split(os.sep)))

    def key(self, name: str) -> str:
        return name

    def place(self, name: str) -> str:
        return name.rstrip("/")

    def changed(self, name: str) -> int | None:
        with _failures_name(name, NicError) as (system, path):
            found: int | None = system.get_file_info(path).mtime_ns
        return found

    def start(self, name: str) -> bytes:
        return b""  # one more question for each object would take longer than what it saves

    def check(self, name: str, *, folders: bool = False) -> None:
        """A bucket needs no folders, and whether it takes an object is known only when it does."""

    def source(self, name: str) -> bytes:
        return self.read(name)

    def size(self, name: str) -> int:
        with _failures_name(name, NicError) as (system, path):
            return int(system.get_file_info(path).size or 0)

    def read(self, name: str) -> bytes:
        with _failures_name(name, BadFile) as (system, path), system.open_input_stream(path) as stream:
            data: bytes = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"{shown(name)}: larger than {MAX_BYTES:,} bytes")
        return data

    def write(self, name: str, data: bytes, *, overwrite: bool, folders: bool = False) -> None:
        """Put an object. Nothing stops two writers from taking one name: a bucket cannot refuse it."""
        with _failures_name(name, NicError) as (system, path), system.open_output_stream(path) as stream:
            stream.write(data)

    def _type(self, name: str) -> str:
        """What is there: File, Directory or NotFound."""
        with _failures_name(name, NicError) as (system, path):
            return str(system.get_file_info(path).type.name)


def _has_suffix(url: str) -> bool:
    """Whether a URL ends as the name of a file does: "s3://bucket/a.nic"."""
    return os.path.splitext(url.partition("://")[2].partition("/")[2])[1] != ""


@contextmanager
def _failures_name(url: str, kind: type[NicError]) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it; what goes wrong there becomes an error about the URL."""
    store, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if store not in _STORES:
        raise NicError(f"{shown(url)}: URLs begin with {', '.join(f'{s}://' for s in _STORES)} or file:///")
    try:
        system, root = _system(f"{store}://{bucket}")
        yield system, f"{root}/{key}".rstrip("/")
    except FileNotFoundError as error:
        raise kind(f"{shown(url)}: no such file or folder") from error
    except (OSError, ValueError, NotImplementedError) as error:  # Arrow's own derive from these
        raise kind(f"{shown(url)}: {' '.join(str(error).split())}") from error


@lru_cache
def _system(bucket: str) -> tuple[Any, str]:
    """The file system that a bucket is in, and its path there."""
    system, root = extras.load("pyarrow.fs", "ray", "a URL").FileSystem.from_uri(bucket)
    return system, root
