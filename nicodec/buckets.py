"""Names of files that are URLs of object stores (s3://, gs://, abfs://): listed, read, written.

Beside `files`, for `batch`, `console` and `jobs`. The only importer of pyarrow, which comes with the extra
[ray] and finds the credentials as its documentation says: in the environment, or in the machine's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from nicodec.errors import BadFile, LimitExceeded, MissingExtra, NicError
from nicodec.files import MAX_BYTES, shown

# An object in these is there whole or not at all: one put, or parts that are joined at the end.
_STORES = ("s3", "gs", "gcs", "abfs", "abfss")


def is_url(name: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name) is not None


def has_suffix(url: str) -> bool:
    """Whether a URL ends in the name of an object with a suffix, as "s3://bucket/a.nic" does."""
    return bool(os.path.splitext(url.partition("://")[2].partition("/")[2])[1])


def path_of(name: str) -> str:
    """A file:// URL as the path that it is; every other name as it is."""
    if not name.startswith("file://"):
        return name
    from urllib.request import url2pathname  # it brings half of the network with it

    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise NicError(f"{shown(name)}: a file of another machine; file:/// has three slashes")
    return url2pathname(parts.path)


def below(url: str, is_input: Callable[[str], bool]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The objects in a folder whose names are inputs, or the one that it names; the path of each below it."""
    from_here = url.rstrip("/")
    with _failures_name(url, BadFile) as (system, path):
        info = system.get_file_info(path)
        if info.is_file:
            yield url, (info.base_name,)
            return
        from pyarrow.fs import FileSelector, FileType

        if info.type != FileType.Directory:
            raise BadFile(f"{shown(url)}: no such file or folder")
        found = system.get_file_info(FileSelector(path, recursive=True))
    for name in sorted(each.path for each in found if each.is_file and is_input(each.path)):
        inside = name[len(path) :].lstrip("/")
        parts = tuple(inside.split("/"))
        if any(part in ("", ".", "..") or os.path.basename(part) != part for part in parts):
            raise BadFile(f"{shown(f'{from_here}/{inside}')}: not the name of a file in a folder")
        yield f"{from_here}/{inside}", parts


def exists(url: str) -> bool:
    """Whether there is such an object."""
    with _failures_name(url, NicError) as (system, path):
        return bool(system.get_file_info(path).is_file)


def read_bytes(url: str) -> bytes:
    """The bytes of an object. Raises BadFile if it cannot be read, LimitExceeded past `MAX_BYTES`."""
    with _failures_name(url, BadFile) as (system, path), system.open_input_stream(path) as stream:
        data: bytes = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"{shown(url)}: larger than {MAX_BYTES:,} bytes")
    return data


def write_bytes(url: str, data: bytes) -> None:
    """Put an object, in place of one that is there."""
    with _failures_name(url, NicError) as (system, path), system.open_output_stream(path) as stream:
        stream.write(data)


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
    try:
        from pyarrow.fs import FileSystem
    except ImportError:
        raise MissingExtra("URLs need pyarrow: pip install 'nicodec[ray]'") from None
    system, root = FileSystem.from_uri(bucket)
    return system, root
