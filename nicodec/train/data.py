"""Training pictures -> random patches, as uint8 on the training device.

After `reading`, which decoded every picture once, and `held`. A patch is one slice of `store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream.tiles import Box
from nicodec.coding import margin
from nicodec.errors import BadImage
from nicodec.picture import scenes
from nicodec.train import held
from nicodec.train.held import Held
from nicodec.train.options import DRAWN, GRAY
from nicodec.train.reading import CELL, GRID, SMALLEST, Entry, Library, Photograph, is_gray, middle
from nicodec.train.schedule import ROOMY
from nicodec.train.store import Pixels, Store

TRIES = 4
# The most rows and columns of the central parts that are held out.
HELD_SIDE = 384
# The same of the pictures whose z is counted: some of them have a hundred times as many pixels.
WHOLE = 512


class Patches:
    """All pictures as one uint8 tensor, and patches of them by (seed, step), the same on every run.

    Each patch is the busiest of `TRIES` random places. A share `gray` of the patches becomes gray, and a share
    `drawn` gets a drawing (`scenes`). A share `augment` shows pictures in many ways: as they are and reduced to 0.5 to
    0.75 of their size, from any place, in one of the eight orientations of a square. The others show what encoders will
    see: they lie as in the picture, begin at multiples of 16, where blocks of JPEG begin too, and may reach
    into the margin of the picture (`coding.margin`).

    colours: the samples C of each pixel that is handed out, 3, or 1 for a gray model. The store has 3 of each.
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
        colour: str = "rgb",
        fonts: Path | None = None,
        validation: list[Path] | None = None,
        kept: Held | None = None,
        folder: Path | None = None,
        limit: int | None = None,
        seconds: float | None = None,
        augment: float = 1.0,
        margins: bool = False,
    ) -> None:
        """Reads all pictures. progress: called with the name and the number of pixels of each.

        colour: "rgb", "gray", which makes all pictures gray, or "auto", which is "gray" if they all are.
        validation: pictures to hold out, in place of a share of the others. kept: those that were held out before.
        folder, limit: as in `Store`. seconds: reading stops after them. fonts: a folder of fonts to draw with; None:
        those of the system. margins: patches that lie as in the picture may reach into its margin. Raises NicError if
        nothing is left to train on or to hold out.
        """
        self.device, self.seed, self.drawn, self.gray, self.augment = device, seed, drawn, gray, augment
        self.fonts = scenes.Fonts(fonts)
        self.library = Library(
            Store(folder, limit), seed, progress, reduced=augment > 0, margins=margins and augment < 1
        )
        if validation:
            kept = self.library.held_out(validation, HELD_SIDE)
        found = self.library.read(paths, seconds)
        out = list[Photograph]()
        if kept is None:
            chosen = held.choose([p.path for p in found], [p.look for p in found])
            out = sorted((found[i] for i in chosen), key=lambda p: p.path)
            kept = Held([], [p.file for p in out], [p.look for p in out], borrowed=not out)
        elif kept.borrowed and held.choose([p.path for p in found], [p.look for p in found]):
            raise BadImage(
                "the run began without a picture to hold out, and now there are some. It has learnt from all that it"
                " began with: hold out others, go on with those alone, or begin a new run"
            )
        learnt = [p for p in found if kept.borrowed or not kept.has(p.file, p.look)]
        # The number of training pictures that are left out because they, or nearly they, are held out.
        self.kept_apart = len(found) - len(learnt) - len(out)
        self.apart_as = "nearly the same as held-out ones" if out else "held out, or nearly the same"
        if found and not learnt:
            raise BadImage("all pictures are held out, or nearly the same as held-out ones: none is left to learn from")
        if not learnt:
            raise self.library.nothing("to learn from")
        self.entries: list[Entry] = [entry for p in learnt for entry in p.entries]
        # The lesser side of each; and with its margin.
        self.rooms = np.array([min(p.entries[0].height, p.entries[0].width) for p in learnt])
        self.wide_rooms = np.array([min(p.entries[0].rows, p.entries[0].columns) for p in learnt])
        # The number of photographs to train on, and of their pixels. Each counts once, though it may be stored twice.
        self.photographs, self.pixels = len(learnt), sum(p.pixels for p in learnt)
        self.is_gray = all(p.gray for p in learnt)
        self.size, self.in_file = self.library.store.size, self.library.store.in_file
        self.store = self.library.store.tensor(device)
        # The pictures in colour, whether they are learnt from or held out.
        self.coloured = sum(not p.gray for p in found) + sum(not is_gray(p) for p in kept.pictures)
        if not kept.pictures:
            first = [p.entries[0] for p in out or learnt[:1]]
            kept = replace(kept, pictures=[middle(self._picture(entry).cpu().numpy(), HELD_SIDE) for entry in first])
        self.colours = 1 if colour == "gray" or (colour == "auto" and not self.coloured) else 3
        # The first of three equal samples says all.
        self._planes = 1 if self.colours == 1 and not self.coloured else 3
        # Whether the pictures chose the colours of the model.
        self.chosen_colours = colour == "auto"
        self.held = replace(kept, pictures=[self._seen(torch.from_numpy(p)).numpy() for p in kept.pictures])
        details = [detail for p in learnt for detail in p.details]
        # One row for each picture: offset, size, size with its margin, and where its running sum of detail begins. And
        # whether it has its own size.
        starts = np.cumsum([0] + [d.size for d in details[:-1]])
        self._table = np.array([(*e, start) for e, start in zip(self.entries, starts, strict=True)])
        self._own = np.array([number == 0 for p in learnt for number in range(len(p.entries))])
        self._details = np.concatenate([d.reshape(-1) for d in details])

    @property
    def validation(self) -> list[Pixels]:
        """The central parts (H, W, C) of the pictures that are held out."""
        return self.held.pictures

    def batch(self, step: int, count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """Patches (count, side, side, C) uint8, and a quality for each (count,) in hundredths, 0..10000.

        And the rows and columns (count, 2) of each that show a picture: others are its margin.
        """
        rng = np.random.default_rng([self.seed, step])
        usable = self._table[(self._table[:, 1:3] >= side).all(1)]
        own = self._table[(self._table[:, 3:5] >= side).all(1) & self._own]
        if not len(own):
            raise BadImage(f"no training picture has sides of {side} pixels or more")
        # Few pictures may have room for such a patch without their margin: they are not all that is shown in many ways.
        varied = rng.random(count) < self.augment * self.share(side)
        chosen = own[rng.integers(len(own), size=count)]
        chosen[varied] = usable[rng.integers(max(1, len(usable)), size=count)[varied]]
        drawn = rng.random(count) < self.drawn
        offset, height, width, _, columns, _ = chosen.T
        y, x = self._busiest(rng, chosen, side, varied)
        visible = np.minimum([height - y, width - x], side)
        # The first sample, and the steps to the next row and column: another orientation is another order.
        start, down, right = offset + (y * columns + x) * 3, 3 * columns, np.full(count, 3)
        for turned in (varied & (rng.random(count) < 0.5), varied & (rng.random(count) < 0.5)):
            start = np.where(turned, start + down * (side - 1), start)
            down, right = right, np.where(turned, -down, down)
        swapped = varied & (rng.random(count) < 0.5)
        down, right = np.where(swapped, right, down), np.where(swapped, down, right)
        # One quality from each of `count` equal slices of the range: every batch sees all rates.
        q = np.rint(rng.permutation((np.arange(count) + rng.random(count)) / count) * 10000).astype(np.int64)
        place = self.store.device
        numbers = torch.from_numpy(np.stack([start, down, right, q, *visible])).to(place, non_blocking=True)
        start, down, right = numbers[:3, :, None, None, None]
        along = torch.arange(side, device=place)
        colour = torch.arange(self._planes, device=place)
        patches = self.store[start + down * along[:, None, None] + right * along[:, None] + colour].to(self.device)
        self.library.store.release()
        for i in np.flatnonzero(rng.random(count) < self.gray).tolist():
            patches[i] = luma(patches[i])
        patches = self._seen(patches)
        for i in np.flatnonzero(drawn).tolist():
            scene = scenes.draw(rng, patches[i].expand(side, side, 3).cpu().numpy(), self.fonts)
            shown_rows, shown_columns = visible[:, i]
            scene = margin.cut(scene[:shown_rows, :shown_columns], Box(0, 0, side, side))
            patches[i] = self._seen(torch.from_numpy(scene)).to(self.device, non_blocking=True)
        return patches, numbers[3].to(self.device), numbers[4:].T.to(self.device)

    def _busiest(
        self, rng: np.random.Generator, chosen: npt.NDArray[np.int64], side: int, varied: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Corners (2, N), y and x: the busiest of `TRIES` places in each picture. chosen: rows of the table.

        varied: of which patches (N,) the place may be any, and not a multiple of 16; they show no margin.
        """
        _, height, width, rows, columns, start = chosen.T[:, :, None]
        room = np.where(varied[:, None], [height, width], [rows, columns]) - side + 1
        corners = rng.integers(room, size=(2, len(chosen), TRIES))
        corners -= np.where(varied[:, None], 0, corners % GRID)
        (top, left), (bottom, right) = corners // CELL, (corners + side) // CELL
        row = columns // CELL + 1
        s = self._details
        detail = (
            s[start + bottom * row + right]
            - s[start + top * row + right]
            - s[start + bottom * row + left]
            + s[start + top * row + left]
        )
        # The margin counts as empty, but is no reason to learn little of what is at an edge.
        area = np.minimum([height - corners[0], width - corners[1]], side).prod(0)
        best: npt.NDArray[np.int64] = corners[:, np.arange(len(chosen)), (detail / area).argmax(1)]
        return best

    @property
    def square(self) -> int:
        """The side of `squares`: 256, or 128 or 64 where few pictures have room for more."""
        return next((s for s in (256, 128) if self.share(s) >= ROOMY), SMALLEST)

    def squares(self, count: int) -> Tensor:
        """Central squares (<= count, square, square, C) uint8 of pictures spread evenly over the store."""
        return self._seen(self._squares(count))

    def _squares(self, count: int) -> Tensor:
        side = self.square
        usable = [e for e in self.entries if min(e.height, e.width) >= side]
        result = []
        for e in _spread(usable, count):
            y, x = ((n - side) // 2 // GRID * GRID for n in (e.height, e.width))
            result.append(self._picture(e)[y : y + side, x : x + side])
        return torch.stack(result)

    def drawings(self, count: int) -> Tensor:
        """As `squares`, each with a scene drawn on it."""
        squares = self._squares(count)
        rng = np.random.default_rng(self.seed)
        drawn = [torch.from_numpy(scenes.draw(rng, s.cpu().numpy(), self.fonts)) for s in squares]
        return self._seen(torch.stack(drawn))

    def pictures(self, count: int) -> Iterator[Tensor]:
        """Pictures (H, W, C) uint8 spread evenly over the store, with the margin of those that have one.

        They are cut off to multiples of 64, 512 at most.
        """
        for e in _spread(self.entries, count):
            height, width = (min(n // SMALLEST * SMALLEST, WHOLE) for n in (e.rows, e.columns))
            yield self._seen(self._stored(e)[:height, :width])

    def pca_patches(self, count: int) -> Tensor:
        """Random 16x16 patches as rows (count, 256 C) of pixels in [-1/2, 1/2]."""
        rows = []
        for step in range(-(-count // 1024)):
            x, _, visible = self.batch(2**31 + step, 16, min(128, self.square))
            x = x.unfold(1, 16, 16).unfold(2, 16, 16).permute(0, 1, 2, 4, 5, 3)
            ends = torch.arange(16, 16 * x.shape[1] + 1, 16, device=x.device)
            shown = (ends[:, None] <= visible[:, 0, None, None]) & (ends <= visible[:, 1, None, None])
            rows.append(x[shown].reshape(-1, 256 * self.colours))
        return torch.cat(rows)[:count].float() / 255 - 0.5

    def _seen(self, pixels: Tensor) -> Tensor:
        """Samples (..., 3) uint8 as the model sees them, (..., C); those that are (..., C) stay."""
        return pixels if pixels.shape[-1] == self.colours else luma(pixels)[..., :1]

    def _picture(self, e: Entry) -> Tensor:
        return self._stored(e)[: e.height, : e.width]

    def _stored(self, e: Entry) -> Tensor:
        return self.store[e.offset : e.offset + e.rows * e.columns * 3].view(e.rows, e.columns, 3)

    def share(self, side: int, *, margin: bool = False) -> float:
        """The share of the pictures that have room for patches of this side. margin: with what encoders add to them."""
        rooms = self.wide_rooms if margin else self.rooms
        return float((rooms >= side).mean())


def _spread(entries: list[Entry], count: int) -> list[Entry]:
    """At most `count` of them, evenly spaced."""
    return entries[:: max(1, len(entries) // count)][:count]


def luma(pixels: Tensor) -> Tensor:
    """Samples (..., 3) uint8 in gray, three times the same one. Gray ones stay as they are."""
    weights = torch.tensor([299, 587, 114], device=pixels.device)
    gray = ((pixels * weights).sum(-1, keepdim=True) + 500) // 1000
    return gray.to(pixels.dtype).expand(pixels.shape)
