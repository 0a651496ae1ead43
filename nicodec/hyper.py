"""The hyper latent z <-> its payload: which table each of its symbols has, and in what order they are coded.

Between the container and `symbols`. Neighbouring cells of z are much alike, so a model has a table for each
thing that the neighbours can say; few cells are coded first, and the others in between them, in ever finer
grids. Whole numbers throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec import prior, quantize
from nicodec.checkpoint import Checkpoint
from nicodec.entropy import Decoder, Encoder, Tables
from nicodec.errors import BadModel
from nicodec.files import shown
from nicodec.prior import ANCHORS

Z: TypeAlias = npt.NDArray[np.int8]
Index: TypeAlias = npt.NDArray[np.intp]
Offsets: TypeAlias = tuple[tuple[int, int], ...]

# The mean of one to four neighbours, times this, is a whole number.
MEAN_ONE = 12
DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
STRAIGHT = ((-1, 0), (0, -1), (0, 1), (1, 0))
# The first cells are two such steps apart, both ways.
STEPS = (2, 1)
# Nobody tells more kinds of neighbourhoods apart.
MAX_BOUNDS = 31


@dataclass(frozen=True, eq=False)
class HyperTables:
    """Tables of z: for each anchor quality and channel (ANCHORS * Z), and that as often as there are sets.

    bounds: int16 (ANCHORS * Z, K). A neighbourhood is of set 1 if its mean, in twelfths, reaches none of
    them, of set K + 1 if it reaches all; without neighbours it is of set 0. All sets have the same range of
    symbols.
    """

    tables: Tables
    bounds: npt.NDArray[np.int16]
    channels: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> HyperTables:
        """Those of a model. Raises BadModel if they do not belong together."""
        tables = prior.tables(checkpoint, "z", quantize.MAX_HYPER, escape=False)
        bounds = checkpoint.array("tables.z.bounds")
        if bounds.dtype != np.int16 or bounds.ndim != 2 or not 1 <= bounds.shape[1] <= MAX_BOUNDS:
            raise BadModel(f"{shown(checkpoint.path)}: tables.z.bounds are not bounds")
        sets = bounds.shape[1] + 2
        count = len(tables.low) // sets
        channels = count // ANCHORS
        if (
            channels < 1
            or checkpoint.config.get("z") != channels
            or len(tables.low) != sets * ANCHORS * channels
            or len(bounds) != count
            or any((edge.reshape(sets, -1) != edge[:count]).any() for edge in (tables.low, tables.high))
        ):
            raise BadModel(f"{shown(checkpoint.path)}: the model has tables for another z than its own")
        return cls(tables, bounds, channels)

    def ranges(self, quality: int) -> tuple[npt.NDArray[np.integer[Any]], ...]:
        """The lowest and the highest symbol of each channel (Z,); quality in hundredths."""
        own = prior.hyper_index(quality, self.channels)
        return self.tables.low[own], self.tables.high[own]

    def write(self, z: Z, quality: int) -> bytes:
        """z (1, Z, R, S) -> the payload of its chunk."""
        encoder = Encoder(self.tables)
        for cells, index in self.groups(z, quality):
            encoder.add(z[0][:, cells].reshape(-1), index.reshape(-1))
        return encoder.payload()

    def read(self, payload: bytes, rows: int, columns: int, quality: int) -> Z:
        """The inverse of `write`. Raises BadFile."""
        z = np.zeros((1, self.channels, rows, columns), np.int8)
        decoder = Decoder(payload, self.tables)
        for cells, index in self.groups(z, quality):
            z[0][:, cells] = decoder.take(index.reshape(-1)).reshape(index.shape)
        decoder.finish()
        return z

    def groups(self, z: Z, quality: int) -> Iterator[tuple[npt.NDArray[np.bool_], Index]]:
        """Cells (R, S) that are coded together, and the table of each of their symbols (Z, N).

        z is looked at as each group is asked for: what the groups before it hold has to be known by then.
        """
        own = prior.hyper_index(quality, self.channels)[:, None]
        bounds = self.bounds[own[:, 0]]
        for cells, around in phases(*z.shape[2:]):
            sets = sets_of(neighbourhood(z[0], cells, around), bounds) if around else 0
            yield cells, np.broadcast_to(own + ANCHORS * self.channels * sets, (len(own), cells.sum()))


def phases(rows: int, columns: int) -> Iterator[tuple[npt.NDArray[np.bool_], Offsets]]:
    """Cells (R, S) that are coded together, and where their neighbours are that were coded before.

    A grid without neighbours; then, as often as it grows twice as fine, the middles of its squares with
    their corners, and the middles of all sides with their ends and what lies across.
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
    """The set (Z, N) of each mean (Z, N), in twelfths; bounds: (Z, K), as in `HyperTables`."""
    return 1 + sum(means >= bound[:, None] for bound in bounds.T)


def neighbourhood(
    z: npt.NDArray[np.int8], cells: npt.NDArray[np.bool_], around: Offsets
) -> npt.NDArray[np.int32]:
    """The means (Z, N) in twelfths of those neighbours of cells that lie inside; there is always one.

    z: (Z, R, S). cells: (R, S).
    """
    rows, columns = cells.shape
    most = max(abs(n) for offset in around for n in offset)
    padded = np.pad(z.astype(np.int32), ((0, 0), (most, most), (most, most)))
    inside = np.pad(np.ones_like(cells, np.int32), most)
    at = [(slice(most + m, most + m + rows), slice(most + n, most + n + columns)) for m, n in around]
    count = sum(inside[each][cells] for each in at)
    total = sum(padded[:, each[0], each[1]][:, cells] for each in at)
    return np.asarray(MEAN_ONE // count * total, np.int32)
