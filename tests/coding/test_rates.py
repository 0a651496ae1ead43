"""Rates: the bits that the coder's own tables give, whole and between two symbols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nicodec.bitstream import entropy
from nicodec.coding.rates import Rates
from nicodec.model import checkpoint, tables

TINY = Path(__file__).parents[1] / "fuzz" / "tiny.nicmodel"


@pytest.fixture(scope="module", params=["tiny", "photo"])
def y_tables(request: pytest.FixtureRequest) -> entropy.Tables:
    return tables.y_tables(checkpoint.load(TINY if request.param == "tiny" else checkpoint.find(request.param)))


def test_symbols_of_a_table_cost_what_the_coder_takes(y_tables: entropy.Tables) -> None:
    rates = Rates(y_tables)
    for table, (low, high) in enumerate(zip(y_tables.low, y_tables.high, strict=True)):
        symbols = np.arange(low, high + 1)
        index = np.full(len(symbols), table, np.uint8)
        ideal = entropy.ideal_bits(symbols, index, y_tables)
        assert rates.of(index).total(symbols.astype(np.float32)) == pytest.approx(ideal, rel=1e-5, abs=1e-6)


def test_slopes_lead_from_each_symbol_to_the_next(y_tables: entropy.Tables) -> None:
    """To an escape at either end of a table, and nowhere beyond it."""
    rates = Rates(y_tables)
    for table in range(len(y_tables.low)):
        symbols = np.arange(y_tables.low[table] - 4, y_tables.high[table] + 5).astype(np.float32)
        one = np.full(1, table, np.uint8)
        bits = np.array([rates.of(one).total(symbol[None]) for symbol in symbols])
        slopes = rates.of(np.full(len(symbols) - 1, table, np.uint8)).slopes(symbols[:-1])
        assert slopes == pytest.approx(np.diff(bits), abs=1e-4)
        assert not slopes[:2].any()
        assert not slopes[-2:].any()


def test_an_escape_costs_more_than_any_symbol(y_tables: entropy.Tables) -> None:
    rates = Rates(y_tables)
    for table in np.flatnonzero(~y_tables.settled):
        one = np.full(1, table, np.uint8)
        escape = rates.of(one).total(np.float32([30_000]))
        assert escape == rates.of(one).total(np.float32([-30_000]))
        assert escape > rates.of(one).total(np.float32([0])) + 8


def test_a_settled_table_costs_nothing(y_tables: entropy.Tables) -> None:
    index = np.flatnonzero(y_tables.settled).astype(np.uint8)
    settled = Rates(y_tables).of(index)
    assert settled.settled.all()
    assert settled.total(np.zeros(len(index), np.float32)) == 0
    assert not settled.slopes(np.zeros(len(index), np.float32)).any()
