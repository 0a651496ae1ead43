"""Where a picture was taken, as XMP and texts tell it: their names, and coordinates in their values.

Under `metadata`.
"""

from __future__ import annotations

import re

from nicodec.picture.beside import xmp
from nicodec.picture.beside.text import Texts

# Each writer has a namespace of its own for the same names, so the name alone decides, in small letters.
_ANYWHERE = (
    "gps", "latitude", "longitude", "longtitude", "altitude", "location", "country", "province", "worldregion",
    "coordinate",
)  # fmt: skip
_ALONE = frozenset({"lat", "lon", "lng", "long", "coverage", "spatial"})
_NO_PLACES = re.compile("subjectlocation|geometr")  # the first is a place in the picture
# Words of a name: these letters stand in "opacity" and "statement" too.
_WORD = re.compile("(?:(?<![A-Za-z])(?i:city|state)|(?<=[a-z])(?:City|State))(?![a-z])")
# A coordinate with its name, as in markup, JSON and lists; no prefix that is only declared, and no word of a sentence.
_COORDINATES = re.compile(
    rb"(?<!xmlns:)gps(?:[a-z]|\W{0,2}[:=]\W{0,4}\d)"
    rb"|(?:latitude|longt?itude)\s{0,9}(?:[\"'=:>]|&(?:gt|quot|apos|#))"
    rb"|[\"'](?:lat|lon|lng)[\"']\s{0,9}:",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[\s\ufeff]*<[?!A-Za-z_]")
_MOST_MARKUP = 1 << 20  # characters of all texts: more would take many seconds, and is no description of a picture
_RAW_PROFILE = "raw profile type "  # in hexadecimal; `raw_profiles` has taken out those that can be read


def in_name(name: str) -> bool:
    """Whether a text of this name, or a property of XMP, tells a place. Any prefix may stand before the name."""
    small = _NO_PLACES.sub("", name.lower())
    prefix, _, local = small.rpartition(":")
    if prefix == "geo" or local.startswith("geo") or local in _ALONE or any(part in small for part in _ANYWHERE):
        return True
    return ("city" in small or "state" in small) and _WORD.search(name) is not None


def packet_without(packet: bytes) -> bytes | None:
    """An XMP packet, or other XML, without what tells the place; None where that cannot be done for sure."""
    try:
        found, _ = xmp.edited(packet, {}, in_name)
    except xmp.Unreadable:
        return None
    return None if _COORDINATES.search(found.replace(b"\0", b"")) else found


def texts_without(texts: Texts) -> tuple[Texts, bool]:
    """The texts that do not tell the place, and whether one was left out because it may tell it in its value.

    Markup stays without the names that tell it.
    """
    kept, doubtful, left = [], False, _MOST_MARKUP
    for name, value in texts:
        if in_name(name):
            continue
        found: bytes | None = value.encode("utf-8", "replace")
        if _MARKUP.match(value):
            left -= len(value)
            found = packet_without(found) if found and left >= 0 else None
        elif name.lower().startswith(_RAW_PROFILE) or _COORDINATES.search(found or b""):
            found = None
        if found is None:
            doubtful = True
        else:
            kept.append((name, found.decode("utf-8", "replace")))
    return tuple(kept), doubtful
