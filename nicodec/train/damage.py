"""The word of --clean-from, as text and as numbers: noise:25, noise:5-50, salt:5%, lines, holes:32.

Under `options` and `corrupt`; it loads neither torch nor numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nicodec.errors import NicError

# Of each kind: the unit, the least and the most number, and that of the bare word.
KINDS: dict[str, tuple[str, float, float, float]] = {
    "noise": ("", 1, 100, 25),
    "salt": ("%", 0.1, 50, 5),
    "lines": ("%", 0.1, 50, 10),
    "holes": ("", 4, 64, 32),
}
MEANING = "noise:25 (sigma in levels of 255, or 5-50), salt:5%, lines:10%, holes:32 (pixels)"


class BadDamage(NicError):
    """A word does not say how pictures are damaged."""

    exit_code = 2


@dataclass(frozen=True)
class Damage:
    """What is done to pictures. kind: a key of KINDS. low, high: between them each patch has its own amount.

    noise: standard deviation in levels of 255. salt, lines: the share of pixels or rows, 0..1. holes: the largest side
    in pixels.
    """

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, word: str) -> Damage:
        """Reads a word. Raises BadDamage."""
        found = re.fullmatch(r"([a-z]+)(?::(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?(%?))?", word)
        if found is None or found[1] not in KINDS:
            raise BadDamage(f"--clean-from takes {MEANING}; not {word!r}")
        unit, least, most, usual = KINDS[found[1]]
        low = float(found[2] or usual)
        high = float(found[3] or low)
        if found[2] and found[4] != unit:
            raise BadDamage(f"--clean-from {word}: {found[1]} takes a number{' with %' if unit else ' without %'}")
        if not least <= low <= high <= most:
            raise BadDamage(f"--clean-from {word}: {found[1]} takes {least:g}{unit} to {most:g}{unit}")
        if found[1] == "holes" and low != high:
            raise BadDamage(
                f"--clean-from {word}: holes take their largest side alone; smaller ones come by themselves"
            )
        scale = 100 if unit else 1
        return cls(found[1], low / scale, high / scale)
