"""Files, Pillow images and arrays -> `Picture`, the first step of encoding.

Above `kinds`, `colour`, `profiles` and `metadata`, before `codec`. Its result has planes of 8 or 16 bits, and what
travels beside them.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nicodec.errors import BadImage, LimitExceeded, NicError, one_line, warn
from nicodec.picture import Beside, Picture, Samples, Source, colour, eight
from nicodec.picture.beside import jp2, jpeg, metadata, pillow_info, png, tiff
from nicodec.picture.beside.apart import Apart
from nicodec.picture.colours import profiles
from nicodec.picture.colours.declared import declared
from nicodec.picture.files import damage, depths, kinds, libtiff, meaning, strips
from nicodec.storage.files import shown

MAX_STREAM_BYTES = 1 << 30
"""The most bytes that are read from a stream, or from a path that cannot seek, such as a pipe."""

REDUCED = depths.reduced(16)


def read(source: Source, *, strip: bool = False, strip_gps: bool = False, deep: bool = False) -> Picture:
    """Read a picture from a file, bytes, a stream, a Pillow image or an array.

    source: one of these. The path of a picture in any format of pixels that Pillow reads. Its bytes, or a binary
    stream of them, read from its position to its end. A Pillow image of any mode. A uint8 or uint16 array (H, W) or
    (H, W, 1 to 4), whose second or fourth channel is alpha. strip: leave out the colour profile, EXIF, XMP, IPTC, texts
    and resolution. strip_gps: leave out what tells the place. deep: give samples of 16 bits as they are, from arrays,
    gray images, PNG and TIFF; else all come in 8 bits.

    The EXIF orientation is applied. Gray stays one channel. Alpha and 8-bit samples of gray, RGB and palettes are
    exact. Each other conversion has a line in `notes`, and so has damage that a decoder passes over:
    12-, 16- and 32-bit samples, and all of mode I (0 to 65535), are rounded to 8 bits. Those that Pillow reads as 8-bit
    RGB are cut off to 8 bits, not rounded. Floats run from 0 to 255, or from 0 to 1 if none is above 1. CMYK becomes
    sRGB through its colour profile, if it has one. LAB, YCbCr and HSV become RGB. Of several frames the first is taken.
    Channels that are neither colour nor alpha are left out.
    What a file says of its colours beside a profile becomes a profile. Raw files of cameras are developed.

    Raises BadImage, naming the path, for a source that is missing, damaged, not a picture, empty, HDR, of signed
    samples, or out of these ranges. Raises MissingExtra for a kind that needs an extra. Raises LimitExceeded beyond
    Pillow's limit of pixels or `MAX_STREAM_BYTES`.
    """
    return _stripped(_read(source, strip, deep), strip, strip_gps)


def _read(source: Source, strip: bool, deep: bool) -> Picture:
    if isinstance(source, np.ndarray):
        return _from_array(source, deep)
    if isinstance(source, str | os.PathLike):
        name = shown(source)
        with _failures_name(name), open(source, "rb") as file:
            return _from_file(file if file.seekable() else io.BytesIO(_read_all(file, name)), name, strip, deep)
    name = "the image"
    with _failures_name(name):
        if isinstance(source, Image.Image):
            return _from_pil(source, name, strip, deep, [])
        if isinstance(source, bytes | bytearray | memoryview):
            return _from_file(io.BytesIO(source), name, strip, deep)
        if hasattr(source, "read"):
            return _from_file(io.BytesIO(_read_all(source, name)), name, strip, deep)
    raise BadImage(
        f"not an image but a {type(source).__name__}: give a path, bytes, a stream, a Pillow image,"
        " or a uint8 or uint16 array"
    )


def taken(source: Source | Picture, *, strip: bool = False, strip_gps: bool = False) -> Picture:
    """The picture of a source, or the source if it is a `Picture`. Its notes become warnings at the caller's caller.

    strip, strip_gps: as for `read`.
    """
    known: tuple[str, ...] = ()
    if isinstance(source, Picture):
        known, picture = source.notes, _stripped(source, strip, strip_gps)
    else:
        picture = read(source, strip=strip, strip_gps=strip_gps, deep=True)
    for note in picture.notes[len(known) :]:
        warn(note)
    return picture


def _stripped(picture: Picture, strip: bool, strip_gps: bool) -> Picture:
    """The picture without what travels beside it, or without what tells the place; with more notes, if there are."""
    if strip:
        return replace(picture, beside=Beside())
    if not strip_gps:
        return picture
    notes = list(picture.notes)
    return replace(picture, beside=metadata.without_gps(picture.beside, notes), notes=tuple(notes))


@contextmanager
def _failures_name(name: str) -> Iterator[None]:
    """Turn every error of opening and decoding, which may be of any class, into a NicError about `name`."""
    try:
        yield
    except NicError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise LimitExceeded(f"{name}: too many pixels") from error
    except UnidentifiedImageError as error:
        raise BadImage(f"{name}: not a picture of a known format") from error
    except Exception as error:
        raise BadImage(f"{name}: cannot be read: {one_line(error)}") from error


def _read_all(stream: BinaryIO, name: str) -> bytearray:
    data = bytearray()
    while chunk := stream.read(1 << 20):
        data += chunk
        if len(data) > MAX_STREAM_BYTES:
            raise LimitExceeded(f"{name}: more than {MAX_STREAM_BYTES >> 20} MiB")
    return data


def _from_array(array: npt.NDArray[Any], deep: bool) -> Picture:
    array = np.asarray(array)
    shape = array.shape
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16) or not (
        len(shape) == 2 or (len(shape) == 3 and 1 <= shape[2] <= 4)
    ):
        raise BadImage(f"an array must be uint8 or uint16 of shape (H, W) or (H, W, 1 to 4), not {array.dtype} {shape}")
    if array.size == 0:
        raise BadImage(f"an array of shape {shape} has no pixels")
    samples = array.astype(array.dtype.newbyteorder("="), copy=False).reshape(*shape[:2], -1)
    if not deep:
        samples = eight(samples)
    notes = () if samples.itemsize == array.itemsize else (REDUCED,)
    if samples.shape[2] in (2, 4):
        pixels, alpha = np.ascontiguousarray(samples[:, :, :-1]), np.ascontiguousarray(samples[:, :, -1])
        return Picture(pixels, alpha, notes=notes)
    return Picture(np.ascontiguousarray(samples), notes=notes)


def _from_file(file: BinaryIO, name: str, strip: bool, deep: bool) -> Picture:
    if not file.read(1):
        raise BadImage(f"{name}: is empty")
    file.seek(-1, os.SEEK_CUR)
    notes: list[str] = []
    sound, aside = damage.mended(file, name, notes), None
    for format in (png, jpeg, jp2):
        sound, aside = (sound, aside) if aside else format.apart(sound)
    with kinds.opened(sound, name, notes) as image:
        if aside is not None:
            pillow_info.complete(image, aside)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "PSD":  # of a PSD these are its layers, and the picture shows all of them
            notes.append(f"only the first of {frames} frames was coded")
        return _from_pil(image, name, strip, deep, notes, sound, aside)


def _from_pil(
    image: Image.Image,
    name: str,
    strip: bool,
    wanted_deep: bool,
    notes: list[str],
    file: BinaryIO | None = None,
    aside: Apart | None = None,
) -> Picture:
    if 0 in image.size:
        raise BadImage(f"{name}: has no pixels")
    # Known only before the image is loaded, as is the turn that Pillow makes of a TIFF.
    bits = depths.bits(image)
    spread = _spread(image)
    gray_read_as_rgb = depths.raw_mode(image).startswith("LA;16")
    turn, block = metadata.turn_in_loading(image), tiff.exif_of(image)
    stated = declared(image, name, notes)
    manner = meaning.of(image, name, notes)
    strips.check(image, name)
    damage.seen(image, name, notes, stays=file is not None)
    with libtiff.listened(notes):
        image.load()
    if file is not None:
        damage.loaded(image, file, name)
    if spread > 1 and isinstance(key := image.info.get("transparency"), int):
        image = _with_key(image, key * spread)

    found = None
    if wanted_deep and (bits > 8 or image.mode.startswith("I;16")) and manner.white == 65535:
        found = _deep_planes(image, file, turn, inverted=manner.inverted)
    if found is None and bits > 8 and image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        notes.append(depths.reduced(bits))
        if isinstance(key := image.info.get("transparency"), tuple):
            image = _with_key(image, tuple(value >> 8 for value in key))
    pixels, alpha = found or colour.planes(image, name, notes, manner)
    if found is None and gray_read_as_rgb:
        pixels = pixels[:, :, :1]

    said: list[str] = []  # of what travels beside the samples
    if aside is not None:
        said.extend(aside.notes)
    beside = pillow_info.of(image, said, aside and aside.texts, block)
    beside = replace(beside, icc=profiles.incoming(image, stated, pixels.shape[2], said))
    pixels, alpha, beside = metadata.upright(image, turn, pixels, alpha, beside, said)
    if not strip:
        notes.extend(dict.fromkeys(said))
    alpha = alpha if alpha is None else np.ascontiguousarray(alpha)
    return Picture(np.ascontiguousarray(pixels), alpha, beside, tuple(notes))


def _deep_planes(
    image: Image.Image, file: BinaryIO | None, turn: object, *, inverted: bool
) -> tuple[Samples, Samples | None] | None:
    """As `deep.planes`, turned as Pillow turned the image. inverted: in a gray picture 0 is white."""
    from nicodec.picture import deep  # only here: its libraries take a while to load

    found = deep.planes(image, file)
    if found is None:
        return None
    pixels, alpha = found
    if image.mode.startswith("I"):
        return (np.uint16(65535) - pixels if inverted else pixels), alpha
    return metadata.turned(pixels, turn), alpha if alpha is None else metadata.turned(alpha, turn)


def _spread(image: Image.Image) -> int:
    """What Pillow multiplies gray samples of 2 and 4 bits by, but not the value of them that is clear; else 1."""
    return {"L;2": 85, "L;4": 17}.get(depths.raw_mode(image), 1)


def _with_key(image: Image.Image, key: object) -> Image.Image:
    """A copy with another clear value or colour: the caller's image stays unchanged."""
    image = image.copy()
    image.info["transparency"] = key
    return image
