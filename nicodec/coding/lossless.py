"""The samples themselves in place of symbols: a file without loss, made where it costs less than the lossy one.

Beside the steps of `codec`, above `picture.vp8l`. It needs no model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np

from nicodec.bitstream import container, tiles
from nicodec.bitstream.container import CELL, Chunk, File, Header, Kind
from nicodec.bitstream.tiles import Box
from nicodec.coding import beside, quantize
from nicodec.coding.encoded import Coded
from nicodec.coding.painting import View
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded
from nicodec.parallel.threads import in_order
from nicodec.picture import Picture, Samples, depth_of, eight, vp8l, writer

# Width and height of a tile in cells. Empty pictures that would be too large for their bytes get the smaller tiles.
TILE, SMALL_TILE = (16, 16), (4, 4)
# The quality in the header, in hundredths. Nothing depends on it.
BEST = 10_000
# A lossless file may be this many times as large as the lossy one, for the error of that one to be measured.
WORTH = 2.0
# The samples that are deflated to tell about how large the file will be, in bytes; parts of the picture they come from.
SAMPLE, BANDS = 2**15, 8
# The file of a photograph is so many times as large as these samples tell, that of a drawing smaller still.
TOLD = 0.77
# A picture with a larger share of pixels that equal their left neighbour is drawn, and always worth the trial.
DRAWN = 0.5
# The bytes of the length before the high bytes of a deep tile.
_LENGTH = 4


def coded(picture: Picture, threads: int) -> Coded:
    """The lossless file of a picture."""
    for size in (TILE, SMALL_TILE):
        file = _file(picture, size, threads)
        try:
            container.check_expansion(file.header.width, file.header.height, file.size, lossless=True)
            break
        except LimitExceeded:
            continue
    return Coded(file, None)


def cheaper(
    pixels: Samples, lossy: Coded, psnr: Callable[[File], float], exact: Callable[[], Coded], *, most: float | None
) -> Coded:
    """The lossless file if it costs less than the lossy one, in bits + lambda * squared error; else the lossy one.

    psnr: of a file, in dB. exact: makes the lossless file. most: the bytes that the file may have.
    """
    if lossy.seen is None:
        return lossy  # it is lossless already
    size = lossy.file.size
    if _told(pixels) > WORTH * size:
        return lossy
    made = exact()
    if made.file.size > (min(WORTH * size, most) if most else WORTH * size):
        return lossy
    if made.file.size <= size:
        return made
    height, width, _ = pixels.shape
    error = quantize.lambda_of(lossy.file.header.quality) * height * width * 255**2 * 10 ** (-psnr(lossy.file) / 10)
    return made if 8 * made.file.size < 8 * size + error else lossy


def _told(pixels: Samples) -> float:
    """About how many bytes the lossless file of a photograph takes; 0 for a small picture, or one that is drawn.

    A few bands of rows are deflated, as they are and as differences to the row above or the sample before.
    """
    height, width, channels = pixels.shape
    rows = max(1, min(height, SAMPLE // (width * channels * pixels.itemsize)))
    count = 1 if rows == height else min(BANDS, max(1, rows // 4))
    each = rows // count
    bands = np.stack([pixels[top : top + each] for top in np.linspace(0, height - each, count).astype(int)])
    if bands.size == pixels.size or np.mean((bands[:, :, 1:] == bands[:, :, :-1]).all(-1)) > DRAWN:
        return 0.0
    ways = (bands, np.diff(bands, axis=1), np.diff(bands, axis=2))
    shortest = min(len(zlib.compress(way.tobytes(), 1)) for way in ways)
    ratio: float = pixels.size / bands.size
    return TOLD * shortest * ratio


def _file(picture: Picture, size: tuple[int, int], threads: int) -> File:
    height, width, channels = picture.pixels.shape
    crc, chunks = 0, []

    def packed(part: Samples) -> tuple[Samples, bytes]:
        return part, _packed(part)

    parts = (picture.pixels[b.top : b.bottom, b.left : b.right] for b in _boxes(width, height, size))
    for part, payload in in_order(packed, parts, threads):
        crc = zlib.crc32(_little(part), crc)
        chunks.append(Chunk(Kind.LOSSLESS, payload))
    header = Header(width, height, channels, depth_of(picture.pixels), BEST, size, bytes(8), crc)
    return File(header, [*chunks, *beside.chunks(picture, None, None)])


def paint(file: File, wanted: View, *, check: bool) -> Iterator[tuple[Box, Samples]]:
    """The samples of each tile inside the wanted area, in the depth of the file, with their place in the view.

    check: hold the samples of the whole picture against their checksum. Raises BadFile or ChecksumMismatch.
    """
    header, crc = file.header, 0
    area = wanted.area.times(wanted.shrink)  # of a preview it may reach over the edge
    for chunk, box in zip(file.chunks, _boxes(header.width, header.height, header.tile), strict=False):
        part = box.cut(area)
        if part.rows <= 0 or part.columns <= 0:
            continue
        samples = _unpacked(chunk.payload, box, header)
        if check:
            crc = zlib.crc32(_little(samples), crc)
        if wanted.shrink > 1:
            planes = [writer.reduced(eight(samples[:, :, c]), wanted.shrink) for c in range(header.channels)]
            yield box.over(wanted.shrink), np.stack(planes, axis=2)
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


def _packed(part: Samples) -> bytes:
    """The payload of a tile: its VP8L stream; at depth 16 a length, and the streams of the high and the low bytes."""
    if part.dtype == np.uint8:
        return vp8l.encode(np.ascontiguousarray(part))
    high, low = (vp8l.encode(byte.astype(np.uint8)) for byte in (part >> 8, part & 255))
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
    return high.astype(np.uint16) << np.uint16(8) | low
