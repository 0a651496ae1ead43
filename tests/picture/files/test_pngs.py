"""PNGs whose samples are damaged or not all there are refused, whatever their depth, and in bounded memory."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import png
import pytest
from handmade import png_chunk, png_file, png_of, soft
from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files import pngs
from nicodec.picture.reader import read

# Colour type, depth.
KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16),
         (6, 8), (6, 16)]  # fmt: skip
SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (5, 4), (13, 11)]


def made(kind: int, depth: int, size: tuple[int, int], *, interlaced: bool) -> bytes:
    """A PNG of zeros, by pypng, which knows nothing of our sums."""
    width, height = size
    out = io.BytesIO()
    options = {"greyscale": kind in (0, 4), "alpha": kind in (4, 6)}
    palette = {"palette": [(9, 8, 7), (6, 5, 4)]}
    values = width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    writer = png.Writer(width, height, bitdepth=depth, interlace=interlaced, **palette if kind == 3 else options)
    writer.write(out, [[0] * values] * height)
    return out.getvalue()


def with_samples(data: bytes, samples: bytes) -> bytes:
    """The PNG with other bytes to inflate, in two chunks."""
    packed = zlib.compress(samples)
    parts = [(b"IDAT", packed[:5]), (b"IDAT", packed[5:]), (b"IEND", b"")]
    return data[: data.index(b"IDAT") - 4] + b"".join(png_chunk(*part) for part in parts)


def samples_of(data: bytes) -> bytes:
    return zlib.decompress(b"".join(pngs._samples(io.BytesIO(data))))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), KINDS)
def test_a_png_has_as_many_samples_as_its_size_asks_for(kind: int, depth: int, interlaced: bool) -> None:
    for size in SIZES:
        data = made(kind, depth, size, interlaced=interlaced)
        samples = samples_of(data)
        assert pngs._amount(data[16:29]) == len(samples)
        assert read(data, deep=True).pixels.shape[:2] == size[::-1]
        read(with_samples(data, samples + b"more"))
        cut = with_samples(data, samples[:-1])
        with pytest.raises(BadImage, match=f"cut off: its samples end after {len(samples) - 1:,} of"):
            pngs.check_amount(io.BytesIO(cut), "a.png")
        for deep in (False, True):
            with pytest.raises(BadImage, match=r"cut off|truncated"):
                read(cut, deep=deep)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
def test_missing_rows_are_never_black(depth: int, interlaced: bool, tmp_path: Path) -> None:
    out, height, width = io.BytesIO(), 64, 96
    rows = (soft().astype(int) * (257 if depth == 16 else 1)).reshape(height, -1).tolist()
    png.Writer(width, height, greyscale=False, bitdepth=depth, interlace=interlaced).write(out, rows)
    whole, samples = out.getvalue(), samples_of(out.getvalue())
    assert read(whole).pixels.shape == (64, 96, 3)
    path = tmp_path / "a.png"
    for share in (0, 0.1, 0.5, 0.9, 0.999):
        cut = with_samples(whole, samples[: int(len(samples) * share)])
        path.write_bytes(cut)
        with Image.open(io.BytesIO(cut)) as held, Image.open(path) as opened:
            for source in (cut, path, held, opened):
                with pytest.raises(BadImage, match=r"cut off|truncated"):
                    read(source, deep=True)


def test_a_bomb_takes_no_memory() -> None:
    bomb = png_file((8, 8, 8, 0, 0, 0, 0), bytes(10**8))  # the size that it states is all that is inflated
    tracemalloc.start()
    try:
        assert read(bomb).pixels.shape == (8, 8, 1)
        read(png_file((3000, 3000, 8, 0, 0, 0, 0), bytes(3000 * 3001)))
        assert tracemalloc.get_traced_memory()[1] < 6 * 10**7
    finally:
        tracemalloc.stop()


def test_a_png_with_a_wrong_checksum() -> None:
    whole = png_of(soft(), (b"gAMA", struct.pack(">I", 45455)))
    samples = bytearray(whole)
    samples[-13] ^= 1  # of the checksum of IDAT
    for source in (bytes(samples), Image.open(io.BytesIO(samples))):
        with pytest.raises(BadImage, match="checksum"):
            read(source)
    behind = bytearray(whole[:-12] + png_chunk(b"tEXt", b"a\0b") + whole[-12:])
    behind[-13] ^= 1
    assert read(bytes(behind)).notes == ("text that is damaged was left out",)
    assert read(whole[:-12]).notes == ("the file ends without its end marker, so it may have been cut off",)
