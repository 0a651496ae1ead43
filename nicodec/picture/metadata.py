"""The metadata of a Pillow image: EXIF with its orientation, and XMP.

Under `reader`, after `colour`. `writer` and `pillow` use its prefix of EXIF too.
"""

import re
import struct
from collections.abc import Callable

from PIL import Image, TiffImagePlugin

from nicodec.picture import Samples

_ORIENTATION = 0x0112  # the tag in EXIF and in TIFF
EXIF_PREFIX = b"Exif\0\0"  # stands before the EXIF block in JPEG, and in Pillow's `info`

# EXIF orientation -> the upright view of an array (H, W, ...).
_UPRIGHT: dict[object, Callable[[Samples], Samples]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def turn(image: Image.Image) -> object:
    """The orientation that Pillow applies to a TIFF when it loads it, and then forgets."""
    return image.tag_v2.get(_ORIENTATION) if isinstance(image, TiffImagePlugin.TiffImageFile) else 1


def turned(plane: Samples, orientation: object) -> Samples:
    """The upright view of an array (H, W, ...) with this orientation of EXIF."""
    return _UPRIGHT[orientation](plane) if orientation in _UPRIGHT else plane


def upright(
    image: Image.Image, pixels: Samples, alpha: Samples | None, notes: list[str]
) -> tuple[Samples, Samples | None, bytes | None, bytes | None]:
    """Pixels (H, W, C) and alpha (H, W), upright, then EXIF and XMP whose orientation is 1.

    image: must be loaded, because Pillow then turns a TIFF by itself and drops its tag. A line is added to `notes`
    if damaged EXIF was dropped.
    """
    exif, orientation = _exif(image, notes)
    xmp = image.info.get("xmp")
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp) if xmp else None
    if orientation in _UPRIGHT:
        pixels, alpha = turned(pixels, orientation), alpha if alpha is None else turned(alpha, orientation)
        xmp = xmp and re.sub(rb'(tiff:Orientation(?:=["\']|>))[2-8]', rb"\g<1>1", xmp)
    return pixels, alpha, exif, xmp


def _exif(image: Image.Image, notes: list[str]) -> tuple[bytes | None, object]:
    """The EXIF block with its orientation reset to 1, and the orientation before that.

    Only the bytes of the orientation change. Parsing and rewriting a block would lose unknown entries, and break the
    maker's notes.
    """
    block = image.info.get("exif")
    exif = bytes(block).removeprefix(EXIF_PREFIX) if isinstance(block, bytes) else b""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
        if exif:
            exif = _with_orientation_1(exif)
    except Exception:  # damaged EXIF is no reason to refuse the picture
        notes.append("damaged EXIF was dropped")
        return None, 1
    return exif or None, orientation


def _with_orientation_1(exif: bytes) -> bytes:
    """The block with orientation 1. Raises KeyError or struct.error without a TIFF header and a whole directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[exif[:4]]
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", exif, entry)[0] == _ORIENTATION:
            upright = struct.pack(order + "HHIHH", _ORIENTATION, 3, 1, 1, 0)  # tag, type SHORT, count 1, value 1
            exif = exif[:entry] + upright + exif[entry + 12 :]
    return exif
