"""Flat colours: paper stays white and saturated colours come back without blots; photographs are coded as before."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

import nicodec
from nicodec import Codec
from nicodec.bitstream import flats
from nicodec.coding.look import worthy

Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module", params=["photo", "photo-fast"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec(request.param, threads=1)


def page(lines: int) -> Array:
    image = Image.new("RGB", (300, 220), "white")
    draw = ImageDraw.Draw(image)
    for i in range(lines):
        draw.text((12, 10 + 14 * i), "The quick brown fox jumps over", fill="black", font=ImageFont.load_default(12))
    return np.asarray(image)


def back(codec: Codec, pixels: Array, quality: float) -> Array:
    """As latents and flat cells bring it back, though paper may cost less without loss."""
    return np.asarray(codec.decode(codec.encode(pixels, quality=quality, lossless=False)))


@pytest.mark.parametrize("quality", [50, 80, 100])
def test_paper_stays_white(codec: Codec, quality: float) -> None:
    assert (back(codec, page(0), quality) == 255).mean() > 0.99
    found = back(codec, page(6), quality)
    assert (found[110:] == 255).mean() > 0.99
    assert (found[page(6).min(2) == 255] == 255).mean() > 0.75


@pytest.mark.parametrize("colour", [(0, 255, 0), (255, 0, 0), (0, 0, 255), (255, 0, 255), (250, 250, 250), (8, 8, 8)])
def test_a_flat_colour_beside_a_picture_has_no_outliers(codec: Codec, colour: tuple[int, int, int]) -> None:
    y, x = np.mgrid[:160, :200]
    pixels = np.stack([120 + 60 * np.sin(x / 17), 110 + 50 * np.cos((x + y) / 23), 90 + 60 * np.sin(y / 13)], -1)
    pixels = pixels.astype(np.uint8)
    pixels[:, 64:] = colour
    for quality in (50, 80):
        found = back(codec, pixels, quality).astype(int)
        assert np.abs(found[:, 64:] - colour).max() <= 1


def test_parts_and_previews_have_the_flat_cells_too(codec: Codec) -> None:
    data = codec.encode(page(6), quality=60, lossless=False)
    whole = np.asarray(codec.decode(data))
    part = np.asarray(codec.decode(data, region=(37, 61, 150, 130)))
    assert np.abs(part.astype(int) - whole[61:191, 37:187]).max() <= 1
    assert (np.asarray(codec.decode(data, scale=1 / 8))[15:] == 255).mean() > 0.99
    assert "FLATS" in dict(nicodec.info(data).chunks)


def test_a_few_flat_cells_of_a_photograph_are_not_sent() -> None:
    data = pytest.importorskip("skimage.data")
    pixels = data.chelsea()[:256, :384].copy()
    pixels[40:64, 80:104] = 255
    found = flats.found(pixels)
    assert found is not None
    assert worthy(found, 5000) is None
    assert worthy(found, 10000) is not None


def test_a_check_sees_the_flat_cells(codec: Codec) -> None:
    made = codec.encode(page(0), quality=60, check=True)
    assert made.psnr == float("inf")
