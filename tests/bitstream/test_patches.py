"""Patches: what is laid over a picture is what was cut out of it, to half a step; in parts, in previews."""

import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream import container, patches
from nicodec.bitstream.tiles import Box
from nicodec.errors import BadFile, LimitExceeded

Array = npt.NDArray[np.uint8]


def picture(height: int, width: int, channels: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def some_cells(height: int, width: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    where = np.random.default_rng(seed).random((-(-height // 16), -(-width // 16))) < 0.5
    where[-1, -1] = True
    return where


def back(pixels: Array, where: npt.NDArray[np.bool_], steps: int) -> patches.Patches:
    height, width, channels = pixels.shape
    made = patches.cut(pixels, where, steps)
    found = patches.decode(patches.encode(made), width, height, channels)
    assert found.steps == made.steps
    assert np.array_equal(found.where, made.where)
    assert np.array_equal(found.levels, made.levels)
    return found


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(1, 255), st.integers(0, 1000))
def test_samples_come_back_within_half_a_step(h: int, w: int, channels: int, steps: int, seed: int) -> None:
    pixels, where = picture(h, w, channels, seed), some_cells(h, w, seed)
    canvas = np.full_like(pixels, 77)
    back(pixels, where, steps).lay(canvas, Box(0, 0, h, w))
    inside = np.kron(where, np.ones((16, 16), bool))[:h, :w]
    assert np.abs(canvas[inside].astype(int) - pixels[inside]).max() <= 127.5 / steps + 0.5
    assert (canvas[~inside] == 77).all()


def test_black_and_white_are_exact_with_any_number_of_steps() -> None:
    pixels = 255 * (picture(32, 32, 1) > 127).astype(np.uint8)
    for steps in range(1, 256):
        canvas = np.zeros_like(pixels)
        patches.cut(pixels, np.ones((2, 2), bool), steps).lay(canvas, Box(0, 0, 32, 32))
        assert np.array_equal(canvas, pixels), steps


def test_a_part_shows_what_the_whole_shows() -> None:
    pixels, where = picture(90, 130, 3), some_cells(90, 130)
    found, whole = back(pixels, where, 9), np.zeros_like(pixels)
    found.lay(whole, Box(0, 0, 90, 130))
    for area in (Box(0, 0, 5, 130), Box(17, 30, 18, 31), Box(40, 64, 90, 130)):
        part = np.zeros((area.rows, area.columns, 3), np.uint8)
        found.lay(part, area)
        assert np.array_equal(part, whole[area.top : area.bottom, area.left : area.right])


def test_a_preview_shows_the_means_of_patches() -> None:
    pixels = np.repeat(np.repeat(picture(8, 8, 3), 8, axis=0), 8, axis=1)
    small = np.zeros((8, 8, 3), np.uint8)
    back(pixels, np.ones((4, 4), bool), 255).lay(small, Box(0, 0, 8, 8), shrink=8)
    assert np.array_equal(small, pixels[::8, ::8])


def test_flat_patches_take_few_bytes() -> None:
    pixels = np.full((160, 160, 3), 200, np.uint8)
    assert len(patches.encode(patches.cut(pixels, np.ones((10, 10), bool), 8))) < 400


def payload(data: bytes) -> bytes:
    return b"\0" + data


GOOD = bytes([5, 0b10100000]) + bytes(2 * 256)


def test_a_payload_is_what_the_format_says() -> None:
    found = patches.decode(payload(GOOD), 48, 16, 1)
    assert found.steps == 5
    assert found.where.tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05",
        GOOD[:-1],
        GOOD + b"\0",
        b"\0" + GOOD[1:],  # no steps
        bytes([5, 0]),  # no cell
        bytes([5, 0b10110000]) + bytes(3 * 256),  # a cell that the picture does not have
        bytes([5, 0b10100001]) + bytes(2 * 256),  # bits beyond the last cell
    ],
)
def test_a_malformed_payload_is_refused(data: bytes) -> None:
    for stored in (payload(data), b"\1" + zlib.compress(data)):
        with pytest.raises(BadFile):
            patches.decode(stored, 48, 16, 1)


def test_what_inflates_past_the_picture_is_refused() -> None:
    stored = b"\1" + zlib.compress(GOOD + bytes(10**6))
    with pytest.raises(LimitExceeded):
        patches.decode(stored, 48, 16, 1)


def test_patches_have_a_chunk_that_a_decoder_must_know() -> None:
    assert container.Kind.PATCHES < container.SKIPPABLE
