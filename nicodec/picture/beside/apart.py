"""A file for Pillow without some of its parts, and what stood in them.

Under `png`, `jpeg` and `jp2`: Pillow would refuse a whole picture for what is damaged or too long beside it.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import BinaryIO, NamedTuple

from nicodec.picture import Beside
from nicodec.picture.beside.text import Texts


class Apart(NamedTuple):
    """What a file says beside its samples, as far as it is not left to Pillow.

    texts: all of its texts, or None where Pillow reads them. notes: a line for each kind that is too long or damaged.
    """

    beside: Beside
    texts: Texts | None = None
    notes: tuple[str, ...] = ()


def without(file: BinaryIO, holes: list[range]) -> BinaryIO:
    """The file, which can seek, from its start and without these bytes. holes: in rising order."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not holes:
        return file
    edges = [0, *(edge for hole in holes for edge in (hole.start, hole.stop)), end]
    return io.BufferedReader(
        _Spliced(file, [range(*pair) for pair in zip(edges[::2], edges[1::2], strict=True)]), 1 << 16
    )


class _Spliced(io.RawIOBase):
    """The parts of a file as if nothing lay between them."""

    def __init__(self, file: BinaryIO, parts: list[range]) -> None:
        self._file, self._parts, self._at = file, [part for part in parts if part], 0
        self._starts = [0]
        for part in self._parts:
            self._starts.append(self._starts[-1] + len(part))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        number = bisect_right(self._starts, self._at) - 1
        if number >= len(self._parts):
            return 0
        inside = self._at - self._starts[number]
        self._file.seek(self._parts[number].start + inside)
        data = self._file.read(min(len(buffer), len(self._parts[number]) - inside))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
