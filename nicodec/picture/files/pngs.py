"""Whether the samples of a PNG are those that were written, and all of them.

Under `damage`. Pillow looks at no checksum of samples, and leaves rows that are missing black.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from nicodec.errors import BadImage

NO_END = "the file ends without its end marker, so it may have been cut off"

_PIECE = 1 << 16  # bytes that are read at a time; a piece inflates to a thousand times as many at most
_MOST_INFLATED = 1 << 20  # bytes of them that are held at a time
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples of a pixel
_WHOLE = [(0, 0, 1, 1)]  # first column and row, steps between columns and rows
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def check_sums(file: BinaryIO, name: str, notes: list[str]) -> None:
    """Raises BadImage, naming `name`, for a wrong checksum of samples. A line in `notes` tells of all other damage."""
    file.seek(8)
    wrong: list[str] = []
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        crc, left = zlib.crc32(kind), length
        while left and (part := file.read(min(left, 1 << 20))):
            crc, left = zlib.crc32(part, crc), left - len(part)
        if left:
            return  # Pillow refuses samples that were cut off
        if file.read(4) != struct.pack(">I", crc):
            if kind[:1].isupper():
                raise BadImage(f"{name}: damaged: a checksum of its samples is wrong")
            wrong.append(kind.decode("latin-1"))
        if kind == b"IEND":
            break
    else:
        notes.append(NO_END)
    if wrong:
        notes.append(f"a damaged PNG: the checksum of {', '.join(dict.fromkeys(wrong))} is wrong")


def may_lack_rows(image: Image.Image) -> bool:
    """Whether a loaded PNG may have fewer samples than its size asks for.

    Pillow writes the rows one after the other into an image of zeros, so none is missing where the last is not zero.
    To count what every file inflates to would make reading a third slower.
    """
    last = image.crop((0, image.height - 1, image.width, image.height))
    return bool(image.info.get("interlace")) or not np.asarray(last).any()


def check_amount(file: BinaryIO, name: str) -> None:
    """Raises BadImage, naming `name`, if the samples inflate to fewer bytes than the size in the header asks for."""
    file.seek(16)
    whole = _amount(file.read(13))
    engine, found = zlib.decompressobj(), 0
    for piece in _samples(file):
        while piece and found < whole and not engine.eof:
            try:
                found += len(engine.decompress(piece, _MOST_INFLATED))
            except zlib.error:  # it is what was inflated before that counts
                raise _cut_off(name, found, whole) from None
            piece = engine.unconsumed_tail
        if found >= whole:
            return
    raise _cut_off(name, found, whole)


def _cut_off(name: str, found: int, whole: int) -> BadImage:
    return BadImage(f"{name}: cut off: its samples end after {found:,} of {whole:,} bytes")


def _amount(header: bytes) -> int:
    """How many bytes the samples of a PNG have before they are deflated, by the contents of its IHDR."""
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits, total = depth * _CHANNELS[kind], 0
    for column, row, across, down in _PASSES if interlaced else _WHOLE:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0:
            total += max(rows, 0) * (1 + (columns * bits + 7) // 8)  # a row begins with the number of its filter
    return total


def _samples(file: BinaryIO) -> Iterator[bytes]:
    """The contents of the IDAT chunks, in pieces."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        end = file.tell() + length
        while kind == b"IDAT" and (piece := file.read(min(_PIECE, end - file.tell()))):
            yield piece
        file.seek(end + 4)
