"""What the maker of a model says of it <-> the texts in the head of its file.

Beside `modelfile`: training writes a card, `nicodec models show` prints it. docs/FORMAT.md defines the fields.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

# The most characters of each text, and the most points of a curve.
MAX_NAME, MAX_LICENCE, MAX_NOTE, MAX_POINTS, MAX_RESTORES = 40, 100, 1000, 64, 40


class Point(NamedTuple):
    """A point of a curve. quality: 0..100. bpp: bits for each pixel. psnr: dB."""

    quality: float
    bpp: float
    psnr: float


@dataclass(frozen=True)
class Card:
    """A model in the words of its maker. What is not known is empty.

    licence, note: one printable line each. made: the date, as 2026-11-29. start: name and first digits of the id of
    the model that training started from. curve: rate and PSNR on pictures that were held out, by rising quality.
    restores: the damage that the model takes away, as the word of --clean-from; empty for a faithful model. decodes:
    the id of another model, whose files it decodes to restored pictures.
    """

    licence: str = ""
    note: str = ""
    made: str = ""
    start: str = ""
    curve: tuple[Point, ...] = ()
    restores: str = ""
    decodes: str = ""

    def texts(self) -> dict[str, str]:
        """The fields of the head, those that are known. A curve with a number that is not finite is not."""
        known = self.curve and all(math.isfinite(x) for point in self.curve for x in point)
        curve = json.dumps([[round(x, 4) for x in point] for point in self.curve]) if known else ""
        fields = {"licence": self.licence, "note": self.note, "made": self.made, "from": self.start, "curve": curve}
        fields |= {"restores": self.restores, "decodes": self.decodes}
        return {name: text for name, text in fields.items() if text}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Card:
        """The card in a head that anybody may have written: what is too long is cut, what is wrong is left out.

        Its texts may hold any character; `storage.files.shown` makes them safe to print.
        """
        made = metadata.get("made", "")
        return cls(
            licence=metadata.get("licence", "")[:MAX_LICENCE],
            note=metadata.get("note", "")[:MAX_NOTE],
            made=made if re.fullmatch(r"\d{4}-\d\d-\d\d", made, re.ASCII) else "",
            start=metadata.get("from", "")[: MAX_NAME + 9],
            curve=_curve(metadata.get("curve", "")),
            restores=restores[:MAX_RESTORES] if (restores := metadata.get("restores", "")).isprintable() else "",
            decodes=decodes if re.fullmatch("[0-9a-f]{64}", decodes := metadata.get("decodes", "")) else "",
        )


def fault(text: object, most: int) -> str | None:
    """Why a text cannot stand on a card, or None. most: the most characters."""
    if not isinstance(text, str):
        return "it is no text"
    if len(text) > most:
        return f"it has {len(text):,} characters, and at most {most:,} are kept"
    return None if text.isprintable() else "it has characters that do not print, such as line ends"


def name_fault(name: str) -> str | None:
    """Why a word cannot name a model in a list, or None."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name.startswith("-"):
        return "a name has letters, digits, - and _ alone, and does not begin with -"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters"
    return "it looks like an id" if re.fullmatch(r"[0-9A-Fa-f]{8,}", name) else None


def cleaned(text: str) -> str:
    """The name that is most like a text and has no fault; it may still look like an id."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:MAX_NAME] or "model"


def _curve(text: str) -> tuple[Point, ...]:
    try:
        points = [Point(*map(float, point)) for point in json.loads(text)[:MAX_POINTS]]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return ()
    return tuple(points) if all(math.isfinite(x) for point in points for x in point) else ()
