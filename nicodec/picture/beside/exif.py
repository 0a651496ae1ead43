"""An EXIF block, walked entry by entry: its orientation, and what a turned or cut picture would make untrue.

Under `metadata`. Bytes are changed in their places, because rewriting a block would lose entries that no reader knows
and break the maker's notes. A damaged block is read as far as it goes.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

from nicodec.picture.beside import ifd

PREFIX = b"Exif\0\0"  # stands before the block in JPEG, and in Pillow's `info`
_PREFIXES = re.compile(rb"(?:Exif\0\0)+")
ORIENTATION = 0x0112  # the tag in EXIF and in TIFF
_THUMBNAIL = 1  # stands for the directories behind the first, to which no tag points
_SHORT, _LONG = 3, 4
_X_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x0128
_TEXTS = frozenset({2, 129})  # types of text
_NUMBERS = {1: "B", 3: "H", 4: "I"}
# Width and height of the picture: of TIFF, of EXIF, and of a related picture.
_WIDTHS, _HEIGHTS = frozenset({0x0100, 0xA002, 0x1001}), frozenset({0x0101, 0xA003, 0x1002})
_PLACES = frozenset({0x9214, 0xA214})  # where the subject is, in pixels of the picture as it was stored
_COPIES = frozenset({0x02BC, 0x83BB, 0x8649})  # XMP, IPTC and Photoshop's resources within a TIFF directory
# What may hold a picture of the whole: the maker's note, further directories, and those copies.
_PREVIEWS = _COPIES | {0x927C, 0x014A}
_LARGE = 4096  # bytes of a value that is not text: more may be a small picture
_SOI = b"\xff\xd8\xff"  # how every JPEG begins
_MAX_DIRECTORIES, _MAX_ENTRIES, _MAX_NUMBERS = 32, 1 << 16, 4096


class Entry(NamedTuple):
    """An entry of a directory. at: of its 12 bytes. amount: of numbers. start, end: of its value, within the block."""

    at: int
    tag: int
    type: int
    amount: int
    start: int
    end: int


class Directory(NamedTuple):
    """A directory. tag: the one that pointed to it; 0 for the first, 1 for those behind it.

    sound: all of its entries and values lie within the block. next: place of the directory after it, or 0.
    """

    tag: int
    at: int
    entries: list[Entry]
    sound: bool
    next: int

    @property
    def ranges(self) -> list[range]:
        """The bytes that it takes: its own, then those of its values."""
        own = range(self.at, self.at + 2 + 12 * len(self.entries) + 4)
        return [own, *(range(e.start, e.end) for e in self.entries)]


class Block:
    """An EXIF block that can be changed. Raises ValueError without a TIFF header."""

    def __init__(self, exif: bytes) -> None:
        order = {b"II": "<", b"MM": ">"}.get(exif[:2])
        if order is None or len(exif) < 8 or 42 not in exif[2:4]:
            raise ValueError("no TIFF header")
        self.data, self._order = bytearray(exif), order
        self.data[2:4] = struct.pack(order + "H", 42)  # some writers turn these two bytes round
        self._directories = self._walk()

    @property
    def sound(self) -> bool:
        """Whether each directory, entry and value lies within the block."""
        return all(d.sound for d in self._directories)

    @property
    def orientation(self) -> int | None:
        """The number in the orientation entry, the last if there are several, or None without one."""
        found = [self._number(e) for e in self._directories[0].entries if e.tag == ORIENTATION]
        return found[-1] if found else None

    @property
    def tells_resolution(self) -> bool:
        """Whether the first directory has an entry for pixels per unit."""
        return any(e.tag == _X_RESOLUTION for e in self._directories[0].entries)

    def set_upright(self) -> None:
        """Orientation 1, where an entry tells one; no thumbnail, and no place of the subject."""
        for entry in self._directories[0].entries:
            if entry.tag == ORIENTATION:
                self._set(entry, 1, _SHORT)
        chain = [d for d in self._directories if d.tag == _THUMBNAIL]
        self._drop(lambda entry: entry.tag in _PLACES, [r for d in chain for r in self._thumbnail(d)], _THUMBNAIL)

    def set_size(self, width: int, height: int) -> None:
        """These sides in pixels, where an entry tells one."""
        for directory in self._directories:
            for entry in directory.entries if directory.tag != _THUMBNAIL else ():
                side = width if entry.tag in _WIDTHS else height if entry.tag in _HEIGHTS else None
                if side is not None and self._number(entry) != side:
                    self._set(entry, side, _SHORT if entry.type == _SHORT and side < 1 << 16 else _LONG)
        self._directories = self._walk()

    def cut(self) -> bytes | None:
        """The block without anything that may show more than a part of the picture; None if that cannot be told.

        Only known directories and their values stay. All other bytes, where thumbnails lie, become zero.
        """
        if not self.sound:
            return None
        drop = _PREVIEWS | _PLACES

        def unwanted(entry: Entry) -> bool:
            return entry.tag in drop or (entry.type not in _TEXTS and entry.end - entry.start > _LARGE)

        self._drop(unwanted, [range(len(self.data))], _THUMBNAIL)
        return None if _SOI in self.data else bytes(self.data)

    def without_gps(self) -> bytes | None:
        """The block without its GPS directory, whose bytes become zero; None if that cannot be done for sure."""
        if not self.sound or not self._places_are_found():
            return None
        doomed = [r for d in self._directories if d.tag == ifd.GPS for r in d.ranges]
        self._drop(lambda entry: entry.tag == ifd.GPS or entry.tag in _COPIES, doomed, ifd.GPS)
        return bytes(self.data)

    def _places_are_found(self) -> bool:
        """Whether all that may tell the place is known to its last byte.

        Other readers may follow a pointer, or take a value, whose type is strange.
        """
        homes = {d.at: d.tag for d in self._directories}
        for directory in self._directories:
            for e in directory.entries:
                is_pointer = e.tag in (ifd.EXIF, ifd.GPS)
                if is_pointer and (e.end - e.start != 4 or homes.get(self._long(e.start)) != e.tag):
                    return False
                if (directory.tag == ifd.GPS or e.tag in _COPIES) and e.amount and e.type not in ifd.SIZES:
                    return False
        return True

    def without_orientation(self) -> bytes:
        """The block without an entry for the orientation, which means 1."""
        self._drop(lambda entry: entry.tag == ORIENTATION, (), None)
        return bytes(self.data)

    def values(self, order: str) -> dict[int, list[ifd.Value]]:
        """For the tag of each directory, the first of its kind, its entries in this byte order, < or >.

        All values together are no longer than the block, as in every sound one. A forged one loses some.
        """
        found: dict[int, list[ifd.Value]] = {}
        left = len(self.data)
        for directory in self._directories:
            if directory.tag not in found:
                found[directory.tag] = []
                for e in directory.entries:
                    if e.end - e.start <= left:
                        left -= e.end - e.start
                        raw = bytes(self.data[e.start : e.end])
                        found[directory.tag].append(ifd.value(e.tag, e.type, raw, self._order, order))
        return found

    def _walk(self) -> list[Directory]:
        """The first directory, those after it, and those that they point to."""
        found: list[Directory] = []
        waiting, seen, left = deque([(0, self._long(4))]), set[int](), _MAX_ENTRIES
        while waiting:
            tag, at = waiting.popleft()
            if at in seen:
                continue
            if len(found) == _MAX_DIRECTORIES or left <= 0:
                found[0] = found[0]._replace(sound=False)
                break
            seen.add(at)
            directory = self._directory(tag, at, left)
            left -= len(directory.entries)
            found.append(directory)
            if directory.next:
                waiting.append((_THUMBNAIL, directory.next))
            for entry in directory.entries:
                if entry.tag in (ifd.EXIF, ifd.GPS, ifd.INTEROP) and entry.end - entry.start >= 4:
                    waiting.append((entry.tag, self._long(entry.start)))
        return found

    def _directory(self, tag: int, at: int, most: int) -> Directory:
        room = (len(self.data) - at - 2) // 12
        if at < 8 or room < 0:
            return Directory(tag, min(at, len(self.data)), [], False, 0)
        (count,) = struct.unpack_from(self._order + "H", self.data, at)
        sound, after = count <= min(room, most), at + 2 + 12 * count
        entries = []
        for place in range(at + 2, at + 2 + 12 * min(count, room, most), 12):
            entry, fits = self._entry(place)
            entries.append(entry)
            sound = sound and fits
        following = self._long(after) if after + 4 <= len(self.data) and tag in (0, _THUMBNAIL) else 0
        return Directory(tag, at, entries, sound, following)

    def _entry(self, at: int) -> tuple[Entry, bool]:
        """The entry at this place, and whether its value lies within the block."""
        tag, kind, count = struct.unpack_from(self._order + "HHI", self.data, at)
        size = ifd.SIZES.get(kind, 0) * count
        start = at + 8 if size <= 4 else self._long(at + 8)
        end = start + size
        return Entry(at, tag, kind, count, min(start, len(self.data)), min(end, len(self.data))), end <= len(self.data)

    def _thumbnail(self, directory: Directory) -> list[range]:
        """The bytes of a thumbnail's directory, and of the thumbnail: a JPEG, or strips of samples."""
        first = {e.tag: self._numbers(e) for e in directory.entries if e.tag in (0x0201, 0x0202, 0x0111, 0x0117)}
        found = directory.ranges
        for places, lengths in ((0x0201, 0x0202), (0x0111, 0x0117)):
            for start, length in zip(first.get(places, ()), first.get(lengths, ()), strict=False):
                found.append(range(min(start, len(self.data)), min(start + length, len(self.data))))
        return found

    def _drop(self, unwanted: Callable[[Entry], bool], doomed: Iterable[range], gone: int | None) -> None:
        """Take entries out of their directories; make zero their values and the bytes of `doomed`.

        gone: the tag of directories that do not stay. The values of entries that stay are not touched, but where the
        GPS directory goes: better to lose one of them than to keep a place. Zeros at the end of the block are cut off.
        """
        kept, stay, values = [range(8)], list[range](), list[range]()
        for directory in (d for d in self._directories if d.tag != gone):
            staying = [e for e in directory.entries if not unwanted(e)]
            values += [range(e.start, e.end) for e in directory.entries if unwanted(e)]
            old = self._rewrite(directory, staying, 0 if gone == _THUMBNAIL else directory.next)
            kept.append(range(directory.at, directory.at + 2 + 12 * len(staying) + 4))
            stay += [range(e.start, e.end) for e in staying if e.start not in old]  # others have moved with their entry
        kept, end = _merged(kept if gone == ifd.GPS else kept + stay), max(r.stop for r in kept + stay)
        saved = [(r.start, bytes(self.data[r.start : r.stop])) for r in kept]
        for r in _merged([*doomed, *values]):
            self.data[r.start : r.stop] = bytes(min(r.stop, len(self.data)) - r.start)
        for start, part in saved:
            self.data[start : start + len(part)] = part
        del self.data[max(end, len(self.data.rstrip(b"\0"))) :]
        self._directories = self._walk()

    def _rewrite(self, directory: Directory, staying: list[Entry], following: int) -> range:
        """Give the directory these entries of its own, and another that follows; the bytes that it took before."""
        old = directory.ranges[0]
        if len(staying) != len(directory.entries) or following != directory.next:
            parts = [bytes(self.data[e.at : e.at + 12]) for e in staying]
            pack = struct.Struct(self._order + "H").pack, struct.Struct(self._order + "I").pack
            own = pack[0](len(staying)) + b"".join(parts) + pack[1](following)
            own = own.ljust(len(old), b"\0")[: len(self.data) - directory.at]
            self.data[directory.at : directory.at + len(own)] = own
        return old

    def _numbers(self, entry: Entry) -> list[int]:
        letter = _NUMBERS.get(entry.type)
        if letter is None:
            return []
        count = min(entry.amount, (entry.end - entry.start) // ifd.SIZES[entry.type], _MAX_NUMBERS)
        return list(struct.unpack_from(f"{self._order}{count}{letter}", self.data, entry.start))

    def _number(self, entry: Entry) -> int | None:
        found = self._numbers(entry._replace(amount=min(entry.amount, 1)))
        return found[0] if found else None

    def _set(self, entry: Entry, value: int, kind: int) -> None:
        """Make the entry one number, which stands within the entry itself."""
        inner = struct.pack(self._order + "HH", value, 0) if kind == _SHORT else struct.pack(self._order + "I", value)
        self.data[entry.at : entry.at + 12] = struct.pack(self._order + "HHI", entry.tag, kind, 1) + inner

    def _long(self, at: int) -> int:
        (value,) = struct.unpack_from(self._order + "I", self.data, at)
        return int(value)


def _merged(ranges: Iterable[range]) -> list[range]:
    """The same bytes as ranges that do not overlap, so that no forged block costs more than its own length."""
    merged: list[range] = []
    for r in sorted((r for r in ranges if r), key=lambda r: r.start):
        if merged and r.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(merged[-1].stop, r.stop))
        else:
            merged.append(r)
    return merged


def without_prefix(block: bytes) -> bytes:
    """The block from its byte-order mark on. Some writers put the prefix twice."""
    found = _PREFIXES.match(block)
    return block[found.end() :] if found else block


def of_resolution(x: float, y: float) -> bytes:
    """A block that tells pixels per inch and nothing else."""
    sides = [struct.pack("<2I", *Fraction(side).limit_denominator(10_000).as_integer_ratio()) for side in (x, y)]
    values = [ifd.Value(_X_RESOLUTION + i, 5, 1, side) for i, side in enumerate(sides)]
    return ifd.block([*values, ifd.Value(_RESOLUTION_UNIT, _SHORT, 1, b"\2\0")], {}, "<")
