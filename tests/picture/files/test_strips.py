"""A TIFF whose strips or tiles are missing, short or outside the file is refused; nothing is filled in."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from handmade import soft, tiff_of
from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.reader import read

SIZE = 64, 96
ROWS = 12  # the last strip has 4


def strips_of(bits: int, *, planes: bool = False, height: int = ROWS) -> list[bytes]:
    pixels = soft().astype("<u2") * 257 if bits == 16 else soft()
    parts = [pixels[:, :, i] for i in range(3)] if planes else [pixels]
    return [part[top : top + height].tobytes() for part in parts for top in range(0, 64, height)]


def refused(data: bytes, tmp_path: Path, match: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    for deep in (False, True):
        with Image.open(path) as opened:
            for source in (data, path, opened):
                with pytest.raises(BadImage, match=match):
                    read(source, deep=deep)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("bits", [8, 16])
def test_missing_strips(
    bits: int, compression: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    kind: dict[str, Any] = {"samples": 3, "rows": ROWS, "compression": compression}
    strips = strips_of(bits)
    assert np.array_equal(read(tiff_of(strips, SIZE, bits, 2, **kind)).pixels, soft())
    for found in (1, 3, 5):
        data = tiff_of(strips[:found], SIZE, bits, 2, **kind)
        refused(data, tmp_path, f"cut off: {6 - found} of its 6 strips are missing")
    assert not [record for record in caplog.records if record.name == "tifffile"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("number", [0, 3, 5])
def test_short_strips(bits: int, number: int, tmp_path: Path) -> None:
    strips = strips_of(bits)
    for length in (0, 99, len(strips[number]) - 1):
        short = [*strips[:number], strips[number][:length], *strips[number + 1 :]]
        data = tiff_of(short, SIZE, bits, 2, samples=3, rows=ROWS)
        refused(data + bytes(9999), tmp_path, f"strip {number + 1} of 6 has {length} of {len(strips[number])} bytes")
        with pytest.raises(BadImage):
            read(tiff_of(short, SIZE, bits, 2, samples=3, rows=ROWS, compression=8)[:-5], deep=True)


def test_strips_that_inflate_to_too_little_are_never_silent() -> None:
    for bits in (8, 16):
        strips = strips_of(bits)
        data = tiff_of([*strips[:3], strips[3][:99], *strips[4:]], SIZE, bits, 2, samples=3, rows=ROWS, compression=8)
        try:
            notes = read(data, deep=True).notes
        except BadImage:
            continue
        assert notes


def test_strips_outside_the_file_and_too_many(tmp_path: Path) -> None:
    data = tiff_of(strips_of(8), SIZE, 8, 2, samples=3, rows=ROWS)
    refused(data[:-1], tmp_path, "strip 6 of 6 does not lie in the file")
    data = tiff_of([*strips_of(8), bytes(5000)], SIZE, 8, 2, samples=3, rows=ROWS)
    refused(data, tmp_path, "it has 7 strips, but its size asks for 6")


def test_planes_have_strips_of_their_own(tmp_path: Path) -> None:
    strips = strips_of(8, planes=True)
    assert np.array_equal(read(tiff_of(strips, SIZE, 8, 2, samples=3, planes=2, rows=ROWS)).pixels, soft())
    refused(tiff_of(strips[:12], SIZE, 8, 2, samples=3, planes=2, rows=ROWS), tmp_path, "6 of its 18 strips")
    strips[7] = strips[7][:-1]
    refused(tiff_of(strips, SIZE, 8, 2, samples=3, planes=2, rows=ROWS), tmp_path, "strip 8 of 18 has")


@pytest.mark.parametrize("bits", [8, 16])
def test_tiles(bits: int, tmp_path: Path) -> None:
    pixels = np.pad(soft().astype("<u2") * 257 if bits == 16 else soft(), ((0, 16), (0, 24), (0, 0)))
    tiles = [pixels[y : y + 16, x : x + 48].tobytes() for y in range(0, 64, 16) for x in range(0, 96, 48)]
    kind: dict[str, Any] = {"samples": 3, "tile": (16, 48)}
    assert np.array_equal(read(tiff_of(tiles, SIZE, bits, 2, **kind), deep=True).pixels >> (bits - 8), soft())
    refused(tiff_of(tiles[:7], SIZE, bits, 2, **kind), tmp_path, "1 of its 8 tiles are missing")
    tiles[2] = tiles[2][:-1]
    refused(tiff_of(tiles, SIZE, bits, 2, **kind), tmp_path, "tile 3 of 8 has")


@pytest.mark.parametrize("bits", [1, 4])
def test_rows_end_at_a_whole_byte(bits: int) -> None:
    row = (13 * bits + 7) // 8
    assert read(tiff_of([bytes(5 * row), bytes(2 * row)], (7, 13), bits, 1, rows=5)).pixels.shape == (7, 13, 1)
    with pytest.raises(BadImage, match=f"strip 2 of 2 has {2 * row - 1} of {2 * row} bytes"):
        read(tiff_of([bytes(5 * row), bytes(2 * row - 1)], (7, 13), bits, 1, rows=5))


@pytest.mark.parametrize(
    "options", [{}, {"tile": (32, 48)}, {"rowsperstrip": 7}, {"bigtiff": True}, {"byteorder": ">"}]
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_others_write_is_whole(options: dict[str, Any], kind: Any, tmp_path: Path) -> None:
    pixels = soft().astype(kind)
    for compression in (None, "zlib"):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, metadata=None, **options)
        assert np.array_equal(read(path, deep=True).pixels, pixels)
    assert logging.getLogger("tifffile").handlers
