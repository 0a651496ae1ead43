"""What both ends must agree on: tables, and the integer path against plain integers, bit for bit."""

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.bitstream import anchors
from nicodec.bitstream.hyper import MAX_HYPER
from nicodec.model import checkpoint
from nicodec.model.backends import OnnxNetworks as Networks
from nicodec.model.checkpoint import Checkpoint

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
        weight, bias, scale = (model.array(f"h_sigma.layers.{i}.{part}") for part in ("weight", "bias", "scale"))
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
        index = networks.h_sigma(z, anchors.integer_hats(quality))
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
        index = networks.h_sigma(z[None], anchors.integer_hats(3333))
        assert np.array_equal(index[0], scale_indices(model, z, 3333))


def test_typical_hyper_latents_use_many_tables(model: Checkpoint) -> None:
    """So that the comparison above is not one of saturated numbers alone."""
    channels = model.array("h_sigma.layers.0.weight").shape[1]
    z = np.random.default_rng(0).integers(-3, 4, (1, channels, 3, 3), np.int8)
    index = Networks(model, 1).h_sigma(z, anchors.integer_hats(5000))
    assert np.array_equal(index[0], scale_indices(model, z[0], 5000))
    assert len(np.unique(index)) > 20


def test_integer_hats() -> None:
    for anchor in range(11):
        assert anchors.integer_hats(1000 * anchor).tolist() == [[16.0 if k == anchor else 0.0 for k in range(11)]]
    assert anchors.integer_hats(1500).tolist()[0][:4] == [0, 8, 8, 0]
    assert anchors.integer_hats(31).tolist()[0][:3] == [16, 0, 0]
    assert anchors.integer_hats(32).tolist()[0][:3] == [15, 1, 0]
    for quality in range(10001):
        hats = anchors.integer_hats(quality)
        assert hats.dtype == np.float32
        assert hats.sum() in (16, 17)
        assert (hats > 0).sum() <= 2


def test_each_quality_uses_the_tables_of_the_nearest_anchor() -> None:
    for quality, anchor in ((0, 0), (499, 0), (500, 1), (1499, 1), (9499, 9), (9500, 10), (10000, 10)):
        assert anchors.hyper_index(quality, 3).tolist() == [3 * anchor, 3 * anchor + 1, 3 * anchor + 2]
