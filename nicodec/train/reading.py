"""Files of pictures -> samples in `store`, and what is known of each; bounded in memory, on disk and in time.

Between `sources`, which reads bytes, and `data`, which cuts patches. `held` chooses by what is known.
"""

from __future__ import annotations

import hashlib
import io
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import container, tiles
from nicodec.bitstream.tiles import Box
from nicodec.coding import margin
from nicodec.errors import BadImage, LimitExceeded, NicError
from nicodec.picture import likeness, reader, writer
from nicodec.storage.files import shown
from nicodec.train.held import Held
from nicodec.train.sources import File, Left, digest, is_tar, listed, sources
from nicodec.train.store import Pixels, Store

# Side of the cells over which detail is summed, to find busy patches without looking at their pixels.
CELL = 8
# The least side of a picture: one cell of the hyper latent.
SMALLEST = container.CELL
# Each picture keeps at least this number of pixels, and as many of a reduced version if there is one.
LEAST_PIXELS = 512**2
# A tar file is expected to hold this number of pictures.
IN_TAR = 1000
# Parts of pictures begin at multiples of this, as blocks of JPEG do (with chroma of half the size too), and latents.
GRID = 16
# A reduced picture has this share of the sides at least.
FINEST, COARSEST = 0.75, 0.5


class Entry(NamedTuple):
    """One picture in the store: where it starts, its size, and the rows and columns that it has with its margin."""

    offset: int
    height: int
    width: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Photograph:
    """What is known of a picture. path: digest of its path. file: SHA-256 of its bytes. look: difference hash.

    entries: as it is, and perhaps reduced. details: their running sums. pixels: as many as are kept. gray: without
    colour.
    """

    path: bytes
    file: str
    look: bytes
    entries: list[Entry]
    details: list[npt.NDArray[np.float32]]
    pixels: int
    gray: bool


class Library:
    """Reads pictures, and takes note of what it leaves out.

    small, large: names of pictures with sides under 64, and with too many pixels. coloured: of those in colour that may
    be learnt from. cut: how many show a part alone. late, full: how many files were not read, since time or room was
    over. pictures, pixels: how many there are, of pixels the whole of each.
    """

    def __init__(
        self,
        store: Store,
        seed: int,
        progress: Callable[[str, int], None],
        *,
        reduced: bool = True,
        margins: bool = False,
    ) -> None:
        """reduced: each picture is stored a second time, reduced. margins: whole ones have what an encoder adds.

        Raises LimitExceeded if NICODEC_MAX_PIXELS, which holds for training too, is not a whole number.
        """
        self.store, self._seed, self._progress = store, seed, progress
        self._reduced, self._margins = reduced, margins
        self._most = container.max_pixels()
        self.left = Left()
        self.small, self.large, self.coloured = list[str](), list[str](), list[str]()
        self.cut = self.late = self.full = 0
        self.pictures = self.pixels = 0

    def held_out(self, paths: list[Path], side: int) -> Held:
        """The central parts of all pictures. Raises BadImage if there is none."""
        held = Held([])
        for _, data, pixels in self._pictures(listed(paths)):
            held.pictures.append(middle(pixels, side))
            held.files.append(hashlib.sha256(data).hexdigest())
            held.looks.append(likeness.difference_hash(pixels))
        if not held.pictures:
            raise self.nothing("to hold out")
        # A held-out file that is named again for training is no repetition: its bytes tell it.
        self.left.seen.clear()
        return held

    def left_out(self) -> list[str]:
        """What was left out, and why, in lines."""
        reasons = {
            "not readable as pictures": self.left.skipped,
            "sides under 64 pixels": self.small,
            "over the limit of pixels": self.large,
        }
        return [f"{len(names)} left out, {why}: {some(names)}" for why, names in reasons.items() if names]

    def nothing(self, purpose: str) -> BadImage:
        """The error that no picture was found; it says what was found instead. purpose: what a picture was for."""
        return BadImage("; ".join([f"no picture {purpose} was found", *self.left_out()]))

    def read(self, paths: list[Path], seconds: float | None = None) -> list[Photograph]:
        """Fills the store with all pictures that time and room suffice for. seconds: None is without end."""
        begun, files, found = time.monotonic(), listed(paths), list[Photograph]()
        expected = sum(IN_TAR if is_tar(file.path) else 1 for file in files)
        # Three samples of each pixel, as it is and perhaps reduced.
        most = max(LEAST_PIXELS, self.store.room // ((6 if self._reduced else 3) * max(expected, 1)))
        done = 0

        def counted() -> Iterator[File]:
            nonlocal done
            for file in files:
                yield file
                done += 1

        for name, data, pixels in self._pictures(counted()):
            if self.store.size + self._bytes(pixels, most) > self.store.room and found:
                self.full = len(files) - done
                break
            found.append(self._kept(name, data, pixels, most))
            # Two pictures are the least that can be learnt from and held out.
            if seconds is not None and time.monotonic() - begun > seconds and len(found) > 1:
                self.late = len(files) - done - 1
                break
        return found

    def _pictures(self, files: Iterable[File]) -> Iterator[tuple[str, bytes, Pixels]]:
        """Name, bytes and samples (H, W, 3) of every picture that can be read and is large enough."""
        for name, data in sources(files, self.left):
            try:
                pixels = reader.read(io.BytesIO(data)).pixels
                container.check_size(pixels.shape[1], pixels.shape[0], self._most)
            except LimitExceeded:
                self.large.append(name)
                continue
            except NicError:
                self.left.skipped.append(name)
                continue
            pixels = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
            self._progress(name, pixels.shape[0] * pixels.shape[1])
            if min(pixels.shape[:2]) < SMALLEST:
                self.small.append(name)
                continue
            yield name, data, pixels

    def _bytes(self, pixels: Pixels, most: int) -> int:
        """About the most that a picture takes in the store."""
        height, width = pixels.shape[:2]
        whole, area = _with_margin(height, width), min(height * width, most)
        own = whole.rows * whole.columns if self._margins and area < most else area
        return 3 * (own + (area if self._reduced else 0))

    def _kept(self, name: str, data: bytes, pixels: Pixels, most: int) -> Photograph:
        look = likeness.difference_hash(pixels)
        rng = np.random.default_rng([self._seed, zlib.crc32(name.encode(errors="surrogateescape"))])
        factor = rng.uniform(COARSEST, FINEST)
        as_it_is = _part(rng, pixels, most)
        self.cut += as_it_is.shape != pixels.shape
        self.pictures += 1
        self.pixels += pixels.shape[0] * pixels.shape[1]
        entries, details = list[Entry](), list[npt.NDArray[np.float32]]()
        versions = [as_it_is]
        if self._reduced:
            versions.append(_reduced(_part(rng, pixels, most / factor**2), factor))
        for version in versions:
            height, width = version.shape[:2]
            if min(height, width) < SMALLEST:
                continue
            whole = Box(0, 0, height, width)
            # The edge of a part is no edge of a picture.
            if self._margins and version is pixels:
                whole = _with_margin(height, width)
            entries.append(Entry(self.store.add(margin.cut(version, whole)), height, width, whole.rows, whole.columns))
            details.append(running_detail(version, whole))
        gray = is_gray(pixels)
        self.coloured += [] if gray else [name]
        size = as_it_is.shape[0] * as_it_is.shape[1]
        return Photograph(digest(name), hashlib.sha256(data).hexdigest(), look, entries, details, size, gray)


def some(names: list[str]) -> str:
    """The first of many names, for a line."""
    return ", ".join(map(shown, names[:5])) + (", …" if len(names) > 5 else "")


def running_detail(pixels: Pixels, whole: Box) -> npt.NDArray[np.float32]:
    """Summed-area table, one cell larger than the grid, of luma gradient over cells of 8x8 pixels.

    whole: the box of the cells; beyond the pixels (H, W, 3) they are empty.
    """
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    gradient = np.zeros_like(luma)
    gradient[:, 1:] += np.abs(np.diff(luma, axis=1))
    gradient[1:] += np.abs(np.diff(luma, axis=0))
    h, w = (n // CELL * CELL for n in (whole.rows, whole.columns))
    gradient = np.pad(gradient, [(0, max(0, n - m)) for n, m in zip((h, w), luma.shape, strict=True)])
    cells = gradient[:h, :w].reshape(h // CELL, CELL, w // CELL, CELL).sum((1, 3))
    return np.pad(cells.cumsum(0).cumsum(1), ((1, 0), (1, 0))).astype(np.float32)


def is_gray(pixels: Pixels) -> bool:
    """Whether all channels of each pixel (H, W, C) are equal."""
    # Most pictures in colour show it in their first rows.
    parts = (pixels[i : i + GRID] for i in range(0, len(pixels), GRID))
    return all(bool((part == part[..., :1]).all()) for part in parts)


def centre(picture: Pixels, side: int) -> Pixels:
    """The central square. Its side is `side`, or in a smaller picture the largest multiple of 64 that fits."""
    return middle(picture, min(side, min(picture.shape[:2]) // SMALLEST * SMALLEST))


def middle(picture: Pixels, side: int) -> Pixels:
    """The central part, of at most `side` rows and columns.

    It begins at a multiple of 16: where the picture was a JPEG, its blocks lie as in the whole picture.
    """
    height, width = (min(side, n) for n in picture.shape[:2])
    y, x = ((n - m) // 2 // GRID * GRID for n, m in zip(picture.shape[:2], (height, width), strict=True))
    return np.ascontiguousarray(picture[y : y + height, x : x + width])


def _part(rng: np.random.Generator, pixels: Pixels, most: float) -> Pixels:
    """A picture of at most about `most` pixels: the whole, or a part at a random place, in the same shape."""
    height, width = pixels.shape[:2]
    share = (most / (height * width)) ** 0.5
    if share >= 1:
        return pixels
    # A narrow picture keeps its narrow side.
    h, w = (min(n, max(SMALLEST, round(n * share))) for n in (height, width))
    y, x = (GRID * rng.integers((n - m) // GRID + 1) for n, m in ((height, h), (width, w)))
    return np.ascontiguousarray(pixels[y : y + h, x : x + w])


def _with_margin(height: int, width: int) -> Box:
    return tiles.cells(width, height).times(container.CELL)


def _reduced(pixels: Pixels, factor: float) -> Pixels:
    h, w = (max(1, round(n * factor)) for n in pixels.shape[:2])
    return writer.resized(pixels, w, h)
