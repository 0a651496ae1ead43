"""Files, Pillow images and arrays ↔ `Picture`; the first step of encoding and the last of decoding.

The only module that knows Pillow: after it there are 8-bit planes, a few blobs of metadata and nothing else.
"""

import io
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from nicodec.errors import BadImage, LimitExceeded, NicError
from nicodec.files import atomic_write, shown

Array: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = (
    str | os.PathLike[str] | BinaryIO | bytes | bytearray | memoryview | Image.Image | npt.NDArray[Any]
)

MAX_STREAM_BYTES = 1 << 30
"""Most that is read from a stream that has no size of its own."""

_STRIP = 256  # rows that are converted at a time
_ORIENTATION = 0x0112  # the EXIF tag, and the TIFF tag
EXIF_PREFIX = b"Exif\0\0"  # stands before the EXIF block in JPEG, and in Pillow's `info`
_VECTOR_FORMATS = frozenset({"EPS", "WMF"})  # Pillow hands these to an outside program or to the system

# EXIF orientation → the view of an array (H, W, ...) that is upright.
_UPRIGHT: dict[object, Callable[[Array], Array]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright 8-bit picture: what is coded, and what travels beside it.

    pixels: uint8 (H, W, 1) or (H, W, 3), C-contiguous, H and W at least 1; gray, or RGB as `icc` says.
    alpha:  uint8 (H, W), C-contiguous, not premultiplied, 255 opaque; or None.
    icc:    a colour profile that fits the channels, or None: sRGB.
    exif:   the EXIF block from its byte-order mark on, without "Exif\\0\\0", orientation 1; or None.
    xmp:    the XMP packet, or None.
    notes:  one line for each thing that reading lost.
    """

    pixels: Array
    alpha: Array | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()


def read(source: Source, *, strip: bool = False) -> Picture:
    """Make a `Picture` of anything that shows one.

    source: the path of a picture in any format of pixels that Pillow reads; its bytes, or a binary stream
    of them from where it stands to its end; a Pillow image of any mode; or a uint8 array (H, W), (H, W, 1),
    (H, W, 3) or (H, W, 4), whose fourth channel is alpha. `strip` leaves out colour profile, EXIF and XMP.

    The EXIF orientation is applied. Gray stays one channel; alpha and 8-bit samples are kept exactly. The
    rest is converted, and the picture's notes say so: 16-bit samples (all of mode I, 0 to 65535) are
    rounded to 8 bits, but where Pillow itself reads them as 8-bit RGB it has cut them off; floats count
    from 0 to 255, or from 0 to 1 if there is none above 1; CMYK goes to sRGB through its profile, if it has
    one; of several frames the first is taken.

    Raises BadImage, naming the path, for what is missing, damaged, not a picture, empty, or beyond those
    ranges; LimitExceeded past Pillow's limit of pixels or, from a stream, `MAX_STREAM_BYTES`.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, str | os.PathLike):
        name = shown(source)
        with _failures_name(name), open(source, "rb") as file:
            return _from_file(file if file.seekable() else io.BytesIO(_read_all(file, name)), name, strip)
    name = "the image"
    with _failures_name(name):
        if isinstance(source, Image.Image):
            return _from_pil(source, name, strip)
        if isinstance(source, bytes | bytearray | memoryview):
            return _from_file(io.BytesIO(source), name, strip)
        if hasattr(source, "read"):
            return _from_file(io.BytesIO(_read_all(source, name)), name, strip)
    raise BadImage(
        f"not an image but a {type(source).__name__}: give a path, a Pillow image or a uint8 array"
    )


class Canvas:
    """A Pillow image in the making, mode L or RGB: a large picture is never held as an array beside it."""

    def __init__(self, width: int, height: int, channels: int) -> None:
        self._image = Image.new("L" if channels == 1 else "RGB", (width, height))

    def paste(self, pixels: Array, left: int, top: int) -> None:
        """uint8 (H, W, channels) at its place."""
        part = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        self._image.paste(part, (left, top))

    def finish(
        self, alpha: Array | None, icc: bytes | None, exif: bytes | None, xmp: bytes | None
    ) -> Image.Image:
        """The image, with alpha uint8 (H, W), and its metadata in `info` under Pillow's names."""
        if alpha is not None:
            self._image.putalpha(Image.fromarray(alpha))
        if icc is not None:
            self._image.info["icc_profile"] = icc
        if exif is not None:
            self._image.info["exif"] = EXIF_PREFIX + exif
        if xmp is not None:
            self._image.info["xmp"] = xmp
        return self._image


def reduced(plane: Array, by: int) -> Array:
    """uint8 (H, W) -> the means of its squares, sides rounded up."""
    return np.asarray(Image.fromarray(plane).reduce(by))


def to_pil(picture: Picture) -> Image.Image:
    """The picture as a Pillow image, mode L, LA, RGB or RGBA, its metadata in `info` under Pillow's names."""
    height, width, channels = picture.pixels.shape
    canvas = Canvas(width, height, channels)
    canvas.paste(picture.pixels, 0, 0)
    return canvas.finish(picture.alpha, picture.icc, picture.exif, picture.xmp)


# Pillow's name → how it is written, without loss where the format can; the metadata that its writer takes.
_ALL_METADATA = ("icc_profile", "exif", "xmp")
_WRITERS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "PNG": ({}, _ALL_METADATA),
    "JPEG": ({"quality": 95, "subsampling": 0}, _ALL_METADATA),
    "WEBP": ({"lossless": True, "exact": True}, _ALL_METADATA),
    "AVIF": ({"quality": 95, "subsampling": "4:4:4"}, _ALL_METADATA),
    "TIFF": ({"compression": "tiff_adobe_deflate"}, ("icc_profile",)),
    "JPEG2000": ({}, ()),
    "BMP": ({}, ()),
    "PPM": ({}, ()),
    "TGA": ({}, ()),
}
_SUFFIXES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
    ".tif": "TIFF", ".tiff": "TIFF", ".jp2": "JPEG2000", ".bmp": "BMP",
    ".ppm": "PPM", ".pgm": "PPM", ".tga": "TGA", ".npy": "NPY",
}  # fmt: skip

_READ_TOO = {".gif", ".jpe", ".jfif", ".jxl", ".j2k", ".jpx", ".pbm", ".pnm", ".qoi"}


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of a picture: which ones to take from a folder."""
    return os.path.splitext(name)[1].lower() in _SUFFIXES.keys() - {".npy"} | _READ_TOO


def write(
    image: Image.Image,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    overwrite: bool = True,
) -> None:
    """Write a Pillow image, with the metadata of its `info` that the format can hold.

    target: a path, written whole or not at all (see `files.atomic_write`), or a binary stream.
    format: a name ("PNG") or suffix ("jpg"); "npy" for a NumPy array of the samples, uint8 (H, W) or
    (H, W, channels), without metadata; without it the path's suffix decides, and PNG where there is none.

    Raises BadImage for a format that is not known or cannot hold the image, NicError if the file cannot be
    written.
    """
    if isinstance(target, str | os.PathLike):
        atomic_write(target, encoded(image, format, target), overwrite=overwrite)
    else:
        target.write(encoded(image, format))


def encoded(
    image: Image.Image, format: str | None = None, path: str | os.PathLike[str] | None = None
) -> bytes:
    """The bytes that `write` writes. path: names the file in messages and, without `format`, says which."""
    name = "the output" if path is None else shown(path)
    buffer = io.BytesIO()
    kind = _format(name, format, path)
    if kind == "NPY":
        np.save(buffer, np.asarray(image), allow_pickle=False)
    else:
        _save(image, buffer, kind, name)
    return buffer.getvalue()


def _save(image: Image.Image, encoded: BinaryIO, kind: str, name: str) -> None:
    options, keys = _WRITERS[kind]
    options = options | {key: image.info[key] for key in keys if image.info.get(key)}
    if kind == "PNG" and "xmp" in options:  # the PNG writer takes it as a text chunk only
        chunks = PngImagePlugin.PngInfo()
        text = bytes(options.pop("xmp")).decode("utf-8", "replace")  # type: ignore[call-overload]
        chunks.add_itxt("XML:com.adobe.xmp", text)
        options["pnginfo"] = chunks
    try:
        image.save(encoded, kind, **options)
    except Exception as error:  # each writer has its own ways to refuse
        raise BadImage(f"{name}: cannot be written as {kind}: {_reason(error)}") from error


def suffix_of(format: str) -> str:
    """The suffix of a format's files: "jpg" -> ".jpg", "JPEG2000" -> ".jp2". Raises BadImage for others."""
    kind = _format("the output", format, None)
    own = "." + format.lower().lstrip(".")
    return own if own in _SUFFIXES else next(suffix for suffix, k in _SUFFIXES.items() if k == kind)


def _format(name: str, format: str | None, path: str | os.PathLike[str] | None) -> str:
    wanted = format or (os.path.splitext(path)[1] if path is not None else "") or "PNG"
    known = {**_SUFFIXES, **{"." + kind.lower(): kind for kind in _WRITERS}}
    kind = known.get("." + wanted.lower().lstrip("."))
    if kind is None:
        raise BadImage(f"{name}: cannot write {wanted!r}, only {' '.join(_SUFFIXES)}")
    return kind


@contextmanager
def _failures_name(name: str) -> Iterator[None]:
    """Turn what opening and decoding can raise, which is almost anything, into a NicError about `name`."""
    try:
        yield
    except NicError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise LimitExceeded(f"{name}: too many pixels") from error
    except UnidentifiedImageError as error:
        raise BadImage(f"{name}: not a picture of a known format") from error
    except Exception as error:
        raise BadImage(f"{name}: cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def _read_all(stream: BinaryIO, name: str) -> bytearray:
    data = bytearray()
    while chunk := stream.read(1 << 20):
        data += chunk
        if len(data) > MAX_STREAM_BYTES:
            raise LimitExceeded(f"{name}: more than {MAX_STREAM_BYTES >> 20} MiB")
    return data


def _from_array(array: npt.NDArray[Any]) -> Picture:
    array = np.asarray(array)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise BadImage(
            f"an array must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), not {array.dtype} {array.shape}"
        )
    if array.size == 0:
        raise BadImage(f"an array of shape {array.shape} has no pixels")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] == 4:
        return Picture(_whole(array[:, :, :3]), _whole(array[:, :, 3]))
    return Picture(_whole(array))


def _from_file(file: io.IOBase | BinaryIO, name: str, strip: bool) -> Picture:
    with Image.open(file) as image:  # type: ignore[arg-type]
        if image.format in _VECTOR_FORMATS:
            raise BadImage(f"{name}: a drawing, not a picture of pixels")
        frames = getattr(image, "n_frames", 1)
        return _from_pil(image, name, strip, frames)


def _from_pil(image: Image.Image, name: str, strip: bool, frames: int = 1) -> Picture:
    if 0 in image.size:
        raise BadImage(f"{name}: has no pixels")
    deep = _has_deep_samples(image)  # not known any more once it is loaded
    gray_read_as_rgb = _raw_mode(image).startswith("LA;16")
    image.load()

    notes: list[str] = []
    if frames > 1:
        notes.append(f"only the first of {frames} frames was coded")
    if deep and image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        notes.append("16-bit samples were reduced to 8 bits")
        if isinstance(key := image.info.get("transparency"), tuple):
            image = image.copy()  # the caller's own stays as it is
            image.info["transparency"] = tuple(value >> 8 for value in key)
    pixels, alpha = _planes(image, name, notes)
    if gray_read_as_rgb:
        pixels = pixels[:, :, :1]

    # The orientation must be asked for after loading: Pillow turns TIFF by itself then, and forgets the tag.
    exif, orientation = _exif(image, notes)
    xmp = image.info.get("xmp")
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp) if xmp else None
    if orientation in _UPRIGHT:
        upright = _UPRIGHT[orientation]
        pixels, alpha = upright(pixels), alpha if alpha is None else upright(alpha)
        xmp = xmp and re.sub(rb'(tiff:Orientation(?:=["\']|>))[2-8]', rb"\g<1>1", xmp)
    icc = _fitting_profile(image, pixels.shape[2], notes)
    if strip:
        icc = exif = xmp = None
    alpha = alpha if alpha is None else _whole(alpha)
    return Picture(_whole(pixels), alpha, icc, exif, xmp, tuple(notes))


def _whole(array: npt.NDArray[Any]) -> Array:
    return np.ascontiguousarray(array, np.uint8)


def _tile_arguments(image: Image.Image) -> tuple[object, ...]:
    """What the file's decoder will be told, the raw mode first; () where it is loaded or has no file."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ()
    arguments = tiles[0][3]
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _raw_mode(image: Image.Image) -> str:
    arguments = _tile_arguments(image)
    return arguments[0] if arguments and isinstance(arguments[0], str) else ""


def _has_deep_samples(image: Image.Image) -> bool:
    """Whether the file has over 8 bits a sample, as far as Pillow's readers tell (PNG, TIFF and PPM do)."""
    if image.format == "PPM" and len(arguments := _tile_arguments(image)) == 2:
        return isinstance(arguments[1], int) and arguments[1] > 255
    return ";16" in _raw_mode(image)


def _planes(image: Image.Image, name: str, notes: list[str]) -> tuple[Array, Array | None]:
    """Pixels uint8 (H, W, 1 or 3), alpha uint8 (H, W) of any mode; says in `notes` what is lost."""
    mode = image.mode
    if mode == "F" or mode == "I" or mode.startswith("I;16"):
        return _wide_gray(image, name, notes)
    if mode == "CMYK" or mode == "LAB":
        image = _to_srgb(image, notes)
    elif mode in ("YCbCr", "HSV"):
        notes.append(f"{mode} was converted to RGB")
    elif mode in ("La", "RGBa"):
        notes.append("colours premultiplied with alpha were divided by it")
    gray = mode in ("1", "L", "LA", "La")
    clear = image.has_transparency_data
    target = ("LA" if gray else "RGBA") if clear else ("L" if gray else "RGB")
    height, width = image.height, image.width
    pixels = np.empty((height, width, 1 if gray else 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if clear else None
    # Strip by strip: at once, Pillow would hold the whole picture three times over on the way.
    for top in range(0, height, _STRIP):
        strip = image.crop((0, top, width, min(top + _STRIP, height)))
        samples = np.asarray(strip if strip.mode == target else strip.convert(target))
        samples = samples.reshape(strip.height, width, -1)
        pixels[top : top + _STRIP] = samples[:, :, : pixels.shape[2]]
        if alpha is not None:
            alpha[top : top + _STRIP] = samples[:, :, -1]
    return pixels, alpha


def _wide_gray(image: Image.Image, name: str, notes: list[str]) -> tuple[Array, Array | None]:
    samples = np.asarray(image)
    low, high = samples.min(), samples.max()
    top = 65535 if image.mode != "F" else 255
    if not (low >= 0 and high <= top):  # said so that NaN is refused too
        raise BadImage(f"{name}: samples from {low} to {high} in mode {image.mode}, which must be 0 to {top}")
    if image.mode == "F":
        notes.append("float samples were rounded to 8 bits" + (", scaled by 255" if high <= 1 else ""))
        gray = np.floor(samples * (255 if high <= 1 else 1) + 0.5)
    else:
        notes.append("16-bit samples were reduced to 8 bits")
        gray = (samples.astype(np.uint32) + 128) // 257  # 65535 = 255 * 257: this rounds, and never ties
    key = image.info.get("transparency")
    alpha = np.where(samples == key, 0, 255) if isinstance(key, int) else None
    return _whole(gray)[:, :, None], alpha if alpha is None else _whole(alpha)


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """CMYK by its own colour profile if that is sound, else by plain arithmetic; LAB by its definition."""
    how = ""
    try:
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            icc = image.info.get("icc_profile")
            if not icc:
                raise ImageCms.PyCMSError("no profile")
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            how = " by its colour profile"
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        converted, how = None, ""
    notes.append(f"{image.mode} was converted to RGB{how}")
    return image.convert("RGB") if converted is None else converted


def _exif(image: Image.Image, notes: list[str]) -> tuple[bytes | None, object]:
    """The EXIF block, its orientation already reset to 1, and the orientation that the image had.

    Only the orientation's own bytes are changed: a block that is parsed and written anew loses what its
    reader does not know, and the maker's notes in it break.
    """
    block = image.info.get("exif")
    exif = bytes(block).removeprefix(EXIF_PREFIX) if isinstance(block, bytes) else b""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
        if exif:
            exif = _with_orientation_1(exif)
    except Exception:  # the picture is sound even where this is not
        notes.append("damaged EXIF was dropped")
        return None, 1
    return exif or None, orientation


def _with_orientation_1(exif: bytes) -> bytes:
    """Raises KeyError or struct.error for a block that is not a TIFF header with a whole first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[exif[:4]]
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", exif, entry)[0] == _ORIENTATION:
            upright = struct.pack(order + "HHIHH", _ORIENTATION, 3, 1, 1, 0)  # tag, SHORT, one of them, 1
            exif = exif[:entry] + upright + exif[entry + 12 :]
    return exif


def _fitting_profile(image: Image.Image, channels: int, notes: list[str]) -> bytes | None:
    """The ICC profile if it describes so many channels; its bytes 16 to 19 name the colour space."""
    icc = image.info.get("icc_profile")
    if not isinstance(icc, bytes) or not icc or image.mode in ("CMYK", "LAB"):
        return None
    if icc[16:20] != (b"GRAY" if channels == 1 else b"RGB "):
        notes.append("a colour profile that does not fit the pixels was dropped")
        return None
    return icc
