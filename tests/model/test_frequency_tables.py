"""The frequency tables of a model: whole, or refused as a BadModel that names them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import BadModel
from nicodec.model import checkpoint, tables
from nicodec.model.checkpoint import Checkpoint

Integers = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return checkpoint.load(checkpoint.find("photo"))


def test_the_shipped_tables(model: Checkpoint) -> None:
    y = tables.y_tables(model)
    z = tables.z_tables(model).tables
    assert len(y.low) == 64
    sets = model.array("tables.z.bounds").shape[1] + 2
    assert len(z.low) == sets * 11 * model.array("h_sigma.layers.0.weight").shape[1]
    assert not z.settled.any()
    settled = int(y.settled.sum())
    assert y.settled.tolist() == [True] * settled + [False] * (64 - settled)  # the smallest scales
    for table in (y, z):
        for t in (settled, settled + 1, len(table.low) - 1):
            p = table.probabilities(t)
            assert p.sum() == 1
            assert len(p) == table.high[t] - table.low[t] + 1 + table.escape


def test_tables_end_where_they_say(model: Checkpoint) -> None:
    plain = replace_tables(model, frequencies=np.array([32768, 32768, 65534, 1, 1], np.uint16))
    table = tables._tables(plain, "y", 10, escape=False)
    assert table.high.tolist() == [0, 7]
    assert tables._tables(plain, "y", 10, escape=True).high.tolist() == [-1, 6]
    assert table.probabilities(1).tolist() == [65534 / 65536, 1 / 65536, 1 / 65536]


def replace_tables(model: Checkpoint, **change: Any) -> Checkpoint:
    """The model with two small tables, sound but for what is changed."""
    parts: dict[str, Any] = {
        "frequencies": np.array([32768, 32768, 65535, 1], np.uint16),
        "start": np.array([0, 2, 2 + len(change.get("frequencies", [0] * 4)) - 2], np.int32),
        "low": np.array([-1, 5], np.int16),
    }
    return replace(model, tensors={f"tables.y.{k}": v for k, v in (parts | change).items()})


@pytest.mark.parametrize(
    "change",
    [
        {"frequencies": np.array([32768, 32767, 65535, 1], np.uint16)},  # 65535 in all
        {"frequencies": np.array([32768, 32768, 0, 0], np.uint16)},
        {"frequencies": np.array([32768, 32768, 1], np.uint16)},  # one entry has all, or 0
        {"frequencies": np.array([32768, 32768, 65535], np.uint16)},
        {"frequencies": np.array([32768, 32768, 0], np.uint16)},  # but its symbol, here 5, is 0
        {"frequencies": np.array([32768, 32768, 65535, 1], np.int32)},
        {"frequencies": np.array([[32768, 32768], [65535, 1]], np.uint16)},
        {"frequencies": np.array([], np.uint16)},
        {"frequencies": np.array([32768, 32768, 0, 65535, 1], np.uint16), "start": np.array([0, 3, 5], np.int32)},
        {"start": np.array([0, 2, 5], np.int32)},
        {"start": np.array([0, 2], np.int32)},
        {"start": np.array([0, 2, 3], np.int32)},
        {"start": np.array([1, 2, 4], np.int32)},
        {"start": np.array([0, 4, 4], np.int32)},
        {"start": np.array([0, 3, 4], np.int32)},
        {"start": np.array([0, 99, 4], np.int32)},
        {"start": np.array([0, -1, 4], np.int32)},
        {"start": np.array([0, -(2**31), 4], np.int32)},
        {"start": np.array([], np.int32)},
        {"start": np.array(0, np.int32)},
        {"start": np.array([0, 2, 4], np.int64)},
        {"low": np.array([-1], np.int16)},
        {"low": np.array([], np.int16), "start": np.array([0], np.int32)},
        {"low": np.array([-11, 5], np.int16)},
        {"low": np.array([-1, 10], np.int16)},
        {"low": np.array([-1, 32767], np.int16)},
    ],
    ids=lambda change: "-".join(f"{k}{v.tolist()}" for k, v in change.items()),
)
def test_other_tables_are_refused(model: Checkpoint, change: dict[str, Any]) -> None:
    assert tables._tables(replace_tables(model), "y", 10, escape=False).high.tolist() == [0, 6]
    with pytest.raises(BadModel, match=r"tables\.y"):
        tables._tables(replace_tables(model, **change), "y", 10, escape=False)


def test_missing_tables_are_named(model: Checkpoint) -> None:
    bare = replace(model, path=Path("my.nicmodel"), tensors={})
    with pytest.raises(BadModel, match=r"my\.nicmodel: the model lacks tables\.z\.frequencies"):
        tables.z_tables(bare)
