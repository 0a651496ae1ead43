"""The hyper latent z <-> its payload: the order of its symbols, and the table of each.

Between `entropy` and `symbols`. Neighbouring cells of z are alike, so the mean of known neighbours chooses a symbol's
table. A coarse grid of cells is coded first, then finer ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import anchors
from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.entropy import Decoder, Encoder, Tables

Z: TypeAlias = npt.NDArray[np.int8]
Index: TypeAlias = npt.NDArray[np.intp]
Offsets: TypeAlias = tuple[tuple[int, int], ...]

# The mean of one to four neighbours, times MEAN_ONE, is a whole number.
MEAN_ONE = 12
DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
STRAIGHT = ((-1, 0), (0, -1), (0, 1), (1, 0))
# Distances to the neighbours, in cells. Cells of the first group are twice the first distance apart, both ways.
STEPS = (2, 1)
# More bounds than any model needs.
MAX_BOUNDS = 31
# Symbols of z travel as int8, in the range for which the scale decoder is proven exact.
MAX_HYPER = 63


@dataclass(frozen=True, eq=False)
class HyperTables:
    """The tables of z: K + 2 sets, each with one table for every anchor and channel (ANCHORS * Z).

    bounds: int16 (ANCHORS * Z, K). A symbol without neighbours has a table of set 0. With neighbours it is of set 1
    if their mean, in twelfths, reaches no bound, and of set K + 1 if it reaches all. All sets have one range of
    symbols.
    channels: Z.
    """

    tables: Tables
    bounds: npt.NDArray[np.int16]
    channels: int

    def ranges(self, quality: int) -> tuple[npt.NDArray[np.integer[Any]], ...]:
        """The lowest and the highest symbol of each channel, (Z,) each. quality: in hundredths."""
        own = anchors.hyper_index(quality, self.channels)
        return self.tables.low[own], self.tables.high[own]

    def write(self, z: Z, quality: int) -> bytes:
        """z (1, Z, R, S) -> the payload of its chunk. quality: in hundredths."""
        encoder = Encoder(self.tables)
        for cells, index in self.groups(z, quality):
            encoder.add(z[0][:, cells].reshape(-1), index.reshape(-1))
        return encoder.payload()

    def read(self, payload: bytes, rows: int, columns: int, quality: int) -> Z:
        """The inverse of `write`: int8 (1, Z, rows, columns). Raises as `entropy.Decoder`."""
        z = np.zeros((1, self.channels, rows, columns), np.int8)
        decoder = Decoder(payload, self.tables)
        for cells, index in self.groups(z, quality):
            z[0][:, cells] = decoder.take(index.reshape(-1)).reshape(index.shape)
        decoder.finish()
        return z

    def groups(self, z: Z, quality: int) -> Iterator[tuple[npt.NDArray[np.bool_], Index]]:
        """The groups in coding order: a mask of N cells, (R, S), and the table of each of their symbols, (Z, N).

        z is read when a group is taken, and must hold all earlier groups by then.
        """
        own = anchors.hyper_index(quality, self.channels)[:, None]
        bounds = self.bounds[own[:, 0]]
        for cells, around in phases(*z.shape[2:]):
            sets = sets_of(neighbourhood(z[0], cells, around), bounds) if around else 0
            yield cells, np.broadcast_to(own + ANCHORS * self.channels * sets, (len(own), cells.sum()))


def phases(rows: int, columns: int) -> Iterator[tuple[npt.NDArray[np.bool_], Offsets]]:
    """The five groups of cells: a mask (R, S), and the offsets of the neighbours that are coded before.

    The first group is every fourth cell both ways, without neighbours. Then the grid becomes twice as fine, twice.
    Each time the middles of its squares come first, whose neighbours are the corners. The middles of the sides
    follow, whose neighbours are straight above, below, left and right.
    """
    i, j = np.ogrid[:rows, :columns]
    coarse = 2 * STEPS[0]
    yield (i % coarse == 0) & (j % coarse == 0), ()
    for step in STEPS:
        on = (i % step == 0) & (j % step == 0)
        down, across = i // step % 2 == 1, j // step % 2 == 1
        for cells, offsets in ((on & down & across, DIAGONAL), (on & (down != across), STRAIGHT)):
            yield cells, tuple((step * m, step * n) for m, n in offsets)


def sets_of(means: npt.NDArray[np.int32], bounds: npt.NDArray[np.int16]) -> Any:
    """The set of each mean, (Z, N). means: in twelfths, (Z, N). bounds: (Z, K), as in `HyperTables`."""
    return 1 + sum(means >= bound[:, None] for bound in bounds.T)


def neighbourhood(z: npt.NDArray[np.int8], cells: npt.NDArray[np.bool_], around: Offsets) -> npt.NDArray[np.int32]:
    """The mean of each cell's neighbours inside the grid, in twelfths, (Z, N); at least one lies inside.

    z: (Z, R, S). cells: a mask of N cells, (R, S). around: offsets of the neighbours.
    """
    rows, columns = cells.shape
    most = max(abs(n) for offset in around for n in offset)
    padded = np.pad(z.astype(np.int32), ((0, 0), (most, most), (most, most)))
    inside = np.pad(np.ones_like(cells, np.int32), most)
    at = [(slice(most + m, most + m + rows), slice(most + n, most + n + columns)) for m, n in around]
    count = sum(inside[each][cells] for each in at)
    total = sum(padded[:, each[0], each[1]][:, cells] for each in at)
    return np.asarray(MEAN_ONE // count * total, np.int32)
