"""A JPEG file -> the same without colour profile and captions, for Pillow; and what they hold.

Under `reader`, before Pillow opens the file.
"""

from __future__ import annotations

from typing import BinaryIO

from nicodec.picture import LIMIT, Beside
from nicodec.picture.beside import iptc
from nicodec.picture.beside.apart import Apart, without

_ICC, _PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
# What Pillow reads at fixed places of these segments, whatever their length: marker, beginning, least length.
_SHORT = ((0xE0, b"JFIF", 12), (0xEE, b"Adobe", 12))
_MAX_SEGMENTS = 1 << 16
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


def apart(file: BinaryIO) -> tuple[BinaryIO, Apart | None]:
    """A file that can seek, at its start -> a file for Pillow, and what was taken out of it; None if it is no JPEG."""
    if file.read(3) != b"\xff\xd8\xff":
        file.seek(0)
        return file, None
    holes, profile, resources, place = list[range](), list[bytes](), list[bytes](), 2
    for _ in range(_MAX_SEGMENTS):
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):  # the end, or the samples
            break
        if head[1] == 0xFF or head[1] in _ALONE:
            place += 1 if head[1] == 0xFF else 2
            continue
        length = int.from_bytes(head[2:], "big")
        body = file.read(length - 2) if length > 2 else b""
        if head[1] == 0xE2 and body.startswith(_ICC):
            profile.append(body[len(_ICC) :])
            holes.append(range(place, place + 2 + length))
        elif head[1] == 0xED and body.startswith(_PHOTOSHOP):
            resources.append(body[len(_PHOTOSHOP) :])
            holes.append(range(place, place + 2 + length))
        elif any(head[1] == marker and body.startswith(begin) and len(body) < least for marker, begin, least in _SHORT):
            holes.append(range(place, place + 2 + length))
        place += 2 + max(length, 2)
    icc = _joined(profile)
    notes = ("a colour profile that is damaged was left out",) if profile and icc is None else ()
    # A block that is too long for one segment goes on in the next.
    found = Beside(icc, iptc=iptc.of_resources(b"".join(resources)))
    return without(file, holes), Apart(found, None, notes)


def _joined(parts: list[bytes]) -> bytes | None:
    """A colour profile from its segments, each with its number and their count first; None if one is missing."""
    if any(len(part) < 2 or part[1] != len(parts) for part in parts) or sum(map(len, parts)) > LIMIT:
        return None
    return b"".join(part[2:] for part in sorted(parts, key=lambda part: part[0])) or None
