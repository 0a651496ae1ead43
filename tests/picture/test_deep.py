"""Samples of 16 bits: in from files and arrays, through the codec, and out again."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import png
import pytest
import tifffile
from numpy.random import default_rng
from PIL import Image

import nicodec
from nicodec.codec import Codec
from nicodec.errors import BadImage, NicError
from nicodec.picture import Beside, Picture, at_depth, reader, writer
from nicodec.picture.beside import text

Deep = npt.NDArray[np.uint16]
SHAPES = [(9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)]


def samples(shape: tuple[int, ...]) -> Deep:
    return default_rng(0).integers(0, 65536, shape).astype(np.uint16)


def png_of(pixels: Deep, **options: Any) -> bytes:
    buffer, (height, width, channels) = io.BytesIO(), pixels.shape
    kind = {"greyscale": channels < 3, "alpha": channels in (2, 4), "bitdepth": 16} | options
    png.Writer(width, height, **kind).write_array(buffer, pixels.reshape(-1).tolist())
    return buffer.getvalue()


def tiff_of(pixels: Deep, **options: Any) -> bytes:
    buffer, channels = io.BytesIO(), pixels.shape[2]
    kind: dict[str, Any] = {"photometric": "rgb" if channels > 2 else "minisblack", "planarconfig": "contig"} | options
    if channels in (2, 4):
        kind["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(buffer, pixels if channels > 1 else pixels[:, :, 0], metadata=None, **kind)
    return buffer.getvalue()


def planes(picture: Picture) -> npt.NDArray[Any]:
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


@pytest.mark.parametrize("shape", SHAPES)
def test_files_and_arrays_are_read_in_full(shape: tuple[int, ...]) -> None:
    pixels = samples(shape)
    sources = [pixels, png_of(pixels), png_of(pixels, interlace=True)]
    if shape[2] != 2:  # Pillow, which reads all the rest of a TIFF, knows no gray with alpha of 16 bits
        manners: list[dict[str, Any]] = [{}, {"byteorder": ">"}, {"compression": "zlib", "predictor": True}]
        sources += [tiff_of(pixels, **manner) for manner in manners]
    for source in sources:
        picture = reader.read(source, deep=True)
        assert picture.notes == ()
        assert np.array_equal(planes(picture), pixels)
        assert planes(reader.read(source)).dtype == np.uint8


def test_planes_apart_and_a_turned_tiff_are_read() -> None:
    pixels = samples((8, 6, 3))
    apart = tiff_of(np.ascontiguousarray(pixels.transpose(2, 0, 1)), planarconfig="separate", compression="zlib")
    assert np.array_equal(reader.read(apart, deep=True).pixels, pixels)
    turned = tiff_of(pixels, extratags=[(274, "H", 1, 6, True)])
    assert np.array_equal(reader.read(turned, deep=True).pixels, np.rot90(pixels, -1))


def test_a_clear_colour_is_clear() -> None:
    pixels = samples((5, 5, 3))
    picture = reader.read(png_of(pixels, transparent=tuple(int(v) for v in pixels[2, 3])), deep=True)
    assert picture.alpha is not None
    assert picture.alpha.dtype == np.uint16
    assert np.argwhere(picture.alpha == 0).tolist() == [[2, 3]]


def test_what_only_imagecodecs_reads_comes_in_8_bits_and_is_said() -> None:
    buffer = io.BytesIO()
    gray = Image.fromarray(at_depth(samples((6, 6, 1)), 8)[:, :, 0])
    gray.convert("RGB").save(buffer, "TIFF", compression="tiff_lzw")
    assert reader.read(buffer.getvalue(), deep=True).pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    pixels = samples(shape)
    picture = reader.read(pixels, deep=True)
    data = writer.encoded_deep(picture, suffix)
    if suffix == ".npy":
        assert np.array_equal(np.load(io.BytesIO(data)).reshape(shape), pixels)
    else:
        found = planes(reader.read(data, deep=True))
        colours = found[:, :, [0, 3]] if found.shape[2] > shape[2] else found  # gray with alpha becomes RGB in a TIFF
        assert np.array_equal(colours, pixels)


def test_the_codec_sees_and_gives_all_16_bits() -> None:
    ramp = np.broadcast_to(np.linspace(20000, 24000, 512).astype(np.uint16)[None, :, None], (64, 512, 3)).copy()
    for model in ("photo", "photo-fast"):
        codec = Codec(model, threads=1)
        for quality in (80, 90, 100):
            data = codec.encode(ramp, quality=quality, lossless=False)
            assert nicodec.info(data).depth == 16
            back = codec.decode(data, dtype=np.uint16).astype(int)
            assert np.abs(back - ramp).max() < 900
            assert np.abs(np.diff(back, axis=1)).max() < (120 if quality == 90 else 150)
            assert len(np.unique(back)) > 600
            assert codec.psnr(Picture(ramp), data) > 40


def test_an_image_has_8_bits_whatever_the_depth() -> None:
    codec, pixels = Codec("photo-fast", threads=1), samples((40, 40, 3))
    data = codec.encode(pixels, quality=60, lossless=False)
    image = codec.decode(data)
    assert image.mode == "RGB"
    deep, plain = codec.decode(data, dtype=np.uint16), codec.decode(data, dtype=np.uint8)
    assert np.array_equal(np.asarray(image), plain)
    assert np.abs(deep.astype(int) - plain.astype(int) * 257).max() <= 129
    for wrong in (np.float32, "uint32", int):
        with pytest.raises(NicError, match="dtype"):
            codec.decode(data, dtype=wrong)


def test_depth_changes_nothing_for_8_bits() -> None:
    pixels = at_depth(samples((40, 40, 3)), 8)
    codec = Codec("photo-fast", threads=1)
    data = codec.encode(pixels, quality=60, lossless=False)
    assert nicodec.info(data).depth == 8
    assert codec.decode(data, dtype=np.uint8).dtype == np.uint8
    deep, plain = codec.decode(data, dtype=np.uint16).astype(int), codec.decode(data, dtype=np.uint8)
    assert np.abs(deep - plain * 257.0).max() < 130


@pytest.mark.parametrize(
    ("suffix", "option", "dtype"),
    [(".png", [], np.uint16), (".tiff", [], np.uint16), (".png", ["--depth", "8"], np.uint8), (".jpg", [], np.uint8),
     (".npy", [], np.uint16)],
)  # fmt: skip
def test_the_command_writes_the_depth_of_the_source(
    tmp_path: Path, suffix: str, option: list[str], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.cli.app import app

    pixels = samples((20, 30, 3))
    (tmp_path / "a.png").write_bytes(png_of(pixels))
    made = tmp_path / f"a{suffix}"
    encode = ["encode", str(tmp_path / "a.png"), "--lossless"]
    for words in (encode, ["decode", str(tmp_path / "a.nic"), *option, "-f", str(made)]):
        with pytest.raises(SystemExit) as ended:
            app(words)
        assert ended.value.code == 0
    found = np.load(made) if suffix == ".npy" else reader.read(made, deep=True).pixels
    assert found.dtype == dtype
    if dtype == np.uint16:
        assert np.array_equal(found, pixels)


def test_resolution_and_notes_are_those_of_the_format(tmp_path: Path) -> None:
    beside = Beside(density=text.pack_density(300, 150), text=text.pack([("Thing", "a word")]))
    picture = Picture(samples((9, 7, 3)), beside=beside)
    with pytest.warns(UserWarning, match="TIFF cannot hold the text Thing"):
        data = writer.encoded_deep(picture, ".tif")
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["dpi"] == pytest.approx((300, 150))
    assert text.unpack_density(reader.read(writer.encoded_deep(picture, ".png")).beside.density) == pytest.approx(
        (300, 150), abs=0.1
    )
    with pytest.warns(UserWarning, match="an array holds none"):
        writer.encoded_deep(replace(picture, beside=Beside(icc=b"a profile")), ".npy")


def test_a_png_that_inflates_without_end_is_refused() -> None:
    small = png_of(samples((16, 16, 3)))
    at = small.index(b"IDAT") - 4
    bomb = zlib.compress(bytes(10**8), 9)
    chunk = len(bomb).to_bytes(4, "big") + b"IDAT" + bomb + zlib.crc32(b"IDAT" + bomb).to_bytes(4, "big")
    tracemalloc.start()
    try:
        with pytest.raises(BadImage):
            reader.read(small[:at] + chunk + small[small.index(b"IEND") - 4 :], deep=True)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**7
    finally:
        tracemalloc.stop()


def test_arrays_of_another_byte_order_are_taken() -> None:
    pixels = samples((9, 7, 3))
    assert np.array_equal(reader.read(pixels.astype(">u2"), deep=True).pixels, pixels)
    codec = Codec("photo-fast", threads=1)
    assert np.array_equal(codec.decode(codec.encode(pixels.astype(">u2"), lossless=True), dtype="uint16"), pixels)
