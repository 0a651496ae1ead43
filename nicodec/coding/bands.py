"""A band of latents -> the payloads of its tiles; the writing side of `bitstream.symbols`.

Between `codec` and `windows`, which find the symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import entropy, tiles
from nicodec.bitstream.crc import Residual, SymbolsCrc
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.tiles import Y_CELL, Box, Rows
from nicodec.coding.correction import Matrix
from nicodec.coding.fitting import Fit
from nicodec.coding.windows import Windows


@dataclass(frozen=True, eq=False)
class Bands:
    """Codes the bands of one picture, from the top, and shows its fit what a decoder will have.

    size: width and height of a tile in cells. q: quality in hundredths. within: the positions of the latent that hold
    samples of the picture.
    """

    windows: Windows
    tables: Tables
    size: tuple[int, int]
    q: int
    fit: Fit
    within: Box
    crc: SymbolsCrc = field(default_factory=SymbolsCrc)

    def coded(self, band: Box, y: Rows, z: npt.NDArray[np.int8]) -> Iterator[tuple[Box, Residual, bytes]]:
        """Each tile of a band of cells, its r (1, L, 4h, 4w) and its payload. Adds r of the band to the checksum.

        y: the latent in quantiser steps. z: (1, Z, R, S), known one cell around the band.
        """
        here = band.times(Y_CELL)
        r = np.empty((1, y.channels, here.rows, here.columns), np.int16)

        def code(tile: Box) -> tuple[Box, Residual, bytes, Matrix]:
            part, index, latent = self.windows.residual(tile, y, z, self.q, self.tables, self.within)
            place = tile.times(Y_CELL)
            tiles.crop(r, here, place)[...] = part
            inside = place.cut(self.within)
            symbols, numbers = (tiles.crop(a, place, inside).reshape(-1) for a in (part, index))
            payload = entropy.encode(symbols, numbers, self.tables)
            return tile, part, payload, self.fit.of(self.windows, tile, latent)

        for tile, part, payload, sums in self.windows.beside(code, tiles.grid(band, self.size)):
            self.fit.add(sums)
            yield tile, part, payload
        self.crc.add(r)
