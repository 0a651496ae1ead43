"""A PNG file -> the same without its texts and its colour profile, for Pillow; and what they hold, inflated in bounds.

Under `reader`, before Pillow opens the file: Pillow would refuse a whole picture for one text that is too long.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from nicodec.picture import LIMIT, Beside
from nicodec.picture.beside.apart import Apart, without
from nicodec.picture.beside.raw_profiles import first_packet
from nicodec.picture.beside.text import MAX_TEXTS, XMP, XMP_NAMES, decoded

MAGIC = b"\x89PNG\r\n\x1a\n"
_TAKEN = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})


def apart(file: BinaryIO) -> tuple[BinaryIO, Apart | None]:
    """A file that can seek, at its start -> a file for Pillow, and what was taken out of it; None if it is no PNG."""
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
        return file, None
    found, holes = _Found(), list[range]()
    for kind, body in chunks(file):
        if kind == b"IEND":
            break
        if kind in _TAKEN:
            holes.append(range(body.start - 8, body.stop + 4))
            if len(body) > LIMIT:
                found.too_long(kind)
            else:
                file.seek(body.start)
                data = file.read(len(body))
                found.take(kind, data, zlib.crc32(kind + data) == int.from_bytes(file.read(4), "big"))
    aside = Apart(Beside(found.icc, xmp=found.xmp), tuple(found.texts), tuple(dict.fromkeys(found.notes)))
    return without(file, holes), aside


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, range]]:
    """The kind of each chunk of a PNG file that can seek, and the place of its contents; none that is cut off."""
    end, place = file.seek(0, io.SEEK_END), len(MAGIC)
    while place + 12 <= end:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        place += 12 + length
        if place <= end:
            yield kind, range(place - 4 - length, place - 4)


class _Found:
    """Collects what the chunks hold, `LIMIT` bytes at most of all of them together."""

    def __init__(self) -> None:
        self.icc: bytes | None = None
        self.xmp: bytes | None = None
        self.texts: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._left = LIMIT
        self._work = 4 * LIMIT  # bytes that may still be inflated, those that are then left out too

    def take(self, kind: bytes, body: bytes, sound: bool) -> None:
        name, zero, rest = body.partition(b"\0")
        try:
            if not sound or not zero:
                raise ValueError
            if kind == b"iCCP":
                self.icc = self._inflated(rest)
            elif kind == b"iTXt":
                self._international(name, rest)
            else:
                text = rest if kind == b"tEXt" else self._inflated(rest)
                # XMP is in UTF-8, whatever PNG says of zTXt.
                latin = kind == b"zTXt" and name.decode("latin-1").lower() not in XMP_NAMES
                self._keep(kind, name, text.decode("latin-1") if latin else decoded(text), len(text))
        except OverflowError:
            self.too_long(kind)
        except (ValueError, zlib.error):
            self.notes.append(f"{_named(kind)} that is damaged was left out")

    def too_long(self, kind: bytes) -> None:
        self.notes.append(f"{_named(kind)} of more than {LIMIT >> 20} MiB was left out")

    def _international(self, name: bytes, rest: bytes) -> None:
        compressed, method = rest[:1] == b"\1", rest[1:2]
        _language, _translated, value = rest[2:].split(b"\0", 2)
        text = self._inflated(method + value) if compressed else value
        if name != XMP.encode():
            self._keep(b"iTXt", name, text.decode("utf-8", "replace"), len(text))
        elif len(text) <= self._left:
            self._left -= len(text)
            self.xmp = first_packet(self.xmp, text, self.notes)
        else:
            raise OverflowError

    def _keep(self, kind: bytes, name: bytes, text: str, size: int) -> None:
        if len(self.texts) == MAX_TEXTS:
            self.notes.append(f"texts beyond the first {MAX_TEXTS:,} were left out")
        elif size > self._left:
            raise OverflowError
        else:
            self._left -= size
            self.texts.append((name.decode("latin-1"), text))

    def _inflated(self, stored: bytes) -> bytes:
        """A method byte, which must be 0, and a zlib stream. Raises OverflowError beyond the bytes that are left."""
        if stored[:1] != b"\0":
            raise ValueError
        most = min(self._left, self._work)
        plain = zlib.decompressobj().decompress(stored[1:], most + 1)
        self._work -= len(plain)
        if len(plain) > most:
            raise OverflowError
        return plain


def _named(kind: bytes) -> str:
    return "a colour profile" if kind == b"iCCP" else "text"
