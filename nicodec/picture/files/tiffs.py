"""The directories of a TIFF: which of them is the picture, and what its samples mean.

Under `kinds` and `reader`. Raw files of cameras are TIFFs too, with a small copy of the picture in front.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, NamedTuple

from nicodec.errors import BadImage

STARTS = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")
"""What Pillow takes for the start of a TIFF."""

_MOST_DIRECTORIES = 100
_MOST_ENTRIES = 1000
_MOST_VALUES = 64
# Tags.
_SUBFILE, _OLD_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _CHANNELS, _PLANES = 254, 255, 258, 259, 262, 277, 284
_SUB_DIRECTORIES, _INK_SET, _EXTRA, _FORMAT, _SUBSAMPLING, _DNG = 330, 332, 338, 339, 530, 50706

_SENSOR = {32803, 34892}  # photometric kinds: mosaic of a sensor, linear samples of one
_SENSOR_CODES = {32767, 32770, 34713, 65000, 65535}  # compressions of Sony, Samsung, Nikon, Kodak, Pentax
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # photometric kind -> samples of a pixel that are its colour
_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # types of whole numbers

Directory = dict[int, tuple[int, ...]]


class Samples(NamedTuple):
    """How gray samples are to be read. white: the largest value, of those over 8 bits. inverted: 0 is white."""

    white: int = 65535
    inverted: bool = False


PLAIN = Samples()


def is_raw(file: BinaryIO) -> bool:
    """Whether the file holds what a sensor saw."""
    return any(
        _DNG in directory
        or _SENSOR & set(directory.get(_PHOTOMETRIC, ()))
        or _SENSOR_CODES & set(directory.get(_COMPRESSION, ()))
        for directory in _directories(file)
    )


def begins_with_a_copy(file: BinaryIO) -> bool:
    """Whether the first picture, which Pillow would read, is a reduced copy of another one."""
    directories = _directories(file)
    if len(directories) < 2:
        return False
    first = directories[0]
    return bool(first.get(_SUBFILE, (0,))[0] & 1) or first.get(_OLD_SUBFILE, (0,))[0] == 2


def facts(file: BinaryIO) -> str:
    """A few words on the samples of the first picture, for an error."""
    first = next(iter(_directories(file)), {})
    bits = first.get(_BITS, (1,))
    return f"{len(bits)} x {bits[0]} bits, photometric kind {first.get(_PHOTOMETRIC, ('none',))[0]}"


def samples(tags: Any, name: str) -> Samples:
    """How Pillow's samples of a TIFF are to be read. tags: Pillow's `tag_v2`, or none, for an image of another kind.

    Raises BadImage, naming `name`, for samples that have no agreed look, or that Pillow reads wrongly.
    """
    if not tags:
        return PLAIN
    bits, formats = numbers(tags.get(_BITS, 1)), set(numbers(tags.get(_FORMAT, 1)))
    photometric, compression = tags.get(_PHOTOMETRIC), tags.get(_COMPRESSION, 1)
    if 2 in formats or formats & {5, 6}:
        raise BadImage(f"{name}: signed or complex samples, in which no value is agreed to be white")
    if photometric == 5 and tags.get(_INK_SET, 1) == 2:
        raise BadImage(f"{name}: samples of inks other than CMYK")
    if photometric == 6 and compression == 1 and numbers(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1) and len(bits) > 1:
        raise BadImage(f"{name}: YCbCr with fewer colour samples and without compression is not read")
    if tags.get(_PLANES, 1) == 2 and bits[0] > 8 and len(bits) > 1 and compression == 1:
        raise BadImage(f"{name}: planes of {bits[0]} bits without compression are not read")
    if 3 in formats and compression != 1 and getattr(tags, "prefix", b"")[:2] == b"MM":
        raise BadImage(f"{name}: big-endian float samples with compression are not read")
    whole = 3 not in formats and bits[0] in (12, 32)
    return Samples(2 ** bits[0] - 1 if whole else 65535, inverted=photometric == 0 and bits[0] > 8)


def channels(tags: Any) -> tuple[int, int]:
    """How many samples a pixel has, and how many of them are its colour. tags: Pillow's `tag_v2`."""
    found: int = tags.get(_CHANNELS, 1)
    return found, _COLOURS.get(tags.get(_PHOTOMETRIC), found)


def is_premultiplied(tags: Any) -> bool:
    """Whether the colours are multiplied with alpha. tags: Pillow's `tag_v2`."""
    return 1 in numbers(tags.get(_EXTRA, ()))


def numbers(value: Any) -> tuple[Any, ...]:
    """The value of one of Pillow's tags, which is bare if it is a single number."""
    return value if isinstance(value, tuple) else (value,)


def _directories(file: BinaryIO) -> list[Directory]:
    """The directories of a file in their order, each followed by those inside it. Those that are damaged are left out.

    Only whole numbers are in them, and the first of many.
    """
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = 43 in struct.unpack(order + "H", start[2:4])
    try:
        waiting = [struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)[0]]
    except struct.error:
        return []
    found: list[Directory] = []
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or at == 0:
            continue
        seen.add(at)
        try:
            directory, following = _directory(file, at, order, big)
        except (struct.error, OSError, OverflowError, ValueError):
            continue
        found.append(directory)
        waiting = [*directory.get(_SUB_DIRECTORIES, ()), following, *waiting]
    return found


def _directory(file: BinaryIO, at: int, order: str, big: bool) -> tuple[Directory, int]:
    """The whole numbers of a directory, and where the next one stands; 0 for none."""
    entry, number, place = (order + "HHQ", "Q", 8) if big else (order + "HHI", "I", 4)
    step = struct.calcsize(entry) + place
    file.seek(at)
    (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
    table = file.read(min(count, _MOST_ENTRIES) * step)
    file.seek(at + (8 if big else 2) + count * step)
    (following,) = struct.unpack(order + number, file.read(place).ljust(place, b"\0"))
    found: Directory = {}
    for start in range(0, len(table) - step + 1, step):
        tag, kind, many = struct.unpack_from(entry, table, start)
        if kind in _SIZES and many:
            form = f"{order}{min(many, _MOST_VALUES)}{_SIZES[kind]}"
            value = table[start + step - place : start + step]
            if many * struct.calcsize(order + _SIZES[kind]) > place:
                file.seek(struct.unpack(order + number, value)[0])
                value = file.read(struct.calcsize(form))
            if len(value) >= struct.calcsize(form):
                found[tag] = struct.unpack_from(form, value)
    return found, following
