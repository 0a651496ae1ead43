"""What a run will do, and until when: a look at the pictures, and the minutes shared out among its parts.

Under `run`: files and a clock come in, seconds and three lines of text go out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from nicodec.errors import NicError
from nicodec.picture import reader
from nicodec.train.data import WHOLE, Patches
from nicodec.train.reading import is_gray
from nicodec.train.sources import is_tar, listed
from nicodec.train.validate import VALIDATION_QUALITIES

# The share of the minutes after which reading stops; and the least share that is left for learning.
READING, LEARNING = 1 / 10, 1 / 2
# Pictures that are looked at before all are read.
LOOKED_AT = 8
# Export at its fullest: pictures whose symbols are counted for the tables of y and of z, and those that the preview
# and the corrections are fitted on. Runs under FULL minutes have their share of them, but at least LEAST of each.
COUNTED, COUNTED_Z, FITTED, FULL, LEAST = 96, 128, 48, 30.0, 12
# Held-out pictures, qualities and other codecs of a report, by the word of --measure.
REPORTS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "none": (0, 0, ()),
    "quick": (8, 5, ("jpeg", "avif")),
    "full": (24, 11, ("jpeg", "webp", "avif", "jxl")),
}
# What a pixel costs, in units of one in the looks at held-out pictures: alone in a batch, on its way to z, in a file
# that is written and read again. Measured on two busy cores (docs/LOG.md).
ALONE, TO_Z, IN_A_FILE = 1.2, 0.35, 4.0
# The same of a file of another codec; and of the crops of a page, in files of each of the pictures that are shown.
OF_ANOTHER, CROPS, CROPPED = 3.0, 9, 6
# The same of writing and checking a model, in pixels, and seconds that depend on nothing.
WRITING, FIXED = 6e6, 6.0
# The estimate is multiplied by this: a reserve that is too small makes a run late.
ROOM = 1.3


@dataclass(frozen=True)
class Look:
    """What is known before all is read: files of pictures, tar files, and of a few pictures megapixels and colour."""

    files: int
    tars: int
    megapixels: tuple[float, ...]
    gray: bool

    def __str__(self) -> str:
        counts = ((self.files, "picture"), (self.tars, "tar file"))
        there = " and ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counts if n) or "no pictures"
        if not self.megapixels:
            return there
        least, most = f"{min(self.megapixels):.2g}", f"{max(self.megapixels):.2g}"
        sizes = least if least == most else f"{least} to {most}"
        few = f", by a look at {len(self.megapixels)} of them" if len(self.megapixels) < self.files else ""
        return f"{there}, {'gray' if self.gray else 'in colour'}, of {sizes} megapixels{few}"


def look(paths: list[Path]) -> Look:
    """Count the pictures, and read a few. What cannot be read is left to the reading proper."""
    files = [file.path for file in listed(paths) if not file.path.is_dir()]
    pictures = [path for path in files if not is_tar(path)]
    sizes, gray = list[float](), True
    for path in pictures[:LOOKED_AT]:
        try:
            pixels = reader.read(path).pixels
        except NicError:
            continue
        sizes.append(pixels.shape[0] * pixels.shape[1] / 1e6)
        gray &= is_gray(pixels)
    return Look(len(pictures), len(files) - len(pictures), tuple(sizes), gray)


@dataclass(frozen=True)
class Effort:
    """How many pictures export counts and fits on; how many held-out ones, at how many qualities, it reports; and the
    other codecs of the report.
    """

    counted: int
    counted_z: int
    fitted: int
    measured: int
    qualities: int
    rivals: tuple[str, ...] = ()


@dataclass
class Plan:
    """The minutes of a run, from its first second to the last line of its report.

    minutes: None if the run is measured in steps. measure: a key of REPORTS. left: the share of the minutes that a
    resumed run has left. clock: seconds that only grow.
    """

    minutes: float | None
    measure: str = "quick"
    left: float = 1.0
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def whole(self) -> float:
        """The seconds of all parts together."""
        return math.inf if self.minutes is None else 60 * self.minutes * self.left

    def reading(self) -> float | None:
        """The seconds that reading may take."""
        return None if self.minutes is None else READING * 60 * self.minutes

    def effort(self) -> Effort:
        """What export does. A short run cannot afford to count for minutes."""
        share = 1.0 if self.minutes is None else min(1.0, self.minutes / FULL)
        y, z, fitted = (max(min(n, LEAST), math.ceil(share * n)) for n in (COUNTED, COUNTED_Z, FITTED))
        return Effort(y, z, fitted, *REPORTS[self.measure])

    def reserve(self, speed: float, data: Patches, models: float) -> float:
        """The seconds that export and report will need.

        speed: pixels a second, as the first look at the held-out pictures took them. models: how many the report
        compares, in units of the one that is trained.
        """
        effort, stored = self.effort(), data.entries
        pixels: float = len(VALIDATION_QUALITIES) * sum(min(256, *p.shape[:2]) ** 2 for p in data.validation)
        # Every one of eleven anchors has its tables. Every other one has its preview, or its corrections.
        counted, fitted = (min(n, len(stored)) for n in (effort.counted, effort.fitted))
        pixels += ALONE * data.square**2 * 11 * (counted + fitted)
        whole = sum(min(e.rows, WHOLE) * min(e.columns, WHOLE) for e in stored) / len(stored)
        pixels += TO_Z * 11 * min(effort.counted_z, len(stored)) * whole
        measured = sum(p.shape[0] * p.shape[1] for p in data.validation[: effort.measured])
        pixels += (IN_A_FILE * models + OF_ANOTHER * len(effort.rivals)) * effort.qualities * measured
        shown = data.validation[: min(CROPPED, effort.measured)]
        pixels += OF_ANOTHER * CROPS * sum(p.shape[0] * p.shape[1] for p in shown)
        return ROOM * (FIXED + (pixels + WRITING) / speed)

    def learning(self, reserve: float) -> float:
        """The seconds that are left to learn in, at least half of all."""
        return max(LEARNING * self.whole, self.whole - self.passed() - reserve)

    def passed(self) -> float:
        """The seconds since the beginning."""
        return self.clock() - self.begun

    def until(self) -> str:
        """The time of day at which the run ends."""
        return (datetime.now() + timedelta(seconds=self.whole - self.passed())).strftime("%H:%M")


def lines(
    found: Look,
    plan: Plan,
    start: str,
    network: str,
    device: str,
    steps: int | None,
    *,
    alone: bool = False,
    resume: bool = False,
    writes: bool = True,
) -> list[str]:
    """Three lines: what there is, what will be done with it, and until when.

    start: the name of the model that training starts from, or empty. network: a word for it, or empty. steps: that are
    left to learn, where they are counted. alone: no picture is held out beside them. resume: it goes on with a state.
    writes: whether a model is written.
    """
    begins = f"starts from {start}" if start else f"starts {network and f'the network {network} '}from nothing"
    begins = "goes on from the state of its run" if resume else begins
    one = (found.files, found.tars) == (1, 0)
    judged = "its picture" if one and alone else "pictures that it does not learn from"
    measured = writes and plan.measure != "none"
    work = f"writes{', checks and measures' if measured else ' and checks'} the model"
    if steps == 0 or (steps is None and not plan.left):
        end = f"It has learnt for all of its {'minutes' if steps is None else 'steps'}{f': it {work}' * writes}."
    elif steps is not None:
        end = f"It learns for {steps} step{'s' * (steps != 1)}{f', and then {work}' * writes}."
    else:
        parts = ["reading", "learning", *["writing"] * writes, *["measuring"] * measured]
        minutes = f"{plan.whole / 60:.3g}"
        end = f"It ends at {plan.until()}, {minutes} minute{'s' * (minutes != '1')} for all: {', '.join(parts)}."
    return [
        f"There {'is' if found.files + found.tars == 1 else 'are'} {found}.",
        f"A codec for {'it' if one else 'them'} {begins}, on {device}; it keeps what is best on {judged}.",
        f"{end} Ctrl-C ends it sooner, with the best so far.",
    ]
