"""Profiles among the texts of a PNG, in hexadecimal, as ImageMagick and exiftool write them <-> what they are.

XMP among the texts is in plain letters too: some writers put it into chunks of other texts than PNG's own for it.

Under `png`, `pillow_info` and `holding`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from nicodec.picture import Beside
from nicodec.picture.beside import exif, iptc
from nicodec.picture.beside.text import XMP_NAMES, Texts

_NAME = "Raw profile type "
_XAP = b"http://ns.adobe.com/xap/1.0/\0"  # stands before XMP in JPEG
_KINDS = frozenset({"exif", "app1", "xmp", "iptc", "8bim", "icc", "icm"})
_PACKET = re.compile(r"[\s\ufeff]*<(?:\?xpacket|\?xml|\w+:(?:xmpmeta|xapmeta|RDF))\b")  # how XMP begins


def apart(texts: Texts, notes: list[str]) -> tuple[Beside, Texts]:
    """The profiles among these texts, and the other texts. A line is added to `notes` for one that is damaged."""
    found, others = Beside(), []
    for name, value in texts:
        kind = name.removeprefix(_NAME).lower() if name.startswith(_NAME) else ""
        is_packet = name.lower() in XMP_NAMES and _PACKET.match(value)
        if not is_packet and kind not in _KINDS:
            others.append((name, value))
            continue
        block = value.encode("utf-8", "replace") if is_packet else _bytes_of(value)
        if block is None:
            notes.append("a damaged profile among the texts was left out")
        elif kind in ("icc", "icm"):
            found = replace(found, icc=block)
        elif kind in ("iptc", "8bim"):
            found = replace(found, iptc=iptc.of_resources(block) or found.iptc)
        elif is_packet or kind == "xmp" or block.startswith(_XAP):
            found = replace(found, xmp=first_packet(found.xmp, block.removeprefix(_XAP), notes))
        else:
            found = replace(found, exif=exif.without_prefix(block))
    return found, tuple(others)


def first_packet(first: bytes | None, second: bytes | None, notes: list[str]) -> bytes | None:
    """The first of two XMP packets, or the second without one. A line is added to `notes` if both say different things.

    ImageMagick writes the same packet twice, as a raw profile and as PNG's own text.
    """
    if first and second and first.strip() != second.strip():
        notes.append("a further XMP packet was left out")
    return first or second


def of_iptc(iim: bytes) -> tuple[str, str]:
    """IPTC as a text of a PNG: its name, and its value."""
    block = iptc.as_resource(iim)
    digits = block.hex()
    lines = [digits[i : i + 72] for i in range(0, len(digits), 72)]
    return f"{_NAME}iptc", "\n".join(["", "iptc", f"{len(block):8}", *lines, ""])


def _bytes_of(value: str) -> bytes | None:
    """The bytes of a text of three parts, each on lines of its own: a name, their number, their digits."""
    parts = value.strip().split(None, 2)
    try:
        length, block = int(parts[1]), bytes.fromhex(parts[2])
    except (IndexError, ValueError):
        return None
    return block[:length] or None
