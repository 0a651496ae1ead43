"""Standard input and output as a store: the name of both is -.

Beside `files` and `buckets`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from nicodec.errors import BadFile, LimitExceeded, NicError
from nicodec.storage.files import MAX_BYTES


class Streams:
    """`storage.Store` of the one name -."""

    def exists(self, name: str) -> bool:
        return False

    def is_folder(self, name: str) -> bool:
        return False

    def is_one(self, name: str) -> bool:
        return True

    def found(self, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        yield name, name

    def inside(self, folder: str, below: str) -> str:
        raise NicError("stdout cannot take several results")

    def key(self, name: str) -> str:
        return name

    def place(self, name: str) -> str:
        return name

    def changed(self, name: str) -> int | None:
        return None

    def start(self, name: str) -> bytes:
        return b""  # a stream can be read only once

    def check(self, name: str, *, folders: bool = False) -> None:
        if sys.stdout is None:
            raise NicError("stdout: cannot be written: it is closed")

    def source(self, name: str) -> bytes:
        return self.read(name)

    def size(self, name: str) -> int:
        return 0

    def read(self, name: str) -> bytes:
        if sys.stdin is None:
            raise BadFile("stdin is closed")
        try:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        except OSError as error:
            raise BadFile(error.strerror) from None
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"larger than {MAX_BYTES:,} bytes")
        return data

    def write(self, name: str, data: bytes, *, overwrite: bool, folders: bool = False) -> None:
        self.check(name)
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise  # the reader has closed the pipe
        except OSError as error:
            raise NicError(f"stdout: cannot be written: {error.strerror}") from None
