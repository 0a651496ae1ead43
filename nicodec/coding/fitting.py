"""The fit: a patient encoder paints its cells as a decoder will, and finds the correction that suits the picture.

Between `bands`, which shows it each tile, and `coding.correction`, which knows the filters. `codec` asks for the chunk.
"""

from __future__ import annotations

import numpy as np

from nicodec.bitstream import container, correction, tiles
from nicodec.bitstream.container import CELL, Chunk, Kind
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import quantize
from nicodec.coding.correction import REACH, Filters, Matrix, products
from nicodec.coding.look import Look
from nicodec.model.backends import Networks, Planes
from nicodec.picture import Picture

# Cells along a side of a block. Blocks are painted without a halo, since a few samples at their edges hardly count.
BLOCK = 8
# A correction must be worth so many times its bits, because samples are rounded after it.
SURE = 1.1


class Fit:
    """Gathers what the correction of one picture is fitted to, tile by tile.

    It takes about as long as a decode. Parts of a picture would be quicker, but the best filter differs from place to
    place, and one that suits half of the cells may harm the others (docs/LOG.md). q: quality in hundredths. look: says
    which samples a correction bears on. idle: gather nothing, and send no correction.
    """

    def __init__(self, filters: Filters, picture: Picture, q: int, look: Look, *, idle: bool = False) -> None:
        self._filters, self._pixels, self._q, self._look = filters, picture.pixels, q, look
        height, width, channels = picture.pixels.shape
        self._picture, self._cells = Box(0, 0, height, width), tiles.cells(width, height)
        self._idle = idle or not len(filters.widths)
        # A model of one colour has one error in three equal channels.
        self._errors = min(channels, filters.colours)
        self._sums = np.zeros((filters.features + self._errors,) * 2)

    def of(self, networks: Networks, tile: Box, latent: Planes) -> Matrix:
        """The sums over a tile of cells, for `add`, in any thread.

        latent: float32 (1, L, 4h, 4w), as a decoder will have it.
        """
        sums = np.zeros_like(self._sums)
        for block in () if self._idle else tiles.grid(tile, (BLOCK, BLOCK)):
            seen, whole = block.times(CELL), self._cells.times(CELL)
            # Where the picture goes on, the filter would see beyond the block. These rows and columns are left out.
            inner = Box(*(2 * a - b for a, b in zip(seen, seen.grown(REACH, whole), strict=True))).cut(self._picture)
            if min(inner.rows, inner.columns) < 1 or not (counted := self._look.counted(inner)).any():
                continue
            part = np.ascontiguousarray(tiles.crop(latent, tile.times(Y_CELL), block.times(Y_CELL)))
            x = networks.g_s(part, self._q / 100)
            beyond = [REACH * (edge == limit) for edge, limit in zip(seen, whole, strict=True)]
            planes = np.pad(x[0], ((0, 0), (beyond[0], beyond[2]), (beyond[1], beyond[3])), mode="edge")
            planes = planes[:, : inner.rows + 2 * REACH, : inner.columns + 2 * REACH]
            source = self._pixels[inner.top : inner.bottom, inner.left : inner.right]
            sums += products(planes, source, counted)
        return sums

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
