"""Files of over 8 bits that Pillow reads in 8 say so, whatever their format."""

import io
from typing import Any

import numpy as np
import pytest
from handmade import soft
from PIL import Image

from nicodec.picture.reader import read

DEEP = soft().astype(np.uint16) * 257


def encoded(format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(soft()).save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize("bits", [8, 10])
def test_heif(bits: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    if bits == 8:
        Image.fromarray(soft()).save(out, "HEIF")
    else:
        pillow_heif.from_bytes(mode="RGB;16", size=(96, 64), data=DEEP.tobytes()).save(out)
    said = () if bits == 8 else (f"{bits}-bit samples were reduced to 8 bits",)
    assert read(out.getvalue()).notes == said
    assert read(Image.open(out), deep=True).notes == said


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif(bits: int) -> None:
    """Pillow writes 8 bits only, so the description alone is changed, and the old samples are decoded."""
    data = bytearray(encoded("AVIF"))
    said = () if bits == 8 else (f"{bits}-bit samples were reduced to 8 bits",)
    pixi, coded = data.index(b"pixi"), data.index(b"av1C")
    data[pixi + 9 : pixi + 12] = bytes([bits] * 3)
    assert read(described(data)).notes == said
    data[pixi : pixi + 4] = b"free"
    data[coded + 6] |= {8: 0, 10: 0x40, 12: 0x60}[bits]
    assert read(described(data)).notes == said


def described(data: bytes) -> Image.Image:
    """A sound AVIF image whose file has these bytes."""
    opened = Image.open(io.BytesIO(encoded("AVIF")))
    opened.fp = io.BytesIO(data)
    return opened


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("bare", [False, True])
def test_jpeg_2000(bits: int, bare: bool) -> None:
    data = bytearray(encoded("JPEG2000", no_jp2=bare))
    if not bare:
        data[data.index(b"ihdr") + 14] = bits - 1
    coded = data.index(b"\xff\x4f\xff\x51")
    for component in range(3):
        data[coded + 42 + 3 * component] = bits - 1
    said = () if bits == 8 else (f"{bits}-bit samples were reduced to 8 bits",)
    assert read(bytes(data)).notes == said
    assert read(Image.open(io.BytesIO(data))).notes == said


def test_damaged_boxes_are_no_depth() -> None:
    whole = encoded("AVIF")
    for at in range(len(whole) - 1):
        if whole[at : at + 4] in (b"pixi", b"ipma", b"pitm", b"iprp", b"ipco", b"av1C"):
            for cut in (whole[: at + 4], whole[:at] + bytes(4) + whole[at + 4 :], whole[: at - 4] + bytes(3) + b"\x09"):
                assert read(described(cut)).pixels.shape == (64, 96, 3)
