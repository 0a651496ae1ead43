"""IPTC captions: the data sets of IIM, alone or as a resource of Photoshop, which is how JPEG and PNG hold them.

Under `metadata`, `pillow_info` and `holding`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

RESOURCE = 0x0404  # the number of IIM among Photoshop's resources
_HEAD = b"8BIM"
# Of record 2: location codes and names, city, part of the city, province, country.
_LOCATION = frozenset({26, 27, 90, 92, 95, 100, 101})
_PREVIEW = frozenset({200, 201, 202})  # of record 2: a preview, its format and version


class DataSet(NamedTuple):
    """One data set: its record and number, and its bytes, marker and length too."""

    record: int
    number: int
    whole: bytes


def data_sets(iim: bytes) -> Iterator[DataSet]:
    """The data sets up to the first bytes that are none."""
    at = 0
    while iim[at : at + 1] == b"\x1c" and at + 5 <= len(iim):
        record, number, length = struct.unpack_from(">BBH", iim, at + 1)
        end = at + 5
        if length & 0x8000:  # the length itself takes this number of bytes
            end += length & 0x7FFF
            if length & 0x7FFF > 4 or end > len(iim):
                return
            length = int.from_bytes(iim[at + 5 : end], "big")
        end += length
        if end > len(iim):
            return
        yield DataSet(record, number, iim[at:end])
        at = end


def without_location(iim: bytes) -> bytes:
    """The data sets that tell no place."""
    return b"".join(s.whole for s in data_sets(iim) if s.record != 2 or s.number not in _LOCATION)


def cut(iim: bytes) -> bytes:
    """The data sets that show no picture. Records 7 to 9 hold a whole one."""
    return b"".join(s.whole for s in data_sets(iim) if s.record < 7 and (s.record != 2 or s.number not in _PREVIEW))


def as_resource(iim: bytes) -> bytes:
    """The data sets as a resource of Photoshop."""
    return _HEAD + struct.pack(">HHI", RESOURCE, 0, len(iim)) + iim + b"\0" * (len(iim) % 2)


def of_resources(block: bytes) -> bytes | None:
    """The data sets in a block of Photoshop's resources, or None. A block that is data sets itself is its own."""
    if block[:1] == b"\x1c":
        return block
    at = 0
    while block[at : at + 4] == _HEAD and at + 7 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        start = at + 6 + (block[at + 6] + 2) // 2 * 2  # a name of this length, filled up to an even number of bytes
        if start + 4 > len(block):
            return None
        (length,) = struct.unpack_from(">I", block, start)
        start += 4
        if number == RESOURCE:
            return block[start : start + length] or None
        at = start + length + length % 2
    return None
