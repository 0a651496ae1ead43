"""Directories of TIFF, which EXIF has too, <-> their entries as values that stand alone.

Under `exif` and `tiff`.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Container, Mapping
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from nicodec.picture import LIMIT

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005  # tags whose value is the place of another directory
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}  # fmt: skip
"""The bytes of a number of each type."""
_BIG_SIZES = {16: 8, 17: 8, 18: 8}  # in a BigTIFF too
_RATIONALS = frozenset({5, 10})  # two numbers of four bytes
_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}  # of arrays of numbers of such a size
_MAX_ENTRIES = 4096


class Value(NamedTuple):
    """An entry apart from its directory. amount: of numbers of this type. raw: their bytes."""

    tag: int
    type: int
    amount: int
    raw: bytes


def value(tag: int, kind: int, raw: bytes, order: str, wanted: str) -> Value:
    """The bytes of an entry in byte order `order`, < or >, -> its value in the byte order `wanted`."""
    size = SIZES.get(kind, 1)
    numbers = array(_LETTERS[4 if kind in _RATIONALS else size])
    numbers.frombytes(raw[: len(raw) - len(raw) % size])
    if order != wanted:
        numbers.byteswap()
    return Value(tag, kind, len(raw) // size, numbers.tobytes())


def block(first: list[Value], below: Mapping[int, list[Value]], order: str) -> bytes:
    """A whole EXIF block. below: the directories under the first, by their tags."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return Growing(head, order).with_first(first, below, {})


class Growing:
    """A TIFF file, or the beginning of one, to which directories are appended."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data, self._order = bytearray(data), order

    def first(self) -> dict[int, bytes]:
        """The entries of the first directory, by their tags."""
        (at,) = struct.unpack_from(self._order + "I", self._data, 4)
        (count,) = struct.unpack_from(self._order + "H", self._data, at)
        places = range(at + 2, at + 2 + 12 * count, 12)
        return {struct.unpack_from(self._order + "H", self._data, p)[0]: bytes(self._data[p : p + 12]) for p in places}

    def with_first(self, values: list[Value], below: Mapping[int, list[Value]], own: Mapping[int, bytes]) -> bytes:
        """The file with a new first directory. below: directories under it. own: entries that stay, before others."""
        under = dict(below)
        if under.get(EXIF) and under.get(INTEROP):
            under[EXIF] = self._pointing(under[EXIF], INTEROP, under[INTEROP])
        for tag in (EXIF, GPS):
            if under.get(tag):
                values = self._pointing(values, tag, under[tag])
        place = self._append([v for v in values if v.tag not in own], own)
        struct.pack_into(self._order + "I", self._data, 4, place)
        return bytes(self._data)

    def _pointing(self, values: list[Value], tag: int, directory: list[Value]) -> list[Value]:
        place = struct.pack(self._order + "I", self._append(directory))
        return [*(v for v in values if v.tag != tag), Value(tag, 4, 1, place)]

    def _append(self, values: list[Value], own: Mapping[int, bytes] = MappingProxyType({})) -> int:
        """Append values, then their directory; its place."""
        entries = dict(own)
        for v in values:
            field = v.raw.ljust(4, b"\0") if len(v.raw) <= 4 else struct.pack(self._order + "I", self._at_end(v.raw))
            entries[v.tag] = struct.pack(self._order + "HHI", v.tag, v.type, v.amount) + field
        table = struct.pack(self._order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
        return self._at_end(table + bytes(4))

    def _at_end(self, part: bytes) -> int:
        self._data += bytes(len(self._data) % 2)
        at = len(self._data)
        self._data += part
        return at


def read(file: BinaryIO, wanted: Container[int]) -> tuple[list[Value], dict[int, list[Value]], str]:
    """The first directory of a TIFF file, its entries of the wanted tags alone; those under it; the byte order.

    What cannot be read, or is beyond `LIMIT` bytes of all, is left out. Raises ValueError without a TIFF header.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        raise ValueError("no TIFF header")
    big = 43 in head[2:4]
    reading = _Reading(file, order, big)
    at = struct.unpack(order + "Q", head[8:])[0] if big else struct.unpack(order + "I", head[4:8])[0]
    first = reading.directory(at, lambda tag: tag in wanted or tag in (EXIF, GPS))
    below = {tag: reading.under(first, tag) for tag in (EXIF, GPS)}
    below[INTEROP] = reading.under(below[EXIF], INTEROP)
    return [v for v in first if v.tag in wanted], below, order


class _Reading:
    """Directories of an open file, `LIMIT` bytes of values at most."""

    def __init__(self, file: BinaryIO, order: str, big: bool) -> None:
        self._file, self._order, self._left = file, order, LIMIT
        self._count = struct.Struct(order + ("Q" if big else "H"))
        self._place = struct.Struct(order + ("Q" if big else "I"))
        self._entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        self._sizes = SIZES | _BIG_SIZES if big else SIZES

    def under(self, values: list[Value], tag: int) -> list[Value]:
        """The directory to which an entry of this tag points, or nothing."""
        for v in values:
            if v.tag == tag and self._sizes.get(v.type) in (4, 8):
                form = "I" if self._sizes[v.type] == 4 else "Q"
                return self.directory(struct.unpack_from(self._order + form, v.raw)[0])
        return []

    def directory(self, at: int, wanted: Callable[[int], bool] = lambda tag: True) -> list[Value]:
        head = self._bytes(at, self._count.size)
        if not head:
            return []
        most = min(self._count.unpack(head)[0], _MAX_ENTRIES)
        table = self._file.read(most * self._entry.size)
        found = []
        for tag, kind, amount, field in self._entry.iter_unpack(table[: len(table) - len(table) % self._entry.size]):
            if wanted(tag):
                size = self._sizes.get(kind, 0) * amount
                raw = field[:size] if size <= len(field) else self._bytes(self._place.unpack(field)[0], size)
                if raw:
                    found.append(Value(tag, kind, amount, raw))
        return found

    def _bytes(self, at: int, size: int) -> bytes:
        """These bytes of the file; none where it ends before them, or where they are too many."""
        if not 0 < at < 1 << 62 or size > self._left:
            return b""
        self._file.seek(at)
        data = self._file.read(size)
        self._left -= len(data)
        return data if len(data) == size else b""
