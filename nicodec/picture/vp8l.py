"""Samples <-> a VP8L stream, the lossless coding of WebP, by the libwebp in Pillow.

Under `coding.lossless`. Source of the format: RFC 9649, section 3.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, features

from nicodec.errors import BadFile, NicError, one_line
from nicodec.picture import Array, whole

# A WebP file is RIFF, its length, WEBP; then VP8L, its length, the stream, and a zero if its length is odd.
_FRAME = struct.Struct("<4sI8sI")
# The first bytes of a stream: a mark, then width - 1 and height - 1 in 14 bits each.
_MARK, _SIDE = 0x2F, 14
# libwebp's effort: 0..6, and 0..100. More takes a hundred times as long for 1 or 2 %. Small pictures get it all.
_EFFORT, _ALL, SMALL = {"method": 4, "quality": 80}, {"method": 6, "quality": 100}, 2**11


def encode(samples: Array, pixels: int) -> bytes:
    """uint8 (H, W, 1) or (H, W, 3), sides at most 16383 -> a VP8L stream; gray is coded as three equal channels.

    pixels: those of the whole picture. Up to SMALL of them get all effort. A tile of a long, thin picture has as few.
    """
    _need_webp()
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, **(_ALL if pixels <= SMALL else _EFFORT))
    data = buffer.getvalue()
    _, _, kind, length = _FRAME.unpack_from(data)
    assert kind == b"WEBPVP8L"
    return data[_FRAME.size : _FRAME.size + length]


def decode(stream: bytes, width: int, height: int, channels: int) -> Array:
    """The inverse of `encode`: uint8 (height, width, channels), of gray the green one. Raises BadFile.

    The size in the stream is checked first, so its memory is bounded by the wanted size.
    """
    _need_webp()
    sides = int.from_bytes(stream[1:5], "little")
    found = (sides % 2**_SIDE + 1, (sides >> _SIDE) % 2**_SIDE + 1)
    if len(stream) < 5 or stream[0] != _MARK or found != (width, height):
        raise BadFile("a lossless tile has another size than it must have")
    padded = stream + bytes(len(stream) % 2)
    data = _FRAME.pack(b"RIFF", 12 + len(padded), b"WEBPVP8L", len(stream)) + padded
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            samples = np.asarray(image.convert("RGB"))
    except Exception as error:  # libwebp's, through Pillow, of several classes
        raise BadFile(f"a lossless tile is damaged ({one_line(error)})") from None
    return whole(samples[:, :, 1:2] if channels == 1 else samples)


def _need_webp() -> None:
    if not features.check("webp"):
        raise NicError("lossless files need WebP, and this Pillow was built without it")
