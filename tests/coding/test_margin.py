"""The margin beyond a picture: smooth samples, no symbols, and so hardly any bytes; decoders never show it."""

import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nicodec
from nicodec.bitstream import container, entropy
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding import margin, prior, quantize

SIZES = [(1, 1), (1, 65), (63, 64), (64, 64), (70, 150), (129, 20)]


def texture(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Waves and noise, which cost bits wherever they are."""
    i, j, c = np.ogrid[:height, :width, :channels]
    waves = 120 + 40 * np.sin(i / 7 + c) + 40 * np.cos(j / 9)
    return np.clip(waves + np.random.default_rng(0).normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_picture_is_extended_to_whole_cells_and_stays_as_it_is(height: int, width: int, dtype: Any) -> None:
    pixels = texture(height, width).astype(dtype) * (np.iinfo(dtype).max // 255)
    whole = Box(0, 0, -(-height // 64) * 64, -(-width // 64) * 64)
    found = margin.cut(pixels, whole)
    assert found.shape == (whole.bottom, whole.right, 3)
    assert found.dtype == dtype
    assert np.array_equal(found[:height, :width], pixels)
    # Every box sees the same margin: so windows find the latents of the whole.
    for box in (Box(0, 0, 64, 64), Box(whole.bottom - 64, whole.right - 64, *whole[2:]), whole.grown(-16, whole)):
        assert np.array_equal(margin.cut(pixels, box), found[box.top : box.bottom, box.left : box.right])


@pytest.mark.parametrize("transposed", [False, True])
def test_memory_follows_the_box_and_not_the_picture(transposed: bool) -> None:
    line = np.zeros((1, 2_000_000, 3), np.uint8)
    pixels, box = (line.swapaxes(0, 1), Box(1_999_936, 0, 2_000_000, 64)) if transposed else (line, Box(0, 0, 64, 64))
    tracemalloc.start()
    margin.cut(pixels, box)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_margin_is_smooth_and_goes_on_from_the_edge() -> None:
    flat = np.full((70, 150, 3), (10, 200, 90), np.uint8)
    assert (margin.cut(flat, Box(0, 0, 128, 192)) == flat[0, 0]).all()
    pixels = texture(100, 100)
    found = margin.cut(pixels, Box(0, 0, 128, 128)).astype(float)
    # Sides of light and shade stay apart, and noise fades.
    slope = np.repeat(np.linspace(0, 255, 100)[None, :, None], 100, 0).astype(np.uint8)
    below = margin.cut(slope, Box(64, 0, 128, 100))[36:, :, 0]
    assert np.abs(below - np.linspace(0, 255, 100)).max() < 40
    inside, beyond = (np.abs(np.diff(part, axis=0)).mean() for part in (found[:100, :100], found[:100, 108:]))
    assert beyond < inside / 5


@pytest.mark.parametrize("effort", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(80, 80), (70, 150), (64, 100)])
def test_no_symbol_lies_where_no_sample_of_the_picture_does(codec: Codec, height: int, width: int, effort: int) -> None:
    data = codec.encode(texture(height, width), quality=80, effort=effort, lossless=False)
    symbols = codec.symbols_of(container.unpack(data))
    r = symbols.residual(symbols.cells)
    rows, columns = -(-height // 16), -(-width // 16)
    assert r[:, :, :rows, :columns].any()
    assert not r[:, :, rows:].any()
    assert not r[..., columns:].any()


def test_zeros_beyond_a_picture_take_no_part_in_the_coding(codec: Codec) -> None:
    """In their tables they would cost dozens of bytes."""
    file = container.unpack(codec.encode(texture(65, 65), quality=80, lossless=False))
    symbols, coded = codec.symbols_of(file), next(c.payload for c in file.chunks if c.kind == container.Kind.Y)
    r, index = symbols.whole(), prior.tables(codec.networks, symbols.z, file.header.quality)
    inside = np.s_[..., :5, :5]
    some = entropy.ideal_bits(r[inside], index[inside], codec.y_tables) / 8
    everything = entropy.ideal_bits(r, index, codec.y_tables) / 8
    assert everything > some + 30
    assert some <= len(coded) < some + 8


def test_a_margin_costs_hardly_a_byte(codec: Codec) -> None:
    """80 x 80 pixels lie in cells of 128 x 128. Half of their share more is for z and the head of the file."""
    large = texture(128, 128)
    sizes = [len(codec.encode(pixels, quality=80, lossless=False)) for pixels in (large[:80, :80], large)]
    assert sizes[0] < 1.5 * 80**2 / 128**2 * sizes[1]


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_a_margin_costs_less_than_repeated_edges(codec: Codec, quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bits and squared error of what is seen."""
    pixels = texture(70, 150)

    def cost() -> float:
        data = codec.encode(pixels, quality=quality, lossless=False)
        error = np.square(np.asarray(codec.decode(data), float) - pixels).mean(-1).sum()
        return float(8 * len(data) + quantize.lambda_of(100 * quality) * error)

    ours = cost()
    monkeypatch.setattr(margin, "_continued", lambda p, first, rows, n: p[first : first + rows, -1:].repeat(n, 1))
    assert ours < 0.995 * cost()


def test_a_file_decodes_to_the_size_of_its_picture(codec: Codec) -> None:
    for height, width in SIZES:
        data = codec.encode(texture(height, width), quality=60, lossless=False)
        assert np.asarray(nicodec.decode(data)).shape == (height, width, 3)
