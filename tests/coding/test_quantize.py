"""Quality to integers, floats to symbols: the only place that rounds, to the last half."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nicodec.bitstream.entropy import MAX_SYMBOL
from nicodec.coding import quantize
from nicodec.coding.prior import phase0
from nicodec.coding.quantize import hyper_symbols, planes, quality_index, residual, samples
from nicodec.errors import NicError


def made(x: Any, channels: int) -> Any:
    """The samples of planes."""
    return samples(x, np.empty((*x.shape[2:], channels), np.uint8))


def test_quality_in_hundredths() -> None:
    qualities: tuple[Any, ...] = (0, 50, 100, 12.34, 0.004, 99.999, np.float32(7.5), np.int64(3), True)
    assert [quality_index(q) for q in qualities] == [0, 5000, 10000, 1234, 0, 10000, 750, 300, 100]


@pytest.mark.parametrize(
    "quality", [-1, -1e-9, 100.001, float("nan"), float("inf"), 10**400, "50", None, 1j, Fraction(1, 2), [50]]
)
def test_any_other_quality_is_refused(quality: Any) -> None:
    with pytest.raises(NicError, match="quality must be a number from 0 to 100"):
        quality_index(quality)


def test_residuals_round_halves_up_and_stay_in_range() -> None:
    y = np.array([-1.5, -0.5, 0.49, 0.5, 1.5, 1e9, -1e9], np.float32)
    symbols = residual(y)
    assert symbols.dtype == np.int16
    assert symbols.tolist() == [-1, 0, 0, 1, 2, MAX_SYMBOL, -MAX_SYMBOL]


def test_symbols_are_zero_under_the_threshold_of_their_table() -> None:
    y = np.array([-0.6, -0.9, 0.5, 0.79, 0.8, 1.5, -2.5, 1e9], np.float32).reshape(1, 2, 2, 2)
    thresholds = np.array([0.5, 0.8, 1], np.float32)
    symbols = quantize.symbols(y, np.array([0, 2, 0, 1, 1, 2, 0, 9], np.uint8).reshape(y.shape), thresholds)
    assert symbols.dtype == np.int16
    assert symbols.flatten().tolist() == [-1, 0, 1, 0, 1, 2, -2, MAX_SYMBOL]


def test_symbols_of_settled_tables_are_zero() -> None:
    y = np.array([-0.6, -0.9, 700, 0.79], np.float32).reshape(1, 1, 2, 2)
    zones = quantize.settled(np.array([0.5, 0.6], np.float32), np.array([True, False, True, False]))
    assert zones.tolist() == [np.inf, np.float32(0.6), np.inf, np.float32(0.6)]
    symbols = quantize.symbols(y, np.array([0, 1, 2, 3], np.uint8).reshape(y.shape), zones)
    assert symbols.flatten().tolist() == [0, -1, 0, 1]


def test_symbols_of_many_channels_are_rounded_in_parts_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y, index = rng.normal(0, 2, (1, 7, 4, 5)).astype(np.float32), rng.integers(0, 3, (1, 7, 4, 5)).astype(np.uint8)
    thresholds = np.array([0.5, 0.8, 1], np.float32)
    whole = quantize.symbols(y, index, thresholds)
    monkeypatch.setattr(quantize, "SOME", 40)
    assert np.array_equal(quantize.symbols(y, index, thresholds), whole)


def test_symbols_are_residuals_where_every_threshold_is_one_half() -> None:
    y = np.random.default_rng(0).normal(0, 2, (1, 3, 8, 8)).astype(np.float32)
    index = np.zeros(y.shape, np.uint8)
    assert np.array_equal(quantize.symbols(y, index, np.array([0.5], np.float32)), residual(y))


def test_hyper_symbols_stay_inside_their_tables() -> None:
    z = np.array([-99, -0.5, 0.5, 99], np.float32).reshape(1, 1, 2, 2).repeat(2, 1)
    symbols = hyper_symbols(z, np.array([-3, 0], np.int16), np.array([63, 1], np.int32))
    assert symbols.dtype == np.int8
    assert symbols.reshape(2, 4).tolist() == [[-3, 0, 1, 63], [0, 0, 1, 1]]


def test_the_first_phase_is_a_chequerboard_that_alternates_with_the_channel() -> None:
    mask = phase0((1, 2, 2, 3))
    assert mask.astype(int).tolist() == [[[[1, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 1]]]]


def test_samples_are_rounded_clipped_and_cropped() -> None:
    x = np.full((1, 3, 16, 16), 9, np.float32)
    x[0, :, :2, :3] = np.array([-0.5, -0.5 + 0.4 / 255, -0.5 + 0.6 / 255, 0, 0.5, -7]).reshape(2, 3)
    pixels = made(x[:, :, :2, :3], 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.tolist() == [[[0] * 3, [0] * 3, [1] * 3], [[128] * 3, [255] * 3, [0] * 3]]


@pytest.mark.parametrize("channels", [1, 3])
def test_planes_are_what_samples_undoes(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, channels), np.uint8)
    pixels[0, :2] = [[0], [255]]
    x = planes(pixels)
    assert x.dtype == np.float32
    assert x.shape == (1, 3, 16, 24)
    assert x.flags.c_contiguous
    assert np.array_equal(x, (pixels.astype(np.float32) / 255 - 0.5).transpose(2, 0, 1)[None].repeat(3 // channels, 1))
    assert (x.min(), x.max()) == (-0.5, 0.5)
    assert np.array_equal(made(x[:, :, :16, :24], channels), pixels)


def test_gray_is_the_mean_of_the_planes() -> None:
    x = np.array([10, 20, 60], np.float32).reshape(1, 3, 1, 1) / 255 - 0.5
    assert made(x[:, :, :1, :1], 1).tolist() == [[[30]]]
