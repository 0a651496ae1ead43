"""Named texts and the print resolution <-> the bytes of their chunks.

Under `pillow_info`, `png` and `holding`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeAlias

COMMENT = "Comment"  # the name of a text that has none of its own, as in JPEG and GIF
XMP = "XML:com.adobe.xmp"  # the name of XMP in PNG
XMP_NAMES = frozenset({XMP.lower(), "xmp"})
"""The names, in small letters, under which writers put XMP among other texts."""
MAX_TEXTS = 1024
"""The most texts of one picture: each costs more memory than its bytes."""

Texts: TypeAlias = tuple[tuple[str, str], ...]  # name and text, in order; a name may come twice

_DENSITY = struct.Struct("<4I")
_LARGEST = 2**31


def pack(texts: Iterable[tuple[str, str]]) -> bytes | None:
    """Texts -> the payload of TEXT: each name and each text in UTF-8, then a byte 0. None without any."""
    ends = (part.replace("\0", " ").encode("utf-8", "replace") + b"\0" for pair in texts for part in pair)
    return b"".join(ends) or None


def unpack(payload: bytes | None) -> Texts:
    """The payload of TEXT -> at most `MAX_TEXTS` texts. A name without its text is left out."""
    parts = [part.decode("utf-8", "replace") for part in (payload or b"").split(b"\0", 2 * MAX_TEXTS)[:-1]]
    return tuple(zip(parts[::2], parts[1::2], strict=False))


def decoded(text: bytes) -> str:
    """A text that does not name its encoding: UTF-8, or Latin-1 if it is not. Zeros at its end do not count."""
    text = text.rstrip(b"\0")
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def pack_density(x: object, y: object) -> bytes | None:
    """Pixels per inch in a row and in a column -> the payload of DENSITY; None for what is no such number."""
    try:
        x, y = float(x), float(y)  # type: ignore[arg-type]
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        fractions = [Fraction(side).limit_denominator(10_000) for side in (x, y)]
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not all(0 < f < _LARGEST // 10_000 for f in fractions):
        return None
    return _DENSITY.pack(*(part for f in fractions for part in (f.numerator, f.denominator)))


def unpack_density(payload: bytes | None) -> tuple[float, float] | None:
    """The payload of DENSITY -> pixels per inch in a row and in a column, or None."""
    if payload is None or len(payload) != _DENSITY.size:
        return None
    numbers = _DENSITY.unpack(payload)
    return (numbers[0] / numbers[1], numbers[2] / numbers[3]) if 0 not in numbers else None
