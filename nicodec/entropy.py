"""Symbols + table indices + frequency tables <-> bytes; the only importer of the range coder.

Last before the container. All indices are known before any symbol is read, so symbols are sorted by
table and the run of each table is one vectorised call.

The coder is constriction's range coder (Bamler 2022, arXiv 2201.01741; 32-bit words, 64-bit state). With
`perfect=False` and frequencies that sum to 2^16 its 24-bit cumulative for entry i of n is exactly
floor(C_i * (2^24 - n) / 2^16) + i, where C_i sums the frequencies before i: integers on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import constriction
import numpy as np

from nicodec.errors import BadFile, LimitExceeded
from nicodec.quantize import MAX_SYMBOL

FREQUENCY_BITS = 16
# A symbol outside its table follows as a zigzag varint; int16 symbols need three bytes at most.
MAX_ESCAPE_BYTES = 3


@dataclass
class Tables:
    """Frequency tables, as shipped with a model.

    frequencies: uint16, all tables one after another; each sums to 2^16. start: int32 (T + 1,), where
    each begins. low: int16 (T,), the symbol of the first entry. escape: whether the last entry of each
    table announces a symbol outside of it.
    """

    frequencies: np.ndarray
    start: np.ndarray
    low: np.ndarray
    escape: bool
    _models: dict[int, Any] = field(default_factory=dict, repr=False)

    def high(self, table: int | np.ndarray) -> np.ndarray:
        """The largest symbol in each table."""
        count = self.start[np.add(table, 1)] - self.start[table] - self.escape
        result: np.ndarray = self.low[table] + count - 1
        return result

    def probabilities(self, table: int) -> np.ndarray:
        """The table's probabilities, exact multiples of 2^-16, float64."""
        f = self.frequencies[self.start[table] : self.start[table + 1]]
        return f.astype(np.float64) / (1 << FREQUENCY_BITS)

    def model(self, table: int) -> Any:
        if table not in self._models:
            self._models[table] = constriction.stream.model.Categorical(
                self.probabilities(table), perfect=False
            )
        return self._models[table]


def _runs(index: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Order that sorts by table, stably, and the run (table, begin, end) of each table in that order."""
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index)
    ends = np.cumsum(counts)
    return order, [(int(t), int(ends[t] - counts[t]), int(ends[t])) for t in np.flatnonzero(counts)]


def encode(symbols: np.ndarray, index: np.ndarray, tables: Tables) -> bytes:
    """Symbols (N,) and the table of each (N,) -> bytes.

    Layout: the number of bytes of the escapes as a varint, the escapes, the coder's words, little-endian.
    """
    order, runs = _runs(index)
    ordered = symbols[order].astype(np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    escapes = bytearray()
    for table, begin, end in runs:
        run = ordered[begin:end] - int(tables.low[table])
        if tables.escape:
            top = int(tables.high(table)) - int(tables.low[table])
            outside = (run < 0) | (run > top)
            if outside.any():
                for value in ordered[begin:end][outside]:
                    escapes += _varint(_zigzag(int(value)))
                run[outside] = top + 1
        encoder.encode(run, tables.model(table))
    words = encoder.get_compressed().astype("<u4").tobytes()
    return bytes(_varint(len(escapes)) + escapes) + words


def decode(data: bytes, index: np.ndarray, tables: Tables) -> np.ndarray:
    """The inverse of `encode`: bytes and the table of each symbol (N,) -> symbols (N,) int16.

    Raises BadFile if the bytes are not what `encode` makes of some symbols.
    """
    escape_bytes, at = _read_varint(data, 0)
    if (
        escape_bytes > min(len(data) - at, MAX_ESCAPE_BYTES * index.size)
        or (len(data) - at - escape_bytes) % 4
    ):
        raise BadFile("a tile has an impossible length")
    escapes, escape_at = data[at : at + escape_bytes], 0
    words = np.frombuffer(data, "<u4", offset=at + escape_bytes).astype(np.uint32)
    order, runs = _runs(index)
    ordered = np.empty(index.size, np.int16)
    decoder = constriction.stream.queue.RangeDecoder(words)
    try:
        for table, begin, end in runs:
            run = decoder.decode(tables.model(table), end - begin) + int(tables.low[table])
            if tables.escape:
                low, high = int(tables.low[table]), int(tables.high(table))
                for i in np.flatnonzero(run > high):
                    value, escape_at = _read_varint(escapes, escape_at)
                    symbol = (value >> 1) ^ -(value & 1)
                    if low <= symbol <= high or abs(symbol) > MAX_SYMBOL:
                        raise BadFile("a tile holds an impossible symbol")
                    run[i] = symbol
            ordered[begin:end] = run
        exhausted = decoder.maybe_exhausted()
    except (AssertionError, ValueError, OverflowError):
        raise BadFile("a tile does not decode") from None
    if not exhausted or escape_at != len(escapes):
        raise BadFile("a tile does not end where its symbols end")
    symbols = np.empty_like(ordered)
    symbols[order] = ordered
    return symbols


def ideal_bits(symbols: np.ndarray, index: np.ndarray, tables: Tables) -> float:
    """Entropy of the symbols under their tables, in bits: what a perfect coder would need. Escapes as stored."""
    bits = 0.0
    order, runs = _runs(index)
    for table, begin, end in runs:
        p = tables.probabilities(table)
        run = symbols[order[begin:end]].astype(np.int64) - int(tables.low[table])
        if tables.escape:
            outside = (run < 0) | (run > len(p) - 2)
            bits += 8 * sum(len(_varint(_zigzag(int(v)))) for v in symbols[order[begin:end]][outside])
            run[outside] = len(p) - 1
        bits -= float(np.log2(p[run]).sum())
    return bits


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 31)


def _varint(value: int) -> bytearray:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return out


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """LEB128 of at most five bytes, in its shortest form."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            if byte == 0 and shift:
                break
            if value > 2**32 - 1:
                raise LimitExceeded("a length in a tile is out of range")
            return value, at
    raise BadFile("a tile holds a malformed length")
