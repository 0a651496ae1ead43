"""What Pillow leaves out of a picture is said, and what it would read wrongly is refused or mended."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from handmade import soft, tiff_of
from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files.meaning import DIVIDED
from nicodec.picture.reader import REDUCED, read

SIZE = 64, 96
RGBX = np.dstack([soft(), 255 - soft()[:, :, :2]])


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [(0,), (1,), (2,), (0, 0), (1, 0), (2, 0)])
def test_extra_channels_of_a_tiff(extra: tuple[int, ...], bits: int, compression: int) -> None:
    channels = 3 + len(extra)
    pixels = RGBX[:, :, :channels].astype("<u2") * 257 if bits == 16 else RGBX[:, :, :channels]
    kind: dict[str, Any] = {"samples": channels, "compression": compression, "more": ((338, 3, extra),)}
    data = tiff_of([pixels.tobytes()], SIZE, bits, 2, **kind)
    expected = [f"only {3 + (extra[0] > 0)} of {channels} channels were coded"] if 0 in extra else []
    expected += [DIVIDED] if 1 in extra else []
    for source in (data, Image.open(io.BytesIO(data))) if bits == 8 or len(extra) == 1 else ():
        picture = read(source)
        assert [note for note in picture.notes if note != REDUCED] == expected
        assert (picture.alpha is not None) == (extra[0] > 0)
        assert extra[0] == 1 or np.array_equal(picture.pixels, soft())


def test_a_channel_beside_gray_and_ink_of_a_tiff() -> None:
    gray = RGBX[:, :, 2:4]
    assert read(tiff_of([gray.tobytes()], SIZE, 8, 1, samples=2, more=((338, 3, (2,)),))).notes == ()
    data = tiff_of([gray.tobytes()], SIZE, 8, 1, samples=2, more=((338, 3, (0,)),))
    assert read(data).notes == ("only 1 of 2 channels were coded",)
    data = tiff_of([RGBX[:, :, :5].tobytes()], SIZE, 8, 5, samples=5, more=((338, 3, (0,)),))
    assert "only 4 of 5 channels were coded" in read(data).notes


def psd(mode: int, planes: np.ndarray[Any, Any], depth: int = 8, layers: bytes = b"") -> bytes:
    """planes: uint8 (channels, height, width). layers: the section of layers."""
    channels, height, width = planes.shape
    stored = np.packbits(planes, axis=2) if depth == 1 else planes
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, depth, mode)
    return head + struct.pack(">III", 0, 0, len(layers)) + layers + b"\0\0" + stored.tobytes()


PLANES = np.ascontiguousarray(RGBX.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "channels", "kept"), [(1, 1, 1), (1, 2, 1), (3, 3, 3), (3, 4, 4), (3, 5, 3), (4, 5, 4)]
)
def test_channels_of_a_psd(mode: int, channels: int, kept: int) -> None:
    notes = read(psd(mode, PLANES[:channels])).notes
    said = [note for note in notes if "channels" in note]
    assert said == ([] if kept == channels else [f"only {kept} of {channels} channels were coded"])


def test_a_bitmap_of_a_psd_is_no_negative() -> None:
    black = (soft()[:, :, 0] > 99).astype(np.uint8)
    data = psd(0, black[None], 1)
    opened = Image.open(io.BytesIO(data))
    opened.load()
    for source in (data, Image.open(io.BytesIO(data)), opened):
        picture = read(source)
        assert np.array_equal(picture.pixels[:, :, 0], 255 * (1 - black))
        assert picture.notes == ()


def test_layers_of_a_psd_are_all_in_its_picture() -> None:
    channels = b"".join(struct.pack(">hI", c, 2 + 4) for c in range(3))
    layer = struct.pack(">4IH", 0, 0, 2, 2, 3) + channels + b"8BIMnorm\xff\0\0\0" + struct.pack(">I", 0)
    both = struct.pack(">h", 2) + 2 * layer + 2 * 3 * (b"\0\0" + bytes(4))
    data = psd(3, PLANES[:3], layers=struct.pack(">I", len(both)) + both + bytes(4))
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    picture = read(data)
    assert np.array_equal(picture.pixels, PLANES[:3].transpose(1, 2, 0))
    assert picture.notes == ()


def test_other_modes_of_a_psd() -> None:
    with pytest.raises(BadImage, match="multichannel"):
        read(psd(7, PLANES[:3]))
    assert read(psd(8, PLANES[:1])).notes == ("the inks of a duotone were left out, so it is gray",)


def fits(stored: np.ndarray[Any, Any], *cards: str) -> bytes:
    axes = [f"NAXIS{i + 1}  ={size:21}" for i, size in enumerate(stored.shape[::-1])]
    lines = ["SIMPLE  =                    T", f"BITPIX  ={8 * stored.itemsize:21}", f"NAXIS   ={stored.ndim:21}"]
    head = "".join(line.ljust(80) for line in [*lines, *axes, *cards, "END"]).encode()
    return head.ljust(-(-len(head) // 2880) * 2880) + stored.tobytes()


def test_fits_of_whole_numbers() -> None:
    gray = np.ascontiguousarray(soft()[::-1, :, 0])
    assert np.array_equal(read(fits(gray)).pixels[:, :, 0], soft()[:, :, 0])
    for cards in (["BZERO   = 0.0 / nothing", "BSCALE  = 1.0D0"], ["COMMENT   BZERO = 5"]):
        assert np.array_equal(read(fits(gray, *cards)).pixels[:, :, 0], soft()[:, :, 0])
    for card in ("BZERO   =               -128.", "BSCALE  = 2", "BZERO   = 3.2768D4 / unsigned"):
        with pytest.raises(BadImage, match="BZERO or BSCALE"):
            read(fits(gray, *["HISTORY"] * 99, card))
    for more in ([], ["BZERO   =                32768"]):
        with pytest.raises(BadImage, match=r"signed samples|BZERO"):
            read(fits(gray.astype(">i2"), *more), deep=True)
    assert read(fits(np.stack([gray] * 3))).notes == ("only the first of 3 planes was coded",)
