"""The tables of y -> the bits of each symbol, linear between two symbols, for `refine`.

Between `bitstream.entropy`, which codes with the same tables, and the refinement of a latent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.entropy import Tables

# About the bits of a symbol outside its table, without its escape mark.
ESCAPE_BITS = 16


class Rates:
    """The bits of symbols by table, one table after another, with two escapes before and behind each.

    So a symbol that is cut off to two beyond its table still finds its bits, and a slope of zero.
    """

    def __init__(self, tables: Tables) -> None:
        self.settled = tables.settled
        own = np.split(tables.information, tables.start[1:-1])
        escapes = [
            [0, 0] if settled else [b[-1] + ESCAPE_BITS] * 2 for b, settled in zip(own, self.settled, strict=True)
        ]
        inside = [b if settled else b[:-1] for b, settled in zip(own, self.settled, strict=True)]
        rows = [np.concatenate([e, b, e], dtype=np.float32) for e, b in zip(escapes, inside, strict=True)]
        self.bits = np.concatenate(rows)
        self.slopes = np.concatenate([np.diff(row, append=row[-1:]) for row in rows])
        self.low, self.high = tables.low.astype(np.int32) - 2, tables.high.astype(np.int32) + 2
        ends = np.cumsum([len(row) for row in rows])
        self.zero = (ends - self.high - 1).astype(np.int32)

    def of(self, index: npt.NDArray[np.uint8]) -> Symbols:
        """The rates of symbols whose tables these are."""
        return Symbols(self, index)


class Symbols:
    """The rates of an array of symbols. index: the table of each, uint8, of any shape."""

    def __init__(self, rates: Rates, index: npt.NDArray[np.uint8]) -> None:
        self._rates, self.settled = rates, rates.settled[index]
        self._low, self._high, self._zero = rates.low[index], rates.high[index], rates.zero[index]

    def total(self, symbols: npt.NDArray[np.float32]) -> float:
        """The bits of all symbols, whole numbers."""
        return float(self._rates.bits[self._entries(symbols)].sum(dtype=np.float64))

    def slopes(self, below: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The bits that the next symbol above costs more than this one, of each, float32."""
        more: npt.NDArray[np.float32] = self._rates.slopes[self._entries(below)]
        return more

    def _entries(self, symbols: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        entries: npt.NDArray[Any] = self._zero + np.clip(symbols, self._low, self._high).astype(np.int32)
        return entries
