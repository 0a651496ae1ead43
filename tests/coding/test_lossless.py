"""Lossless files: every sample comes back, whole and in parts; and they are made where they cost less."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from PIL import Image

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.container import Chunk, Kind
from nicodec.codec import Codec
from nicodec.coding import lossless, quantize
from nicodec.coding.drawing import Drawing
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded, NicError, TargetMissed
from nicodec.picture import Beside, Picture, vp8l

Pixels = npt.NDArray[Any]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("photo-fast", threads=1)


def drawing(height: int, width: int, channels: int = 3) -> Pixels:
    """Bars and a frame in few colours."""
    i, j, c = np.ogrid[:height, :width, :channels]
    bars = (j // 9 % 3 * 100 + 20 * c) * (i % 17 > 3)
    return np.asarray(bars, np.uint8)


def photograph(height: int = 200, width: int = 300) -> Pixels:
    """Slopes with grain, as of a camera."""
    i, j, c = np.ogrid[:height, :width, :3]
    slopes = 110 + 60 * np.sin(i / 31 + c) + 50 * np.cos(j / 47)
    return np.clip(slopes + default_rng(0).normal(0, 4, slopes.shape), 0, 255).astype(np.uint8)


def random(shape: tuple[int, ...], dtype: type) -> Pixels:
    return default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


# What comes back


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (70, 5, 1), (33, 40, 2), (64, 64, 3), (20, 1100, 4)])
def test_every_sample_comes_back(codec: Codec, shape: tuple[int, ...], dtype: type) -> None:
    pixels = random(shape, dtype)
    data = codec.encode(pixels, quality="lossless")
    assert data.lossless
    assert np.array_equal(codec.decode(data, dtype=dtype).reshape(shape), pixels)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4]), st.integers(0, 10**6))
def test_every_small_picture_comes_back(codec: Codec, height: int, width: int, channels: int, seed: int) -> None:
    few = default_rng(seed).integers(0, 3, (height, width, channels)).astype(np.uint8) * np.uint8(100)
    assert np.array_equal(codec.decode(codec.encode(few, lossless=True), dtype=np.uint8).reshape(few.shape), few)


def test_samples_under_alpha_0_are_kept(codec: Codec) -> None:
    pixels = random((40, 40, 4), np.uint8)
    pixels[10:30, 10:30, 3] = 0
    assert np.array_equal(codec.decode(codec.encode(pixels, lossless=True)), pixels)


def test_a_region_and_a_preview_are_those_of_the_picture(codec: Codec) -> None:
    pixels = drawing(1300, 1100)
    data = codec.encode(pixels, lossless=True)
    assert nicodec.info(data).tiles == (2, 2)
    for x, y, width, height in ((0, 0, 1100, 1300), (1000, 1010, 60, 40), (1099, 1299, 1, 1)):
        part = codec.decode(data, region=(x, y, width, height))
        assert np.array_equal(part, pixels[y : y + height, x : x + width])
    small = np.asarray(codec.decode(data, scale=1 / 8)).astype(float)
    means = pixels[:1296, :1096].reshape(162, 8, 137, 8, 3).mean((1, 3))
    assert small.shape == (163, 138, 3)
    assert np.abs(small[:162, :137] - means).max() <= 1


def test_a_lossless_file_names_no_model(codec: Codec) -> None:
    data = codec.encode(drawing(30, 40), lossless=True)
    found = nicodec.info(data)
    assert (found.lossless, found.model, found.model_id) == (True, None, "00" * 8)
    assert data == nicodec.encode(drawing(30, 40), lossless=True, model="photo")
    assert np.array_equal(nicodec.decode(data), drawing(30, 40))
    assert np.array_equal(nicodec.decode(data, model="photo-fast"), drawing(30, 40))


def test_metadata_and_alpha_travel_beside_it(codec: Codec) -> None:
    exif = Beside(exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    picture = Picture(drawing(20, 30), random((20, 30), np.uint8), exif)
    data = codec.encode(picture, lossless=True)
    assert nicodec.info(data).metadata == ("EXIF",)
    assert nicodec.info(codec.encode(picture, lossless=True, strip=True)).metadata == ()
    assert np.array_equal(np.asarray(codec.decode(data))[:, :, 3], picture.alpha)


# When it is chosen


def test_what_costs_less_without_loss_is_kept_whole(codec: Codec) -> None:
    for pixels in (drawing(200, 300), np.full((70, 90), 255, np.uint8), random((5, 5, 3), np.uint8)):
        data = codec.encode(pixels)
        assert data.lossless
        assert np.array_equal(codec.decode(data, dtype=np.uint8), pixels)
        assert not codec.encode(pixels, lossless=False).lossless


def test_a_photograph_is_not_tried(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vp8l, "encode", lambda samples: pytest.fail("a photograph was coded twice"))
    for quality in (0, 50, 100):
        assert not codec.encode(photograph(), quality=quality).lossless


@pytest.mark.parametrize("quality", [0, 30, 60, 90])
def test_the_choice_is_the_cheaper_in_bits_and_error(
    codec: Codec, quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drawing, "may_pay", lambda *_: False)
    noisy = drawing(60, 80) + random((60, 80, 3), np.uint8) % np.uint8(9)
    chosen = codec.encode(noisy, quality=quality)
    exact, lossy = codec.encode(noisy, lossless=True), codec.encode(noisy, quality=quality, lossless=False)
    error = float(np.square(codec.decode(lossy, dtype=np.uint8).astype(float) - noisy).mean() * 60 * 80)
    cost = 8 * len(lossy) + quantize.lambda_of(100 * quality) * error
    assert chosen == (exact if 8 * len(exact) < cost and len(exact) < 2 * len(lossy) else lossy)


def test_a_target_is_kept_to(codec: Codec) -> None:
    pixels = drawing(80, 120)
    exact = len(codec.encode(pixels, lossless=True))
    assert codec.encode(pixels, target_bytes=2 * exact).lossless
    assert codec.encode(pixels, target_psnr=40).lossless
    assert codec.encode(pixels, target_bytes=exact).lossless  # which no quality keeps to
    for choice in (None, False):
        with pytest.raises(TargetMissed):
            codec.encode(pixels, target_bytes=exact - 1 if choice is None else exact, lossless=choice)


def test_impossible_wishes_are_refused(codec: Codec) -> None:
    for wishes in ({"quality": "lossless", "lossless": False}, {"lossless": True, "target_psnr": 30}):
        with pytest.raises(NicError, match="exclude"):
            codec.encode(drawing(8, 8), **wishes)  # type: ignore[arg-type]
    with pytest.raises(NicError, match="quality"):
        codec.encode(drawing(8, 8), quality="best")


def test_empty_paper_of_any_size_decodes_without_another_limit(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "FREE_LOSSLESS", {8: 2**18})
    monkeypatch.setattr(container, "PIXELS_PER_BYTE", 3000)
    paper = np.full((1500, 1500), 255, np.uint8)
    data = codec.encode(paper, lossless=True)
    assert nicodec.info(data).tiles == (6, 6)
    assert np.array_equal(codec.decode(data), paper)


# Damage


def test_damaged_tiles_are_refused(codec: Codec) -> None:
    file = container.unpack(codec.encode(drawing(40, 50), lossless=True))
    payload = file.chunks[0].payload
    other = vp8l.encode(drawing(40, 51), 40 * 51)
    for wrong in (b"", b"\x2f", payload[:-9], other, b"\x2f" + payload[1:5] + bytes(30)):
        data = container.pack(file.header, [Chunk(Kind.SAMPLES, wrong), *file.chunks[1:]])
        with pytest.raises((BadFile, ChecksumMismatch)):
            codec.decode(data)
    with pytest.raises(ChecksumMismatch):
        codec.decode(container.pack(replace(file.header, symbols_crc=1), file.chunks))
    deep = container.unpack(codec.encode(random((9, 9), np.uint16), lossless=True))
    for wrong in (b"", b"\xff" * 4, deep.chunks[0].payload[:-3]):
        with pytest.raises((BadFile, ChecksumMismatch)):
            codec.decode(container.pack(deep.header, [Chunk(Kind.SAMPLES, wrong)]))


def test_what_cannot_stand_in_a_lossless_file_is_refused(codec: Codec) -> None:
    file = container.unpack(codec.encode(drawing(40, 50), lossless=True))
    with pytest.raises(BadFile, match="names a model"):
        container.unpack(container.pack(replace(file.header, model=bytes(range(8))), file.chunks))
    huge = replace(file.header, width=2**20, height=2**10, tile=(2**14, 1))
    with pytest.raises(LimitExceeded):
        container.unpack(container.pack(huge, file.chunks))


def test_a_wide_photograph_is_not_tried_either(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vp8l, "encode", lambda samples: pytest.fail("a photograph was coded twice"))
    for height, width in ((40, 6000), (6000, 40), (3, 20_000)):
        noise = random((height, width, 3), np.uint8)
        assert 0.6 * noise.size < lossless._estimated_size(noise) < 0.9 * noise.size
    assert not codec.encode(photograph(64, 6000), quality=60).lossless


def test_a_preview_of_what_is_transparent_shows_no_hidden_colour(codec: Codec) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 1] = 255  # green, under alpha 0
    pixels[:, :20] = 255, 0, 0, 255
    small = np.asarray(codec.decode(codec.encode(pixels, lossless=True), scale=1 / 8))
    assert small[0, 2].tolist() == [255, 0, 0, 128]
    assert small[0, 0].tolist() == [255, 0, 0, 255]


def test_a_psnr_that_no_quality_reaches_is_met_without_loss(codec: Codec) -> None:
    pixels = random((64, 80, 3), np.uint16)
    assert codec.encode(pixels, target_psnr=90).lossless
    with pytest.raises(TargetMissed):
        codec.encode(pixels, target_psnr=90, lossless=False)
    with pytest.raises(TargetMissed, match="bytes, without loss"):
        codec.encode(drawing(64, 64), target_bytes=60)


def test_a_lossless_file_has_no_warning_of_a_trial_that_is_not_taken(codec: Codec) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codec.encode(drawing(64, 64), target_psnr=45).lossless
        assert codec.encode(drawing(64, 64), target_bytes=1_000_000).lossless


@pytest.mark.parametrize("target", [10**400, 1e-320, float("nan"), -1, 0, True, "9"])
def test_a_target_that_cannot_be_calculated_with_is_refused(codec: Codec, target: Any) -> None:
    for name in ("target_bytes", "target_bpp", "target_psnr"):
        with pytest.raises(NicError, match="above 0"):
            codec.encode(drawing(8, 8), **{name: target})
    assert codec.encode(drawing(8, 8), target_psnr=np.int64(30))


def test_the_estimate_is_below_what_a_drawing_takes_and_about_what_a_photograph_takes() -> None:
    pixels = photograph()
    size = lossless.Lossless(Picture(pixels), 1).coded.file.size
    assert 0.5 * size < lossless._estimated_size(pixels) < 1.6 * size
    assert lossless._estimated_size(drawing(400, 400)) == 0


def test_a_lossless_file_loads_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    data = nicodec.encode(pixels, lossless=True)

    def refused(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("nicodec.model.checkpoint.load", refused)
    assert np.array_equal(nicodec.decode(data, dtype=np.uint8), pixels)
    with pytest.raises(nicodec.ModelNotFound, match="no model is named 'nope'"):
        nicodec.decode(data, model="nope")


def test_only_a_small_picture_gets_all_effort_and_no_tile_of_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All effort takes a hundred times as long: a row of 20,000 pixels of noise took 14 seconds."""
    used: list[int] = []
    save = Image.Image.save
    monkeypatch.setattr(Image.Image, "save", lambda *a, **k: used.append(k["method"]) or save(*a, **k))
    for width, method in ((2048, 6), (2049, 4), (5000, 4)):
        used.clear()
        lossless.of_samples(Picture(default_rng(0).integers(0, 256, (1, width, 3)).astype(np.uint8)), 10000, 1)
        assert set(used) == {method}


def test_a_trial_without_loss_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = default_rng(0).integers(0, 256, (64, 640, 3)).astype(np.uint8)
    monkeypatch.setattr(lossless, "TILE", (1, 1))
    coded: list[int] = []
    real = vp8l.encode
    monkeypatch.setattr(vp8l, "encode", lambda part, pixels: coded.append(1) or real(part, pixels))
    whole = lossless.of_samples(Picture(pixels), 10000, 1)
    assert whole is not None
    assert len(coded) == 10
    same = lossless.of_samples(Picture(pixels), 10000, 1, whole.size)
    assert same == whole
    coded.clear()
    assert lossless.of_samples(Picture(pixels), 10000, 1, whole.size - 1) is None
    assert len(coded) == 10
    coded.clear()
    assert lossless.of_samples(Picture(pixels), 10000, 1, whole.size / 5) is None
    assert len(coded) < 10


def test_a_large_photograph_is_tried_without_loss_on_few_of_its_blocks(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it is black, which the first estimate takes for a drawing."""
    pixels = np.zeros((320, 640, 3), np.uint8)
    pixels[:, 240:] = default_rng(0).normal(128, 30, (320, 400, 3)).clip(0, 255)
    monkeypatch.setattr(lossless, "DRAWN", 0.2)
    monkeypatch.setattr(lossless, "PART", 2**15)
    expected = codec.encode(pixels, quality=30, lossless=False)
    tried: list[object] = []
    monkeypatch.setattr(lossless, "of_samples", lambda *_: tried.append(1))
    assert codec.encode(pixels, quality=30) == expected
    assert not tried
