"""The boxes of a JPEG 2000 file that hold what travels beside its samples <-> what they hold.

Under `reader` and `holding`. Pillow reads and writes none of them but the resolution, which it reads.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

from nicodec.picture import LIMIT, Beside
from nicodec.picture.beside import exif, text
from nicodec.picture.beside.apart import Apart

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_INCH = Fraction(254, 10_000)  # metres
_UUIDS = {
    "exif": b"JpgTiffExif->JP2",
    "xmp": bytes.fromhex("be7acfcb97a942e89c71999491e3afac"),
    "iptc": bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"),
}
_MAX_BOXES = 4096


class Box(NamedTuple):
    """A box of a file: its kind, and the bytes of its contents."""

    kind: bytes
    inside: range


def apart(file: BinaryIO) -> tuple[BinaryIO, Apart | None]:
    """A file that can seek, at its start -> the file, and what Pillow does not read; None if it is no JPEG 2000."""
    head, found, notes = file.read(len(_SIGNATURE)), dict[str, bytes](), list[str]()
    if head == _SIGNATURE:
        for box in _boxes(file, range(file.seek(0, io.SEEK_END))):
            start = _bytes(file, box.inside, 16) if box.kind == b"uuid" else b""
            for name, uuid in _UUIDS.items():
                if start == uuid and len(box.inside) - 16 > LIMIT:
                    notes.append(f"{name.upper()} of more than {LIMIT >> 20} MiB was left out")
                elif start == uuid:
                    found[name] = _bytes(file, box.inside, LIMIT + 16)[16:]
            for inner in _boxes(file, box.inside) if box.kind == b"jp2h" else ():
                colour = _bytes(file, inner.inside, LIMIT) if inner.kind == b"colr" else b""
                if colour[:1] in (b"\2", b"\3"):  # a profile, restricted or of any kind
                    found["icc"] = colour[3:]
    file.seek(0)
    if "exif" in found:
        found["exif"] = exif.without_prefix(found["exif"])
    return file, Apart(Beside(**found), None, tuple(notes)) if head == _SIGNATURE else None


def boxed(data: bytes, beside: Beside) -> bytes:
    """A file of Pillow's with more boxes: a colour profile, the resolution, EXIF, XMP and IPTC."""
    file, parts = io.BytesIO(data), list[bytes]()
    for box in _boxes(file, range(len(data))):
        inside = data[box.inside.start : box.inside.stop]
        if box.kind == b"jp2h":
            inner = [(b.kind, data[b.inside.start : b.inside.stop]) for b in _boxes(file, box.inside)]
            if beside.icc:
                inner = [(k, b"\2\0\0" + beside.icc if k == b"colr" else body) for k, body in inner]
            if sides := text.unpack_density(beside.density):
                inner.append((b"res ", _box(b"resc", _resolution(*sides))))
            inside = b"".join(_box(kind, body) for kind, body in inner)
        if box.kind == b"jp2c":  # the samples, which may go on to the end of the file
            named = ((uuid, getattr(beside, name)) for name, uuid in _UUIDS.items())
            parts += [_box(b"uuid", uuid + blob) for uuid, blob in named if blob]
        parts.append(_box(box.kind, inside))
    return b"".join(parts)


def _box(kind: bytes, inside: bytes) -> bytes:
    return struct.pack(">I4s", len(inside) + 8, kind) + inside


def _resolution(x: float, y: float) -> bytes:
    """Pixels per metre, a fraction and a power of ten each, first of a column."""
    fractions, powers = [], b""
    for side in (y, x):
        per_metre, power = Fraction(side).limit_denominator(10_000) / _INCH, 0
        while per_metre >= 1 << 16:
            per_metre, power = per_metre / 10, power + 1
        shift = 1
        while shift < 10_000 and per_metre * shift * 10 < 1 << 16:
            shift *= 10
        fractions += [max(1, round(per_metre * shift)), shift]
        powers += struct.pack("b", power)
    return struct.pack(">4H", *fractions) + powers


def _boxes(file: BinaryIO, within: range) -> Iterator[Box]:
    place = within.start
    for _ in range(_MAX_BOXES):
        head = _bytes(file, range(place, within.stop), 16)
        if len(head) < 8:
            return
        length, kind, begin = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1 and len(head) == 16:  # the length is one of eight bytes
            length, begin = int.from_bytes(head[8:], "big"), 16
        end = place + length if length else within.stop
        if end < place + begin or end > within.stop:
            return
        yield Box(kind, range(place + begin, end))
        place = end


def _bytes(file: BinaryIO, place: range, most: int) -> bytes:
    file.seek(place.start)
    return file.read(min(len(place), most))
