"""The integers of one file: z as a whole, r tile by tile as it is asked for, and the checksum of both.

Between the container and the steps of `codec`, which sees arrays where the file has payloads.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nicodec import entropy, prior, tiles
from nicodec.container import Chunk, Header
from nicodec.entropy import Tables
from nicodec.errors import ChecksumMismatch
from nicodec.hyper import HyperTables
from nicodec.tiles import Y_CELL, Box
from nicodec.transform import Networks

Residual = npt.NDArray[np.int16]
# Side, in cells, of the pieces whose tables are found at a time: squares have the least halo.
PIECE = 16


class Symbols:
    """What a decoder reads. Raises what `entropy.Decoder` raises.

    z: int8 (1, Z, R, S). `residual` decodes the tiles that it needs and keeps them until `forget`; each is
    decoded once. h_sigma needs z one cell around a tile, for its one 3x3 layer. known: r (1, L, 4h, 4w) of
    tiles, by number, that an encoder still has.
    """

    def __init__(
        self,
        header: Header,
        chunks: list[Chunk],
        networks: Networks,
        y_tables: Tables,
        z_tables: HyperTables,
        known: dict[int, Residual] | None = None,
    ) -> None:
        self._known = known or {}
        self._header, self._chunks, self._networks, self._tables = header, chunks, networks, y_tables
        self.cells = tiles.cells(header.width, header.height)
        self.z = z_tables.read(chunks[0].payload, self.cells.rows, self.cells.columns, header.quality)
        self._boxes = list(tiles.grid(self.cells, header.tile))
        self._bands = list(tiles.grid(self.cells, (self.cells.right, header.tile[1])))
        self._across = len(self._boxes) // len(self._bands)
        # By row of tiles, so that the checksum finds its bands whole.
        self._rows: dict[int, Residual] = {}
        self._read: set[int] = set()
        self._rows_done = 0
        self._crc: SymbolsCrc | None = SymbolsCrc()

    def residual(self, box: Box) -> Residual:
        """r (1, L, 4h, 4w) of a box of cells."""
        width, height = self._header.tile
        parts = []
        for i in _touched(box.top, box.bottom, height):
            for j in _touched(box.left, box.right, width):
                self._read_tile(i, j)
            band = self._bands[i].times(Y_CELL)
            parts.append(tiles.crop(self._rows[i], band, box.times(Y_CELL).cut(band)))
        return np.concatenate(parts, axis=2)

    def _read_tile(self, i: int, j: int) -> None:
        number = i * self._across + j
        if number in self._read:
            return
        tile, band = self._boxes[number].times(Y_CELL), self._bands[i].times(Y_CELL)
        found = self._known.get(number)
        if found is None:
            index = scale_index(self._networks, self.z, self._boxes[number], self._header.quality)
            flat = entropy.decode(self._chunks[1 + number].payload, index.reshape(-1), self._tables)
            found = flat.reshape(index.shape)
        if i not in self._rows:
            self._rows[i] = np.empty((1, found.shape[1], band.rows, band.columns), np.int16)
        tiles.crop(self._rows[i], band, tile)[...] = found
        self._read.add(number)

    def forget(self, above: int) -> None:
        """Let go of the tiles that end above this row of cells, once the checksum has seen them."""
        while self._rows_done < len(self._bands) and self._bands[self._rows_done].bottom <= above:
            i = self._rows_done
            row = self._rows.pop(i, None)
            whole = self._read.issuperset(range(i * self._across, (i + 1) * self._across))
            if self._crc is not None and row is not None and whole:
                self._crc.add(row)
            else:
                self._crc = None  # a region: not all was read
            self._rows_done += 1

    def whole(self) -> Residual:
        """r of the whole picture, proven by its checksum."""
        r = self.residual(self.cells)
        self.check()
        return r

    def check(self) -> None:
        """Once all is read: raise ChecksumMismatch unless it is what the encoder wrote."""
        self.forget(self.cells.bottom)
        if self._crc is None or self._crc.value(self.z) != self._header.symbols_crc:
            raise ChecksumMismatch("the decoded symbols are not those that were encoded")


def _touched(start: int, stop: int, size: int) -> range:
    """The numbers of the pieces of this size that a span touches."""
    return range(start // size, -(-stop // size))


def scale_index(
    networks: Networks, z: npt.NDArray[np.int8], tile: Box, quality: int
) -> npt.NDArray[np.uint8]:
    """The table of every symbol in a tile (1, L, 4h, 4w); quality in hundredths."""
    whole, hats = Box(0, 0, *z.shape[2:]), prior.integer_hats(quality)
    rows = []
    # A tile may be four times as large as ours are; its features need not be.
    for band in tiles.grid(tile, (tile.columns, PIECE)):
        pieces = []
        for piece in tiles.grid(band, (PIECE, band.rows)):
            seen = piece.grown(1, whole)
            index = networks.h_sigma(tiles.crop(z, whole, seen), hats)
            pieces.append(tiles.crop(index, seen.times(Y_CELL), piece.times(Y_CELL)))
        rows.append(np.concatenate(pieces, axis=3))
    return np.concatenate(rows, axis=2)


class SymbolsCrc:
    """CRC-32 over z as int8 and then r as little-endian int16, both in channel, row, column order.

    r comes in bands of rows, while the order of the checksum runs through all rows of one channel before
    the next: so each channel has its own CRC, and they are joined at the end. They are joined as zlib's
    crc32_combine does it: the CRC of a + b is that of a, times x^(8 len(b)), plus that of b.
    """

    def __init__(self) -> None:
        self._channels: list[int] = []
        self._length = 0

    def add(self, band: Residual) -> None:
        """The next rows of r (1, L, rows, columns)."""
        channels = [np.ascontiguousarray(channel, "<i2") for channel in band[0]]
        shifted = _times(_power(channels[0].nbytes))
        self._channels = [
            shifted(crc) ^ zlib.crc32(channel.data)
            for crc, channel in zip(self._channels or [0] * len(channels), channels, strict=True)
        ]
        self._length += channels[0].nbytes

    def value(self, z: npt.NDArray[np.int8]) -> int:
        """The CRC of all: of z (1, Z, R, S), and of the rows so far."""
        total, shifted = zlib.crc32(z.tobytes()), _times(_power(self._length))
        for crc in self._channels:
            total = shifted(total) ^ crc
        return total


# Polynomials over GF(2) modulo that of CRC-32, in its bit order: the highest bit is the coefficient of 1.
_POLYNOMIAL, _ONE = 0xEDB88320, 1 << 31


def _multiples(a: int) -> list[int]:
    """a, a x, a x^2, ... a x^31."""
    result = []
    for _ in range(32):
        result.append(a)
        a = a >> 1 ^ (_POLYNOMIAL if a & 1 else 0)
    return result


def _product(a: int, b: int) -> int:
    result = 0
    for i, multiple in enumerate(_multiples(a)):
        if b & _ONE >> i:
            result ^= multiple
    return result


def _times(a: int) -> Callable[[int], int]:
    """b -> a times b, looked up for each byte of b: there are hundreds for each a."""
    tables, columns = [], _multiples(a)[::-1]
    for byte in range(4):
        table = [0]
        for column in columns[8 * byte : 8 * byte + 8]:
            table += [column ^ entry for entry in table]
        tables.append(table)
    t0, t1, t2, t3 = tables
    return lambda b: t0[b & 255] ^ t1[b >> 8 & 255] ^ t2[b >> 16 & 255] ^ t3[b >> 24]


def _power(length: int) -> int:
    """x^(8 length): what `length` more bytes do to a CRC."""
    result, square = _ONE, _ONE >> 8
    while length:
        if length & 1:
            result = _product(square, result)
        square = _product(square, square)
        length >>= 1
    return result
