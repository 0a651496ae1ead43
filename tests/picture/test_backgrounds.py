"""Transparency and formats without alpha: laid over a colour that was named, or refused; never dropped in silence."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nicodec.errors import BadImage, NicError
from nicodec.picture import backgrounds, writer

FORMATS = ("png", "jpg", "webp", "avif", "tiff", "jp2", "bmp", "ppm", "tga", "npy")
OPAQUE = ("jpg", "bmp", "ppm")


def picture(mode: str, low: int = 0) -> Image.Image:
    """A gray 100 under an alpha from `low` to 255, to the right."""
    image = Image.new(mode[:-1], (64, 8), 100 if mode == "LA" else (100, 100, 100))
    image.putalpha(Image.fromarray(np.linspace(low, 255, 64).astype(np.uint8)[None].repeat(8, 0)))
    return image


def opened(data: bytes, format: str) -> Image.Image:
    if format == "npy":
        return Image.fromarray(np.load(io.BytesIO(data)))
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_format_keeps_alpha_or_refuses_it(format: str, mode: str) -> None:
    image = picture(mode)
    if format in OPAQUE:
        with pytest.raises(BadImage, match=r"^a\.x: the picture is transparent, and \w+ has no alpha.*--background"):
            writer.encoded(image, format, "a.x")
    elif not (format == "npy" and mode == "LA"):  # an array of two channels is none of Pillow's
        back = opened(writer.encoded(image, format), format)
        left = np.asarray(back)[..., -1].astype(int) - np.asarray(image)[..., -1]
        assert np.abs(left).max() <= (format == "avif")  # which has loss in alpha too


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("format", FORMATS)
def test_alpha_that_is_opaque_everywhere_stops_no_format(format: str, mode: str) -> None:
    back = np.asarray(opened(writer.encoded(picture(mode, low=255), format), format)) if format != "npy" else None
    assert back is None or abs(int(back[4, 32].flat[0]) - 100) <= 2


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_background_lies_behind_the_picture_in_every_format(format: str, mode: str) -> None:
    data = writer.encoded(picture(mode), format, background="#ffffff")
    back = np.asarray(opened(data, format).convert("RGBA" if format == "npy" else "RGB")).astype(int)
    assert abs(back[4, 0, 0] - 255) <= 3
    assert abs(back[4, 63, 0] - 100) <= 3
    assert np.all(np.diff(back[4, :, 0]) <= 4)


def test_a_background_of_colour_turns_gray_into_colour_and_keeps_what_fits() -> None:
    image = picture("LA")
    image.info.update(icc_profile=b"gray", exif=b"Exif\0\0")
    with pytest.warns(UserWarning, match="gray colour profile was dropped"):
        made = backgrounds.flat(image, backgrounds.colour("red"))
    assert (made.mode, made.getpixel((0, 0)), made.info) == ("RGB", (255, 0, 0), {"exif": b"Exif\0\0"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = backgrounds.flat(image, backgrounds.colour("gray"))
    assert (made.mode, made.getpixel((0, 0)), made.info["icc_profile"]) == ("L", 128, b"gray")


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_clear_colour_without_an_alpha_plane_counts_as_transparency(mode: str) -> None:
    image = Image.new(mode, (4, 4))
    image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    with pytest.raises(BadImage, match="is transparent"):
        writer.encoded(image, "ppm")
    assert writer.encoded(image, "ppm", background="white").endswith(b"\xff" * 16)


def test_a_colour_is_a_name_or_a_number() -> None:
    assert backgrounds.colour("white") == backgrounds.colour("#ffffff") == backgrounds.colour("#FFF") == (255, 255, 255)
    assert backgrounds.colour("RebeccaPurple") == (0x66, 0x33, 0x99)
    for wrong in ("", "whitish", "#ff", "#ffff", "#ffffffff", "ffffff", "rgb(1,2,3)", "white ", "#" + "f" * 999):
        with pytest.raises(NicError, match="a colour is a name of CSS"):
            backgrounds.colour(wrong)


def test_nothing_is_written_of_a_picture_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BadImage):
        writer.write(picture("RGBA"), tmp_path / "a.bmp")
    assert list(tmp_path.iterdir()) == []
    writer.write(picture("RGBA"), tmp_path / "a.bmp", background="black")
    assert (tmp_path / "a.bmp").exists()
