"""A group of copies -> those of which it is evident that a better file, which stays, shows all that they show.

Between `origin`, which ranks by what files tell, and `moving`. A rank may be a guess, and a file that is moved may be
the original: a JPEG that was saved again has more bytes, an enlarged picture more pixels, a frame more of both. So a
file counts as a copy only if it can be made again of the better one. What is in doubt is no copy here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nicodec import api
from nicodec.errors import NicError, holding
from nicodec.explore import origin, sketch
from nicodec.explore.duplicates import Group
from nicodec.explore.index import Entry
from nicodec.explore.origin import Kind
from nicodec.picture import Array, PilImage, metrics, reader, writer
from nicodec.picture.files import jpeg

# Means of cells of 16 x 16 pixels: compression hardly changes them. Other light, another colour, another part of the
# scene, or something that moved between two photographs of a series, does.
CELL, LIGHT = 16, 12
# What is made again of its source differs from the file by this share, at most, of what the source does. On photographs
# it was 0.00, or 0.66 where the file had been made with effort; of what was not its source, 0.85 and more.
AGAIN = 0.5
# Samples of nearly equal pictures do not tell which of them was made of the other.
NEAR = 45.0
# An enlarged picture loses little if it is reduced and enlarged again: 41 dB and more, also as a JPEG of quality 60.
# Photographs lose more; soft ones do not, so it remains in doubt whether they were enlarged.
ENLARGED = 38.0
# Metadata that no program adds by itself: a file that has them where the better one does not may be its source.
TOLD = ("exif", "xmp", "iptc")
# Of a group that many files stay in, each other file is compared with the first ones alone.
TRIED = 3


@dataclass(frozen=True, eq=False)
class _Seen:
    """A file that was read. pixels: as `sketch.shown`. told: the kinds of metadata that only a source has."""

    path: str
    kind: Kind
    pixels: Array
    alpha: bool
    depth: int
    told: frozenset[str]


def copies(group: Group, folder: str) -> list[Entry]:
    """The files of a group that are evidently no more than copies, in its order. The best is never one."""
    found: list[Entry] = []
    staying: list[_Seen] = []
    for number, entry in enumerate(group.entries):
        better = group.entries[:number]
        if any(entry.content == other.content for other in better):
            found.append(entry)
            continue
        own = _seen(folder, entry)
        if own is None:
            continue
        if better and _is_copy(own, entry, better, staying, folder):
            found.append(entry)
        elif len(staying) < TRIED:
            staying.append(own)
    return found


def _is_copy(own: _Seen, entry: Entry, better: Iterable[Entry], staying: Iterable[_Seen], folder: str) -> bool:
    if own.kind is Kind.EXACT:
        for other in sorted(better, key=lambda other: other.samples != entry.samples):
            maybe = (other.width, other.height) == (entry.width, entry.height)
            if maybe and (other.samples == entry.samples or other.path.lower().endswith(".nic")):
                source = _seen(folder, other)
                if source is not None and _holds(source, own):
                    return True
    return any(_made_of(own, source) for source in staying)


def _seen(folder: str, entry: Entry) -> _Seen | None:
    """A file as it is now; None if it cannot be read."""
    path = os.path.join(folder, entry.path)
    try:
        with holding():
            source = api.decode(path) if api.is_nic(path) else path
            picture = reader.read(source, deep=True)
    except (NicError, OSError):
        return None
    told = frozenset(name for name in TOLD if getattr(picture.beside, name))
    return _Seen(path, origin.kind_of(path), sketch.shown(picture), picture.alpha is not None, picture.depth, told)


def _holds(first: _Seen, second: _Seen) -> bool:
    """Whether a picture has all that a second one has: samples as they are shown, alpha, depth and metadata."""
    if (
        not second.told <= first.told
        or first.depth < second.depth
        or first.alpha < second.alpha
        or first.pixels.shape != second.pixels.shape
    ):
        return False
    off = np.abs(first.pixels.astype(np.int16) - second.pixels).max()
    return int(off) <= (origin.ROUNDED if first.kind is Kind.NIC else 0)


def _made_of(copy: _Seen, source: _Seen) -> bool:
    """Whether a file is the other one reduced, or compressed, perhaps turned; and the other is not made of it."""
    if not copy.told <= source.told:
        return False
    like = _turned_like(source.pixels, copy.pixels)
    height, width = copy.pixels.shape[:2]
    if like.shape == copy.pixels.shape:
        alike = _same_light(like, copy.pixels)
        told = copy.kind is Kind.NIC or metrics.psnr(like, copy.pixels) < NEAR
        back = _turned_like(copy.pixels, source.pixels)
        return alike and told and _again(copy, like) and not _again(source, back)
    smaller = height <= like.shape[0] and width <= like.shape[1]
    return (
        smaller and _same_light(writer.resized(like, width, height), copy.pixels) and not _enlarged(like, width, height)
    )


def _turned_like(pixels: Array, other: Array) -> Array:
    """A picture in that of eight positions in which it is most like another one."""
    small, wanted = (writer.resized(each, CELL, CELL).astype(np.int16) for each in (pixels, other))
    upright = [turn for turn in sketch.TURNS if turn[1] % 2 == 0]
    aside = [turn for turn in sketch.TURNS if turn[1] % 2 == 1]
    wide = pixels.shape[1] - pixels.shape[0], other.shape[1] - other.shape[0]
    turns = upright * (wide[0] * wide[1] >= 0) + aside * (wide[0] * wide[1] <= 0)
    return sketch.turned(pixels, *min(turns, key=lambda turn: int(np.abs(sketch.turned(small, *turn) - wanted).sum())))


def _same_light(first: Array, second: Array) -> bool:
    # The few pixels of a cell that is cut off at an edge have no steady mean.
    height, width = (side - side % CELL or side for side in first.shape[:2])
    a, b = (writer.reduced(each[:height, :width], CELL).astype(np.int16) for each in (first, second))
    return bool(np.abs(a - b).max() <= LIGHT)


def _again(file: _Seen, pixels: Array) -> bool:
    """Whether pixels, compressed as a file is, give this file. Only of a JPEG and a .nic file it is known how."""
    try:
        with holding():
            made = _as_nic(file.path, pixels) if file.kind is Kind.NIC else jpeg.like(file.path, pixels)
            again = sketch.shown(reader.read(made))
    except (NicError, OSError):
        return False
    return again.shape == file.pixels.shape and _error(again, file.pixels) <= AGAIN * _error(pixels, file.pixels)


def _as_nic(path: str, pixels: Array) -> PilImage:
    about = api.info(path)
    return api.decode(api.encode(pixels, quality=about.quality, model=about.model or "photo"))


def _enlarged(pixels: Array, width: int, height: int) -> bool:
    """Whether a picture may be an enlarged one of this size: it has no detail that would be lost in it."""
    smooth = writer.resized(writer.resized(pixels, width, height), pixels.shape[1], pixels.shape[0])
    rows, columns = _middles(pixels.shape[0], height), _middles(pixels.shape[1], width)
    in_blocks = pixels[rows][:, columns]
    return max(metrics.psnr(each, pixels) for each in (smooth, in_blocks)) >= ENLARGED


def _middles(side: int, fewer: int) -> npt.NDArray[np.int64]:
    """For each of `side` rows the middle one of its block, if there are `fewer` blocks."""
    return (2 * (np.arange(side) * fewer // side) + 1) * side // (2 * fewer)


def _error(first: Array, second: Array) -> float:
    return float(np.square(first.astype(np.float32) - second).mean())
