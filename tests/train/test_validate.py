"""Validation: rate and PSNR of pictures that were held out, at every quality, of their middles."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
from tiny_models import TINY
from tiny_training import picture

from nicodec.coding import quantize
from nicodec.train import validate
from nicodec.train.reading import centre


@pytest.mark.parametrize(
    ("height", "width", "most", "side"), [(150, 170, 256, 128), (300, 64, 256, 64), (200, 200, 64, 64)]
)
def test_the_centre_is_a_square_of_whole_cells(height: int, width: int, most: int, side: int) -> None:
    pixels = picture(0, height, width)
    middle = centre(pixels, most)
    top, left = ((n - side) // 2 // 16 * 16 for n in (height, width))  # where blocks of JPEG begin
    assert np.array_equal(middle, pixels[top : top + side, left : left + side])


def test_a_picture_under_one_cell_has_no_centre() -> None:
    assert centre(picture(0, 63, 300), 256).size == 0


def test_curves_are_those_of_each_picture_at_every_quality() -> None:
    """In whatever order threads end, each keeps its place."""
    model = tiny_models.random(TINY)
    pictures = [picture(1, 70, 130), picture(2, 200, 140), picture(3, 64, 64)]
    together = validate.curves(model, pictures, amp=False)
    for i, one in enumerate(pictures):
        assert together[i] == pytest.approx(validate.curves(model, [one], amp=False)[0], rel=1e-4)
    found = validate.points(together)
    assert [point["quality"] for point in found] == [q / 100 for q in validate.VALIDATION_QUALITIES]
    assert [point["lambda"] for point in found] == [quantize.lambda_of(q) for q in validate.VALIDATION_QUALITIES]
    assert [point["bpp"] for point in found] == pytest.approx(together[..., 0].mean(0))
    assert [point["psnr"] for point in found] == pytest.approx(10 * np.log10(255**2 / together[..., 1]).mean(0))


def test_the_cost_falls_by_a_hundredth_where_bits_and_error_do() -> None:
    found = np.random.default_rng(0).uniform(1, 9, (3, len(validate.VALIDATION_QUALITIES), 2))
    assert validate.cost(found) - validate.cost(0.99 * found) == pytest.approx(0.01, rel=0.01)
