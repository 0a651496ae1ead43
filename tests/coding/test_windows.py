"""Windows with halos: the pieces make the whole, regions are crops of it, and memory stays bounded."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import nicodec
from nicodec.bitstream import container, entropy, tiles
from nicodec.bitstream.crc import SymbolsCrc
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding import layout, prior, quantize
from nicodec.coding.windows import Windows
from nicodec.errors import BadModel, ChecksumMismatch, LimitExceeded, NicError
from nicodec.picture import metrics

Array = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 427, 290


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def picture() -> Array:
    data = pytest.importorskip("skimage.data")
    pixels: Array = data.chelsea()[5 : 5 + HEIGHT, 10 : 10 + WIDTH]
    return pixels


def small_windows(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(layout, "WINDOW", side**2)


def latents(codec: Codec, pixels: Array, quality: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """All of y, gathered from the bands, and z."""
    ranges = codec.z_tables.ranges(quality)
    whole = tiles.cells(pixels.shape[1], pixels.shape[0])
    z = np.zeros((1, len(ranges[0]), whole.rows, whole.columns), np.int8)
    bands = [
        rows.view(band.times(4)).copy()
        for band, rows in codec.crew.alone.analysis(pixels, quality, ranges, z, layout.TILE[1])
    ]
    y = np.concatenate(bands, axis=2)
    assert y.shape[2:] == (4 * whole.rows, 4 * whole.columns)
    return y, z


@pytest.mark.parametrize("size", [1, 2, 3])
def test_analysis_in_windows_is_that_in_one_piece(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    y, z = latents(codec, picture, 5000)
    small_windows(monkeypatch, size)
    monkeypatch.setattr(layout, "TILE", (size, size))
    y_pieces, z_pieces = latents(codec, picture, 5000)
    # In quantiser steps. Halos are measured on noise, to a thousandth; the blocks on the latent of this
    # model reach further in the smooth parts of a picture.
    assert np.abs(y - y_pieces).max() < 5e-2
    assert np.abs(y - y_pieces).mean() < 1e-4
    assert (z != z_pieces).mean() < 1e-3  # one may lie between two integers


def test_windows_of_an_encoder_that_repairs_make_the_whole(
    picture: Array, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The stage before g_a sees further than g_a does, and the halo has room for it."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    import tiny_models

    config = replace(tiny_models.TINY, blocks_a=0, latent_blocks_a=0, repair=8)
    codec = Codec(tiny_models.write(tiny_models.random(config), tmp_path / "repairing.nicmodel"), threads=1)
    assert codec.checkpoint.config.reach_a == 1
    y, _ = latents(codec, picture, 5000)
    small_windows(monkeypatch, 1)
    pieces, _ = latents(codec, picture, 5000)
    assert np.abs(y - pieces).max() < 5e-2
    monkeypatch.setattr(codec.crew.alone, "_around_a", 0)
    pieces, _ = latents(codec, picture, 5000)
    assert np.abs(y - pieces).max() > 0.5


def test_symbols_in_small_tiles_are_those_in_one(codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a rare coefficient on the very border between two steps, and what follows from one of z."""
    one = codec.symbols_of(container.unpack(codec.encode(picture)))
    monkeypatch.setattr(layout, "TILE", (2, 1))
    small_windows(monkeypatch, 2)
    data = codec.encode(picture)
    assert nicodec.info(data).tiles == (4, 5)
    many = codec.symbols_of(container.unpack(data))
    assert (one.z != many.z).mean() < 1e-3
    assert (one.whole() != many.whole()).mean() < 1e-3


def test_deep_ones_that_are_not_worth_their_bits_are_left_out(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little more than rounding would: fewer bytes, by more than the error that is added is worth."""
    trials = []
    for left in (0, 1 / 16):
        monkeypatch.setattr(quantize, "LEFT", left)
        fresh = Codec(codec.checkpoint, threads=1)
        for quality in (20, 22) if left == 0 else (20,):
            data = fresh.encode(picture, quality=quality)
            trials.append((np.log(len(data)), metrics.psnr(picture, np.asarray(fresh.decode(data)))))
    (size, psnr), (larger, better), (smaller, worse) = trials
    assert smaller < size - 0.01
    assert size - smaller > (psnr - worse) * (larger - size) / (better - psnr)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("quality", [5, 90])
def test_synthesis_in_windows_is_that_in_one_piece(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch, size: int, quality: float
) -> None:
    data = codec.encode(picture, quality=quality)
    whole = np.asarray(codec.decode(data)).astype(int)
    small_windows(monkeypatch, size)
    pieces = np.asarray(codec.decode(data)).astype(int)
    difference = np.abs(pieces - whole)
    assert difference.max() <= 1
    assert difference.mean() <= 0.01


def test_the_halo_is_what_the_networks_reach(codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all of it the floats agree to rounding; with one position around g_s they do not.

    What lies further out has ever less weight, so that a position less would hardly be seen.
    """
    reach = codec.checkpoint.config.reach_s
    monkeypatch.setattr(codec.crew.alone, "_around_s", reach)
    monkeypatch.setattr(codec.crew.alone, "halo", reach)
    found = codec.symbols_of(container.unpack(codec.encode(picture, quality=90)))
    window = Box(1, 2, 2, 4)

    def difference() -> float:
        whole = codec.crew.alone.synthesis(found.cells, found, 9000, deep=False)()
        inside = tiles.crop(whole, found.cells.times(64), window.times(64))
        return float(np.abs(codec.crew.alone.synthesis(window, found, 9000, deep=False)() - inside).max())

    assert difference() < 1e-5
    monkeypatch.setattr(codec.crew.alone, "_around_s", 1)
    assert difference() > 1e-4


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_a_model_with_smaller_halos_makes_the_same_pictures(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch, quality: float
) -> None:
    """Here on a photograph; `measure_halos` chooses them on what is far louder."""
    data = codec.encode(picture, quality=quality)
    whole = np.asarray(codec.decode(data)).astype(int)
    halos = codec.checkpoint.tensors["halos"]
    reach = np.array([codec.checkpoint.config.reach_a, codec.checkpoint.config.reach_s], np.int32)
    assert (halos <= reach).all()
    assert (halos < reach).any()
    small = codec
    codec = Codec(replace(codec.checkpoint, tensors={**codec.checkpoint.tensors, "halos": reach}), threads=1)
    y, z = latents(codec, picture, int(100 * quality))
    small_windows(monkeypatch, 1)
    difference = np.abs(np.asarray(small.decode(data)).astype(int) - whole)
    assert difference.max() <= 1
    assert difference.mean() <= 0.01
    y_pieces, z_pieces = latents(small, picture, int(100 * quality))
    assert (np.rint(y) != np.rint(y_pieces)).mean() < 1e-4
    assert (z != z_pieces).mean() < 1e-3


@pytest.mark.parametrize("halos", [[-1, 0], [60, 0], [0, 60], [1], [1, 1, 1], [[1, 1]], [0.5, 1]])
def test_impossible_halos_are_refused(codec: Codec, halos: Any) -> None:
    broken = replace(codec.checkpoint, tensors={**codec.checkpoint.tensors, "halos": np.array(halos)})
    with pytest.raises(BadModel, match="halos"):
        Windows(broken, codec.networks)


@pytest.mark.parametrize("thresholds", [np.ones(64), np.ones((8, 8), np.float32), np.ones(0, np.float32)])
def test_impossible_thresholds_are_refused(codec: Codec, thresholds: Any) -> None:
    broken = replace(codec.checkpoint, tensors={**codec.checkpoint.tensors, "thresholds": thresholds})
    with pytest.raises(BadModel, match="thresholds"):
        Windows(broken, codec.networks)


def test_there_are_no_seams(codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step across window borders is as large as in the original, not larger."""
    small_windows(monkeypatch, 1)
    monkeypatch.setattr(layout, "TILE", (1, 1))
    back = np.asarray(codec.decode(codec.encode(picture, quality=60))).astype(float)
    error = back - picture
    steps = np.abs(np.diff(error, axis=1)).mean((0, 2))
    at_borders = steps[63::64].mean()
    # Patches of the network's own grid of 16 pixels are the fair comparison.
    elsewhere = np.delete(steps[15::16], np.s_[3::4]).mean()
    assert at_borders < 1.1 * elsewhere


# Regions


@pytest.fixture(scope="module", params=[(16, 16), (2, 3)])
def tiled(request: pytest.FixtureRequest, codec: Codec, picture: Array) -> tuple[bytes, Image.Image]:
    """A file with alpha, in one tile and in many, and the whole of it, decoded."""
    alpha = np.random.default_rng(0).integers(0, 256, picture.shape[:2], np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "TILE", request.param)
        data = codec.encode(np.dstack([picture, alpha]))
    return data, codec.decode(data)


@pytest.mark.parametrize(
    "region",
    [(0, 0, WIDTH, HEIGHT), (0, 0, 1, 1), (WIDTH - 1, HEIGHT - 1, 1, 1), (100, 63, 130, 2), (63, 100, 2, 130),
     (64, 64, 64, 64), (13, 200, 300, 90)],
)  # fmt: skip
def test_a_region_is_the_crop_of_the_whole(
    codec: Codec, tiled: tuple[bytes, Image.Image], region: tuple[int, int, int, int]
) -> None:
    data, picture = tiled
    x, y, width, height = region
    whole = picture.crop((x, y, x + width, y + height))
    part = codec.decode(data, region=region)
    assert (part.size, part.mode) == ((width, height), "RGBA")
    assert np.abs(np.asarray(part).astype(int) - np.asarray(whole).astype(int)).max() <= 1
    assert part.getchannel("A").tobytes() == whole.getchannel("A").tobytes()


def test_a_region_decodes_no_tile_that_it_does_not_need(
    codec: Codec, picture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "TILE", (1, 1))
    data = codec.encode(picture)
    seen = []
    real = entropy.decode
    monkeypatch.setattr(
        entropy,
        "decode",
        lambda *a: seen.append(len(a[0])) or real(*a),  # type: ignore[func-returns-value]
    )
    codec.decode(data, region=(70, 70, 10, 10))
    assert len(seen) == 4 * 4  # the cell and two around it on each side
    seen.clear()
    codec.decode(data)
    assert len(seen) == 7 * 5  # each once


@pytest.mark.parametrize(
    "region",
    [(0, 0, 0, 1), (-1, 0, 5, 5), (0, 0, WIDTH + 1, 1), (0, HEIGHT, 1, 1), (1, 2, 3), "abcd", (0.5, 0, 1, 1), 7],
)
def test_an_impossible_region_is_refused(codec: Codec, picture: Array, region: Any) -> None:
    empty = isinstance(region, tuple) and len(region) == 4 and 0 in region[2:]
    with pytest.raises(NicError, match="a region has at least one pixel, not 0x1" if empty else "region"):
        codec.decode(codec.encode(picture[:32, :32]), region=region)


# The pieces


def test_the_checksum_of_bands_is_that_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    z = rng.integers(-63, 64, (1, 5, 3, 4)).astype(np.int8)
    r = rng.integers(-999, 999, (1, 7, 12, 16)).astype(np.int16)
    expected = container.zlib.crc32(r.astype("<i2").tobytes(), container.zlib.crc32(z.tobytes()))
    for edges in ([0, 12], [0, 4, 12], [0, 8, 9, 12], range(13)):
        crc = SymbolsCrc()
        for top, bottom in zip(list(edges)[:-1], list(edges)[1:], strict=True):
            crc.add(r[:, :, top:bottom])
        assert crc.value(z) == expected


def test_tiles_forgotten_before_they_were_read_cannot_pass_for_checked(codec: Codec, picture: Array) -> None:
    found = codec.symbols_of(container.unpack(codec.encode(picture)))
    found.forget(found.cells.bottom)
    with pytest.raises(ChecksumMismatch):
        found.check()


@pytest.mark.parametrize("name", ["halos", "thresholds"])
def test_a_model_without_them_is_refused(codec: Codec, name: str) -> None:
    tensors = {key: array for key, array in codec.checkpoint.tensors.items() if key != name}
    with pytest.raises(BadModel, match=f"the model lacks {name}"):
        Windows(replace(codec.checkpoint, tensors=tensors), codec.networks)


def test_quantisation_knows_the_phase_wherever_a_window_begins() -> None:
    """Windows begin at whole cells, four positions each: the chequerboard is the same in all of them."""
    whole = prior.phase0((1, 6, 16, 16))
    part = tiles.crop(whole, Box(0, 0, 16, 16), Box(1, 2, 3, 4).times(tiles.Y_CELL))
    assert np.array_equal(part, prior.phase0(part.shape))


def test_a_region_of_all_is_all(codec: Codec, picture: Array) -> None:
    data = codec.encode(Image.fromarray(picture), quality=30)
    assert codec.decode(data).tobytes() == codec.decode(data, region=(0, 0, WIDTH, HEIGHT)).tobytes()


def test_a_tile_of_more_cells_than_the_limit_is_refused(codec: Codec) -> None:
    header, chunks = container.unpack(codec.encode(np.zeros((8, 8, 3), np.uint8)))
    large = replace(header, width=33 * 64, height=32 * 64, tile=(40, 40))
    with pytest.raises(LimitExceeded, match="tile"):
        container.unpack(container.pack(large, chunks), 2**24)
    # What a tile covers counts, not what it is called.
    container.unpack(container.pack(replace(header, tile=(65535, 65535)), chunks))


def test_memory_follows_a_band_and_not_the_picture(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the height takes no more memory of NumPy's, but for a little bookkeeping."""
    monkeypatch.setattr(layout, "BAND", 32)  # as in larger pictures: a band is a part of these too
    peaks = []
    for height in (2048, 4096):
        pixels = np.zeros((height, 128, 3), np.uint8)
        data = codec.encode(pixels)
        peak = []
        for work in (lambda pixels=pixels: codec.encode(pixels), lambda data=data: codec.decode(data)):
            tracemalloc.start()
            work()
            peak.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        peaks.append(peak)
    for small, large in zip(*peaks, strict=True):
        assert large < small + 3e6
