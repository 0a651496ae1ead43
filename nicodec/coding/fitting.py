"""The fit: an encoder paints cells as a decoder will, and finds the correction that suits the picture.

Between `bands`, which shows it each tile, and `coding.correction`, which knows the filters. `codec` asks for the chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nicodec.bitstream import container, correction, tiles
from nicodec.bitstream.container import CELL, Chunk, Kind
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import quantize
from nicodec.coding.correction import REACH, Matrix, products
from nicodec.coding.crew import Crew
from nicodec.coding.look import Look
from nicodec.coding.windows import Windows
from nicodec.model.backends import Planes
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture, Samples

# Cells along a side of a block: of a patient encoder, and of one in a hurry. Blocks are painted without a halo, since
# a few samples at their edges hardly count.
BLOCK, SMALL = 8, 3
# The share of a picture that an encoder in a hurry paints, where g_a has at least DEEP times the blocks of g_s. Encodes
# then take about a third more time. In other networks even a quarter of the picture takes more.
HURRIED, DEEP = 0.36, 2
# It fits none to a picture of fewer pixels.
LEAST = 2**16
# The share of the rows of other blocks that it counts. Of painted ones it counts all: with half of them a filter
# follows what is chance in small busy parts.
THINNED = 1 / 4
# The weight of blocks that are not painted. With a third of it some filters harm a picture that is mostly black, and
# with three times as much the others save less.
HARM = 0.3
# Rows and columns of the source this far apart tell how busy a block is.
SPARSE = 2
# A correction must be worth so many times its bits, because samples are rounded after it.
SURE = 1.1


def share(model: Checkpoint, picture: Picture, *, patient: bool) -> float:
    """How much of a picture its fit paints: 1 for a patient encoder, 0 for no correction.

    A model that restores has none, which would bring the damage back. In gray a correction gains a fifth of what it
    gains in colour, and in a small picture it is a large part of the file. So only a patient encoder fits one there.
    """
    if model.restores or not model.tensors.get("correction.widths", np.empty(0)).size:
        return 0
    (height, width, channels), config = picture.pixels.shape, model.config
    pays = channels > 1 and height * width >= LEAST and config.blocks_a >= DEEP * max(1, config.blocks_s)
    return 1 if patient else HURRIED if pays else 0


class Fit:
    """Gathers what the correction of one picture is fitted to, tile by tile.

    The best filter differs from place to place, and one that suits some cells may harm the others. Busy cells have most
    of the error. So a hurried encoder paints the busiest blocks, and takes all others for perfect: there the source
    stands for what would be painted, and a filter can only do harm. q: quality in hundredths. look: says which samples
    a correction bears on. size: width and height of a tile in cells. share: how much of the picture is painted; with 0
    there is no correction.
    """

    def __init__(self, crew: Crew, picture: Picture, q: int, look: Look, size: tuple[int, int], share: float) -> None:
        self._crew, self._pixels, self._q, self._look = crew, picture.pixels, q, look
        self._filters = filters = crew.alone.filters
        height, width, channels = picture.pixels.shape
        self._picture, self._cells = Box(0, 0, height, width), tiles.cells(width, height)
        # A model of one colour has one error in three equal channels.
        self._errors = min(channels, filters.colours)
        self._sums = np.zeros((filters.features + self._errors,) * 2)
        self._idle, self._side = share == 0, BLOCK if share == 1 else SMALL
        blocks = (block for tile in tiles.grid(self._cells, size) for block in self._blocks(tile))
        self._painted = set(blocks if share == 1 else self._busiest(list(blocks), share) if share else ())

    def _blocks(self, tile: Box) -> Iterator[Box]:
        return tiles.grid(tile, (self._side, self._side))

    def _busiest(self, blocks: list[Box], share: float) -> Iterator[Box]:
        """The busiest blocks that make up a share of the picture, or the busiest one alone."""
        inside = [block.times(CELL).cut(self._picture) for block in blocks]
        busy = [detail(self._pixels[seen.within(self._picture)]) for seen in inside]
        left = share * self._picture.rows * self._picture.columns
        for number, k in enumerate(np.argsort(busy)[::-1].tolist()):
            area = inside[k].rows * inside[k].columns
            if number == 0 or area <= left:
                left -= area
                yield blocks[k]

    def of(self, windows: Windows, tile: Box, latent: Planes) -> Matrix:
        """The sums over a tile of cells, for `add`, in any thread.

        windows: those at work on the tile. A single one leaves threads free: they paint blocks, while this one sums.
        latent: float32 (1, L, 4h, 4w), as a decoder will have it.
        """
        sums, blocks, alone = np.zeros_like(self._sums), list(self._blocks(tile)), windows.crew == 1
        if self._idle:
            return sums
        crew = self._crew.of(len(blocks)) if alone else windows

        def planes(block: Box) -> Planes:
            if block not in self._painted:
                return quantize.planes(tiles.cut(self._pixels, block.times(CELL)), self._filters.colours)
            part = tiles.crop(latent, tile.times(Y_CELL), block.times(Y_CELL))
            return crew.networks.g_s(np.ascontiguousarray(part), self._q / 100)

        for block, x in zip(blocks, crew.beside(planes, blocks) if alone else map(planes, blocks), strict=True):
            sums += self._block(block, x)
        return sums

    def _block(self, block: Box, x: Planes) -> Matrix:
        """The sums over a block of cells. x: what a decoder paints there, or what stands for it."""
        seen, whole = block.times(CELL), self._cells.times(CELL)
        # Where the picture goes on, the filter would see beyond the block. These rows and columns are left out.
        inner = Box(*(2 * a - b for a, b in zip(seen, seen.grown(REACH, whole), strict=True))).cut(self._picture)
        if min(inner.rows, inner.columns) < 1:
            return np.zeros_like(self._sums)
        beyond = [REACH * (edge == limit) for edge, limit in zip(seen, whole, strict=True)]
        around = np.pad(x[0], ((0, 0), (beyond[0], beyond[2]), (beyond[1], beyond[3])), mode="edge")
        painted = block in self._painted
        rows = inner.rows if painted else max(1, round(THINNED * inner.rows))
        some = inner._replace(bottom=inner.top + rows)
        source = self._pixels[some.within(self._picture)]
        sums = products(around[:, : rows + 2 * REACH, : inner.columns + 2 * REACH], source, self._look.counted(some))
        return sums if painted else HARM * inner.rows / rows * sums

    def add(self, sums: Matrix) -> None:
        """Add the sums over a tile."""
        self._sums += sums

    def chunks(self) -> list[Chunk]:
        """The chunk of the correction, if it is worth its bits, in bits + lambda * squared error."""
        weight = quantize.lambda_of(self._q) * 255**2 / self._errors
        sent = self._filters.best(self._sums, weight) if self._sums.any() else None
        if sent is None:
            return []
        payload = correction.encode(sent, self._filters.widths)
        worth = weight * self._filters.saves(self._sums, sent)
        cost = 8 * container.chunk_size(len(payload))
        return [Chunk(Kind.CORRECTION, payload)] if worth > SURE * cost else []


def detail(pixels: Samples) -> float:
    """How busy samples (h, w, C) are: the sum of the squared differences of neighbours, of some of them."""
    some = pixels[::SPARSE, ::SPARSE].astype(np.float32)
    return float(sum(np.square(np.diff(some, axis=axis)).sum() for axis in (0, 1)))
