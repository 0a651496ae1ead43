"""The samples themselves in place of symbols: a file without loss, made where it costs less than the lossy one.

Beside the steps of `codec`, above `picture.vp8l`. It needs no model.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nicodec.bitstream import alpha, container, tiles
from nicodec.bitstream.container import CELL, MAX_QUALITY, Chunk, File, Header, Kind
from nicodec.bitstream.tiles import Box
from nicodec.coding import beside, quantize
from nicodec.coding.encoded import Coded
from nicodec.coding.painting import View
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded
from nicodec.parallel.threads import aside, in_order
from nicodec.picture import Picture, Samples, depth_of, eight, vp8l, writer

# Width and height of a tile in cells. Empty pictures that would be too large for their bytes get the smaller tiles.
TILE, SMALL_TILE = (16, 16), (4, 4)
# A lossless file that is more than this many times as large as the lossy one is not taken, and the error of the lossy
# one is then not measured.
WORTH = 2.0
# Bytes of samples that are deflated to estimate the size of the lossless file; the parts of the picture that they come
# from, and the rows of each.
SAMPLE, PARTS, ROWS = 2**15, 8, 4
# The size of a photograph's lossless file, as a share of what these samples predict. That of a drawing is less.
VP8L_SHARE = 0.77
# A picture with a larger share of pixels that equal their left neighbour is drawn, and always worth the trial.
DRAWN = 0.5
# The size of a picture of at least LARGE times PART pixels is first told from blocks of PART pixels together, squares
# of this side, with the longest side of them together. The trial ends there if these tell SURE times the limit.
PART, BLOCK, LONGEST = 2**18, 128, 2**13
LARGE, SURE = 4, 2.0
# The bytes of the length before the high bytes of a deep tile.
_LENGTH = 4


@dataclass(frozen=True, eq=False)
class Lossless:
    """The lossless file of one picture, made when it is first asked for. threads: those that code its tiles."""

    picture: Picture
    threads: int

    @cached_property
    def coded(self) -> Coded:
        """The file."""
        file = of_samples(self.picture, MAX_QUALITY, self.threads)
        assert file is not None  # without a limit there always is one
        return Coded(file, None)

    @cached_property
    def _estimated(self) -> Callable[[], float]:
        return aside(partial(_estimated_size, self.picture.pixels), self.threads)

    def begin(self) -> None:
        """Begin to estimate the size of the file, beside other work."""
        _ = self._estimated

    def cheaper(self, lossy: Coded, psnr: Callable[[File], float], most: float | None) -> Coded:
        """This file if it costs less than a lossy one, in bits + lambda * squared error; else the lossy one.

        A file that is more than WORTH times as large is never taken, nor one over `most` bytes. psnr: of a file, in dB.
        """
        size, pixels = lossy.file.size, self.picture.pixels
        if self._estimated() > WORTH * size:
            return lossy
        limit = WORTH * size if most is None else min(WORTH * size, most)
        large = pixels[:, :, 0].size >= LARGE * PART
        if large and len(_packed(part := blocks(pixels), pixels)) * pixels.size > SURE * limit * part.size:
            return lossy
        file = of_samples(self.picture, MAX_QUALITY, self.threads, limit)
        if file is None:
            return lossy
        height, width, _ = pixels.shape
        q = lossy.file.header.quality
        pays = file.size <= size or 8 * file.size < quantize.cost(q, size, psnr(lossy.file), height * width)
        return Coded(file, None) if pays else lossy


def _estimated_size(pixels: Samples) -> float:
    """About the bytes of the lossless file of a photograph; 0 for a small picture, or one that is drawn."""
    parts = sample(pixels)
    if parts.size == pixels.size or np.mean((parts[:, :, 1:] == parts[:, :, :-1]).all(-1)) > DRAWN:
        return 0.0
    return VP8L_SHARE * deflated(parts) * pixels.size


def sample(pixels: Samples) -> Samples:
    """A few parts of a picture (H, W, C), evenly spaced: (parts, rows, columns, C), of at most SAMPLE bytes."""
    height, width, channels = pixels.shape
    pixel = channels * pixels.itemsize
    columns = min(width, SAMPLE // (PARTS * ROWS * pixel))
    rows = min(height, SAMPLE // (columns * pixel))
    count = 1 if rows == height else max(1, min(PARTS, rows // ROWS))
    each = rows // count
    tops, lefts = (np.linspace(0, n, count).astype(int) for n in (height - each, width - columns))
    corners = zip(tops, lefts, strict=True)
    return np.stack([pixels[top : top + each, left : left + columns] for top, left in corners])


def deflated(parts: Samples) -> float:
    """Bytes of each sample of some parts, deflated as they are or as differences to the row above or to the left."""
    ways = [way for way in (parts, np.diff(parts, axis=1), np.diff(parts, axis=2)) if way.size]
    return min(len(zlib.compress(way.tobytes(), 1)) / way.size for way in ways)


def blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """The whole of a small picture (H, W, C); of a large one evenly spaced blocks, side by side."""
    height, width, _ = plane.shape
    if height * width <= PART and max(height, width) <= LONGEST:
        return plane
    high, wide = min(BLOCK, height), min(BLOCK, width)
    count, longest = max(1, PART // (high * wide)), LONGEST // BLOCK
    rows = min(height // high, longest, max(1, round((count * height / width) ** 0.5)))
    columns = min(width // wide, longest, max(1, count // rows))
    tops, lefts = (np.linspace(0, *ends).astype(int) for ends in ((height - high, rows), (width - wide, columns)))
    parts = [[plane[top : top + high, left : left + wide] for left in lefts] for top in tops]
    return np.concatenate([np.concatenate(line, 1) for line in parts])


def of_samples(picture: Picture, q: int, threads: int, most: float = math.inf) -> File | None:
    """The file of all samples of a picture. q: MAX_QUALITY if they are as they were, else the quality they have.

    None if it has over `most` bytes; no more tiles are then coded than show it.
    """
    for size in (TILE, SMALL_TILE):
        file = _file(picture, size, q, threads, most)
        if file is None or file.size > most:
            return None
        header = file.header
        with suppress(LimitExceeded):
            container.check_expansion(header.width, header.height, file.size, lossless=header.depth)
            break
    return file


def _file(picture: Picture, size: tuple[int, int], q: int, threads: int, most: float) -> File | None:
    height, width, channels = picture.pixels.shape
    crc, chunks, taken = 0, list[Chunk](), 0

    def packed(part: Samples) -> tuple[Samples, bytes]:
        return part, _packed(part, picture.pixels)

    parts = (picture.pixels[b.top : b.bottom, b.left : b.right] for b in _boxes(width, height, size))
    with closing(in_order(packed, parts, threads)) as found:
        for part, payload in found:
            taken += len(payload)
            if taken > most:
                return None
            crc = zlib.crc32(_little(part), crc)
            chunks.append(Chunk(Kind.SAMPLES, payload))
    header = Header(width, height, channels, depth_of(picture.pixels), q, size, bytes(8), crc)
    return File(header, [*chunks, *beside.chunks(picture, None, None, [])])


def paint(file: File, wanted: View, *, check: bool) -> Iterator[tuple[Box, Samples]]:
    """The samples of each tile inside the wanted area, in the depth of the file, with their place in the view.

    check: hold the samples of the whole picture against their checksum. Raises BadFile or ChecksumMismatch.
    """
    header, crc, sent = file.header, 0, file.extra(Kind.ALPHA)
    clear = None if sent is None or wanted.shrink == 1 else eight(alpha.decode(sent, header.width, header.height))
    area = wanted.area.times(wanted.shrink)  # of a preview it may reach over the edge
    for chunk, box in zip(file.chunks, _boxes(header.width, header.height, header.tile), strict=False):
        part = box.cut(area)
        if part.rows <= 0 or part.columns <= 0:
            continue
        samples = _unpacked(chunk.payload, box, header)
        if check:
            crc = zlib.crc32(_little(samples), crc)
        if wanted.shrink > 1:
            shown = (
                eight(samples)
                if clear is None
                else np.dstack([eight(samples), clear[box.top : box.bottom, box.left : box.right]])
            )
            yield box.over(wanted.shrink), writer.reduced(shown, wanted.shrink)[:, :, : header.channels]
        else:
            yield part, np.ascontiguousarray(samples[part.within(box)])
    if check and crc != header.symbols_crc:
        raise ChecksumMismatch("the samples differ from those that were written")


def _boxes(width: int, height: int, size: tuple[int, int]) -> Iterator[Box]:
    """The tiles of a picture, in pixels."""
    whole = Box(0, 0, height, width)
    return (tile.times(CELL).cut(whole) for tile in tiles.grid(tiles.cells(width, height), size))


def _little(samples: Samples) -> bytes:
    return samples.astype(samples.dtype.newbyteorder("<")).tobytes()


def _packed(part: Samples, whole: Samples) -> bytes:
    """The payload of a tile: its VP8L stream; at depth 16 a length, and the streams of the high and the low bytes."""
    pixels = whole.shape[0] * whole.shape[1]
    if part.dtype == np.uint8:
        return vp8l.encode(np.ascontiguousarray(part), pixels)
    high, low = (vp8l.encode(byte.astype(np.uint8), pixels) for byte in (part >> 8, part & 255))
    return len(high).to_bytes(_LENGTH, "little") + high + low


def _unpacked(payload: bytes, box: Box, header: Header) -> Samples:
    """The inverse of `_packed`. Raises BadFile."""
    if header.depth == 8:
        return vp8l.decode(payload, box.columns, box.rows, header.channels)
    middle = _LENGTH + int.from_bytes(payload[:_LENGTH], "little")
    if len(payload) < middle:
        raise BadFile("a lossless tile ends before its low bytes")
    streams = payload[_LENGTH:middle], payload[middle:]
    high, low = (vp8l.decode(stream, box.columns, box.rows, header.channels) for stream in streams)
    samples: Samples = high.astype(np.uint16)
    samples <<= 8  # in place, as a tile of 16 bits takes 25 megabytes
    samples |= low
    return samples
