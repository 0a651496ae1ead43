"""TIFFs of every depth and kind of sample: the picture that was put in, or a refusal; never other samples."""

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from handmade import soft, tiff_of

from nicodec.errors import BadImage
from nicodec.picture.reader import read

SIZE = 8, 256
RAMP = np.arange(256, dtype=np.uint8)[None].repeat(8, 0)
Made = Callable[[np.ndarray[Any, Any], str], bytes]


def packed(values: np.ndarray[Any, Any], bits: int) -> bytes:
    text = "".join(format(int(value), f"0{bits}b") for value in values.ravel())
    return int(text, 2).to_bytes(len(text) // 8, "big")


# name -> bits, format of the samples, RAMP of 0 to 1 -> their bytes
KINDS: dict[str, tuple[int, int, Made]] = {
    "1": (1, 1, lambda ramp, order: np.packbits(ramp >= 0.5, axis=1).tobytes()),
    "4": (4, 1, lambda ramp, order: packed(np.floor(ramp * 15.99), 4)),
    "8": (8, 1, lambda ramp, order: np.round(ramp * 255).astype("u1").tobytes()),
    "12": (12, 1, lambda ramp, order: packed(np.round(ramp * 4095), 12)),
    "16": (16, 1, lambda ramp, order: np.round(ramp * 65535).astype(order + "u2").tobytes()),
    "32": (32, 1, lambda ramp, order: np.round(ramp * (2**32 - 1)).astype(order + "u4").tobytes()),
    "float": (32, 3, lambda ramp, order: ramp.astype(order + "f4").tobytes()),
    "signed 8": (8, 2, lambda ramp, order: np.round(ramp * 127).astype("i1").tobytes()),
    "signed 16": (16, 2, lambda ramp, order: np.round(ramp * 32767).astype(order + "i2").tobytes()),
    "signed 32": (32, 2, lambda ramp, order: np.round(ramp * 65535).astype(order + "i4").tobytes()),
    "double": (64, 3, lambda ramp, order: ramp.astype(order + "f8").tobytes()),
}
READ = {("1", "<"), ("1", ">"), ("4", "<"), ("4", ">"), ("8", "<"), ("8", ">"), ("12", "<"), ("16", "<"), ("16", ">"),
        ("32", "<"), ("float", "<"), ("float", ">")}  # fmt: skip
"""With 0 as black and without compression these must be read; others may be."""


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_gray_comes_out_as_it_was_or_is_refused(kind: str, photometric: int, order: str, compression: int) -> None:
    bits, form, made = KINDS[kind]
    ramp = RAMP / 255
    strip = made(ramp if photometric else 1 - ramp, order)
    data = tiff_of([strip], SIZE, bits, photometric, form=form, order=order, compression=compression)
    if form == 2:
        with pytest.raises(BadImage, match=r"signed|not read"):
            read(data)
        return
    picture = None
    with suppress(BadImage):
        picture = read(data)
    if picture is None:
        assert (kind, order) not in READ or photometric == 0 or compression != 1
        return
    allowed = {"1": 128, "4": 16}.get(kind, 1)
    assert np.abs(picture.pixels[:, :, 0].astype(int) - RAMP).max() <= allowed


def test_white_is_zero_where_pillow_does_not_turn_it() -> None:
    for kind in ("16", "float"):
        bits, form, made = KINDS[kind]
        picture = read(tiff_of([made(1 - RAMP / 255, "<")], SIZE, bits, 0, form=form))
        assert np.array_equal(picture.pixels[:, :, 0], RAMP)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("bits", [8, 16])
def test_planes_are_read_rightly_or_refused(bits: int, compression: int) -> None:
    deep = soft().astype("<u2") * 257 if bits == 16 else soft()
    strips = [deep[:, :, i].tobytes() for i in range(3)]
    data = tiff_of(strips, (64, 96), bits, 2, samples=3, planes=2, compression=compression)
    if bits == 16 and compression == 1:
        with pytest.raises(BadImage, match="planes of 16 bits"):
            read(data)
    else:
        assert np.array_equal(read(data).pixels, soft())


def test_colour_samples_that_are_no_picture_are_refused() -> None:
    plain = soft()[:, :96].tobytes()
    with pytest.raises(BadImage, match="YCbCr"):
        read(tiff_of([plain], (64, 96), 8, 6, samples=3))
    with pytest.raises(BadImage, match="inks"):
        read(tiff_of([plain + plain], (64, 96), 8, 5, samples=4, more=((332, 3, (2,)),)))
    with pytest.raises(BadImage, match="3 x 32 bits"):
        read(tiff_of([np.zeros((64, 96, 3), "<f4").tobytes()], (64, 96), 32, 2, samples=3, form=3))


def test_damaged_directories_end_in_an_error_of_ours() -> None:
    whole = tiff_of([RAMP.tobytes()], SIZE, 8, 1, more=((330, 4, (8, 8, 20, 2**32 - 1)),))
    read(whole)  # directories that point at themselves
    for at in range(4, len(whole) - RAMP.size, 3):
        for value in (0, 255):
            data = bytearray(whole)
            data[at] = value
            with suppress(BadImage, Warning):  # warnings of Pillow are errors here
                assert read(bytes(data)).pixels.dtype == np.uint8
    with pytest.raises(BadImage):
        read(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63))
