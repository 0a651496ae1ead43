"""How many bits the samples in a file have, where Pillow gives them as 8.

Under `reader`. A Pillow image that is not loaded yet comes in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from nicodec.picture.files import boxes

_PACKED = frozenset({"RGB;16", "BGR;16"})  # three colours in 16 bits


def bits(image: Image.Image) -> int:
    """Bits of a sample of the file: 8, unless it is known that they are more."""
    try:
        if image.format in ("AVIF", "HEIF"):
            return max(8, *_of_coded(image))
        if image.format == "JPEG2000":
            return max(8, *_of_jpeg2000(image))
    except (struct.error, IndexError, KeyError, TypeError):
        return 8  # damaged: the decoder decides
    arguments = tile_arguments(image)
    if image.format == "PPM" and len(arguments) == 2:
        return 16 if isinstance(arguments[1], int) and arguments[1] > 255 else 8
    raw = raw_mode(image)
    return 16 if ";16" in raw and raw not in _PACKED else 8


def reduced(bits: int) -> str:
    """The note of the loss."""
    return f"{bits}-bit samples were reduced to 8 bits"


def tile_arguments(image: Image.Image) -> tuple[object, ...]:
    """The arguments of the file's decoder, the raw mode first; () where the image is loaded or has no file."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ()
    arguments = tiles[0][3]
    return arguments if isinstance(arguments, tuple) else (arguments,)


def raw_mode(image: Image.Image) -> str:
    """What Pillow calls the samples in the file; "" where the image is loaded or has no file."""
    arguments = tile_arguments(image)
    return arguments[0] if arguments and isinstance(arguments[0], str) else ""


def _of_coded(image: Image.Image) -> Iterator[int]:
    yield 0
    for name, body in boxes.properties(image):
        if name == b"pixi":
            yield from body[5 : 5 + body[4]]
        elif name == b"av1C":
            yield 12 if body[2] & 0x20 else 10 if body[2] & 0x40 else 8
        elif name == b"hvcC":
            yield 8 + (body[17] & 7)


def _of_jpeg2000(image: Image.Image) -> Iterator[int]:
    """Each depth is stored less one, below the bit of the sign."""
    yield 0
    start = boxes.read(image, 0, 42 + 3 * 4)
    if start.startswith(b"\xff\x4f\xff\x51"):  # no boxes: three bytes for each of the components, the depth first
        (components,) = struct.unpack_from(">H", start, 40)
        yield from ((depth & 127) + 1 for depth in start[42 : 42 + 3 * components : 3])
        return
    for _, header in boxes.outermost(image, b"jp2h"):
        for name, body in boxes.inside(header):
            if name == b"ihdr" and body[10] != 255:
                yield (body[10] & 127) + 1
            elif name == b"bpcc":
                yield from ((depth & 127) + 1 for depth in body)
