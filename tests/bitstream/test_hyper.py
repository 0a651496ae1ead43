"""z and its payload: what is coded after what, which tables that gives, and that it comes back and pays."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nicodec.bitstream import entropy, hyper
from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.hyper import HyperTables
from nicodec.errors import BadFile, BadModel
from nicodec.model import tables as tables_of_model
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import NETWORKS

CHANNELS, LOW, SYMBOLS = 3, -8, 17
BOUNDS = (-24, -6, 7, 24)


def tables() -> HyperTables:
    """For symbols near the mean of their neighbours, told in twelfths by `BOUNDS`."""
    values = np.arange(LOW, LOW + SYMBOLS)
    rows = []
    for centre in (0.0, -3.0, -1.2, 0.0, 1.2, 3.0):
        p = np.exp(-((values - centre) ** 2) / (8.0 if len(rows) == 0 else 2.0)) + 1e-4
        f = np.maximum(1, np.floor(p / p.sum() * 65536)).astype(int)
        f[f.argmax()] += 65536 - f.sum()
        rows += [f] * (ANCHORS * CHANNELS)
    count = len(rows)
    return HyperTables(
        Tables(
            np.concatenate(rows).astype(np.uint16),
            (np.arange(count + 1) * SYMBOLS).astype(np.int32),
            np.full(count, LOW, np.int16),
            escape=False,
        ),
        np.tile(np.array(BOUNDS, np.int16), (ANCHORS * CHANNELS, 1)),
        CHANNELS,
    )


def latent(rows: int, columns: int, seed: int = 0) -> Any:
    """z (1, Z, R, S), smooth in places."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 2.5, (CHANNELS, rows // 4 + 2, columns // 4 + 2)).repeat(4, 1).repeat(4, 2)
    z = np.rint(coarse[:, :rows, :columns] + rng.normal(0, 0.6, (CHANNELS, rows, columns)))
    return z.clip(LOW, LOW + SYMBOLS - 1).astype(np.int8)[None]


SIZES = sorted({(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 5), (5, 9), (8, 12), (1, 30), (31, 2)})


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_z_comes_back(rows: int, columns: int) -> None:
    coder, z = tables(), latent(rows, columns)
    for quality in (0, 4200, 10000):
        assert np.array_equal(coder.read(coder.write(z, quality), rows, columns, quality), z)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_each_cell_is_coded_once_and_after_its_neighbours(rows: int, columns: int) -> None:
    known = np.zeros((rows, columns), int)
    for cells, around in hyper.phases(rows, columns):
        for i, j in np.argwhere(cells):
            near = [(i + m, j + n) for m, n in around if 0 <= i + m < rows and 0 <= j + n < columns]
            assert bool(near) == bool(around)
            assert all(known[place] for place in near)
        known += cells
    assert (known == 1).all()


def test_tables_are_those_of_the_format() -> None:
    """By docs/FORMAT.md, cell by cell."""
    coder, z = tables(), latent(7, 6, seed=3)
    own = np.arange(CHANNELS) + 4 * CHANNELS
    expected = np.zeros(z.shape[1:], int)
    known: set[tuple[int, int]] = set()
    for s, n in ((2, 0), (2, 2), (2, 1), (1, 2), (1, 1)):
        group = [
            (i, j)
            for i, j in product(range(0, 7, s), range(0, 6, s))
            if i // s % 2 + j // s % 2 == n
        ]  # fmt: skip
        for i, j in group:
            near = [(a, b) for a, b in known if abs(a - i) + abs(b - j) == n * s]
            for c in range(CHANNELS):
                total = sum(int(z[0, c, a, b]) for a, b in near)
                k = 1 + sum(12 * total >= len(near) * b for b in BOUNDS) if n else 0
                expected[c, i, j] = own[c] + k * ANCHORS * CHANNELS
        known |= set(group)
    found = np.zeros_like(expected)
    for cells, index in coder.groups(z, 4200):
        found[:, cells] = index
    assert np.array_equal(found, expected)


def test_neighbours_pay_and_files_take_what_the_tables_say() -> None:
    z, coder = latent(40, 40), tables()
    size = len(coder.write(z, 5000))
    without = np.repeat(5 * CHANNELS + np.arange(CHANNELS), 40 * 40)
    assert size < 0.95 * entropy.ideal_bits(z.reshape(-1), without, coder.tables) / 8
    bits = sum(
        entropy.ideal_bits(z[0][:, cells].reshape(-1), index.reshape(-1), coder.tables)
        for cells, index in coder.groups(z, 5000)
    )
    assert bits / 8 <= size <= bits / 8 + 10


def test_a_payload_ends_with_its_last_group() -> None:
    coder, z = tables(), latent(5, 9)
    payload = coder.write(z, 5000)
    for damaged in (payload + bytes(range(8)), payload[:-1]):
        with pytest.raises(BadFile):
            coder.read(damaged, 5, 9, 5000)


def model(config: Any = CHANNELS, **change: Any) -> Checkpoint:
    """A model of these tables and nothing else, but for what is changed; None takes an array away."""
    made = tables()
    parts = {f"tables.z.{part}": getattr(made.tables, part) for part in ("frequencies", "start", "low")}
    arrays = parts | {"tables.z.bounds": made.bounds} | {f"tables.z.{k}": v for k, v in change.items()}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    return Checkpoint("my", Path("my.nicmodel"), "0" * 64, replace(NETWORKS["fast"], z=config), arrays)


def test_the_tables_of_a_model() -> None:
    found, z = tables_of_model.z_tables(model()), latent(5, 9)
    assert found.channels == CHANNELS
    assert found.write(z, 5000) == tables().write(z, 5000)
    assert found.ranges(5000)[0].tolist() == [LOW] * CHANNELS
    assert found.ranges(5000)[1].tolist() == [LOW + SYMBOLS - 1] * CHANNELS


LOWER = tables().tables.low.copy()
LOWER[-1] -= 1


@pytest.mark.parametrize(
    "change",
    [
        {"config": 2},
        {"bounds": None},
        {"bounds": np.zeros((ANCHORS * CHANNELS, 3), np.int16)},
        {"bounds": np.zeros((ANCHORS * CHANNELS, 0), np.int16)},
        {"bounds": np.zeros((ANCHORS * CHANNELS, 40), np.int16)},
        {"bounds": np.zeros((ANCHORS * CHANNELS - 1, 4), np.int16)},
        {"bounds": np.zeros((ANCHORS * CHANNELS, 4), np.int32)},
        {"bounds": np.zeros(ANCHORS * CHANNELS * 4, np.int16)},
        {"low": LOWER},
    ],
    ids=str,
)  # fmt: skip
def test_tables_that_do_not_belong_together_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadModel, match=r"^my\.nicmodel: "):
        tables_of_model.z_tables(model(**change))
