"""Symbols <-> bytes through the range coder: its exact words, its integers, and an error for garbage."""

from bisect import bisect_right
from itertools import accumulate, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream import entropy
from nicodec.bitstream.entropy import MAX_SYMBOL, Tables, decode, encode, ideal_bits
from nicodec.errors import BadFile, BadModel
from nicodec.model import checkpoint
from nicodec.model import tables as of_model

Symbols = npt.NDArray[np.int16]


def tables(*rows: list[int], low: list[int], escape: bool) -> Tables:
    assert all(sum(row) == 1 << 16 for row in rows)
    start = np.array([0, *accumulate(map(len, rows))], np.int32)
    return Tables(np.concatenate(rows).astype(np.uint16), start, np.array(low, np.int16), escape)


# Symbols -1, 0, 1 and escape; 5 and escape; -3 to 2 and a rare escape.
ESCAPING = tables([1000, 60000, 4000, 536], [65000, 536], [1, 2, 65529, 1, 1, 1, 1], low=[-1, 5, -3], escape=True)
PLAIN = tables([32768, 16384, 16384], [1, 65535], low=[-1, 10], escape=False)


def shuffled(symbols: list[int], index: list[int]) -> tuple[Symbols, npt.NDArray[np.uint8]]:
    order = sorted(range(len(symbols)), key=lambda i: i * 37 % 101)
    return np.array(symbols, np.int16)[order], np.array(index, np.uint8)[order]


# The second leaves no choice.
SETTLED = Tables(
    np.array([1000, 60000, 4000, 536, 0, 65000, 536], np.uint16),
    np.array([0, 4, 5, 7], np.int32),
    np.array([-1, 0, 3], np.int16),
    escape=True,
)


def test_what_has_no_choice_is_zero_and_takes_no_byte() -> None:
    symbols, index = shuffled([-1, 0, 1, 9, -5] * 4 + [3] * 7, [0] * 10 + [1] * 10 + [2] * 7)
    symbols[~SETTLED.is_open(index)] = 0
    assert symbols[index == 1].tolist() == [0] * 10
    assert sorted(symbols[index != 1].tolist()) == sorted([-1, 0, 1, 9, -5] * 2 + [3] * 7)
    data = encode(symbols, index, SETTLED)
    assert np.array_equal(decode(data, index, SETTLED), symbols)
    assert data == encode(symbols[index != 1], index[index != 1], SETTLED)
    assert ideal_bits(symbols[index == 1], index[index == 1], SETTLED) == 0
    assert SETTLED.high.tolist() == [1, 0, 3]


def test_nothing_but_what_has_no_choice_is_no_words() -> None:
    index = np.ones(50, np.uint8)
    data = encode(np.zeros(50, np.int16), index, SETTLED)
    assert data == b"\0"
    assert np.array_equal(decode(data, index, SETTLED), np.zeros(50))
    for words in (bytes(4), bytes(8), b"\x01\0\0\0"):
        with pytest.raises(BadFile, match="end"):
            decode(data + words, index, SETTLED)


# The coder's integers


def reference(words: list[int], index: list[int], table: Tables) -> list[int]:
    """Entries that a range decoder in plain integers reads: 64 bits of state, 32-bit words, 24-bit model.

    The cumulative frequency of entry i of n is floor(C_i (2^24 - n) / 2^16) + i, as `entropy` states.
    """
    cumulatives = []
    for begin, end in zip(table.start[:-1].tolist(), table.start[1:].tolist(), strict=True):
        count = end - begin
        sums = accumulate(table.frequencies[begin:end].tolist(), initial=0)
        cumulatives.append([(c * (2**24 - count) >> 16) + i for i, c in enumerate(sums)])
        assert cumulatives[-1][-1] == 2**24
    source = iter([*words, *[0] * 4 * (len(index) + 1)])
    point = next(source) << 32 | next(source)
    low, size = 0, 2**64 - 1
    entries = []
    for t in index:
        unit = size >> 24
        quantile = ((point - low) % 2**64) // unit
        entry = bisect_right(cumulatives[t], quantile) - 1
        first, after = cumulatives[t][entry : entry + 2]
        low, size = (low + unit * first) % 2**64, unit * (after - first)
        if size < 2**32:
            low, size = (low << 32) % 2**64, size << 32
            point = (point << 32) % 2**64 | next(source)
        entries.append(entry)
    return entries


def coded(data: bytes) -> list[int]:
    """The coder's words in what `encode` makes of symbols without escapes."""
    assert data[0] == 0
    words: list[int] = np.frombuffer(data[1:], "<u4").tolist()
    return words


def test_the_exact_words() -> None:
    symbols, index = shuffled([-1] * 20 + [0] * 9 + [1] * 11 + [11] * 50 + [10], [0] * 40 + [1] * 51)
    assert encode(symbols, index, PLAIN).hex() == "0055d5b22c6114984faff657ca"
    symbols, index = shuffled(
        [0] * 90 + [1] * 6 + [-1, 2, -700, MAX_SYMBOL] + [5] * 30 + [-MAX_SYMBOL, 4] + [-1] * 50 + [2],
        [0] * 100 + [1] * 32 + [2] * 51,
    )
    assert encode(symbols, index, ESCAPING).hex() == "0afeff0304f70afdff030804c7a4960656205e7d6e6e20"


def test_the_coder_is_the_reference_with_the_tables_of_the_model() -> None:
    """Every entry of every shipped table, so that no float in the coder's models can hide."""
    model = checkpoint.load(checkpoint.find("photo"))
    for name in ("y", "z"):
        shipped = of_model.y_tables(model) if name == "y" else of_model.z_tables(model).tables
        first = int(shipped.settled.sum())  # no coder ever sees those before it
        start, low = shipped.start[first:] - shipped.start[first], shipped.low[first:]
        plain = Tables(shipped.frequencies[shipped.start[first] :], start, low, escape=False)
        sizes = np.diff(plain.start)
        index = np.repeat(np.arange(len(sizes)), sizes)
        entries = np.concatenate([np.random.default_rng(int(n)).permutation(n) for n in sizes])
        symbols = entries + plain.low[index]
        data = encode(symbols, index, plain)
        assert reference(coded(data), index.tolist(), plain) == entries.tolist()
        assert np.array_equal(decode(data, index, plain), symbols)


@given(st.lists(st.integers(0, 1), max_size=60), st.randoms(use_true_random=False))
def test_the_coder_is_the_reference(index: list[int], random: Any) -> None:
    index = sorted(index)
    entries = [random.randrange(3 - t) for t in index]
    symbols = np.array([e + PLAIN.low[t] for e, t in zip(entries, index, strict=True)], np.int16)
    data = encode(symbols, np.array(index, np.uint8), PLAIN)
    assert reference(coded(data), index, PLAIN) == entries


# Round trips


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-MAX_SYMBOL, MAX_SYMBOL) | st.integers(-4, 6))))
def test_any_symbols_come_back(pairs: list[tuple[int, int]]) -> None:
    index = np.array([t for t, _ in pairs], np.uint8)
    symbols = np.array([s for _, s in pairs], np.int16)
    data = encode(symbols, index, ESCAPING)
    back = decode(data, index, ESCAPING)
    assert back.dtype == np.int16
    assert np.array_equal(back, symbols)
    assert abs(8 * len(data) - ideal_bits(symbols, index, ESCAPING)) < 80 + 0.01 * len(pairs)


def test_extreme_symbols_in_every_table() -> None:
    values = [-MAX_SYMBOL, -129, -128, -65, -64, -4, -2, 2, 4, 6, 63, 64, 127, 128, 8191, 8192, MAX_SYMBOL]
    pairs = list(product(range(3), values))
    index, symbols = np.array([t for t, _ in pairs]), np.array([s for _, s in pairs], np.int16)
    assert np.array_equal(decode(encode(symbols, index, ESCAPING), index, ESCAPING), symbols)


def test_nothing_takes_one_byte() -> None:
    nothing = np.empty(0, np.int16)
    assert encode(nothing, nothing, ESCAPING) == b"\0"
    assert decode(b"\0", nothing, ESCAPING).size == 0
    with pytest.raises(BadFile):
        decode(b"\1\1", nothing, ESCAPING)


def test_one_table_alone() -> None:
    only = tables([65535, 1], low=[7], escape=True)
    symbols = np.full(5000, 7, np.int16)
    index = np.zeros(5000, np.uint8)
    data = encode(symbols, index, only)
    assert len(data) <= 9
    assert np.array_equal(decode(data, index, only), symbols)


def test_order_within_a_table_is_kept() -> None:
    index = np.array([1, 0, 1, 0, 2, 0, 1], np.uint8)
    symbols = np.array([5, -1, 90, 1, 2, 0, -5], np.int16)
    assert decode(encode(symbols, index, ESCAPING), index, ESCAPING).tolist() == symbols.tolist()


def test_a_symbol_outside_a_table_without_escape_is_no_silent_error() -> None:
    with pytest.raises(KeyError):
        encode(np.array([2], np.int16), np.zeros(1, np.uint8), PLAIN)


def test_ideal_bits_are_those_of_the_frequencies() -> None:
    symbols, index = np.array([-1, 0, 10, 11], np.int16), np.array([0, 0, 1, 1])
    assert ideal_bits(symbols, index, PLAIN) == pytest.approx(1 + 2 + 16 - np.log2(65535 / 65536))
    # An escape costs its entry in the table and the whole bytes behind it.
    escape = -np.log2(536 / 65536)
    for symbol, size in ((2, 1), (-64, 1), (64, 2), (MAX_SYMBOL, 3)):
        one = np.array([symbol], np.int16)
        assert ideal_bits(one, np.zeros(1, np.uint8), ESCAPING) == pytest.approx(escape + 8 * size)


# Garbage


@given(st.binary(max_size=60), st.lists(st.integers(0, 2), max_size=40))
def test_garbage_is_refused_or_decodes_to_symbols(data: bytes, index: list[int]) -> None:
    for table in (ESCAPING, PLAIN):
        try:
            symbols = decode(data, np.array(index, np.uint8) % len(table.low), table)
        except BadFile:
            continue
        assert symbols.shape == (len(index),)
        assert symbols.size == 0 or np.abs(symbols.astype(int)).max() <= MAX_SYMBOL


def test_escapes_are_checked() -> None:
    index, symbols = np.zeros(3, np.uint8), np.array([0, 300, 0], np.int16)
    data = encode(symbols, index, ESCAPING)
    assert data[:3] == bytes([2, 0xD8, 0x04])  # two bytes of escapes: 600 = zigzag of 300
    words = data[3:]
    assert decode(b"\2\xd8\4" + words, index, ESCAPING).tolist() == [0, 300, 0]
    for escapes in (
        b"\1\0",  # 0 is in the table
        b"\1\1",  # so is -1
        b"\3\xd8\4\0",  # one left over
        b"\0",  # none
        b"\2\xd8\x84",  # no end
        b"\3\xd8\x84\0",  # not the shortest form
        b"\3\xff\xff\x0f",  # beyond int16
        b"\4\xff\xff\xff\x7f",
        b"\x0a" + b"\4" * 10,  # more than three bytes for each symbol
        b"\x82\0\xd8\4",  # a length that is not in its shortest form
        b"\xff\xff\xff\xff\x7f",
    ):
        with pytest.raises(BadFile):
            decode(escapes + words, index, ESCAPING)


def test_words_are_checked() -> None:
    index, symbols = np.zeros(100, np.uint8), np.tile(np.array([-1, 0, 1, 1], np.int16), 25)
    data = encode(symbols, index, PLAIN)
    for wrong in (b"", b"\x80", data + b"\0", data[:-1], data + b"\1\2\3\4" * 3):
        with pytest.raises(BadFile):
            decode(wrong, index, PLAIN)


def test_bytes_that_no_encoder_makes_are_refused() -> None:
    """The coder's own complaint: a point outside of the range."""
    with pytest.raises(BadFile, match="does not decode"):
        decode(b"\0" + b"\xff" * 12, np.zeros(9, np.uint8), PLAIN)


def test_an_index_without_table_is_the_models_fault() -> None:
    with pytest.raises(BadModel):
        decode(b"\0", np.array([0, 3]), ESCAPING)


def test_models_of_the_coder_are_made_when_needed() -> None:
    fresh = tables([32768, 32768], [1, 65535], low=[0, 0], escape=False)
    encode(np.zeros(1, np.int16), np.ones(1, np.uint8), fresh)
    assert list(fresh.models) == [1]


def test_the_coder_is_pinned_to_a_minor_version() -> None:
    from importlib.metadata import version

    assert version("constriction").startswith("0.5."), "prove the words above again before this is raised"
    assert entropy.FREQUENCY_BITS == 16
