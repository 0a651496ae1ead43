"""A picture as the codec sees it: 8-bit planes, and what travels beside them.

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


LIMIT = 1 << 24
"""The most bytes of one kind of metadata that is read with a picture."""


@dataclass(frozen=True)
class Beside:
    """What travels beside the samples: for each kind the bytes of its chunk (docs/FORMAT.md), or None.

    A field has the name of its chunk. `coding.beside` stores what stands here, so a new kind is one more field.

    icc:     a colour profile that fits the channels; without one, sRGB.
    exif:    the EXIF block from its byte-order mark on, without "Exif\\0\\0", orientation 1.
    xmp:     the XMP packet.
    iptc:    the data sets of IPTC's IIM.
    text:    named texts, as `text.pack` joins them.
    density: pixels per inch, as `text.pack_density` packs them.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: bytes | None = None
    density: bytes | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright 8-bit picture: its coded samples, and the data that travels beside them.

    pixels: uint8 (H, W, 1) or (H, W, 3), C-contiguous, H and W at least 1; gray, or RGB as `beside.icc` says.
    alpha:  uint8 (H, W), C-contiguous, not premultiplied, 255 opaque; or None.
    beside: colour profile, EXIF and so on.
    notes:  one line for each loss or conversion in reading.
    """

    pixels: Array
    alpha: Array | None = None
    beside: Beside = Beside()
    notes: tuple[str, ...] = ()


def whole(array: npt.NDArray[Any]) -> Array:
    """The samples of an array as uint8, C-contiguous, as a `Picture` needs them."""
    return np.ascontiguousarray(array, np.uint8)
