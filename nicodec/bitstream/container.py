"""The .nic container: bytes <-> header and chunks, with every length and checksum checked.

Last step of encoding, first of decoding. Standard library only; docs/FORMAT.md is the specification.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from nicodec.bitstream import varint
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded, UnsupportedVersion

# A byte with the high bit set, which no text begins with, and the name.
MAGIC = b"\x89NIC"
MAJOR, MINOR = 1, 0
# Magic, version, samples, CRC of symbols, model. Varints follow, as a small picture has few bytes to spare.
START = struct.Struct("<4sBBI8s")
CRC = struct.Struct("<I")
SKIPPABLE = 0x80
MAX_QUALITY = 10000
MAX_SIDE = 2**31 - 1
DEFAULT_MAX_PIXELS = 2**27
MAX_METADATA = 2**26
# Cells that one tile may cover. Our encoder uses 128 at most. A tile is decoded in one piece, so this bounds memory.
MAX_TILE = 1024
# Chunks of a file: an empty one is six bytes of it, and fifty times as many of memory.
MAX_CHUNKS = 2**16 - 1
CELL = 64
# A file may claim FREE_PIXELS, and PIXELS_PER_BYTE more for each of its bytes, unless the user sets a limit.
# The emptiest pictures have about 1000 pixels for each byte.
FREE_PIXELS, PIXELS_PER_BYTE = 2**20, 2560
# A lossless file may claim so many, by its depth: empty paper takes next to nothing.
FREE_LOSSLESS = {8: 2**24, 16: 2**22}


class Kind(IntEnum):
    """Chunk types. A decoder may skip an unknown type from 0x80 on."""

    Z = 1
    Y = 2
    ALPHA = 3
    PATCHES = 4
    FLATS = 5
    SAMPLES = 6
    CORRECTION = 7
    ICC = 0x81
    EXIF = 0x82
    XMP = 0x83
    IPTC = 0x84
    TEXT = 0x85
    DENSITY = 0x86


@dataclass(frozen=True)
class Header:
    """The header of a file.

    width, height: pixels. channels: 1 gray or 3 RGB. depth: bits of each sample of the source, 8 or 16. quality:
    hundredths, 0..10000. tile: width and height of a tile, in cells of 64 pixels. model: first 8 bytes of the id of
    the model; zeros without one. symbols_crc: CRC-32 of z and r, see `SymbolsCrc`; or of lossless samples.
    version: (major, minor), 0..15 each.
    """

    width: int
    height: int
    channels: int
    depth: int
    quality: int
    tile: tuple[int, int]
    model: bytes
    symbols_crc: int
    version: tuple[int, int] = (MAJOR, MINOR)


@dataclass(frozen=True)
class Chunk:
    """One chunk: its type and its payload."""

    kind: int
    payload: bytes


class File(NamedTuple):
    """A file taken apart: its header, and its chunks in order."""

    header: Header
    chunks: list[Chunk]

    def more(self, chunks: list[Chunk]) -> File:
        """The file with more chunks at its end."""
        return File(self.header, [*self.chunks, *chunks])

    def extra(self, kind: int) -> bytes | None:
        """The payload of the first chunk of this kind, or None."""
        return next((chunk.payload for chunk in self.chunks if chunk.kind == kind), None)

    def metadata(self, kind: int) -> bytes | None:
        """The payload of a chunk of metadata, inflated, or None. Raises BadFile or LimitExceeded."""
        stored = self.extra(kind)
        return None if stored is None else inflate(stored)

    @property
    def of_samples(self) -> bool:
        """Whether the file holds samples and no symbols, and so needs no model."""
        return self.chunks[0].kind == Kind.SAMPLES

    @property
    def lossless(self) -> bool:
        """Whether these are the samples that were put in; below the highest quality they are a drawing's."""
        return self.of_samples and self.header.quality == MAX_QUALITY

    @property
    def mode(self) -> str:
        """Pillow's name of the picture's mode: L, LA, RGB or RGBA."""
        alpha = "" if self.extra(Kind.ALPHA) is None else "A"
        return ("L" if self.header.channels == 1 else "RGB") + alpha

    @property
    def size(self) -> int:
        """The bytes that the file takes."""
        head = len(_start(self.header, len(self.chunks))) + CRC.size
        return head + sum(chunk_size(len(chunk.payload)) for chunk in self.chunks)


def max_pixels() -> int:
    """The most pixels of a picture: NICODEC_MAX_PIXELS in the environment, or 2^27 without it.

    Raises LimitExceeded if the variable is not a whole number.
    """
    text = os.environ.get("NICODEC_MAX_PIXELS") or str(DEFAULT_MAX_PIXELS)
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise LimitExceeded(f"NICODEC_MAX_PIXELS must be a whole number of pixels, not {text!r}")
    return int(text)


def cell_counts(width: int, height: int) -> tuple[int, int]:
    """Numbers of columns and rows of cells of 64 pixels that cover a picture."""
    return -(-width // CELL), -(-height // CELL)


def check_size(width: int, height: int, limit: int | None = None) -> None:
    """Raise LimitExceeded for more pixels than `limit`; without `limit`, for more than `max_pixels`.

    Also raised for a side over 2^31 - 1, and for a narrow strip that grows far too large when padded to whole cells.
    """
    hint = "" if limit is not None else "; NICODEC_MAX_PIXELS in the environment raises it"
    limit = max_pixels() if limit is None else limit
    padded = math.prod(cell_counts(width, height)) * CELL**2
    far_more = 2 * max(limit, DEFAULT_MAX_PIXELS)
    if max(width, height) > MAX_SIDE or width * height > limit or padded > far_more:
        raise LimitExceeded(f"a picture of {width}x{height} is over the limit of {limit:,} pixels{hint}")


def check_expansion(width: int, height: int, size: int, *, lossless: int = 0) -> None:
    """Raise LimitExceeded if a file of `size` bytes claims a picture too large for its bytes.

    lossless: the depth of a lossless file, else 0. A limit in NICODEC_MAX_PIXELS turns this check off.
    """
    padded = math.prod(cell_counts(width, height)) * CELL**2
    free = FREE_LOSSLESS[lossless] if lossless else FREE_PIXELS
    if not os.environ.get("NICODEC_MAX_PIXELS") and padded > free + PIXELS_PER_BYTE * size:
        raise LimitExceeded(
            f"{size:,} bytes that claim to be a picture of {width}x{height}; if you trust them, set"
            " NICODEC_MAX_PIXELS in the environment"
        )


def tile_count(header: Header) -> int:
    """Number of tiles. Each has a chunk of its own, in row-major order."""
    columns, rows = cell_counts(header.width, header.height)
    return -(-columns // header.tile[0]) * -(-rows // header.tile[1])


def chunk_size(length: int) -> int:
    """The bytes that a payload of this length takes in a file: itself, and its entry in the chunk table."""
    return 1 + len(varint.encode(length)) + CRC.size + length


def _start(header: Header, count: int) -> bytes:
    """The bytes before the table of so many chunks."""
    version, samples = 16 * header.version[0] + header.version[1], header.channels + 16 * (header.depth == 16)
    numbers = header.width, header.height, header.quality, *header.tile, count
    fixed = START.pack(MAGIC, version, samples, header.symbols_crc, header.model)
    return fixed + b"".join(map(varint.encode, numbers))


def pack(header: Header, chunks: list[Chunk]) -> bytes:
    """Header and chunks -> the bytes of a file."""
    table = (bytes([c.kind]) + varint.encode(len(c.payload)) + CRC.pack(zlib.crc32(c.payload)) for c in chunks)
    head = _start(header, len(chunks)) + b"".join(table)
    return b"".join([head, CRC.pack(zlib.crc32(head)), *(c.payload for c in chunks)])


def unpack(data: bytes, limit: int | None = None) -> File:
    """The bytes of a file -> header and chunks.

    limit: the most pixels; None means the limits of `max_pixels` and `check_expansion`. All lengths, checksums and
    limits are checked here. Raises BadFile for anything but a whole well-formed file, and ChecksumMismatch for
    damage. Raises UnsupportedVersion for a later format or an unknown feature, and LimitExceeded for too many pixels,
    too many chunks or too large a tile.
    """
    if not data.startswith(MAGIC[: len(data)]) or not data:
        raise BadFile("not a .nic file")
    if len(data) < START.size:
        raise BadFile("the file ends within its header")
    _, version, samples, symbols_crc, model = START.unpack_from(data)
    major, minor = divmod(version, 16)
    if major != MAJOR:
        raise UnsupportedVersion(f"the file is of format version {major}.{minor}; this release decodes {MAJOR}.x")
    (width, height, quality, tile_w, tile_h, count), at = varint.read_head(data, START.size, 6, "header")
    if count > MAX_CHUNKS:
        raise LimitExceeded(f"{count:,} chunks are over the limit of {MAX_CHUNKS:,}")
    table = []
    for _ in range(count):
        (length,), end = varint.read_head(data, at + 1, 1, "chunk table")
        table.append((data[at], length, data[end : end + CRC.size]))
        at = end + CRC.size
    body = at + CRC.size
    if len(data) < body:
        raise BadFile("the file ends within its chunk table")
    if CRC.unpack_from(data, at)[0] != zlib.crc32(data[:at]):
        raise ChecksumMismatch("the header is damaged")
    if len(data) != (whole := body + sum(length for _, length, _ in table)):
        raise BadFile(f"the file is cut short, or has bytes left over: it has {len(data):,} bytes, not {whole:,}")
    channels, depth = samples % 16, 8 + samples // 16 * 8
    possible = channels in (1, 3) and depth in (8, 16) and quality <= MAX_QUALITY
    if not possible or 0 in (width, height, tile_w, tile_h):
        raise BadFile("the header holds impossible values")
    check_size(width, height, limit)
    if limit is None:
        check_expansion(width, height, len(data), lossless=depth if count and table[0][0] == Kind.SAMPLES else 0)
    if math.prod(map(min, (tile_w, tile_h), cell_counts(width, height))) > MAX_TILE:
        raise LimitExceeded(f"a tile of {tile_w}x{tile_h} cells is over the limit of {MAX_TILE}")
    header = Header(width, height, channels, depth, quality, (tile_w, tile_h), model, symbols_crc, (major, minor))
    chunks = []
    for kind, length, crc in table:
        chunks.append(Chunk(kind, data[body : body + length]))
        body += length
        if CRC.pack(zlib.crc32(chunks[-1].payload)) != crc:
            raise ChecksumMismatch("a chunk is damaged")
    check_order(header, chunks)
    return File(header, chunks)


def check_order(header: Header, chunks: list[Chunk]) -> None:
    """Check the order of chunks: one Z and one Y for each tile, or one SAMPLES for each tile; then others, rising.

    Raises BadFile, or UnsupportedVersion for an unknown kind below 0x80.
    """
    kinds, tiles, known = [c.kind for c in chunks], tile_count(header), set(Kind)
    if strange := [kind for kind in kinds if kind not in known and not kind & SKIPPABLE]:
        raise UnsupportedVersion(f"the file needs a feature that this release does not know (chunk {strange[0]})")
    lossless = kinds[:1] == [Kind.SAMPLES]
    first = 0 if lossless else 1
    extra, coded = kinds[first + tiles :], kinds[first : first + tiles]
    alike = len(coded) == tiles and set(coded) == {int(Kind.SAMPLES if lossless else Kind.Y)}
    if not alike or (not lossless and kinds[0] != Kind.Z):
        raise BadFile("the chunks do not match the tile grid")
    misplaced = {Kind.Z, Kind.Y, Kind.SAMPLES} | ({Kind.PATCHES, Kind.FLATS, Kind.CORRECTION} if lossless else set())
    if extra != sorted(set(extra)) or not misplaced.isdisjoint(extra):
        raise BadFile("the chunks are out of order")
    if lossless and any(header.model):
        raise BadFile("a lossless file names a model")


def deflate(payload: bytes) -> bytes:
    """Metadata, patches or flats as stored: a method byte, then the bytes (0) or, if shorter, their zlib stream (1).

    More than MAX_METADATA bytes are never compressed, because `inflate` would refuse them.
    """
    packed = zlib.compress(payload, 9) if len(payload) <= MAX_METADATA else payload
    return b"\x01" + packed if len(packed) < len(payload) else b"\x00" + payload


def inflate(stored: bytes, limit: int = MAX_METADATA) -> bytes:
    """The inverse of `deflate`. Raises BadFile for anything malformed.

    Raises LimitExceeded for a zlib stream of more than `limit` bytes; bytes that are not compressed have no limit.
    """
    if stored[:1] == b"\x00":
        return stored[1:]
    if stored[:1] != b"\x01":
        raise BadFile("a chunk is stored by an unknown method")
    engine = zlib.decompressobj()
    try:
        result = engine.decompress(stored[1:], limit + 1)
    except zlib.error as error:
        raise BadFile(f"a chunk does not inflate ({error})") from None
    if len(result) > limit:
        raise LimitExceeded(f"a chunk inflates to more than {limit:,} bytes")
    if not engine.eof or engine.unused_data:
        raise BadFile("a chunk does not inflate to its end")
    return result
