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
from nicodec.train.data import centre


@pytest.mark.parametrize(
    ("height", "width", "most", "side"), [(150, 170, 256, 128), (300, 64, 256, 64), (200, 200, 64, 64)]
)
def test_the_centre_is_a_square_of_whole_cells(height: int, width: int, most: int, side: int) -> None:
    pixels = picture(0, height, width)
    middle = centre(pixels, most)
    top, left = (height - side) // 2, (width - side) // 2
    assert np.array_equal(middle, pixels[top : top + side, left : left + side])


def test_a_picture_under_one_cell_has_no_centre() -> None:
    assert centre(picture(0, 63, 300), 256).size == 0


def test_points_are_those_of_every_quality_and_leave_out_what_is_too_small() -> None:
    """Pictures of one size make a batch: what comes out is the mean over all of them."""
    model = tiny_models.random(TINY)
    both = [picture(1, 70, 130), picture(2, 130, 140)]
    found = validate.points(model, [*both, picture(3, 20, 20)], amp=False)
    apart = [validate.points(model, [one], amp=False) for one in both]
    assert [point["quality"] for point in found] == [q / 100 for q in validate.VALIDATION_QUALITIES]
    for i, q in enumerate(validate.VALIDATION_QUALITIES):
        assert found[i]["lambda"] == pytest.approx(quantize.lambda_of(q), rel=1e-5)
        for key in ("bpp", "psnr"):
            assert found[i][key] == pytest.approx(np.mean([points[i][key] for points in apart]), rel=1e-4)
