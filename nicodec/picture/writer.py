"""`Picture` or samples -> Pillow images and files, the last step of decoding.

After `coding.painting`. It knows the formats of files; `holding` knows what each holds beside the samples.
"""

import io
import os
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image

from nicodec.errors import BadImage, one_line, warn
from nicodec.picture import Array, Beside, Picture, holding, pillow_info
from nicodec.storage.files import atomic_write, shown


class Canvas:
    """A Pillow image of mode L or RGB that is filled part by part, without an array of the whole beside it."""

    def __init__(self, width: int, height: int, channels: int) -> None:
        self._image = Image.new("L" if channels == 1 else "RGB", (width, height))

    def paste(self, pixels: Array, left: int, top: int) -> None:
        """Put uint8 (H, W, channels) at its place, in pixels."""
        part = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        self._image.paste(part, (left, top))

    def finish(self, alpha: Array | None, beside: Beside) -> Image.Image:
        """The image with alpha, uint8 (H, W) or None, and with its metadata in `info` under Pillow's names."""
        if alpha is not None:
            self._image.putalpha(Image.fromarray(alpha))
        pillow_info.put(self._image.info, beside)
        return self._image


def reduced(plane: Array, by: int) -> Array:
    """uint8 (H, W) -> the means of its squares of `by` x `by`; a square cut off at an edge counts."""
    return np.asarray(Image.fromarray(plane).reduce(by))


def resized(pixels: Array, width: int, height: int) -> Array:
    """uint8 (H, W, 3) -> (height, width, 3), by Lanczos' filter."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def to_pil(picture: Picture) -> Image.Image:
    """The picture as a Pillow image, mode L, LA, RGB or RGBA, its metadata in `info` under Pillow's names."""
    height, width, channels = picture.pixels.shape
    canvas = Canvas(width, height, channels)
    canvas.paste(picture.pixels, 0, 0)
    return canvas.finish(picture.alpha, picture.beside)


# The quality of formats with loss; Pillow's scale, 1 to 100.
QUALITY = 95
# Pillow's name -> the options of its writer, without loss where the format can.
_WRITERS: dict[str, dict[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": QUALITY, "subsampling": 0, "comment": b""},  # without this one that of `info`, of any length
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": QUALITY, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "JPEG2000": {},
    "BMP": {},
    "PPM": {},
    "TGA": {},
}
# The formats to which a quality can be given.
_LOSSY = ("JPEG", "WEBP", "AVIF")


_SUFFIXES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
    ".tif": "TIFF", ".tiff": "TIFF", ".jp2": "JPEG2000", ".bmp": "BMP",
    ".ppm": "PPM", ".pgm": "PPM", ".tga": "TGA", ".npy": "NPY",
}  # fmt: skip
# Suffixes of pictures that are read and not written.
_READ_TOO = {".gif", ".jpe", ".jfif", ".jxl", ".j2k", ".jpx", ".pbm", ".pnm", ".qoi"}


def is_picture(name: str) -> bool:
    """Whether a file in a folder is taken as a picture, by its suffix."""
    return os.path.splitext(name)[1].lower() in _SUFFIXES.keys() - {".npy"} | _READ_TOO


def write(
    image: Image.Image, target: str | os.PathLike[str] | BinaryIO, format: str | None = None, *, overwrite: bool = True
) -> None:
    """Write a Pillow image, with the metadata of its `info` that the format can hold.

    target: a path, written whole or not at all (see `files.atomic_write`), or a binary stream. format: a name
    ("PNG") or a suffix ("jpg"). None takes the suffix of the path, or PNG without one. "npy" writes a NumPy array of
    the samples, uint8 (H, W) or (H, W, channels), without metadata.

    Warns of what the format cannot hold beside the samples, which is left out. Raises BadImage for a format that is
    not known or cannot hold the image. Raises NicError if the file cannot be written.
    """
    if isinstance(target, str | os.PathLike):
        atomic_write(target, encoded(image, format, target), overwrite=overwrite)
    else:
        target.write(encoded(image, format))


def has_quality(format: str | None, path: str | os.PathLike[str] | None) -> bool:
    """Whether a quality can be given to `encoded`. Raises BadImage for a format that is not known."""
    return _format("the output" if path is None else shown(path), format, path) in _LOSSY


def encoded(
    image: Image.Image,
    format: str | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    quality: int | None = None,
) -> bytes:
    """The bytes that `write` writes. path: names the file in messages, and its format where `format` is None.

    quality: 1..100, for JPEG, WebP and AVIF; None: no loss in WebP, and `QUALITY` in the others.
    """
    name = "the output" if path is None else shown(path)
    kind = _format(name, format, path)
    if kind == "NPY":
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(image), allow_pickle=False)
        return buffer.getvalue()
    return _saved(image, kind, name, quality)


def _saved(image: Image.Image, kind: str, name: str, quality: int | None) -> bytes:
    options = _WRITERS[kind]
    if quality is not None and kind in _LOSSY:
        options = options | {"quality": quality, "lossless": False}
    beside = pillow_info.of(image, [])
    held, notes = holding.options(kind, beside)
    try:
        try:
            data = holding.finished(kind, _bytes(image, kind, options | held), beside)
        except Exception as error:  # each writer raises errors of its own; metadata are no reason to have no picture
            bare = image.copy()
            bare.info = {}
            data = _bytes(bare, kind, options)
            notes = [f"{kind} was written without metadata: {one_line(error)}"]
    except Exception as error:
        raise BadImage(f"{name}: cannot be written as {kind}: {one_line(error)}") from error
    for note in notes:
        warn(note)
    return data


def _bytes(image: Image.Image, kind: str, options: Mapping[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def suffixes(format: str | None = None) -> tuple[str, ...]:
    """The suffixes of a format's files, `format` itself first: "jpg" -> .jpg, .jpeg. None: those of all formats.

    Raises BadImage for a format that is not known.
    """
    if format is None:
        return tuple(_SUFFIXES)
    kind, own = _format("the output", format, None), "." + format.lower().lstrip(".")
    same = [suffix for suffix, k in _SUFFIXES.items() if k == kind]
    return tuple(sorted(same, key=lambda suffix: suffix != own))


def _format(name: str, format: str | None, path: str | os.PathLike[str] | None) -> str:
    wanted = format or (os.path.splitext(path)[1] if path is not None else "") or "PNG"
    known = {**_SUFFIXES, **{"." + kind.lower(): kind for kind in _WRITERS}}
    kind = known.get("." + wanted.lower().lstrip("."))
    if kind is None:
        raise BadImage(f"{name}: cannot write {wanted!r}, only {' '.join(_SUFFIXES)}")
    return kind
