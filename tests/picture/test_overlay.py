"""Maps over pictures: the colours are the numbers, and the legend says which."""

import io

import numpy as np
from PIL import Image

from nicodec.picture import overlay


def drawn(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(overlay.overlay(pixels, values, "bits"))))


def test_each_cell_has_the_colour_of_its_number() -> None:
    pixels, values = np.full((512, 512, 3), 100, np.uint8), np.zeros((32, 32))
    values[3, 5] = values[9] = 400
    found = drawn(pixels, values)
    for row, column in ((3, 5), (9, 0), (0, 0)):
        expected = overlay.OVER * overlay.colours(values[row, column], 400) + (1 - overlay.OVER) * 100
        cell = found[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert np.abs(cell - expected).max() <= 1


def test_the_picture_shows_through() -> None:
    pixels = np.zeros((512, 512, 1), np.uint8)
    pixels[:, 256:] = 255
    found = drawn(pixels, np.ones((32, 32)))[:512].astype(int)
    assert (found[:, 300] - found[:, 200]).min() > 50


def test_small_pictures_grow_and_large_ones_shrink() -> None:
    small = drawn(np.zeros((40, 100, 3), np.uint8), np.ones((3, 7)))
    assert small.shape[1] == 500
    large = drawn(np.zeros((16, 5000, 3), np.uint8), np.arange(313.0)[None])
    assert large.shape[1] == overlay.MOST
    assert overlay.overlay(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)), "bits")


def test_brightness_alone_tells_the_order() -> None:
    scale = overlay.colours(np.linspace(0, 1, 50), 1)
    assert (np.diff(scale @ np.array([0.299, 0.587, 0.114])) > 0).all()


def test_marks_are_round_numbers_between_the_ends() -> None:
    for top in (1.0, 7.3, 726.0, 5e6):
        marks = overlay.marks(top)
        assert marks[0] == 0
        assert marks[-1] == top
        assert all(str(int(mark)).rstrip("0") in ("1", "2", "5") for mark in marks[1:-1])
        assert len(marks) <= 9
