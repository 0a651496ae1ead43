"""Damage that a decoder passes over: JPEGs whose decoder guesses, PNGs with wrong checksums, missing rows and ends.

Under `reader`, before Pillow decodes. Pillow hides the warnings of libjpeg, so simplejpeg, which tells them, decodes
each JPEG once more, at an eighth of its size.
"""

from __future__ import annotations

import io
import re
import struct
from typing import BinaryIO

from PIL import Image

from nicodec.errors import BadImage, one_line
from nicodec.picture.files import pngs

_JPEG = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_MOST_BYTES = 1 << 30  # of a JPEG that is looked at
_MOST_SEGMENTS = 10_000
_MOST_HEAD = 1024  # bytes of a segment that are looked at
# What libjpeg says where it guesses; its other warnings are of no account.
_GUESSES = ("Corrupt JPEG data", "Premature end", "Inconsistent progression")
# The end of a marker that ends coded samples. It may have more \xff before it, which take no time this way.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def mended(file: BinaryIO, name: str, notes: list[str]) -> BinaryIO:
    """The file, or a copy with an end marker where a JPEG lacks it and nothing else, which is said in `notes`.

    Raises BadImage, naming `name`, for a JPEG without samples of one of its components: they would come out gray.
    """
    file.seek(0)
    if file.read(3) != _JPEG:
        file.seek(0)
        return file
    file.seek(0)
    data = file.read(_MOST_BYTES)
    file.seek(0)
    ended, missing, coarse = _scans(data)
    if missing:
        raise BadImage(f"{name}: cut off: samples of {missing} of its components are missing")
    if coarse:
        notes.append("a progressive JPEG lacks its last scans, so it is coarser than it was made")
    if ended or _too_large(data) or _warning(data + _END):
        return file  # Pillow refuses what was cut off
    notes.append(pngs.NO_END)
    return io.BytesIO(data + _END)


def seen(image: Image.Image, name: str, notes: list[str], *, stays: bool) -> None:
    """Looks at the file of an image that is not loaded. Adds a line to `notes` for damage that Pillow passes over.

    stays: the file stays open, and `loaded` is called later. Raises BadImage, naming `name`, for a PNG whose samples
    have a wrong checksum, or without all of its samples if nothing `stays`.
    """
    file: BinaryIO | None = getattr(image, "fp", None)
    if image.format not in ("JPEG", "MPO", "PNG") or file is None or file.closed:
        return
    here = file.tell()
    try:
        file.seek(0)
        if image.format == "PNG":
            pngs.check_sums(file, name, notes)
            if not stays:
                pngs.check_amount(file, name)
        elif warning := _warning(file.read(_MOST_BYTES)):
            notes.append(f"a damaged JPEG, whose decoder had to guess, so parts may be wrong: {warning}")
    finally:
        file.seek(here)


def loaded(image: Image.Image, file: BinaryIO, name: str) -> None:
    """Looks at an image that is loaded, and at its file. Raises BadImage, naming `name`, for a PNG without all rows."""
    if image.format == "PNG" and pngs.may_lack_rows(image):
        pngs.check_amount(file, name)


def _warning(data: bytes) -> str:
    """What libjpeg warns of in a JPEG that it decodes; "" if nothing, or if it cannot decode it at all."""
    import simplejpeg

    space = "CMYK" if _frame(data)[5:6] == b"\x04" else "RGB"

    def decode(*, strict: bool) -> None:
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1, min_factor=8, strict=strict)

    try:
        decode(strict=True)
    except Exception as error:
        try:
            decode(strict=False)
        except Exception:
            return ""  # of a kind that it does not know: Pillow decides
        said = one_line(error)
        return said if said.startswith(_GUESSES) else ""
    return ""


def _too_large(data: bytes) -> bool:
    """Whether Pillow refuses the size of a JPEG; it is asked later."""
    body = _frame(data)
    height, width = struct.unpack_from(">HH", body, 1) if len(body) > 5 else (0, 0)
    return Image.MAX_IMAGE_PIXELS is not None and height * width > 2 * Image.MAX_IMAGE_PIXELS


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker and contents of the segments of a JPEG up to its end marker, or to the end of the data."""
    found: list[tuple[int, bytes]] = []
    at = 2
    while len(found) < _MOST_SEGMENTS and (match := _MARKER.search(data, at)) is not None:
        marker, at = data[match.end() - 1], match.end()
        if marker == 0xD9:
            return [*found, (marker, b"")]
        (length,) = struct.unpack(">H", data[at : at + 2].rjust(2, b"\0"))
        found.append((marker, data[at + 2 : at + max(length, 2)][:_MOST_HEAD]))
        at += max(length, 2)
    return found


def _frame(data: bytes) -> bytes:
    """The contents of the segment with size and components; b"" if there is none."""
    return next((body for marker, body in _segments(data) if marker in _FRAMES and len(body) > 5), b"")


def _scans(data: bytes) -> tuple[bool, int, bool]:
    """Of a JPEG: whether it has its end marker, how many components have no samples, whether the last scans lack."""
    segments = _segments(data)
    components: list[int] = []
    progressive = False
    low: dict[int, int] = {}  # component -> the lowest bit of its means that was sent
    rest: dict[tuple[int, int], int] = {}  # component, coefficient -> the same
    for marker, body in segments:
        if marker in _FRAMES and len(body) > 5 and not components:
            components = list(body[6 : 6 + 3 * body[5] : 3])
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        if marker == 0xDA and body and body[0] <= 4 and len(body) >= 4 + 2 * body[0]:
            first, last, bits = body[1 + 2 * body[0] :][:3]
            for component in body[1 : 1 + 2 * body[0] : 2]:
                if first == 0:
                    low[component] = bits & 15
                for coefficient in range(max(first, 1), min(last, 63) + 1):
                    rest[component, coefficient] = bits & 15
    missing = sum(component not in low for component in components)
    coarse = progressive and (any(low.values()) or any(rest.values()))
    return bool(segments) and segments[-1][0] == 0xD9, missing, coarse
