"""The symbols of one file: z as a whole, r tile by tile on demand, and the checksum of both.

Between the container and `coding.windows`, which sees arrays in place of payloads. This module knows no networks:
its caller gives the function that finds tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import entropy, tiles
from nicodec.bitstream.container import Chunk, Header
from nicodec.bitstream.crc import Residual, SymbolsCrc
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.hyper import HyperTables
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.errors import ChecksumMismatch

Known: TypeAlias = dict[int, Residual]
# z and a tile of cells -> the table of each symbol of the tile, (1, L, 4h, 4w).
TablesOf: TypeAlias = Callable[[npt.NDArray[np.int8], Box], npt.NDArray[np.uint8]]


class Symbols:
    """The symbols that a decoder reads. All methods raise as `entropy.Decoder`.

    z: int8 (1, Z, R, S). cells: the box of all cells. `residual` decodes the tiles that it needs, each once, and
    keeps them until `forget`. known: r (1, L, 4h, 4w) of tiles that an encoder still has, by number of the tile.
    """

    def __init__(
        self,
        header: Header,
        chunks: list[Chunk],
        tables_of: TablesOf,
        y_tables: Tables,
        z_tables: HyperTables,
        known: Known | None = None,
    ) -> None:
        self._known = known or {}
        self._header, self._chunks, self._tables_of, self._tables = header, chunks, tables_of, y_tables
        self.cells = tiles.cells(header.width, header.height)
        self._positions = tiles.positions(header.width, header.height)
        self.z = z_tables.read(chunks[0].payload, self.cells.rows, self.cells.columns, header.quality)
        self._boxes = list(tiles.grid(self.cells, header.tile))
        self._bands = list(tiles.grid(self.cells, (self.cells.right, header.tile[1])))
        self._across = len(self._boxes) // len(self._bands)
        # By row of tiles, so that the checksum takes whole rows.
        self._rows: dict[int, Residual] = {}
        self._read: set[int] = set()
        self._rows_done = 0
        self._crc: SymbolsCrc | None = SymbolsCrc()

    def residual(self, box: Box) -> Residual:
        """r of a box of cells, int16 (1, L, 4h, 4w), to read only."""
        width, height = self._header.tile
        parts = []
        for i in _touched(box.top, box.bottom, height):
            for j in _touched(box.left, box.right, width):
                self._read_tile(i, j)
            band = self._bands[i].times(Y_CELL)
            parts.append(tiles.crop(self._rows[i], band, box.times(Y_CELL).cut(band)))
        return tiles.joined(parts, axis=2)

    def _read_tile(self, i: int, j: int) -> None:
        number = i * self._across + j
        if number in self._read:
            return
        tile, band = self._boxes[number].times(Y_CELL), self._bands[i].times(Y_CELL)
        found = self._known.get(number)
        if found is None:
            index = self._tables_of(self.z, self._boxes[number])
            inside = tile.cut(self._positions)
            coded = tiles.crop(index, tile, inside)
            flat = entropy.decode(self._chunks[1 + number].payload, coded.reshape(-1), self._tables)
            found = np.zeros(index.shape, np.int16)
            tiles.crop(found, tile, inside)[...] = flat.reshape(coded.shape)
        if tile == band:
            self._rows[i] = found
        else:
            if i not in self._rows:
                self._rows[i] = np.empty((1, found.shape[1], band.rows, band.columns), np.int16)
            tiles.crop(self._rows[i], band, tile)[...] = found
        self._read.add(number)

    def forget(self, above: int) -> None:
        """Forget the rows of tiles that end at or above a row of cells, after the checksum has taken them."""
        while self._rows_done < len(self._bands) and self._bands[self._rows_done].bottom <= above:
            i = self._rows_done
            row = self._rows.pop(i, None)
            whole = self._read.issuperset(range(i * self._across, (i + 1) * self._across))
            if self._crc is not None and row is not None and whole:
                self._crc.add(row)
            else:
                self._crc = None  # a region, which reads only some tiles
            self._rows_done += 1

    def whole(self) -> Residual:
        """r of the whole picture, int16 (1, L, 4R, 4S). Raises ChecksumMismatch if the checksum differs."""
        r = self.residual(self.cells)
        self.check()
        return r

    def check(self) -> None:
        """Raise ChecksumMismatch unless all symbols were read, and are those that the encoder wrote."""
        self.forget(self.cells.bottom)
        if self._crc is None or self._crc.value(self.z) != self._header.symbols_crc:
            raise ChecksumMismatch("the decoded symbols are not those that were encoded")


def _touched(start: int, stop: int, size: int) -> range:
    """The numbers of the pieces, each of this size, that a span touches."""
    return range(start // size, -(-stop // size))
