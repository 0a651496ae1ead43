"""Samples of 16 bits: from PNG and TIFF files, which Pillow reads in 8 bits where they have colours, and back.

Under `reader` and `writer`. pypng and tifffile do the work.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from typing import BinaryIO

import numpy as np
import png
import tifffile
from PIL import Image

from nicodec.picture import Picture, Samples
from nicodec.picture.beside import text
from nicodec.picture.beside.png import MAGIC, chunks

# Python prints the lines of a library that has set no handler of its own; what matters ends in an error of ours.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# Channels -> the colour type of PNG.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_UP = 2  # the filter of PNG that takes the row above
_PIECE = 2**20  # bytes that are inflated, or deflated, at a time


def planes(image: Image.Image, file: BinaryIO | None) -> tuple[Samples, Samples | None] | None:
    """Pixels uint16 (H, W, 1 or 3), as they lie in the file, and alpha (H, W) or None; else None.

    image: loaded. file: what it was read from. Raises whatever the libraries raise for a damaged file.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        gray = np.asarray(image).astype(np.uint16)[:, :, None]
        return gray, _keyed(gray, image.info.get("transparency"))
    if file is None or image.format not in ("PNG", "TIFF"):
        return None
    file.seek(0)
    found = _png(file, image) if image.format == "PNG" else _tiff(file)
    if found is None or sorted(found.shape[:2]) != sorted(image.size):  # a TIFF is turned already
        return None
    if found.shape[2] in (2, 4):
        return np.ascontiguousarray(found[:, :, :-1]), np.ascontiguousarray(found[:, :, -1])
    return found, None


def _keyed(pixels: Samples, key: object) -> Samples | None:
    """Alpha of a picture in which one colour is clear."""
    if key is None or isinstance(key, bytes):
        return None
    return np.where((pixels == np.asarray(key)).all(-1), 0, 65535).astype(np.uint16)


def _check_samples(data: bytes, most: int) -> None:
    """Raise ValueError if the samples of a PNG file inflate to more bytes, which pypng would not notice."""
    engine, left = zlib.decompressobj(), most
    for kind, body in chunks(io.BytesIO(data)):
        part = data[body.start : body.stop] if kind == b"IDAT" else b""
        while part and left > 0:
            left -= len(engine.decompress(part, min(left, _PIECE)))
            part = engine.unconsumed_tail
        if left <= 0:
            raise ValueError("more samples than its size has")


def _png(file: BinaryIO, image: Image.Image) -> Samples | None:
    data = file.read()
    _check_samples(data, 2 * 8 * image.width * image.height + 2 * image.height + 64)
    reader = png.Reader(bytes=data)
    width, height, rows, info = reader.read()
    if info["bitdepth"] != 16:
        return None
    samples = np.empty((height, width, info["planes"]), np.uint16)
    for row, values in zip(samples, rows, strict=True):
        row[...] = np.asarray(values).reshape(width, -1)
    alpha = _keyed(samples, reader.transparent)
    return samples if alpha is None else np.dstack([samples, alpha])


def _tiff(file: BinaryIO) -> Samples | None:
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        channels, extra = page.samplesperpixel, page.extrasamples
        known = {int(tifffile.PHOTOMETRIC.MINISBLACK): 1, int(tifffile.PHOTOMETRIC.RGB): 3}
        colours = known.get(int(page.photometric), 0)
        alpha = (tifffile.EXTRASAMPLE.UNASSALPHA,) if channels == colours + 1 else ()
        if page.dtype != np.uint16 or not colours or channels - colours not in (0, 1) or tuple(extra) != alpha:
            return None
        try:
            samples = page.asarray()
        except (ValueError, KeyError, ImportError):  # a compression that needs imagecodecs
            return None
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and channels > 1:
        samples = samples.transpose(1, 2, 0)
    return np.ascontiguousarray(samples.reshape(*samples.shape[:2], -1), np.uint16)


def png_of(picture: Picture, plain: bytes) -> bytes:
    """A picture of 16 bits as a PNG file. plain: one of a single pixel, with the metadata of the picture."""
    return _with_samples(plain, picture.pixels, picture.alpha)


def tiff_of(picture: Picture) -> bytes:
    """A picture of 16 bits as a TIFF file, with its colour profile and resolution."""
    samples, gray = picture.pixels, picture.pixels.shape[2] == 1 and picture.alpha is None
    if picture.alpha is not None:
        # Pillow reads no TIFF of gray with alpha, so it becomes RGB.
        samples = np.dstack([*[samples] * (3 if samples.shape[2] == 1 else 1), picture.alpha])
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples[:, :, 0] if gray else samples,
        photometric="minisblack" if gray else "rgb",
        planarconfig=None if gray else "contig",
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        resolution=text.unpack_density(picture.beside.density),
        resolutionunit="inch" if picture.beside.density else None,
        iccprofile=picture.beside.icc,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def _with_samples(plain: bytes, pixels: Samples, alpha: Samples | None) -> bytes:
    """A PNG file with other samples, (H, W, 1 or 3) and their alpha (H, W), and so another header."""
    height, width, channels = pixels.shape
    channels += alpha is not None
    engine, above, packed = zlib.compressobj(6), np.zeros((1, 2 * width * channels), np.uint8), []
    strip = max(1, _PIECE // above.size)
    for top in range(0, height, strip):
        samples = pixels[top : top + strip]
        if alpha is not None:
            samples = np.dstack([samples, alpha[top : top + strip]])
        rows = samples.astype(">u2").view(np.uint8).reshape(-1, above.size)
        filtered = np.empty((len(rows), 1 + above.size), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        packed.append(engine.compress(filtered.tobytes()))
        above = rows[-1:]
    new = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0),
        b"IDAT": b"".join([*packed, engine.flush()]),
    }
    made = [MAGIC]
    for kind, body in chunks(io.BytesIO(plain)):
        data = new.get(kind, plain[body.start : body.stop])
        made += [struct.pack(">I4s", len(data), kind), data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(made)
