"""What both ends must agree on: tables, and the integer path against plain integers, bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec import checkpoint, prior
from nicodec.checkpoint import Checkpoint
from nicodec.errors import BadModel
from nicodec.quantize import MAX_HYPER, MAX_SYMBOL
from nicodec.transform import Networks

Integers = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return checkpoint.load(checkpoint.find("photo"))


# The integer path


def depth_to_space(a: Integers) -> Integers:
    """(C, h, w) -> (C/4, 2h, 2w): of the four groups of channels, each fills one corner of every 2x2."""
    c, h, w = a.shape
    return a.reshape(2, 2, c // 4, h, w).transpose(2, 3, 0, 4, 1).reshape(c // 4, 2 * h, 2 * w)


def unfold(a: Integers) -> Integers:
    """(C, h, w) -> (9C, h, w): the 3x3 neighbours of each position, in (row, column, channel) order."""
    _c, h, w = a.shape
    padded = np.pad(a, ((0, 0), (1, 1), (1, 1)))
    return np.concatenate([padded[:, y : y + h, x : x + w] for y in range(3) for x in range(3)])


def scale_indices(model: Checkpoint, z: npt.NDArray[np.int8], quality: int) -> Integers:
    """The scale decoder in whole numbers: z (Z, h, w) -> the table of each symbol (L, 4h, 4w)."""
    hats = np.array([(max(0, 1000 - abs(quality - 1000 * k)) * 16 + 500) // 1000 for k in range(11)])
    a: Integers = z.astype(np.int64)
    for i, top in enumerate((255, 255, 255, 63)):
        weight, bias, scale = (
            model.array(f"h_sigma.layers.{i}.{part}") for part in ("weight", "bias", "scale")
        )
        shift = -np.log2(scale.astype(np.float64)).reshape(-1, 1, 1)
        assert np.array_equal(shift, np.rint(shift))
        assert shift.min() >= 1
        s = shift.astype(np.int64)
        if i == 2:
            a = unfold(a)
        offset = (hats @ bias.astype(np.int64) + 8) // 16
        total = np.tensordot(weight[:, :, 0, 0].astype(np.int64), a, 1) + offset[:, None, None]
        assert np.abs(total).max() < 2**24
        a = np.clip((total + (1 << s - 1)) >> s, 0, top)
        if i < 2:
            a = depth_to_space(a)
    return a


@pytest.mark.parametrize("threads", [1, 2])
def test_scale_indices_are_those_of_whole_numbers(model: Checkpoint, threads: int) -> None:
    networks = Networks(model, threads)
    channels = model.array("h_sigma.layers.0.weight").shape[1]
    rng = np.random.default_rng(threads)
    shapes = [(1, 1), (2, 3), (3, 1), (1, 5), (4, 4), (2, 2)]
    for (rows, columns), quality in zip(shapes, (0, 1234, 5000, 7777, 9950, 10000), strict=True):
        z = rng.integers(-MAX_HYPER, MAX_HYPER, (1, channels, rows, columns), np.int8, endpoint=True)
        index = networks.h_sigma(z, prior.integer_hats(quality))
        assert index.dtype == np.uint8
        assert np.array_equal(index[0], scale_indices(model, z[0], quality))


@pytest.mark.parametrize("value", [-MAX_HYPER, -1, 0, 1, MAX_HYPER])
def test_scale_indices_at_the_ends_of_the_range(model: Checkpoint, value: int) -> None:
    """All values alike, and all signs against the weights of one channel: the largest sums there are."""
    networks = Networks(model, 1)
    weight = model.array("h_sigma.layers.0.weight")
    flat = np.full((weight.shape[1], 1, 2), value, np.int8)
    worst = np.sign(weight[3]).reshape(-1, 1, 1).repeat(2, 2).astype(np.int8) * np.int8(value)
    for z in (flat, worst):
        index = networks.h_sigma(z[None], prior.integer_hats(3333))
        assert np.array_equal(index[0], scale_indices(model, z, 3333))


def test_typical_hyper_latents_use_many_tables(model: Checkpoint) -> None:
    """So that the comparison above is not one of saturated numbers alone."""
    channels = model.array("h_sigma.layers.0.weight").shape[1]
    z = np.random.default_rng(0).integers(-3, 4, (1, channels, 3, 3), np.int8)
    index = Networks(model, 1).h_sigma(z, prior.integer_hats(5000))
    assert np.array_equal(index[0], scale_indices(model, z[0], 5000))
    assert len(np.unique(index)) > 20


def test_integer_hats() -> None:
    for anchor in range(11):
        assert prior.integer_hats(1000 * anchor).tolist() == [
            [16.0 if k == anchor else 0.0 for k in range(11)]
        ]
    assert prior.integer_hats(1500).tolist()[0][:4] == [0, 8, 8, 0]
    assert prior.integer_hats(31).tolist()[0][:3] == [16, 0, 0]
    assert prior.integer_hats(32).tolist()[0][:3] == [15, 1, 0]
    for quality in range(10001):
        hats = prior.integer_hats(quality)
        assert hats.dtype == np.float32
        assert hats.sum() in (16, 17)
        assert (hats > 0).sum() <= 2


def test_each_quality_uses_the_tables_of_the_nearest_anchor() -> None:
    for quality, anchor in ((0, 0), (499, 0), (500, 1), (1499, 1), (9499, 9), (9500, 10), (10000, 10)):
        assert prior.hyper_index(quality, 3).tolist() == [3 * anchor, 3 * anchor + 1, 3 * anchor + 2]


# The tables


def test_the_shipped_tables(model: Checkpoint) -> None:
    y = prior.tables(model, "y", MAX_SYMBOL, escape=True)
    z = prior.tables(model, "z", MAX_HYPER, escape=False)
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
    table = prior.tables(plain, "y", 10, escape=False)
    assert table.high.tolist() == [0, 7]
    assert prior.tables(plain, "y", 10, escape=True).high.tolist() == [-1, 6]
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
        {
            "frequencies": np.array([32768, 32768, 0, 65535, 1], np.uint16),
            "start": np.array([0, 3, 5], np.int32),
        },
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
    assert prior.tables(replace_tables(model), "y", 10, escape=False).high.tolist() == [0, 6]
    with pytest.raises(BadModel, match=r"tables\.y"):
        prior.tables(replace_tables(model, **change), "y", 10, escape=False)


def test_missing_tables_are_named(model: Checkpoint) -> None:
    bare = replace(model, path=Path("my.nicmodel"), tensors={})
    with pytest.raises(BadModel, match=r"my\.nicmodel: the model lacks tables\.z\.frequencies"):
        prior.tables(bare, "z", MAX_HYPER, escape=False)
