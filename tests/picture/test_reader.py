"""Whatever shows a picture → 8-bit planes and metadata, and back: exact where it can be, else said."""

import io
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import png_file
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from nicodec.errors import BadImage, LimitExceeded, NicError
from nicodec.picture import Beside, Picture, reader
from nicodec.picture.reader import read
from nicodec.picture.writer import to_pil, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
LOSSY = {"16": "16-bit samples were reduced to 8 bits"}


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def exif(orientation: int, order: str = "<") -> bytes:
    """A block with an orientation between two other tags, and at its end what no parser knows."""
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)),
               (0x0128, 3, 1, struct.pack(order + "HH", 2, 0))]  # fmt: skip
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    directory = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + directory + bytes(4) + b"maker's note"


def png(kind: int, depth: int, samples: np.ndarray[Any, Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of exactly these samples, 8 or 16 bits; Pillow cannot write the deep ones."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in samples)
    return png_file((width, height, depth, kind, 0, 0, 0), rows, *chunks)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def check(picture: Picture, height: int, width: int, channels: int) -> None:
    """What every `Picture` promises of its planes."""
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape == (height, width, channels)
    assert picture.pixels.flags.c_contiguous
    if picture.alpha is not None:
        assert picture.alpha.dtype == np.uint8
        assert picture.alpha.shape == (height, width)
        assert picture.alpha.flags.c_contiguous


# Arrays


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 1), (1, 1, 4)])
def test_arrays(shape: tuple[int, ...]) -> None:
    array = noise(*shape)
    picture = read(array)
    channels = 3 if array.ndim == 3 and shape[2] > 1 else 1
    check(picture, *shape[:2], channels)
    planes = array.reshape(*shape[:2], -1)
    assert np.array_equal(picture.pixels, planes[:, :, :channels])
    if shape[2:] == (4,):
        assert np.array_equal(picture.alpha, planes[:, :, 3])
    else:
        assert picture.alpha is None
    assert picture.notes == ()


def test_arrays_in_any_memory_order() -> None:
    array = noise(6, 9, 4)
    for view in (array[::-1, ::2], np.asfortranarray(array), array.swapaxes(0, 1)):
        picture = read(view)
        check(picture, *view.shape[:2], 3)
        assert np.array_equal(np.dstack([picture.pixels, picture.alpha]), view)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.int16), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool),
     np.zeros((4,), np.uint8), np.zeros((4, 4, 5), np.uint8),
     np.zeros((1, 4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 0, 3), np.uint8),
     np.zeros((), np.uint8), np.array(["a"], object)],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
def test_other_arrays_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(BadImage, match="array"):
        read(array)


# Modes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "RGBX", "P", "PA"])
def test_modes_without_loss(mode: str) -> None:
    rgba = Image.fromarray(noise(8, 9, 4))
    if mode in ("P", "PA"):
        image = Image.fromarray(noise(8, 9, 3)).quantize(40)
        image = image if mode == "P" else image.convert("PA")
    elif mode == "RGBX":
        image = Image.frombytes("RGBX", (9, 8), noise(8, 9, 4).tobytes())
    else:
        image = rgba.convert(mode)
    picture = read(image)
    gray, clear = mode in ("1", "L", "LA"), mode in ("LA", "RGBA", "PA")
    check(picture, 8, 9, 1 if gray else 3)
    assert (picture.alpha is not None) == clear
    expected = np.asarray(image.convert({True: "L", False: "RGB"}[gray] + "A" * clear)).reshape(8, 9, -1)
    assert np.array_equal(np.asarray(to_pil(picture)).reshape(8, 9, -1), expected)
    assert picture.notes == ()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV"])
def test_other_colour_spaces_become_rgb_and_say_so(mode: str) -> None:
    smooth = Image.radial_gradient("L").resize((16, 16))
    rgb = Image.merge("RGB", (smooth, smooth.rotate(90), smooth.point(lambda v: 255 - v)))
    image = ImageCms.profileToProfile(rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"),
                                      outputMode="LAB") if mode == "LAB" else rgb.convert(mode)  # fmt: skip
    picture = read(image)
    check(picture, 16, 16, 3)
    assert picture.notes == (f"{mode} was converted to RGB",)
    error = np.abs(picture.pixels.astype(int) - np.asarray(rgb)).max()
    assert error <= {"CMYK": 0, "YCbCr": 3, "LAB": 10, "HSV": 12}[mode]


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_is_kept_and_the_division_noted(mode: str) -> None:
    straight = Image.fromarray(noise(8, 9, 4)).convert(mode.upper())
    picture = read(straight.convert(mode))
    check(picture, 8, 9, len(mode) - 1)
    assert np.array_equal(picture.alpha, np.asarray(straight)[:, :, -1])
    assert picture.notes == ("colours premultiplied with alpha were divided by it",)


def test_16_bits_are_rounded() -> None:
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.floor(samples * 255.0 / 65535 + 0.5).astype(np.uint8)
    for image in (Image.fromarray(samples), Image.fromarray(samples.astype(np.int32))):
        assert image.mode in ("I;16", "I")
        picture = read(image)
        check(picture, 256, 256, 1)
        assert np.array_equal(picture.pixels[:, :, 0], expected)
        assert picture.notes == (LOSSY["16"],)
    picture = read(png(0, 16, samples))
    assert np.array_equal(picture.pixels[:, :, 0], expected)
    assert picture.notes == (LOSSY["16"],)


@pytest.mark.parametrize(("kind", "channels", "clear"), [(0, 1, False), (2, 3, False), (4, 1, True), (6, 3, True)])
def test_16_bit_png_of_each_kind(kind: int, channels: int, clear: bool) -> None:
    samples = noise(6, 5, channels + clear, dtype=np.uint16)
    picture = read(png(kind, 16, samples))
    check(picture, 6, 5, channels)
    assert picture.notes == (LOSSY["16"],)
    whole = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    assert np.abs(whole - samples / 257.0).max() < 1
    assert (picture.alpha is not None) == clear


def test_16_bit_tiff_and_ppm_say_so() -> None:
    ppm = b"P6 2 1 65535\n" + struct.pack(">6H", 0, 65535, 256, 4660, 0, 65535)
    assert read(ppm).notes == (LOSSY["16"],)
    assert read(b"P6 1 1 100\n\x00\x32\x64").notes == ()
    assert read(encoded(Image.fromarray(noise(4, 4, dtype=np.uint16)), "TIFF")).notes == (LOSSY["16"],)


def test_a_bmp_of_5_6_5_bits_has_lost_nothing() -> None:
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    samples = struct.pack("<4H", 0xF800, 0x7E0, 0x1F, 0xFFFF)
    head = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 16, 3, len(samples), 0, 0, 0, 0)
    picture = read(b"BM" + struct.pack("<IHHI", 66 + len(samples), 0, 0, 66) + head + masks + samples)
    assert picture.pixels.tolist() == [[[0, 0, 255], [255, 255, 255]], [[255, 0, 0], [0, 255, 0]]]
    assert picture.notes == ()


@pytest.mark.parametrize("values", [[-1, 5], [0, 65536]])
def test_mode_i_outside_16_bits_is_refused(values: list[int]) -> None:
    with pytest.raises(BadImage, match="must be 0 to 65535"):
        read(Image.fromarray(np.array([values], np.int32)))


def test_floats() -> None:
    picture = read(Image.fromarray(np.array([[0, 0.4, 0.5, 127.5, 254.49, 255]], np.float32)))
    assert picture.pixels.ravel().tolist() == [0, 0, 1, 128, 254, 255]
    assert picture.notes == ("float samples were rounded to 8 bits",)
    picture = read(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)))
    assert picture.pixels.ravel().tolist() == [0, 128, 255]
    assert picture.notes == ("float samples were rounded to 8 bits, scaled by 255",)
    for bad in (-0.1, 255.1, np.nan, np.inf):
        with pytest.raises(BadImage, match="must be 0 to 255"):
            read(Image.fromarray(np.array([[0, bad]], np.float32)))


# Transparency by one colour or by palette


def test_transparent_colours_of_png() -> None:
    rgb = noise(4, 4, 3)
    rgb[1, 2] = rgb[3, 3] = 1, 2, 3
    picture = read(png(2, 8, rgb, (b"tRNS", struct.pack(">3H", 1, 2, 3))))
    assert np.array_equal(picture.pixels, rgb)
    assert np.array_equal(picture.alpha == 0, (rgb == (1, 2, 3)).all(axis=2))

    gray = noise(4, 4)
    picture = read(png(0, 8, gray, (b"tRNS", struct.pack(">H", int(gray[0, 0])))))
    assert np.array_equal(picture.pixels[:, :, 0], gray)
    assert np.array_equal(picture.alpha, np.where(gray == gray[0, 0], 0, 255))

    deep = noise(4, 4, dtype=np.uint16)
    picture = read(png(0, 16, deep, (b"tRNS", struct.pack(">H", int(deep[1, 1])))))
    assert np.array_equal(picture.alpha, np.where(deep == deep[1, 1], 0, 255))

    deep = noise(4, 4, 3, dtype=np.uint16)
    picture = read(png(2, 16, deep, (b"tRNS", struct.pack(">3H", *deep[2, 1].tolist()))))
    assert picture.alpha is not None
    assert picture.alpha[2, 1] == 0


def test_transparent_palettes() -> None:
    indices = noise(4, 4) % 3
    image = Image.frombytes("P", (4, 4), indices.tobytes())
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])[indices]
    for transparency, alpha in ((1, [255, 0, 255]), (bytes([0, 128, 255]), [0, 128, 255])):
        picture = read(encoded(image, transparency=transparency))
        assert np.array_equal(picture.pixels, colours)
        assert np.array_equal(picture.alpha, np.array(alpha)[indices])


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_once(orientation: int, order: str) -> None:
    stored = Image.fromarray(noise(4, 6, 4))
    block = exif(orientation, order)
    data = encoded(stored, exif=block)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright is not None
    picture = read(data)
    assert np.array_equal(np.asarray(to_pil(picture)), np.asarray(upright))
    check(picture, upright.height, upright.width, 3)
    assert picture.beside.exif == exif(1, order)  # every other byte, the maker's note too, as it was
    again = read(to_pil(picture))
    assert np.array_equal(again.pixels, picture.pixels)


def test_orientation_of_tiff_which_pillow_turns_by_itself() -> None:
    stored = noise(4, 6, 3)
    tags = Image.Exif()
    tags[0x0112] = 6
    picture = read(encoded(Image.fromarray(stored), "TIFF", exif=tags))
    assert np.array_equal(picture.pixels, np.rot90(stored, -1))


def test_orientation_in_xmp_alone() -> None:
    image = Image.fromarray(noise(4, 6, 3))
    image.info["xmp"] = XMP
    picture = read(image)
    assert np.array_equal(picture.pixels, np.rot90(np.asarray(image), -1))
    assert picture.beside.xmp == XMP.replace(b"6", b"1")
    assert image.info["xmp"] == XMP


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientations_are_ignored(orientation: int) -> None:
    stored = noise(4, 6, 3)
    assert np.array_equal(read(encoded(Image.fromarray(stored), exif=exif(orientation))).pixels, stored)


@given(cut=st.integers(0, 60), at=st.integers(0, 59), value=st.integers(0, 255))
@settings(max_examples=150)
def test_damaged_exif_never_costs_the_picture(cut: int, at: int, value: int) -> None:
    block = bytearray(exif(6))
    block[at % len(block)] = value
    image = Image.fromarray(noise(4, 6, 3))
    image.info["exif"] = b"Exif\0\0" + bytes(block[:cut])
    picture = read(image)
    assert picture.pixels.shape in ((4, 6, 3), (6, 4, 3))
    assert picture.beside.exif is None or picture.beside.exif[:4] in (b"II*\0", b"MM\0*")


# Metadata


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_metadata_comes_through_files_both_ways(format: str, tmp_path: Path) -> None:
    xmp = XMP.replace(b"6", b"1")
    picture = Picture(noise(16, 16, 3), None, Beside(SRGB, exif(1), xmp))
    path = tmp_path / f"a.{format.lower()}"
    write(to_pil(picture), path)
    with Image.open(path) as image:
        assert image.format == format
    back = read(path)
    assert (back.beside.icc, back.beside.xmp) == (SRGB, xmp)
    if format == "AVIF":  # its writer takes the block apart
        assert back.beside.exif is not None
        assert b"abc" in back.beside.exif
    else:
        assert back.beside.exif == exif(1)
    bare = read(path, strip=True)
    assert (bare.beside.icc, bare.beside.exif, bare.beside.xmp) == (None, None, None)


def test_strip_still_turns_the_picture() -> None:
    picture = read(encoded(Image.fromarray(noise(4, 6, 3)), exif=exif(6)), strip=True)
    check(picture, 6, 4, 3)
    assert picture.beside.exif is None


def test_profile_of_cmyk_does_not_travel_with_rgb() -> None:
    image = Image.fromarray(noise(8, 8, 3)).convert("CMYK")
    damaged = b"\0" * 16 + b"CMYK" + b"\0" * 200
    picture = read(encoded(image, "JPEG", icc_profile=damaged))
    assert picture.beside.icc is None
    assert picture.notes == ("CMYK was converted to RGB",)


def test_profile_of_cmyk_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def convert(image: Image.Image, profile: object, *args: object, **options: object) -> Image.Image:
        seen.append(profile)
        return Image.new("RGB", image.size, (1, 2, 3))

    image = Image.new("CMYK", (4, 4))
    image.info["icc_profile"] = SRGB  # any sound profile: the conversion itself is LittleCMS's
    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    picture = read(image)
    assert len(seen) == 1
    assert (picture.pixels == (1, 2, 3)).all()
    assert picture.beside.icc is None
    assert picture.notes == ("CMYK was converted to RGB by its colour profile",)


def test_profile_that_does_not_fit_is_dropped_and_said() -> None:
    for channels, icc in ((1, SRGB), (3, SRGB[:16] + b"GRAY" + SRGB[20:]), (3, b"short")):
        image = Image.fromarray(noise(4, 4) if channels == 1 else noise(4, 4, 3))
        image.info["icc_profile"] = icc
        picture = read(image)
        assert picture.beside.icc is None
        assert picture.notes == ("a colour profile that does not fit the pixels was dropped",)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("deep", [False, True])
def test_the_clear_value_of_a_gray_png_of_any_depth(depth: int, deep: bool) -> None:
    top = 2**depth - 1
    values = np.arange(16) % (top + 1)
    for clear in {0, 1, top - 1, top}:
        row = int("".join(format(value, f"0{depth}b") for value in values), 2).to_bytes(2 * depth, "big")
        data = png_file((16, 1, depth, 0, 0, 0, 0), b"\0" + row, (b"tRNS", struct.pack(">H", clear)))
        opened = Image.open(io.BytesIO(data))
        info = dict(opened.info)
        for source in (data, opened):
            picture = read(source, deep=deep)
            assert picture.alpha is not None
            assert ((picture.alpha[0] == 0) == (values == clear)).all()
        assert opened.info == info


# Files and streams


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part, self.rest = self.rest[: min(len(buffer), 100)], self.rest[min(len(buffer), 100) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "WEBP", "JPEG2000"])
def test_every_way_to_give_a_file(format: str, tmp_path: Path) -> None:
    pixels = noise(9, 7, 3) // 128 * 255  # eight colours, so that a palette holds them too
    data = encoded(Image.fromarray(pixels), format, **({"lossless": True} if format == "WEBP" else {}))
    path = tmp_path / "a file"  # the suffix does not matter
    path.write_bytes(data)
    stream = io.BytesIO(b"before" + data)
    stream.seek(6)
    sources: list[Any] = [path, str(path), data, bytearray(data), memoryview(data), stream, Pipe(data)]
    for source in sources:
        assert np.array_equal(read(source).pixels, pixels)


def test_leaves_the_callers_image_as_it_was() -> None:
    image = Image.open(io.BytesIO(png(2, 16, noise(4, 4, 3, dtype=np.uint16), (b"tRNS", b"\x10" * 6))))
    before = dict(image.info)
    read(image)
    assert image.info == before
    assert image.size == (4, 4)


def test_of_several_frames_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    picture = read(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert (picture.pixels == (255, 0, 0)).all()
    assert picture.notes == ("only the first of 3 frames was coded",)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"none\.png: cannot be read: No such file"):
        read(tmp_path / "none.png")
    with pytest.raises(BadImage, match=tmp_path.name):
        read(tmp_path)
    with pytest.raises(BadImage, match="null"):
        read("a\0b")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch(0o000)
    with pytest.raises(BadImage, match=r"a\.png: cannot be read: Permission denied"):
        read(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"not a picture", b"\0" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_picture_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"a\.png: ") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_drawings_are_refused_before_an_outside_program_sees_them() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(BadImage, match="a drawing"):
        read(eps)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_truncated_files_are_refused(format: str, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(noise(40, 40, 3)), format)
    path = tmp_path / "cut"
    for length in (len(data) // 10, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        with pytest.raises(BadImage, match="cut: "):
            read(path)


@given(at=st.integers(0, 10_000), value=st.integers(1, 255), format=st.sampled_from(["PNG", "JPEG", "TIFF", "GIF"]))
@settings(max_examples=150)
@pytest.mark.filterwarnings("ignore")  # Pillow may warn of damage; that is no error of ours
def test_damaged_files_give_a_picture_or_an_error_of_ours(at: int, value: int, format: str) -> None:
    data = bytearray(encoded(Image.fromarray(noise(12, 12, 3)), format))
    data[at % len(data)] ^= value
    with suppress(NicError):
        picture = read(bytes(data))
        check(picture, *picture.pixels.shape[:2], picture.pixels.shape[2])


@pytest.mark.parametrize("limit", [50, 150])  # 200 pixels: past twice the limit, and past the limit
def test_decompression_bombs_pass_a_limit(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("L", (20, 10)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(LimitExceeded, match="too many pixels"):  # warnings are errors here
        read(data)


def test_endless_streams_pass_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    monkeypatch.setattr(reader, "MAX_STREAM_BYTES", 5 << 20)
    with pytest.raises(LimitExceeded, match="more than 5 MiB"):
        read(Endless())  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 5, object(), [[1, 2]]])
def test_what_is_no_image_at_all_is_refused(source: Any) -> None:
    with pytest.raises(BadImage, match="not an image but a "):
        read(source)


def test_images_without_pixels_are_refused() -> None:
    for size in ((0, 0), (0, 5), (5, 0)):
        with pytest.raises(BadImage, match="no pixels"):
            read(Image.new("RGB", size))


# To Pillow, and to files


@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.sampled_from([1, 3]), clear=st.booleans())
@settings(max_examples=40)
def test_there_and_back(height: int, width: int, channels: int, clear: bool) -> None:
    picture = Picture(noise(height, width, channels), noise(height, width) if clear else None)
    image = to_pil(picture)
    assert image.mode == {1: "L", 3: "RGB"}[channels] + "A" * clear
    assert image.size == (width, height)
    back = read(image)
    assert np.array_equal(back.pixels, picture.pixels)
    assert (back.alpha is None) == (picture.alpha is None)
    assert back.alpha is None or np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".TIFF", ".jp2", ".bmp", ".ppm", ".tga", ""])
def test_formats_without_loss(suffix: str, tmp_path: Path) -> None:
    picture = Picture(noise(9, 7, 3))
    path = tmp_path / f"a{suffix}"
    write(to_pil(picture), path)
    assert np.array_equal(read(path).pixels, picture.pixels)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".tga"])
def test_formats_that_keep_alpha_and_the_colour_beneath(suffix: str, tmp_path: Path) -> None:
    picture = Picture(noise(9, 7, 3), noise(9, 7) // 128 * 255)
    write(to_pil(picture), tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}")
    assert np.array_equal(back.pixels, picture.pixels)
    assert np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".avif"])
def test_lossy_formats_are_written_well(suffix: str, tmp_path: Path) -> None:
    smooth = np.asarray(Image.radial_gradient("L").resize((64, 64)))
    write(Image.fromarray(smooth).convert("RGB"), tmp_path / f"a{suffix}")
    assert np.abs(read(tmp_path / f"a{suffix}").pixels[:, :, 0].astype(int) - smooth).max() < 12


def test_streams_and_named_formats() -> None:
    image = Image.fromarray(noise(9, 7, 3))
    for format, kind in ((None, "PNG"), ("webp", "WEBP"), ("JPEG", "JPEG"), (".tif", "TIFF"), ("jpg", "JPEG")):
        out = io.BytesIO()
        write(image, out, format)
        with Image.open(io.BytesIO(out.getvalue())) as back:
            assert back.format == kind


def test_the_named_format_wins_over_the_suffix(tmp_path: Path) -> None:
    write(Image.new("L", (2, 2)), tmp_path / "a.png", "BMP")
    assert (tmp_path / "a.png").read_bytes()[:2] == b"BM"


@pytest.mark.parametrize("name", ["a.xyz", "a.nic", "a.pdf"])
def test_unknown_formats_list_the_known(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=rf"{name}: cannot write .* only \.png \.jpg"):
        write(Image.new("L", (2, 2)), tmp_path / name)
    with pytest.raises(BadImage, match="cannot write 'gizmo'"):
        write(Image.new("L", (2, 2)), io.BytesIO(), "gizmo")
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"a\.jpg: the picture is transparent, and JPEG has no alpha"):
        write(Image.new("RGBA", (2, 2)), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_overwriting_can_be_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write(Image.new("L", (2, 2)), path)
    before = path.read_bytes()
    with pytest.raises(NicError, match="exists already"):
        write(Image.new("L", (3, 3)), path, overwrite=False)
    assert path.read_bytes() == before
    write(Image.new("L", (3, 3)), path)
    assert read(path).pixels.shape == (3, 3, 1)
