"""Measured files of held-out pictures -> what a model of one's own is worth, in numbers.

Under the door of this room; `words` says it, `page` shows it. It touches no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from nicodec.bench.coders import FURTHER, Point
from nicodec.bench.report import Report, plain
from nicodec.picture import metrics

OWN, PHOTO = "nicodec", FURTHER + "photo"
"""The rows of the benchmark that hold the model and the model for all photographs."""


@dataclass(frozen=True)
class Facts:
    """What is known of a run before its model is measured.

    name: of the model. n_bytes: of its file. start: name of the model that training started from, or empty. files,
    pixels: pictures in the folder, and pixels of all of them; estimated where not all were read. learnt: pictures that
    were learnt from; learnt_pixels: theirs. held: pictures that were held out. borrowed: there was no picture to hold
    out, and a training picture stands for them. gray: no picture has colours. steps: of training; best: the step whose
    state is kept. early: training ended before its time. said: lines about the state that is kept.
    """

    name: str
    n_bytes: int
    start: str
    files: int
    pixels: float
    learnt: int
    learnt_pixels: int
    held: int
    borrowed: bool
    gray: bool
    steps: int
    best: int
    early: bool
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """The curve of one codec. points: bits per pixel and PSNR, means over the pictures, by rising rate.

    own: BD-rate of the model against this codec, in per cent; below zero the model needs fewer bits. encode, decode:
    seconds for a megapixel.
    """

    name: str
    label: str
    points: tuple[tuple[float, float], ...]
    own: float | None
    encode: float | None
    decode: float | None


@dataclass(frozen=True)
class Equal:
    """Bytes at equal quality. rival: codec and setting. psnr: its mean, dB. pictures: those that could be compared.

    rival_bytes, own_bytes: of these pictures; the second are interpolated. folder_rival, folder_own: of all pictures
    of the folder, at the same bits for each pixel.
    """

    rival: str
    psnr: float
    pictures: int
    rival_bytes: int
    own_bytes: float
    folder_rival: float
    folder_own: float

    @property
    def percent(self) -> float:
        """What the model needs more than the rival; below zero it needs less."""
        return 100 * (self.own_bytes / self.rival_bytes - 1)


@dataclass(frozen=True)
class Single:
    """One picture, by its number: BD-rate of the model against the start and against `photo`, in per cent."""

    number: int
    against_start: float | None
    against_photo: float | None


@dataclass(frozen=True)
class Shot:
    """One picture at equal bytes: bytes of the whole file, and its PSNR in dB, of the model and of a rival.

    quality: of the model.
    """

    number: int
    quality: float
    own_bytes: int
    own_psnr: float
    rival: str
    rival_bytes: int
    rival_psnr: float


@dataclass(frozen=True)
class Proof:
    """All that is known of a model of one's own at the end of its run.

    qualities: settings of each codec. pictures: one for each picture that was measured. lossless: bits per pixel of
    the pictures without loss. missing: codecs that were not measured, and why. start_row: the line of the model that
    training started from; empty if there was none, or it could not be found.
    """

    facts: Facts
    date: str
    seconds: float
    qualities: int
    lines: tuple[Line, ...]
    equal: Equal | None
    lossless: float | None
    pictures: tuple[Single, ...]
    shots: tuple[Shot, ...]
    missing: dict[str, str]
    start_row: str

    def against(self, name: str) -> float | None:
        """BD-rate of the model against a row of the benchmark, in per cent."""
        return next((line.own for line in self.lines if line.name == name), None)

    @property
    def start(self) -> Line | None:
        """The curve of the model that training started from, if it is measured."""
        return next((line for line in self.lines if line.name == self.start_row), None)

    def json(self) -> dict[str, Any]:
        """For JSON. It says first whether its figures are of held-out or of training pictures."""
        rests = "a training picture" if self.facts.borrowed else "held-out pictures"
        found: dict[str, Any] = plain({"figures of": rests, **asdict(self)})
        if self.equal is not None:
            found["equal"]["percent"] = round(self.equal.percent, 2)
        return found


def lines(report: Report, facts: Facts, start_row: str) -> tuple[Line, ...]:
    """The curves of a report, with the names of the model and of its start. start_row: as in `Proof`."""
    found = list[Line]()
    for curve in report.curves:
        against = report.comparison(OWN, curve.name)
        label = curve.label.removeprefix("nicodec ")
        if curve.name == OWN:
            label = facts.name
        elif curve.name == start_row:
            label = f"{facts.start}, the start"
        points = tuple(sorted((point.bpp, point.psnr) for point in curve.points))
        own = against.rate.percent if against and against.rate else None
        found.append(Line(curve.name, label, points, own, curve.encode_s_per_mp, curve.decode_s_per_mp))
    return tuple(found)


def equal(report: Report, rival: str, at: Sequence[Point], facts: Facts) -> Equal | None:
    """Bytes of the model at the PSNR that a rival has of each picture. None if no picture can be compared.

    rival: codec and setting in words. at: the rival at this setting, a point for each picture.
    """
    curves = _curves(report, OWN)
    sizes = {image["name"]: image["width"] * image["height"] for image in report.images}
    pairs = [(point, metrics.rate_at(curves[point.image], point.psnr)) for point in at]
    known = [(point, rate) for point, rate in pairs if rate is not None]
    if not known:
        return None
    pixels = sum(sizes[point.image] for point, _ in known)
    own = sum(rate * sizes[point.image] / 8 for point, rate in known)
    theirs = sum(point.n_bytes for point, _ in known)
    scale = facts.pixels / pixels
    psnr = fmean(point.psnr for point, _ in known)
    return Equal(rival, psnr, len(known), theirs, own, theirs * scale, own * scale)


def singles(report: Report, start_row: str) -> tuple[Single, ...]:
    """What the model is worth for each picture. start_row: as in `Proof`."""
    own = _curves(report, OWN)

    def against(row: str, image: str) -> float | None:
        other = _curves(report, row).get(image)
        rate = metrics.bd_rate(other, own[image]) if other else None
        return rate.percent if rate else None

    names = [image["name"] for image in report.images]
    return tuple(Single(i, against(start_row, name), against(PHOTO, name)) for i, name in enumerate(names))


def _curves(report: Report, row: str) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for point in report.points:
        if point.codec == row:
            found.setdefault(point.image, []).append((point.bpp, point.psnr))
    return found
