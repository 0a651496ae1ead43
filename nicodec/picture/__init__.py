"""A picture as the codec sees it: 8-bit planes, with a few blobs of metadata.

The room between the codec and its users' files, Pillow images and arrays. Elsewhere only `pillow` and
`bench.coders` import Pillow.
"""

import os
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Array: TypeAlias = npt.NDArray[np.uint8]
PilImage: TypeAlias = Image.Image
Source: TypeAlias = str | os.PathLike[str] | BinaryIO | bytes | bytearray | memoryview | PilImage | npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright 8-bit picture: its coded samples, and the data that travels beside them.

    pixels: uint8 (H, W, 1) or (H, W, 3), C-contiguous, H and W at least 1; gray, or RGB as `icc` says.
    alpha:  uint8 (H, W), C-contiguous, not premultiplied, 255 opaque; or None.
    icc:    a colour profile that fits the channels, or None: sRGB.
    exif:   the EXIF block from its byte-order mark on, without "Exif\\0\\0", orientation 1; or None.
    xmp:    the XMP packet, or None.
    notes:  one line for each loss, conversion or damage in reading.
    """

    pixels: Array
    alpha: Array | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()


def whole(array: npt.NDArray[Any]) -> Array:
    """The samples of an array as uint8, C-contiguous, as a `Picture` needs them."""
    return np.ascontiguousarray(array, np.uint8)
