"""Samples of 16 bits: from PNG and TIFF files, which Pillow reads in 8 bits where they have colours, and back.

Under `reader` and `writer`. pypng and tifffile do the work.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

import numpy as np
import png
import tifffile
from PIL import Image

from nicodec.picture import Picture, Samples

# Channels -> the colour type of PNG.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_UP = 2  # the filter of PNG that takes the row above
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def planes(image: Image.Image, file: BinaryIO | None) -> tuple[Samples, Samples | None] | None:
    """Pixels uint16 (H, W, 1 or 3), as they lie in the file, and alpha (H, W) or None; None if this room cannot tell.

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


def _png(file: BinaryIO, image: Image.Image) -> Samples | None:
    reader = png.Reader(file=file)
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


def encoded(picture: Picture, plain: bytes, kind: str) -> bytes:
    """A picture of 16 bits as a file.

    kind: "PNG" or "TIFF". plain: the PNG of one pixel with the metadata of the picture, from the writer of PNG files.
    """
    pixels = picture.pixels
    if kind == "TIFF" and picture.alpha is not None and pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)  # as Pillow does, which reads no TIFF of gray with alpha
    samples = pixels if picture.alpha is None else np.dstack([pixels, picture.alpha])
    return _with_samples(plain, samples) if kind == "PNG" else _tiff_of(picture, samples)


def _with_samples(plain: bytes, samples: Samples) -> bytes:
    """A PNG file with other samples, (H, W, 1 to 4), and so another header."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0], filtered[0, 1:] = _UP, rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    new = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0),
        b"IDAT": zlib.compress(filtered.tobytes(), 6),
    }
    made, at = [_SIGNATURE], len(_SIGNATURE)
    while at < len(plain):
        length, kind = struct.unpack_from(">I4s", plain, at)
        data = new.get(kind, plain[at + 8 : at + 8 + length])
        made += [struct.pack(">I4s", len(data), kind), data, struct.pack(">I", zlib.crc32(kind + data))]
        at += 12 + length
    return b"".join(made)


def _tiff_of(picture: Picture, samples: Samples) -> bytes:
    buffer, gray = io.BytesIO(), samples.shape[2] == 1
    tifffile.imwrite(
        buffer,
        samples[:, :, 0] if samples.shape[2] == 1 else samples,
        photometric="minisblack" if gray else "rgb",
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        iccprofile=picture.beside.icc,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()
