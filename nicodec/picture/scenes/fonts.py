"""Fonts of a folder or of the system -> hands that write words in letters which the font has.

Under the kinds of scenes. A font that cannot be read, or fails while it writes, costs its own words alone.
"""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

SUFFIXES = (".ttf", ".otf", ".ttc")
# Latin letters about as often as they stand in texts.
LATIN = "etaoinshrdlu" * 3 + "etaoin" * 4 + string.ascii_lowercase
# Some letters of each script. A font writes a script if it has the first, the middle and the last, and they differ.
SCRIPTS = (
    LATIN,
    "áñüçéèöåøßæîğşžčłőığ",
    "αλωβγδεζηθικμνξοπρσςτυφχψ",
    "жщяабвгдезийклмнопрстуфхцчшъыьэю",
    "אבשגדהוזחטיכלמנסעפצקרת",
    "بحسادرزطعفقكلمنهويتثجخش",
    "कमरखगघचजटडतदनपबयलवसह",
    "กขคงจชซณดตถทนบปผพฟมยรลวสหอ",
    "あかのいうえおきくけこさしすせそたちつてとなにぬねまみむめもやゆよらりるれろわをん",
    "アカノイウエオキクケコサシスセソタチツテトナニマミムメモヤユヨラリルレロワン",
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长",
    "가나다한국어의을는이에서로고하사람들지대기도있일년시",
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
)
# What a font raises that breaks down at a letter, or makes it larger than Pillow allows.
FAILURES = (OSError, ValueError, Image.DecompressionBombError)


def folders() -> list[Path]:
    """Where systems keep their fonts."""
    home = Path("~").expanduser()
    places = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    places += [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    places += [Path(os.environ[name]) / rest for name, rest in WINDOWS.items() if name in os.environ]
    return places


WINDOWS = {"WINDIR": "Fonts", "LOCALAPPDATA": "Microsoft/Windows/Fonts"}


@dataclass(frozen=True)
class Hand:
    """A font of one size, and the letters that it writes."""

    font: Font
    scripts: tuple[str, ...]

    def word(self, rng: np.random.Generator) -> str:
        """A word, a number or a mark, mostly in the first script that the font has."""
        kind = rng.random()
        if kind < 0.12 and LATIN in self.scripts:  # a font without Latin letters often lacks digits too
            return NUMBERS[rng.integers(len(NUMBERS))].format(*rng.integers(0, 99, 3).tolist())
        script = self.scripts[0 if rng.random() < 0.7 else rng.integers(len(self.scripts))]
        word = "".join(script[i] for i in rng.integers(len(script), size=rng.integers(1, 10)))
        if kind < 0.3:
            return word.title()
        if kind < 0.42:
            return word.upper()
        return word + MARKS[rng.integers(len(MARKS))] if kind < 0.55 else word

    def line(self, rng: np.random.Generator, width: float) -> str:
        """Words of about this width in pixels, one at least."""
        letters = max(1, int(width / (0.5 * self.size)))
        words = [self.word(rng)]
        while sum(map(len, words)) + len(words) < letters:
            words.append(self.word(rng))
        return " ".join(words)

    @property
    def size(self) -> float:
        """Of the font, in pixels."""
        return float(getattr(self.font, "size", 10))

    def length(self, text: str) -> float:
        """The width of a text in pixels; 0 where the font fails."""
        try:
            return self.font.getlength(text)
        except FAILURES:
            return 0.0

    def write(
        self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ink: int | tuple[int, ...], stroke: int = 0
    ) -> None:
        """Draws a text from its upper left corner, or nothing where the font fails. stroke: width of an outline."""
        try:
            pen.text(at, text, ink, font=self.font, stroke_width=stroke)
        except FAILURES:
            return


NUMBERS = (
    "{}",
    "{}.{}",
    "{},{}",
    "{}:{}",
    "{}%",
    "{}/{}/{}",
    "${}.{}",
    "€{}",
    "+{}-{}",
    "#{}{}",
    "({})",
    "{}°",
    "0{} {}{}",
)
MARKS = (".", ",", "!", "?", ":", ";", "...", "-", "&", "@", "'", '"', ")", "/", "*", "=", "+", "_")


class Fonts:
    """The fonts of a folder, or of the system."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: looked through to the bottom; None: the usual folders of the system."""
        found = {}
        for place in folders() if folder is None else [folder]:
            for parent, _, names in os.walk(place):
                found.update({name: Path(parent) / name for name in names if name.lower().endswith(SUFFIXES)})
        # Fonts whose names begin alike are mostly of one family; each family is as likely, however many files it has.
        families: dict[str, list[str]] = {}
        for name in sorted(found):
            families.setdefault(name[:5].lower(), []).append(str(found[name]))
        self._families = list(families.values())

    def hand(self, rng: np.random.Generator, size: float) -> Hand:
        """A font of about this size in pixels, or Pillow's own if some tries find none that can be used."""
        for _ in range(8 if self._families else 0):
            family = self._families[rng.integers(len(self._families))]
            path = family[rng.integers(len(family))]
            scripts = _scripts(path)
            font = _load(path, max(4, round(size))) if scripts else None
            if font is not None:
                return Hand(font, scripts)
        return Hand(_own(max(4, round(size))), (LATIN,))


@lru_cache(maxsize=1024)
def _load(path: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(path, size)
    except Exception:  # whatever a broken font makes of FreeType
        return None


@lru_cache(maxsize=128)
def _own(size: int) -> Font:
    return ImageFont.load_default(size)


@cache
def _scripts(path: str) -> tuple[str, ...]:
    """The scripts that a font has letters of; none of a font of symbols, or of one that cannot be read."""
    font = _load(path, 16)
    if font is None:
        return ()
    try:
        missing = _shape(font, "\U0010fffe")
        return tuple(script for script in SCRIPTS if len({_shape(font, c) for c in _three(script)} - {missing}) == 3)
    except Exception:
        return ()


def _three(script: str) -> tuple[str, str, str]:
    return script[0], script[len(script) // 2], script[-1]


def _shape(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    """The pixels of one letter."""
    canvas = Image.new("L", (32, 32))
    ImageDraw.Draw(canvas).text((4, 4), letter, 255, font=font)
    return canvas.size, canvas.tobytes()
