"""Bytes of the file of a Pillow image that is not loaded yet, and the boxes in it, of AVIF, HEIF and JPEG 2000.

Under `depths`, `meaning` and `colours.declared`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

MOST_BYTES = 1 << 24
"""Of a chunk or box that is read."""

MOST_PARTS = 10_000
"""Chunks or boxes that are looked at in one file."""


def read(image: Image.Image, start: int, length: int) -> bytes:
    """Bytes of the image's file, whose position stays; b"" where the image has none (any more)."""
    file: BinaryIO | None = getattr(image, "fp", None)
    if file is None or file.closed:
        return b""
    here = file.tell()
    try:
        file.seek(start)
        return file.read(length)
    finally:
        file.seek(here)


def outermost(image: Image.Image, wanted: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and contents of the outermost boxes of a file; of those not wanted the contents are b""."""
    at = 0
    for _ in range(MOST_PARTS):
        head = read(image, at, 16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        size = 8
        if length == 1:
            (length,), size = struct.unpack_from(">Q", head, 8), 16
        room = MOST_BYTES if length == 0 else length - size
        if room < 0:
            return
        yield kind, read(image, at + size, min(room, MOST_BYTES)) if kind == wanted else b""
        if length == 0:
            return
        at += length


def inside(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and contents of the boxes in these bytes."""
    at = 0
    for _ in range(MOST_PARTS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = len(data) if length == 0 else at + length
        if end < at + head:
            return
        yield kind, data[at + head : end]
        at = end


def properties(image: Image.Image) -> Iterator[tuple[bytes, bytes]]:
    """Name and contents of the properties of the primary item of an AVIF or HEIF file.

    Raises struct.error, IndexError or KeyError for a file that is damaged.
    """
    for kind, meta in outermost(image, b"meta"):
        if kind != b"meta":
            continue
        parts = dict(inside(meta[4:]))
        if b"pitm" not in parts or b"iprp" not in parts:
            continue
        pitm = parts[b"pitm"]
        primary = int.from_bytes(pitm[4 : 6 if pitm[0] == 0 else 8], "big")
        found = list(inside(dict(inside(parts[b"iprp"]))[b"ipco"]))
        for part, table in inside(parts[b"iprp"]):
            for index in _associated(table, primary) if part == b"ipma" else ():
                if 1 <= index <= len(found):
                    yield found[index - 1]


def _associated(table: bytes, item: int) -> list[int]:
    """The numbers of the properties of an item, by an `ipma` box."""
    wide_item, wide_index = table[0] >= 1, table[3] & 1
    (entries,) = struct.unpack_from(">I", table, 4)
    at = 8
    for _ in range(min(entries, MOST_PARTS)):
        (number,) = struct.unpack_from(">I" if wide_item else ">H", table, at)
        at += 4 if wide_item else 2
        count = table[at]
        indices = struct.unpack_from(f">{count}{'H' if wide_index else 'B'}", table, at + 1)
        at += 1 + count * (2 if wide_index else 1)
        if number == item:
            return [index & (0x7FFF if wide_index else 0x7F) for index in indices]
    return []
