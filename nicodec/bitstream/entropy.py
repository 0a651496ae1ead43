"""Symbols and their tables <-> bytes, by the range coder.

Under `symbols`, `hyper` and `coding.bands`, before the container; only this module imports the range coder.
All tables of a group are known before its symbols are read. So each table is one call of the coder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import constriction
import numpy as np
import numpy.typing as npt

from nicodec.bitstream import varint
from nicodec.errors import BadFile, BadModel

# The coder is that of constriction (Bamler 2022, arXiv 2201.01741), with words of 32 bits and a state of 64. With
# `perfect=False` and frequencies of sum 2^16, the cumulative of entry i of n is floor(C_i * (2^24 - n) / 2^16) + i.
# C_i sums the frequencies before i. These are integers on every machine.
FREQUENCY_BITS = 16
# Symbols travel as int16.
MAX_SYMBOL = 2**15 - 1

Integers: TypeAlias = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Tables:
    """Frequency tables of a model.

    frequencies: all tables one after another, each of sum 2^16. start: (T + 1,), the place where each table begins.
    low: (T,), the symbol of the first entry. escape: whether the last entry of each table announces a symbol outside
    the table. A settled table has one entry, the symbol 0. Its frequency, 2^16, wraps to 0.
    """

    frequencies: npt.NDArray[np.uint16]
    start: npt.NDArray[np.int32]
    low: npt.NDArray[np.int16]
    escape: bool

    @cached_property
    def high(self) -> npt.NDArray[np.int32]:
        """The largest symbol in each table, (T,)."""
        last: npt.NDArray[np.int32] = np.diff(self.start) - (2 if self.escape else 1)
        return np.where(self.settled, 0, last) + self.low

    @cached_property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Whether each table is settled, (T,)."""
        result: npt.NDArray[np.bool_] = np.diff(self.start) == 1
        return result

    @cached_property
    def _open_from(self) -> int | None:
        """The first table that is not settled, if no later one is settled, as in all our models; else None."""
        first = int(np.append(self.settled, False).argmin())
        return None if self.settled[first:].any() else first

    def is_open(self, index: Integers) -> npt.NDArray[np.bool_]:
        """Whether the table of each symbol is not settled. True for a number beyond the last table."""
        if self._open_from is not None:  # a comparison takes a fraction of the time of a lookup
            result: npt.NDArray[np.bool_] = index >= self._open_from
            return result
        return np.append(~self.settled, True).take(index, mode="clip")

    def probabilities(self, table: int) -> npt.NDArray[np.float64]:
        """The probabilities of a table's entries, exact multiples of 2^-16."""
        f = self.frequencies[self.start[table] : self.start[table + 1]]
        return f.astype(np.float64) / (1 << FREQUENCY_BITS)

    @cached_property
    def information(self) -> npt.NDArray[np.float32]:
        """-log2 of the probability of every entry of all tables, one table after another: bits, at least 0."""
        counts = np.where(self.frequencies == 0, 1 << FREQUENCY_BITS, self.frequencies.astype(np.float64))
        result: npt.NDArray[np.float32] = (FREQUENCY_BITS - np.log2(counts)).astype(np.float32)
        return result

    @cached_property
    def deviation(self) -> npt.NDArray[np.float32]:
        """The standard deviation of the symbols of each table, (T,). An escape counts as the next symbol above."""
        p = np.exp2(-self.information.astype(np.float64))
        sizes = np.diff(self.start)
        symbol = np.arange(len(p)) - np.repeat(self.start[:-1] - self.low, sizes)
        mean, square = (np.add.reduceat(p * symbol**n, self.start[:-1]) for n in (1, 2))
        result: npt.NDArray[np.float32] = np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32)
        return result

    @cached_property
    def models(self) -> _Models:
        """The coder's model of each table."""
        return _Models(self)


class _Models(dict[int, Any]):
    """Models of the coder by table, each made at its first use."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __missing__(self, table: int) -> Any:
        self[table] = constriction.stream.model.Categorical(self._tables.probabilities(table), perfect=False)
        return self[table]


@dataclass(frozen=True, eq=False)
class _Runs:
    """The coded symbols of a group, sorted by table; each table keeps their order.

    order: their places in the group, (N,). tables: the tables in use, rising. sizes: the symbols of each.
    """

    order: Integers
    tables: list[int]
    sizes: list[int]

    @classmethod
    def of(cls, index: Integers, tables: Tables) -> _Runs:
        # `take` is two to three times as quick as an index here and below.
        open_ = np.flatnonzero(tables.is_open(index))
        choices = index.take(open_)
        counts = np.bincount(choices, minlength=len(tables.low))
        if len(counts) > len(tables.low):
            raise BadModel("the model asks for a table that it does not have")
        used = np.flatnonzero(counts)
        # The smallest type that holds a place: there are millions, and argsort needs eight bytes for each already.
        places = open_.astype(np.min_scalar_type(index.size))
        del open_
        return cls(places.take(choices.argsort(kind="stable")), used.tolist(), counts[used].tolist())

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        """Each table, and the slice of `order` with its symbols."""
        end = 0
        for table, size in zip(self.tables, self.sizes, strict=True):
            begin, end = end, end + size
            yield table, slice(begin, end)

    def each(self, values: Integers) -> npt.NDArray[np.int16]:
        """values: one for each table. The value of the table of each symbol, (N,)."""
        return np.repeat(values[self.tables].astype(np.int16), self.sizes)


class Encoder:
    """Symbols in one or several groups -> one payload.

    A payload has three parts: the length of the escapes in bytes, as a varint; the escapes; the coder's words,
    little-endian. An escape is the zigzag varint of a symbol outside its table.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables, self._escapes = tables, bytearray()
        self._coder = constriction.stream.queue.RangeEncoder()

    def add(self, symbols: Integers, index: Integers) -> None:
        """Take the next group: symbols (N,) in -32767..32767, and the table of each, (N,).

        Symbols of settled tables must be zero. Raises BadModel for a table that does not exist.
        """
        tables, runs = self._tables, _Runs.of(index, self._tables)
        ordered, low = symbols.take(runs.order), runs.each(tables.low)
        entries = ordered.astype(np.int32) - low
        if tables.escape:
            high = runs.each(tables.high)
            outside = np.flatnonzero((ordered < low) | (ordered > high))
            for value in ordered[outside].tolist():
                self._escapes += varint.encode(_zigzag(value))
            entries[outside] = high[outside].astype(np.int32) - low[outside] + 1
        for table, run in runs:
            self._coder.encode(entries[run], tables.models[table])

    def payload(self) -> bytes:
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return varint.encode(len(self._escapes)) + bytes(self._escapes) + words.astype("<u4").tobytes()


class Decoder:
    """The inverse of `Encoder`. Raises BadFile for a payload that no encoder writes.

    Raises BadModel for a table that does not exist.
    """

    def __init__(self, payload: bytes, tables: Tables) -> None:
        length, at = varint.read(payload, 0, "a tile")
        self._tables, self._escapes, self._coded = tables, payload[at : at + length], payload[at + length :]
        self._escape_at, self._begun = 0, False
        if len(self._escapes) != length or len(self._coded) % 4:
            raise BadFile("a tile has an impossible length")
        words = np.frombuffer(self._coded, "<u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def take(self, index: Integers) -> npt.NDArray[np.int16]:
        """The symbols of the next group, int16 (N,), from the table of each, (N,)."""
        tables, runs = self._tables, _Runs.of(index, self._tables)
        ordered = np.empty(runs.order.size, np.int32)
        self._begun |= bool(runs.tables)
        decode, models = self._coder.decode, tables.models
        try:
            for table, run in runs:
                ordered[run] = decode(models[table], run.stop - run.start)
        except AssertionError:  # the coder raises it for bytes that no encoder writes
            raise BadFile("a tile does not decode") from None
        low = runs.each(tables.low)
        ordered += low
        if tables.escape:
            high = runs.each(tables.high)
            for i in np.flatnonzero(ordered > high).tolist():
                value, self._escape_at = varint.read(self._escapes, self._escape_at, "a tile")
                symbol = (value >> 1) ^ -(value & 1)
                if low[i] <= symbol <= high[i] or abs(symbol) > MAX_SYMBOL:
                    raise BadFile("a tile holds an impossible symbol")
                ordered[i] = symbol
        symbols = np.zeros(index.size, np.int16)
        symbols[runs.order] = ordered
        return symbols

    def finish(self) -> None:
        """Check after the last group that no byte is left. Raises BadFile."""
        exhausted = self._coder.maybe_exhausted() if self._begun else not self._coded
        if not exhausted or self._escape_at != len(self._escapes):
            raise BadFile("a tile does not end where its symbols end")


def encode(symbols: Integers, index: Integers, tables: Tables) -> bytes:
    """One group of symbols -> its payload, as `Encoder.add` takes it."""
    encoder = Encoder(tables)
    encoder.add(symbols, index)
    return encoder.payload()


def decode(payload: bytes, index: Integers, tables: Tables) -> npt.NDArray[np.int16]:
    """A payload of one group -> its symbols. Raises as `Decoder`."""
    decoder = Decoder(payload, tables)
    symbols = decoder.take(index)
    decoder.finish()
    return symbols


def bits(symbols: Integers, index: Integers, tables: Tables) -> npt.NDArray[np.float32]:
    """Bits that a perfect coder needs for each symbol, float32, of the shape of both arrays.

    The varint of an escape counts in full, beside its entry. Symbols of settled tables need none. index: the table of
    each symbol, at most the last one.
    """
    low, high = tables.low[index], tables.high[index]
    outside = (symbols < low) | (symbols > high) if tables.escape else np.zeros(symbols.shape, np.bool_)
    entries = np.where(outside, high.astype(np.int32) + 1, symbols) - low
    found: npt.NDArray[np.float32] = tables.information[tables.start[index] + entries]
    found[outside] += [8 * len(varint.encode(_zigzag(int(value)))) for value in symbols[outside]]
    return found


def ideal_bits(symbols: Integers, index: Integers, tables: Tables) -> float:
    """The sum of `bits` over all symbols."""
    return float(bits(symbols, index, tables).sum(dtype=np.float64))


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 31)
