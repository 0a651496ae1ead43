"""A picture as the codec sees it: planes of 8 or 16 bits, and what travels beside them.

The room between the codec and its users' files, Pillow images and arrays. Elsewhere only `pillow` and
`bench.coders` import Pillow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Array: TypeAlias = npt.NDArray[np.uint8]
# Samples of depth 8 or 16.
Depth: TypeAlias = type[np.uint8] | type[np.uint16]
Samples: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
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
    """An upright picture: its coded samples, and the data that travels beside them.

    pixels: uint8 or uint16 (H, W, 1) or (H, W, 3), C-contiguous, H and W at least 1; gray, or RGB as `beside.icc` says.
    alpha:  of the same type (H, W), C-contiguous, not premultiplied, the largest number opaque; or None.
    beside: colour profile, EXIF and so on.
    notes:  one line for each loss, conversion or damage in reading.
    """

    pixels: Samples
    alpha: Samples | None = None
    beside: Beside = Beside()
    notes: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """The bits of each sample: 8 or 16."""
        return depth_of(self.pixels)

    @cached_property
    def eight(self) -> Picture:
        """The same picture in 8 bits."""
        alpha = self.alpha if self.alpha is None else eight(self.alpha)
        return self if depth_of(self.pixels) == 8 else replace(self, pixels=eight(self.pixels), alpha=alpha)


def depth_of(samples: Samples) -> int:
    """The bits of each sample of an array: 8 or 16."""
    return 8 * samples.dtype.itemsize


def at_depth(samples: Samples, depth: int) -> Samples:
    """The same samples in 8 or 16 bits, rounded to nearest. 65535 = 255 * 257, so white stays white, without ties."""
    if depth_of(samples) == depth:
        return samples
    if depth == 16:
        return samples.astype(np.uint16) * np.uint16(257)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def eight(samples: Samples) -> Array:
    """The same samples in 8 bits."""
    return at_depth(samples, 8).astype(np.uint8, copy=False)


def whole(array: npt.NDArray[Any]) -> Array:
    """The samples of an array as uint8, C-contiguous, as a `Picture` needs them."""
    return np.ascontiguousarray(array, np.uint8)
