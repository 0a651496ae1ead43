"""`Picture` or samples -> Pillow images and files, the last step of decoding.

After `coding.painting`. It knows the formats of files; `holding` knows what each holds beside the samples.
"""

import io
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import Image

from nicodec.errors import BadImage, one_line, warn
from nicodec.extras import is_installed
from nicodec.picture import Array, Beside, Depth, Picture, Samples, at_depth, backgrounds, depth_of, eight
from nicodec.picture.beside import holding, pillow_info
from nicodec.picture.colours import profiles
from nicodec.picture.files import kinds
from nicodec.storage.files import atomic_write, shown


class Canvas:
    """A Pillow image of mode L or RGB that is filled part by part, without an array of the whole beside it."""

    def __init__(self, width: int, height: int, channels: int) -> None:
        self._image = Image.new("L" if channels == 1 else "RGB", (width, height))

    def paste(self, pixels: Samples, left: int, top: int) -> None:
        """Put samples (H, W, channels) at their place, in pixels."""
        pixels = eight(pixels)
        part = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        if part.mode == "RGB" and part.size == self._image.size:  # one of L may share the memory of its array
            self._image = part
        else:
            self._image.paste(part, (left, top))

    def finish(self, alpha: Samples | None, beside: Beside) -> Image.Image:
        """The image with alpha (H, W) or None, and with its metadata in `info` under Pillow's names."""
        if alpha is not None:
            self._image.putalpha(Image.fromarray(eight(alpha)))
        pillow_info.put(self._image.info, beside)
        return self._image


class Plain:
    """An array (H, W) or (H, W, channels), alpha its last channel, that is filled part by part."""

    def __init__(self, width: int, height: int, channels: int, dtype: Depth) -> None:
        self._array: Samples = np.empty((height, width, channels), dtype)

    def paste(self, pixels: Samples, left: int, top: int) -> None:
        """Put samples (H, W, channels) at their place, in pixels."""
        place = self._array[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        place[...] = at_depth(pixels, depth_of(self._array))

    def finish(self, alpha: Samples | None, beside: Beside) -> Samples:
        """The array with alpha (H, W) or None; gray without alpha has two dimensions. It has no metadata."""
        if alpha is not None:
            return np.dstack([self._array, at_depth(alpha, depth_of(self._array))])
        return self._array[:, :, 0] if self._array.shape[2] == 1 else self._array


def canvas(width: int, height: int, channels: int, dtype: Depth | None) -> Canvas | Plain:
    """An empty picture: a Pillow image, or an array of this type."""
    return Canvas(width, height, channels) if dtype is None else Plain(width, height, channels, dtype)


def reduced(samples: Array, by: int) -> Array:
    """uint8 (H, W) or (H, W, 1 to 4) -> the means of its squares of `by` x `by`; a square cut off at an edge counts.

    Of two or four channels the last is alpha, and colours count as far as they are seen.
    """
    plain = samples[:, :, 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    return np.asarray(Image.fromarray(plain).reduce(by)).reshape(
        *np.asarray(plain.shape[:2]) // -by * -1, *samples.shape[2:]
    )


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
    "PNG": {"compress_level": 3},  # a photograph takes 0.4 of the usual time, and is 6 % smaller to 6 % larger
    "JPEG": {"quality": QUALITY, "subsampling": 0, "comment": b""},  # without this one that of `info`, of any length
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": QUALITY, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "JPEG2000": {},
    "BMP": {},
    "PPM": {},
    "TGA": {},
}
# The formats that hold 16 bits for each sample.
DEEP = ("PNG", "TIFF", "NPY")
# The formats to which a quality can be given.
_LOSSY = ("JPEG", "WEBP", "AVIF")
# The formats that hold a colour profile.
_HOLDS_PROFILES = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "JPEG2000")
# The formats that have no alpha. Pillow drops it in BMP and PPM without a word: a BMP of 32 bits does not name it.
_OPAQUE = ("JPEG", "BMP", "PPM")


_SUFFIXES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
    ".tif": "TIFF", ".tiff": "TIFF", ".jp2": "JPEG2000", ".bmp": "BMP",
    ".ppm": "PPM", ".pgm": "PPM", ".tga": "TGA", ".npy": "NPY",
}  # fmt: skip
# Suffixes of pictures that are read and not written, with and without extras.
_READ_TOO = {
    ".apng", ".dds", ".dib", ".gif", ".heic", ".heif", ".hif", ".icb", ".ico", ".j2c", ".j2k", ".jfif", ".jpc", ".jpe",
    ".jpf", ".jpx", ".jxl", ".mpo", ".pbm", ".pcx", ".pfm", ".pnm", ".psd", ".qoi", ".ras", ".sgi", ".vda", ".vst",
}  # fmt: skip


def is_picture(name: str) -> bool:
    """Whether a file in a folder is taken as a picture, by its suffix. Raw files are, where they can be developed."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in kinds.RAW_SUFFIXES:
        return is_installed("rawpy")
    return suffix in _SUFFIXES.keys() - {".npy"} | _READ_TOO


def write(
    image: Image.Image,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    background: str | None = None,
    overwrite: bool = True,
) -> None:
    """Write a Pillow image, with the metadata of its `info` that the format can hold.

    target: a path, written whole or not at all (see `files.atomic_write`), or a binary stream. format: a name
    ("PNG") or a suffix ("jpg"). None takes the suffix of the path, or PNG without one. "npy" writes a NumPy array of
    the samples, uint8 (H, W) or (H, W, channels), without metadata. background: a colour of CSS ("white", "#ffffff")
    over which a transparent image is laid, in any format. None keeps alpha; where all of it is 255, a format without
    alpha drops it.

    Warns of what the format cannot hold beside the samples, which is left out. Raises BadImage for a format that is not
    known or cannot hold the image, and without a background for a transparent image in a format without alpha (JPEG,
    BMP, PPM). Raises NicError for an unknown colour, or if the file cannot be written.
    """
    if isinstance(target, str | os.PathLike):
        atomic_write(target, encoded(image, format, target, background=background), overwrite=overwrite)
    else:
        target.write(encoded(image, format, background=background))


def has_quality(format: str | None, path: str | os.PathLike[str] | None) -> bool:
    """Whether a quality can be given to `encoded`. Raises BadImage for a format that is not known."""
    return _format("the output" if path is None else shown(path), format, path) in _LOSSY


def encoded(
    image: Image.Image,
    format: str | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    quality: int | None = None,
    background: str | None = None,
) -> bytes:
    """The bytes that `write` writes. path: names the file in messages, and its format where `format` is None.

    quality: 1..100, for JPEG, WebP and AVIF; None: no loss in WebP, and `QUALITY` in the others. background: as for
    `write`.
    """
    name = "the output" if path is None else shown(path)
    kind = _format(name, format, path)
    if background is not None:
        image = backgrounds.flat(image, backgrounds.colour(background))
    elif kind in _OPAQUE:
        image = backgrounds.opaque(image, name, kind)
    if kind == "NPY":
        buffer = io.BytesIO()
        _miss_profile(image.info.get("icc_profile"))
        np.save(buffer, np.asarray(image), allow_pickle=False)
        return buffer.getvalue()
    return _saved(image, kind, name, quality)


def holds_deep(format: str | None, path: str | os.PathLike[str] | None) -> bool:
    """Whether a format holds 16 bits for each sample. Raises BadImage for a format that is not known."""
    return _format("the output" if path is None else shown(path), format, path) in DEEP


def encoded_deep(picture: Picture, format: str | None = None, path: str | os.PathLike[str] | None = None) -> bytes:
    """As `encoded`, of a picture of 16 bits, in a format that holds them."""
    name = "the output" if path is None else shown(path)
    kind, beside = _format(name, format, path), picture.beside
    if kind == "NPY":
        (height, width, channels), buffer = picture.pixels.shape, io.BytesIO()
        plain = Plain(width, height, channels, np.uint16)
        plain.paste(picture.pixels, 0, 0)
        _miss_profile(beside.icc)
        np.save(buffer, plain.finish(picture.alpha, beside), allow_pickle=False)
        return buffer.getvalue()
    from nicodec.picture import deep  # only here: its libraries take a while to load

    try:
        if kind == "PNG":
            clear = None if picture.alpha is None else picture.alpha[:1, :1]
            one = replace(picture, pixels=picture.pixels[:1, :1], alpha=clear)
            return deep.png_of(picture, encoded(to_pil(one), "png"))
        for note in holding.options(kind, beside)[1]:
            warn(note)
        return holding.finished(kind, deep.tiff_of(picture), beside)
    except (ValueError, OverflowError, struct.error) as error:
        raise BadImage(f"{name}: cannot be written as {kind}: {one_line(error)}") from error


def _miss_profile(profile: object) -> None:
    if profile:
        warn("the colour profile of the samples was left out, because an array holds none")


def _saved(image: Image.Image, kind: str, name: str, quality: int | None) -> bytes:
    options = _WRITERS[kind]
    image = profiles.outgoing(image, kind, held=kind in _HOLDS_PROFILES)
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
