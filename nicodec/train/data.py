"""Training pictures: folders and tar shards -> random patches, as uint8 on the training device.

First step of training, after `sources`. Every picture is decoded once and kept in `store`; a patch is one slice.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream import container
from nicodec.errors import BadImage, NicError
from nicodec.picture import reader, scenes, writer
from nicodec.train.options import DRAWN, GRAY
from nicodec.train.sources import Left, sources
from nicodec.train.store import Pixels, Store

# One picture in this many is kept for validation, chosen by its name.
HOLD_OUT = 32
# Side of the cells over which detail is summed, to find busy patches without looking at their pixels.
CELL = 8
TRIES = 4
# The least side of a picture: one cell of the hyper latent.
SMALLEST = container.CELL
# The most pixels of a side of the central squares that are held out.
HELD_SIDE = 384


@dataclass(frozen=True)
class Entry:
    """One picture in the store: where it starts, and its size."""

    offset: int
    height: int
    width: int


def running_detail(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Summed-area table, one cell larger than the grid, of luma gradient over cells of 8x8 pixels."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    gradient = np.zeros_like(luma)
    gradient[:, 1:] += np.abs(np.diff(luma, axis=1))
    gradient[1:] += np.abs(np.diff(luma, axis=0))
    h, w = (n // CELL * CELL for n in luma.shape)
    cells = gradient[:h, :w].reshape(h // CELL, CELL, w // CELL, CELL).sum((1, 3))
    return np.pad(cells.cumsum(0).cumsum(1), ((1, 0), (1, 0))).astype(np.float32)


class Patches:
    """All pictures as one uint8 tensor, and patches of them by (seed, step), the same on every run.

    Each training picture is stored twice, as it is and reduced to 0.5 to 0.75 of its size: patches show fine
    and coarse detail. Each patch is the busiest of `TRIES` random places, in one of the eight orientations of a
    square. A share `gray` of the patches becomes gray, and a share `drawn` gets a drawing (`scenes`).
    """

    def __init__(
        self,
        paths: list[Path],
        device: torch.device,
        seed: int,
        progress: Callable[[str, int], None] = lambda name, pixels: None,
        *,
        drawn: float = DRAWN,
        gray: float = GRAY,
        fonts: Path | None = None,
        validation: list[Path] | None = None,
        folder: Path | None = None,
        limit: int | None = None,
    ) -> None:
        """Reads all pictures. progress: called with the name and the number of pixels of each.

        validation: pictures to hold out, in place of a share of the others. folder, limit: as in `Store`.
        fonts: a folder of fonts to draw with; None: those of the system.
        Raises NicError if nothing is left to train on or to hold out.
        """
        self.device, self.seed, self.drawn, self.gray = device, seed, drawn, gray
        self.fonts = scenes.Fonts(fonts)
        self.entries: list[Entry] = []
        self.validation: list[Pixels] = []
        self.small: list[str] = []
        # The number of photographs to train on, and of their pixels. Each counts once, though it is stored twice.
        self.photographs = self.pixels = 0
        # The number of training pictures that are left out because they are held out.
        self.kept_apart = 0
        self._left, self._progress, self._held = Left(), progress, set[bytes]()
        if validation:
            self._hold_out(validation)
        store = Store(folder, limit)
        details = self._read(paths, store, split=not validation)
        self.size, self.in_file = store.size, store.in_file
        self.store = store.tensor(device)
        # One row for each picture: offset, height, width, and where its running sum of detail begins.
        starts = np.cumsum([0] + [d.size for d in details[:-1]])
        self._table = np.array(
            [(e.offset, e.height, e.width, start) for e, start in zip(self.entries, starts, strict=True)]
        )
        self._details = np.concatenate([d.reshape(-1) for d in details])

    @property
    def skipped(self) -> list[str]:
        """Names of what cannot be read as a picture."""
        return self._left.skipped

    @property
    def repeated(self) -> int:
        """How often a file was named again."""
        return self._left.repeated

    def _pictures(self, paths: list[Path]) -> Iterator[tuple[str, bytes, Pixels]]:
        """Name, bytes and samples (H, W, 3) of every picture that can be read and is large enough."""
        for name, data in sources(paths, self._left):
            try:
                pixels = reader.read(io.BytesIO(data)).pixels
            except NicError:
                self._left.skipped.append(name)
                continue
            pixels = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
            self._progress(name, pixels.shape[0] * pixels.shape[1])
            if min(pixels.shape[:2]) < SMALLEST:
                self.small.append(name)
                continue
            yield name, data, pixels

    def _hold_out(self, paths: list[Path]) -> None:
        for _, data, pixels in self._pictures(paths):
            self.validation.append(centre(pixels, HELD_SIDE))
            self._held.add(hashlib.sha256(data).digest())
        if not self.validation:
            raise BadImage("no picture with sides of 64 pixels or more was found to hold out")
        # A held-out file that is named again for training is no repetition: its bytes tell it.
        self._left.seen.clear()

    def _read(self, paths: list[Path], store: Store, *, split: bool) -> list[npt.NDArray[np.float32]]:
        """Fills the store; returns running sums of detail. split: hold out one picture in `HOLD_OUT`."""
        details: list[npt.NDArray[np.float32]] = []
        first: Pixels | None = None
        for name, data, pixels in self._pictures(paths):
            if split and zlib.crc32(name.encode()) % HOLD_OUT == 0:
                self.validation.append(centre(pixels, HELD_SIDE))
                continue
            if self._held and hashlib.sha256(data).digest() in self._held:
                self.kept_apart += 1
                continue
            first = centre(pixels, HELD_SIDE) if first is None else first
            self.photographs += 1
            self.pixels += pixels.shape[0] * pixels.shape[1]
            rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
            for version in (pixels, _reduced(pixels, rng.uniform(0.5, 0.75))):
                if min(version.shape[:2]) >= SMALLEST:
                    self.entries.append(Entry(store.add(version), *version.shape[:2]))
                    details.append(running_detail(version))
        if first is None:
            raise BadImage("no picture with sides of 64 pixels or more was found to train on")
        # Of a few pictures none may be held out. Validation then takes one that is trained on.
        self.borrowed = not self.validation
        if self.borrowed:
            self.validation.append(first)
        return details

    def batch(self, step: int, count: int, side: int) -> tuple[Tensor, Tensor]:
        """Patches (count, side, side, 3) uint8, and a quality for each (count,) in hundredths, 0..10000."""
        rng = np.random.default_rng([self.seed, step])
        usable = self._table[(self._table[:, 1:3] >= side).all(1)]
        if not len(usable):
            raise BadImage(f"no training picture has sides of {side} pixels or more")
        chosen = usable[rng.integers(len(usable), size=count)]
        offset, width = chosen.T[[0, 2]]
        y, x = self._busiest(rng, chosen, side)
        # The first sample, and the steps to the next row and column: another orientation is another order.
        start, down, right = offset + (y * width + x) * 3, 3 * width, np.full(count, 3)
        for turned in (rng.random(count) < 0.5, rng.random(count) < 0.5):
            start = np.where(turned, start + down * (side - 1), start)
            down, right = right, np.where(turned, -down, down)
        swapped = rng.random(count) < 0.5
        down, right = np.where(swapped, right, down), np.where(swapped, down, right)
        # One quality from each of `count` equal slices of the range: every batch sees all rates.
        q = np.rint(rng.permutation((np.arange(count) + rng.random(count)) / count) * 10000).astype(np.int64)
        place = self.store.device
        numbers = torch.from_numpy(np.stack([start, down, right, q])).to(place, non_blocking=True)
        start, down, right = numbers[:3, :, None, None, None]
        along = torch.arange(side, device=place)
        colour = torch.arange(3, device=place)
        patches = self.store[start + down * along[:, None, None] + right * along[:, None] + colour].to(self.device)
        for i in np.flatnonzero(rng.random(count) < self.gray).tolist():
            patches[i] = luma(patches[i])
        for i in np.flatnonzero(rng.random(count) < self.drawn).tolist():
            drawn = scenes.draw(rng, patches[i].cpu().numpy(), self.fonts)
            patches[i] = torch.from_numpy(drawn).to(self.device, non_blocking=True)
        return patches, numbers[3].to(self.device)

    def _busiest(self, rng: np.random.Generator, chosen: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
        """Corners (2, N), y and x: the busiest of `TRIES` places in each picture. chosen: rows of the table."""
        _, height, width, start = chosen.T[:, :, None]
        room = np.stack([height, width]) - side + 1
        corners = rng.integers(room, size=(2, len(chosen), TRIES))
        (top, left), (bottom, right) = corners // CELL, (corners + side) // CELL
        row = width // CELL + 1
        s = self._details
        detail = (
            s[start + bottom * row + right]
            - s[start + top * row + right]
            - s[start + bottom * row + left]
            + s[start + top * row + left]
        )
        best: npt.NDArray[np.int64] = corners[:, np.arange(len(chosen)), detail.argmax(1)]
        return best

    def squares(self, count: int) -> Tensor:
        """Central squares (<= count, side, side, 3) uint8 of pictures spread evenly over the store.

        side: 256, or 128 or 64 where no picture is larger.
        """
        side = next(s for s in (256, 128, SMALLEST) if self.has(s))
        usable = [e for e in self.entries if min(e.height, e.width) >= side]
        result = []
        for e in _spread(usable, count):
            y, x = (e.height - side) // 2, (e.width - side) // 2
            result.append(self._picture(e)[y : y + side, x : x + side])
        return torch.stack(result)

    def drawings(self, count: int) -> Tensor:
        """As `squares`, each with a scene drawn on it."""
        squares = self.squares(count)
        rng = np.random.default_rng(self.seed)
        return torch.stack([torch.from_numpy(scenes.draw(rng, s.cpu().numpy(), self.fonts)) for s in squares])

    def pictures(self, count: int) -> Iterator[Tensor]:
        """Pictures (H, W, 3) uint8 spread evenly over the store, cut off to multiples of 64."""
        for e in _spread(self.entries, count):
            yield self._picture(e)[: e.height // SMALLEST * SMALLEST, : e.width // SMALLEST * SMALLEST]

    def pca_patches(self, count: int) -> Tensor:
        """Random 16x16 patches as rows (count, 768) of pixels in [-1/2, 1/2]."""
        rows = []
        for step in range(-(-count // 1024)):
            x, _ = self.batch(2**31 + step, 16, 128 if self.has(128) else SMALLEST)
            x = x.unfold(1, 16, 16).unfold(2, 16, 16).permute(0, 1, 2, 4, 5, 3)
            rows.append(x.reshape(-1, 768))
        return torch.cat(rows)[:count].float() / 255 - 0.5

    def _picture(self, e: Entry) -> Tensor:
        return self.store[e.offset : e.offset + e.height * e.width * 3].view(e.height, e.width, 3)

    def has(self, side: int) -> bool:
        """Whether any picture is large enough for patches of this side."""
        return any(min(e.height, e.width) >= side for e in self.entries)


def _spread(entries: list[Entry], count: int) -> list[Entry]:
    """At most `count` of them, evenly spaced."""
    return entries[:: max(1, len(entries) // count)][:count]


def luma(patch: Tensor) -> Tensor:
    """A patch (side, side, 3) uint8 in gray, three times the same sample."""
    weights = torch.tensor([299, 587, 114], device=patch.device)
    gray = ((patch * weights).sum(-1, keepdim=True) + 500) // 1000
    return gray.to(patch.dtype).expand(-1, -1, 3)


def centre(picture: Pixels, side: int) -> Pixels:
    """The central square. Its side is `side`, or in a smaller picture the largest multiple of 64 that fits."""
    side = min(side, min(picture.shape[:2]) // SMALLEST * SMALLEST)
    y, x = ((n - side) // 2 for n in picture.shape[:2])
    return np.ascontiguousarray(picture[y : y + side, x : x + side])


def _reduced(pixels: Pixels, factor: float) -> Pixels:
    h, w = (max(1, round(n * factor)) for n in pixels.shape[:2])
    return writer.resized(pixels, w, h)
