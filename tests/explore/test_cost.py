"""The cost of a picture: the bits of its file, the errors of its pixels, cell by cell and whole."""

import numpy as np
import pytest

import nicodec
from nicodec.codec import Codec
from nicodec.coding.quantize import lambda_of
from nicodec.errors import NicError
from nicodec.explore import cost
from nicodec.picture import metrics


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo-fast", threads=1)


def waves(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([128 + 60 * np.sin((x + 2 * y) / 20 + p) for p in range(channels)], -1).round().astype(np.uint8)


def test_the_sums_are_those_of_the_file_and_its_pixels(codec: Codec) -> None:
    pixels = waves(100, 150)
    data = codec.encode(pixels, quality=60, lossless=False)
    found = cost.of(pixels, codec, quality=60)
    symbols = 8 * sum(size for kind, size in nicodec.info(data).chunks if kind in ("Y", "Z"))
    assert found.total_bits == pytest.approx(symbols, abs=100)
    assert found.other + found.total_bits == 8 * len(data)
    squares = np.square(np.asarray(codec.decode(data), float) - pixels)
    assert found.total_error == pytest.approx(squares.sum() / 3)
    assert found.weight == lambda_of(6000)
    assert found.total_cost == pytest.approx(found.total_bits + lambda_of(6000) * squares.sum() / 3)


def test_each_cell_of_16_has_its_own_error(codec: Codec) -> None:
    pixels = waves(40, 50)
    found = cost.of(pixels, codec)
    back = np.asarray(codec.decode(codec.encode(pixels, lossless=False)), float)
    squares = np.square(back - pixels).mean(axis=2)
    assert found.bits.shape == found.error.shape == found.cost.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            expected = squares[16 * i : 16 * i + 16, 16 * j : 16 * j + 16].sum()
            assert found.error[i, j] == pytest.approx(expected)


def test_bits_lie_where_the_detail_is(codec: Codec) -> None:
    pixels = np.full((192, 192, 3), 128, np.uint8)
    pixels[64:128, 128:192] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    found = cost.of(pixels, codec).bits
    assert found[4:8, 8:12].sum() > 0.8 * found.sum()


def test_bits_of_z_are_spread_over_its_cell(codec: Codec) -> None:
    data = codec.encode(waves(64, 64), lossless=False)
    latents = codec.latents(data)
    plain = latents.bits.sum(axis=0, dtype=float)
    np.testing.assert_allclose(cost.of(data, codec).bits, plain + latents.z_bits.sum() / 16, rtol=1e-5)


def test_no_symbol_beyond_the_edge_is_lost(codec: Codec) -> None:
    data = codec.encode(waves(65, 17), lossless=False)
    latents, found = codec.latents(data), cost.of(data, codec)
    assert found.bits.shape == (5, 2)
    assert found.total_bits == pytest.approx(float(latents.bits.sum(dtype=float) + latents.z_bits.sum(dtype=float)))


def test_a_nic_file_alone_has_bits_and_no_error(codec: Codec) -> None:
    pixels = waves(64, 64)
    data = codec.encode(pixels, quality=30, lossless=False)
    alone, both = cost.of(data, codec), cost.of(data, codec, original=pixels)
    assert (alone.error, alone.cost, alone.total_error, alone.total_cost) == (None, None, None, None)
    assert alone.quality == 30
    np.testing.assert_array_equal(alone.bits, both.bits)
    assert both.total_error == cost.of(pixels, codec, quality=30).total_error


def test_what_is_under_alpha_0_has_no_error(codec: Codec) -> None:
    pixels = np.dstack([waves(64, 64), np.full((64, 64), 255, np.uint8)])
    pixels[:16, :32, 3] = 0
    found = cost.of(pixels, codec)
    assert found.error[0, :2].max() == 0
    assert found.error[1:].min() > 0
    np.testing.assert_array_equal(metrics.visible(64, 64, pixels[:, :, 3])[0], [0, 0, 256, 256])


def test_gray_and_16_bits_are_measured_in_8(codec: Codec) -> None:
    gray = waves(48, 48, 1)
    eight, sixteen = cost.of(gray, codec), cost.of(gray.astype(np.uint16) * 257, codec)
    assert eight.total_error == pytest.approx(sixteen.total_error, rel=0.05)


def test_what_cannot_be_measured_is_an_error(codec: Codec) -> None:
    data = codec.encode(waves(64, 64), lossless=False)
    with pytest.raises(NicError, match="the original is 32x64"):
        cost.of(data, codec, original=waves(64, 32))
    with pytest.raises(NicError, match="lossless"):
        cost.of(codec.encode(waves(64, 64), lossless=True), codec)
