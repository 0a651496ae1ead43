"""Files made by hand, byte by byte: of kinds that no library at hand writes."""

import struct
import zlib
from typing import Any

import numpy as np

from nicodec.picture.colours import icc

P3 = icc.Gamut((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
P3_CHUNK = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
WIDE = icc.profile(icc.Colours(P3), icc.RGB, "Display P3")
DARK_GRAY = icc.profile(icc.Colours(curve=icc.Curve(1.8)), icc.GRAY, "gray of gamma 1.8")


def soft(height: int = 64, width: int = 96) -> np.ndarray[Any, Any]:
    """A soft picture of saturated colours, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x // (width - 1), 255 * y // (height - 1), 255 - 255 * x // (width - 1)], 2).astype(np.uint8)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(array: np.ndarray[Any, Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """uint8 (H, W) or (H, W, 3) -> a PNG with these chunks in front of the samples."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in array)
    return png_file((width, height, 8, 0 if array.ndim == 2 else 2, 0, 0, 0), rows, *chunks)


def png_file(header: tuple[int, ...], rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG. header: the seven fields of IHDR. rows: what its samples inflate to."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *header)), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


Entry = tuple[int, int, tuple[int, ...]]  # tag, type, values


def directory(entries: list[Entry], at: int, following: int = 0, order: str = "<") -> bytes:
    """A directory of a TIFF that stands at `at`, with its values behind it."""
    forms = {1: "B", 3: "H", 4: "I"}
    head, values = struct.pack(order + "H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, kind, numbers in sorted(entries):
        data = struct.pack(f"{order}{len(numbers)}{forms[kind]}", *numbers)
        if len(data) > 4:
            data, values = struct.pack(order + "I", behind + len(values)), values + data + bytes(len(data) % 2)
        head += struct.pack(order + "HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    return head + struct.pack(order + "I", following) + values


def tiff_of(
    strips: list[bytes], size: tuple[int, int], bits: int, photometric: int, *, samples: int = 1, planes: int = 1,
    form: int = 1, compression: int = 1, order: str = "<", rows: int = 0, tile: tuple[int, int] = (0, 0),
    more: tuple[Entry, ...] = ()
) -> bytes:  # fmt: skip
    """A TIFF of one directory. strips: the whole picture, or each of its planes; or strips of so many `rows`, or tiles.

    size: height, width. tile: the same of a tile, of which there are then `strips`.
    """
    if compression == 8:
        strips = [zlib.compress(strip) for strip in strips]
    height, width = size

    def head(at: int) -> bytes:
        places = tuple(at + sum(map(len, strips[:i])) for i in range(len(strips)))
        entries: list[Entry] = [
            (256, 4, (width,)), (257, 4, (height,)), (258, 3, (bits,) * samples), (259, 3, (compression,)),
            (262, 3, (photometric,)), (277, 3, (samples,)), (284, 3, (planes,)), (339, 3, (form,) * samples), *more,
        ]  # fmt: skip
        lengths = tuple(map(len, strips))
        if any(tile):
            entries += [(322, 4, tile[1:]), (323, 4, tile[:1]), (324, 4, places), (325, 4, lengths)]
        else:
            entries += [(273, 4, places), (278, 4, (rows or height,)), (279, 4, lengths)]
        start = b"II*\0" if order == "<" else b"MM\0*"
        return start + struct.pack(order + "I", 8) + directory(entries, 8, order=order)

    return head(len(head(0))) + b"".join(strips)


def raw_tiff(*, dng: bool) -> bytes:
    """A small copy of the picture, 64 x 48, in front of what a sensor saw, 256 x 192, as in DNG and NEF."""
    thumb = np.full((48, 64, 3), 99, np.uint8).tobytes()
    seen = np.random.default_rng(0).integers(900, 1000, (192, 256)).astype("<u2").tobytes()

    def heads(thumb_at: int, sub_at: int, seen_at: int) -> tuple[bytes, bytes]:
        first: list[Entry] = [
            (254, 4, (1,)), (256, 4, (64,)), (257, 4, (48,)), (258, 3, (8, 8, 8)), (259, 3, (1,)), (262, 3, (2,)),
            (273, 4, (thumb_at,)), (277, 3, (3,)), (278, 4, (48,)), (279, 4, (len(thumb),)), (330, 4, (sub_at,)),
            *([(50706, 1, (1, 4, 0, 0))] if dng else []),
        ]  # fmt: skip
        second: list[Entry] = [
            (254, 4, (0,)), (256, 4, (256,)), (257, 4, (192,)), (258, 3, (16,)), (259, 3, (1,)), (262, 3, (32803,)),
            (273, 4, (seen_at,)), (277, 3, (1,)), (278, 4, (192,)), (279, 4, (len(seen),)), (33421, 3, (2, 2)),
            (33422, 1, (0, 1, 1, 2)),
        ]  # fmt: skip
        a = directory(first, 8)
        return a, directory(second, 8 + len(a))

    a, b = heads(0, 0, 0)
    sub_at = 8 + len(a)
    a, b = heads(sub_at + len(b), sub_at, sub_at + len(b) + len(thumb))
    return b"II*\0" + struct.pack("<I", 8) + a + b + thumb + seen
