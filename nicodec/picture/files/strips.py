"""Whether all samples of a TIFF are in its file. They lie in strips of whole rows, or in tiles.

Under `reader`, before Pillow decodes: Pillow and tifffile fill what is missing with zeros, or with what stands behind.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files import tiffs

# Tags.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _CHANNELS, _ROWS, _PLANES = 256, 257, 258, 259, 277, 278, 284
_STRIPS, _STRIP_SIZES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 273, 279, 322, 323, 324, 325

_OLD_JPEG = 6  # its parts are named by other tags


class _Layout(NamedTuple):
    """word: what a part is called. across, down: parts in a row of them, and rows of parts. planes: each has as many.

    row: bytes of a row of samples in a part. rows: such rows in a part. height: those of the picture.
    """

    word: str
    across: int
    down: int
    planes: int
    row: int
    rows: int
    height: int

    @property
    def number(self) -> int:
        return self.across * self.down * self.planes

    def length(self, at: int) -> int:
        """The bytes of a part that is not compressed. The last strip has the rows that are left, a tile always all."""
        if self.word == "tile":
            return self.row * self.rows
        return self.row * min(self.rows, self.height - self.rows * (at % self.down))


def check(image: Image.Image, name: str) -> None:
    """Raises BadImage, naming `name`, for a TIFF that is not loaded yet and lacks samples; other images pass."""
    tags: Any = getattr(image, "tag_v2", None)
    file: BinaryIO | None = getattr(image, "fp", None)
    if not tags or file is None or file.closed:
        return
    compression = tags.get(_COMPRESSION, 1)
    tiled = _STRIPS not in tags  # as Pillow decides
    places = tiffs.numbers(tags.get(_TILES if tiled else _STRIPS, ()))
    sizes = tiffs.numbers(tags.get(_TILE_SIZES if tiled else _STRIP_SIZES, ()))
    if compression == _OLD_JPEG or not places:
        return
    layout = _layout(tags, tiled)
    word, count = layout.word, layout.number
    if len(places) < count or 0 < len(sizes) < count:
        found = min(len(places), len(sizes) or count)
        raise BadImage(f"{name}: cut off: {count - found} of its {count} {word}s are missing")
    if compression != 1:
        return  # libtiff, which reads these, finds out itself
    if len(places) > count:
        raise BadImage(f"{name}: damaged: it has {len(places)} {word}s, but its size asks for {count}")
    end = _length(file)
    for number, place in enumerate(places):
        length = layout.length(number)
        if sizes and sizes[number] < length:
            raise BadImage(f"{name}: cut off: {word} {number + 1} of {count} has {sizes[number]} of {length} bytes")
        if place + length > end:
            raise BadImage(f"{name}: cut off: {word} {number + 1} of {count} does not lie in the file")


def _layout(tags: Any, tiled: bool) -> _Layout:
    bits, channels = tiffs.numbers(tags.get(_BITS, 1)), tags.get(_CHANNELS, 1)
    planes = channels if tags.get(_PLANES, 1) == 2 else 1
    pixel = bits[0] if planes > 1 else sum(bits) if len(bits) == channels else bits[0] * channels
    width, height = tags[_WIDTH], tags[_HEIGHT]
    across, columns, rows = 1, width, tags.get(_ROWS, height)
    if tiled:
        columns, rows = tags[_TILE_WIDTH], tags[_TILE_HEIGHT]
        across = -(-width // max(columns, 1))
    rows = max(rows, 1)
    return _Layout(
        "tile" if tiled else "strip", across, -(-height // rows), planes, (columns * pixel + 7) // 8, rows, height
    )


def _length(file: BinaryIO) -> int:
    here = file.tell()
    try:
        return file.seek(0, io.SEEK_END)
    finally:
        file.seek(here)
