"""The natural picture: drawn, but the same for the same seed, a region the crop of the whole, and never a blot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import drawings
import numpy as np
import numpy.typing as npt
import pytest

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.tiles import Box
from nicodec.codec import Codec
from nicodec.coding import natural
from nicodec.coding.natural import Draw, Widths
from nicodec.errors import ChecksumMismatch, NicError
from nicodec.picture import metrics
from nicodec.picture.metrics import cell_errors

Array = npt.NDArray[Any]


def plain(codec: Codec, data: bytes, **options: Any) -> Array:
    pixels: Array = codec.decode(data, dtype=np.uint8, **options).astype(int)
    return pixels


def test_a_file_decodes_faithfully_unless_told(codec: Codec, file: bytes) -> None:
    assert np.array_equal(plain(codec, file), plain(codec, file, natural=0, seed=7))
    assert not np.array_equal(plain(codec, file), plain(codec, file, natural=0.05))


def test_the_same_seed_draws_the_same_picture_and_another_another(codec: Codec, file: bytes) -> None:
    first = plain(codec, file, natural=1)
    assert np.array_equal(first, plain(codec, file, natural=1, seed=0))
    assert np.abs(first - plain(codec, file, natural=1, seed=2**32 - 1)).max() > 2


def test_a_natural_region_is_the_crop_of_the_natural_picture(codec: Codec, file: bytes) -> None:
    whole = plain(codec, file, natural=1)
    for x, y, width, height in ((0, 0, 64, 64), (100, 70, 130, 90), (383, 255, 1, 1)):
        part = plain(codec, file, natural=1, region=(x, y, width, height))
        assert np.abs(part - whole[y : y + height, x : x + width]).max() <= 1


def test_windows_and_threads_draw_the_same_picture(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several windows and tiles, of a picture too large for one.
    pixels = np.random.default_rng(5).integers(90, 160, (192, 1600, 1), np.uint8).repeat(3, 2)
    data = codec.encode(pixels, quality=10, lossless=False)
    whole = plain(codec, data, natural=1)
    assert np.abs(whole - plain(Codec("photo-fast", threads=2), data, natural=1)).max() <= 1
    assert np.abs(whole[64:128, 700:900] - plain(codec, data, natural=1, region=(700, 64, 200, 64))).max() <= 1


def test_previews_and_files_of_samples_have_nothing_to_draw(codec: Codec, file: bytes, photograph: Array) -> None:
    assert np.array_equal(plain(codec, file, scale=1 / 8), plain(codec, file, scale=1 / 8, natural=1))
    exact = codec.encode(photograph[:40, :40], lossless=True)
    assert np.array_equal(plain(codec, exact, natural=1), photograph[:40, :40])


def test_impossible_strengths_and_seeds_are_refused(codec: Codec, file: bytes) -> None:
    for strength in (-0.1, 1.01, float("nan"), "1", None):
        with pytest.raises(NicError, match="natural must be"):
            codec.decode(file, natural=strength)  # type: ignore[call-overload]
    for seed in (-1, 2**32, 0.5, "0"):
        with pytest.raises(NicError, match="seed must be"):
            codec.decode(file, natural=1, seed=seed)  # type: ignore[call-overload]


def test_symbols_are_checked_as_ever(codec: Codec, file: bytes) -> None:
    header, chunks = container.unpack(file)
    wrong = container.pack(replace(header, symbols_crc=header.symbols_crc ^ 1), chunks)
    with pytest.raises(ChecksumMismatch):
        codec.decode(wrong, natural=1)


def test_less_strength_strays_less(codec: Codec, file: bytes) -> None:
    faithful = plain(codec, file)
    errors = [np.square(plain(codec, file, natural=n) - faithful).mean() for n in (0.25, 0.5, 1)]
    assert errors[0] < errors[1] / 2 < errors[2] / 4


def test_draws_stay_in_the_bin_of_their_table_and_settled_tables_get_none(codec: Codec) -> None:
    widths, tables = Widths(codec.checkpoint, codec.y_tables), codec.y_tables
    zones = codec.checkpoint.array("thresholds")
    channels = codec.checkpoint.config.latent
    for table in range(len(tables.low)):
        index = np.full((1, channels, 12, 12), table, np.uint8)
        r = np.zeros(index.shape, np.int16)
        r[0, ::2] = 1
        drawn = Draw(widths, 1, (3, 4), 2500).of(Box(5, 6, 8, 9), r, index)
        assert not drawn[0, ::2].any()
        assert np.abs(drawn).max() <= zones[table]
        assert not (tables.settled[table] and drawn.any())
        assert abs(drawn[0, 1::2].mean()) < 0.02


def test_widths_are_those_of_the_shares_of_zeros() -> None:
    rng = np.random.default_rng(0)
    for width, zone in ((0.2, 0.6), (0.5, 0.5), (2.0, 0.5)):
        values = rng.normal(0, width, 400_000)
        inside = values[np.abs(values) < zone]
        found, numbers = natural._gaussian(len(inside) / len(values), zone)
        assert found == pytest.approx(width, rel=0.02)
        assert numbers.std() == pytest.approx(inside.std(), rel=0.02)
        assert np.abs(numbers).max() < zone


def test_nothing_is_drawn_beside_a_few_strong_channels(codec: Codec) -> None:
    """An edge: its wide tables say that nearly all of its energy is sent."""
    widths, channels = Widths(codec.checkpoint, codec.y_tables), codec.checkpoint.config.latent
    index = np.full((1, channels, 4, 4), 8, np.uint8)
    r = np.zeros(index.shape, np.int16)
    draw, cell = Draw(widths, 1, (0, 0), 2500), Box(0, 0, 1, 1)
    assert draw.of(cell, r, index).any()
    index[:, :8], r[:, :8] = 40, 9
    assert not draw.of(cell, r, index).any()


def test_the_gate_opens_with_the_quality(codec: Codec) -> None:
    """A position of which a fifth is missing: a face at a low rate, fine grain at a high one."""
    widths, channels = Widths(codec.checkpoint, codec.y_tables), codec.checkpoint.config.latent
    index = np.full((1, channels, 4, 4), 8, np.uint8)
    r, cell = np.zeros(index.shape, np.int16), Box(0, 0, 1, 1)
    index[:, 0], r[:, 0] = 40, 9
    draws = [Draw(widths, 1, (0, 0), quality).of(cell, r, index) for quality in (0, 1000, 2500, 4000, 10000)]
    sums = [float(np.abs(drawn).sum()) for drawn in draws]
    assert sums[0] < sums[1] < sums[2] < sums[3] == sums[4]


def test_a_draw_depends_on_place_file_and_seed_alone(codec: Codec) -> None:
    widths, channels = Widths(codec.checkpoint, codec.y_tables), codec.checkpoint.config.latent
    index = np.full((1, channels, 12, 16), 10, np.uint8)
    r = np.zeros(index.shape, np.int16)
    whole = Draw(widths, 1, (1, 2), 2500).of(Box(0, 0, 3, 4), r, index)
    one = Draw(widths, 1, (1, 2), 2500).of(Box(2, 1, 3, 2), r[:, :, :4, :4], index[:, :, :4, :4])
    assert np.array_equal(one, whole[:, :, 8:12, 4:8])
    for key in ((1, 3), (0, 2)):
        assert not np.array_equal(whole, Draw(widths, 1, key, 2500).of(Box(0, 0, 3, 4), r, index))
    assert not np.array_equal(whole[:, :, :4, :4], whole[:, :, 4:8, :4])


def test_little_psnr_is_given_up_and_no_cell_is_destroyed(codec: Codec, file: bytes, photograph: Array) -> None:
    faithful, drawn = (codec.decode(file, dtype=np.uint8, natural=n) for n in (0, 1))
    assert metrics.psnr(photograph, drawn) > metrics.psnr(photograph, faithful) - 1.5
    before, after = cell_errors(photograph, faithful), cell_errors(photograph, drawn)
    assert after.max() < before.max() * 10**0.3  # 3 dB
    assert metrics.worst_cell(photograph, drawn).psnr > 18


def test_drawings_get_no_blots(codec: Codec) -> None:
    for number in range(13):
        drawn = drawings.draw(1, number)
        pixels = drawn.reshape(*drawn.shape[:2], -1)[:256, :256]
        data = codec.encode(pixels, quality=20, lossless=False)
        shape = pixels.shape
        faithful, made = (codec.decode(data, dtype=np.uint8, natural=n).reshape(shape) for n in (0, 1))
        before, after = cell_errors(pixels, faithful), cell_errors(pixels, made)
        assert after.max() < before.max() * 10**0.4 + 255**2 / 10**2.2, drawings.kind(number)


def test_the_command_writes_what_the_function_gives(run: Any, file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.nic").write_bytes(file)
    code, _, said = run("decode", tmp_path / "a.nic", tmp_path / "a.npy", "--natural", "0.5", "--seed", "3")
    assert code == 0, said
    expected = nicodec.decode(file, dtype=np.uint8, natural=0.5, seed=3).astype(int)
    assert np.abs(np.load(tmp_path / "a.npy") - expected).max() <= 1
    assert run("decode", tmp_path / "a.nic", tmp_path / "b.png", "--natural", "nan")[0] == 2
    assert run("decode", tmp_path / "a.nic", tmp_path / "b.png", "--natural", "1.5")[0] == 2
