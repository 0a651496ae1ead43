"""Ways between pictures and along directions: their ends are the pictures, and what they cannot do is an error."""

import numpy as np
import pytest
from PIL import Image
from test_sketch import scene

from nicodec.codec import Codec
from nicodec.errors import LimitExceeded, NicError
from nicodec.explore import interpolate, sketch
from nicodec.explore.interpolate import Mean, Seen
from nicodec.picture import Picture, metrics


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(sketch.MODEL, threads=1)


@pytest.fixture(scope="module")
def pair(codec: Codec) -> tuple[Seen, Seen]:
    a, b = (Seen.of(Picture(scene(seed, 70, 90)), codec, 90) for seed in (1, 2))
    return a, b


def test_a_way_begins_at_one_picture_and_ends_at_the_other(pair: tuple[Seen, Seen], codec: Codec) -> None:
    steps = interpolate.between(*pair, codec, 3)
    assert [step.share for step in steps] == [0, 0.5, 1]
    for step, seen in ((steps[0], pair[0]), (steps[2], pair[1])):
        np.testing.assert_array_equal(step.pixel, seen.pixels)
        assert metrics.psnr(step.latent, seen.pixels) > 25
        assert step.psnr == metrics.psnr(step.latent, step.pixel)
    assert np.abs(steps[1].pixel - (pair[0].pixels + pair[1].pixels.astype(float)) / 2).max() <= 0.5


def test_two_sizes_have_no_way(pair: tuple[Seen, Seen], codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Seen.of(Picture(scene(1, 64, 64)), codec, 90)
    with pytest.raises(NicError, match="one size have a way between them, not 90x70 and 64x64"):
        interpolate.between(pair[0], other, codec, 3)
    monkeypatch.setattr(interpolate, "MOST_PIXELS", 4000)
    with pytest.raises(LimitExceeded, match="too large"):
        Seen.of(Picture(scene(1, 64, 64)), codec, 90)


def test_a_direction_adds_the_difference_of_means(pair: tuple[Seen, Seen], codec: Codec) -> None:
    plus, minus = Mean(), Mean()
    plus.add(pair[1])
    minus.add(pair[0])
    (none, one), placed = interpolate.along(pair[0], plus, minus, codec, [0, 1])
    assert placed
    np.testing.assert_array_equal(none.pixel, pair[0].pixels)
    np.testing.assert_array_equal(one.pixel, pair[1].pixels)
    assert metrics.psnr(one.latent, pair[1].pixels) > 25


def test_pictures_of_other_sizes_change_all_places_alike(pair: tuple[Seen, Seen], codec: Codec) -> None:
    dark, bright = Mean(), Mean()
    for mean, level in ((dark, 60), (bright, 180)):
        for side in (64, 80):
            mean.add(Seen.of(Picture(np.full((side, side, 3), level, np.uint8)), codec, 90))
    (step,), placed = interpolate.along(pair[0], bright, dark, codec, [0.5])
    assert not placed
    expected = np.clip(pair[0].pixels.astype(float) + 60, 0, 255)
    assert np.abs(step.pixel - expected).max() <= 1
    assert step.latent.mean() > pair[0].pixels.mean() + 30
    with pytest.raises(NicError, match="pictures on both"):
        interpolate.along(pair[0], Mean(), dark, codec, [1])


def test_a_strip_is_a_png_of_two_rows(pair: tuple[Seen, Seen], codec: Codec) -> None:
    import io

    drawn = Image.open(io.BytesIO(interpolate.strip(interpolate.between(*pair, codec, 3))))
    assert drawn.format == "PNG"
    assert drawn.size == (3 * (270 + 8) + 8, 2 * (210 + 34) + 8)
