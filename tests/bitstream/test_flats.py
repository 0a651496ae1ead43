"""Flat cells: what is laid over a picture is the colour that it had, exactly; in parts, in previews."""

import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream import container, flats
from nicodec.bitstream.tiles import Box
from nicodec.errors import BadFile, LimitExceeded

Array = npt.NDArray[np.uint8]


def picture(height: int, width: int, channels: int, seed: int = 0) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Cells of 8 pixels, some of one colour and some with one pixel, or one channel of it, that differs."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // 8), -(-width // 8)
    pixels = rng.integers(0, 256, (rows, columns, channels)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    pixels = pixels[:height, :width].copy()
    flat = rng.random((rows, columns)) < 0.5
    flat[-1, -1] = True
    for i, j in np.argwhere(~flat):
        y, x = rng.integers(0, (min(8, height - 8 * i), min(8, width - 8 * j)))
        pixels[8 * i + y, 8 * j + x, rng.integers(channels)] ^= 1
        if min(8, height - 8 * i) * min(8, width - 8 * j) == 1:
            flat[i, j] = True  # a single pixel has one colour always
    return pixels, flat


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]), st.integers(0, 1000))
def test_flat_cells_are_found_and_come_back_exactly(h: int, w: int, channels: int, seed: int) -> None:
    pixels, flat = picture(h, w, channels, seed)
    made = flats.found(pixels)
    assert made is not None
    assert np.array_equal(made.where, flat)
    back = flats.decode(flats.encode(made), w, h, channels)
    assert np.array_equal(back.where, made.where)
    assert np.array_equal(back.colours, made.colours)
    canvas = np.full_like(pixels, 77)
    back.lay(canvas, Box(0, 0, h, w))
    inside = np.kron(flat, np.ones((8, 8), bool))[:h, :w]
    assert np.array_equal(canvas[inside], pixels[inside])
    assert (canvas[~inside] == 77).all()


def test_a_part_and_a_preview_show_what_the_whole_shows() -> None:
    pixels, flat = picture(90, 130, 3)
    found = flats.found(pixels)
    assert found is not None
    whole, small = np.zeros_like(pixels), np.zeros((12, 17, 3), np.uint8)
    found.lay(whole, Box(0, 0, 90, 130))
    for area in (Box(0, 0, 5, 130), Box(17, 30, 18, 31), Box(40, 64, 90, 130)):
        part = np.zeros((area.rows, area.columns, 3), np.uint8)
        found.lay(part, area)
        assert np.array_equal(part, whole[area.top : area.bottom, area.left : area.right])
    found.lay(small, Box(0, 0, 12, 17), shrink=8)
    assert np.array_equal(small[flat], whole[::8, ::8][flat])
    assert not small[~flat].any()


def test_a_picture_without_flat_cells_has_none() -> None:
    assert flats.found(np.arange(256, dtype=np.uint8).reshape(16, 16, 1)) is None


def test_an_empty_page_takes_few_bytes() -> None:
    found = flats.found(np.full((1754, 1240, 3), 255, np.uint8))
    assert found is not None
    assert len(flats.encode(found)) < 150


def payload(data: bytes) -> bytes:
    return b"\0" + data


GOOD = bytes([0b10100000, 9, 250])


def test_a_payload_is_what_the_format_says() -> None:
    found = flats.decode(payload(GOOD), 24, 8, 1)
    assert found.where.tolist() == [[True, False, True]]
    assert found.colours.tolist() == [[9], [3]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:1],
        GOOD[:-1],
        GOOD + b"\0",
        bytes([0]),  # no cell
        bytes([0b10110000, 1, 2, 3]),  # a cell that the picture does not have
        bytes([0b10100001, 1, 2]),  # bits beyond the last cell
    ],
)
def test_a_malformed_payload_is_refused(data: bytes) -> None:
    for stored in (payload(data), b"\1" + zlib.compress(data)):
        with pytest.raises(BadFile):
            flats.decode(stored, 24, 8, 1)


def test_what_inflates_past_the_picture_is_refused() -> None:
    stored = b"\1" + zlib.compress(GOOD + bytes(10**6))
    with pytest.raises(LimitExceeded):
        flats.decode(stored, 24, 8, 1)


def test_flats_have_a_chunk_that_a_decoder_must_know() -> None:
    assert container.Kind.FLATS < container.SKIPPABLE
