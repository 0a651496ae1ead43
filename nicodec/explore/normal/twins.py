"""A picture and its good twin -> how far apart their cells are, where a small shift is no difference.

Between `fields`, and `learning` and `checking`.
"""

from __future__ import annotations

import numpy as np

from nicodec.codec import Codec
from nicodec.errors import NicError
from nicodec.explore.normal.fields import Floats, Gaussian, features
from nicodec.picture import Array

# The longest shift of a whole picture that is looked for, in pixels. Around it each cell takes the best of STEPS.
FAR = 16
STEPS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def apart(found: Floats, pixels: Array, template: Array, codec: Codec, gaussian: Gaussian) -> Floats:
    """`Gaussian.apart` of a picture and its template, the least over small shifts, float32 (rows, columns).

    found: the features of the picture at scale 1. pixels, template: uint8 (H, W, C). Raises NicError unless they have
    one size.
    """
    if pixels.shape[:2] != template.shape[:2]:
        sizes = [f"{width}x{height}" for height, width in (pixels.shape[:2], template.shape[:2])]
        raise NicError(f"is {sizes[0]}, and its template {sizes[1]}")
    down, right = shift(pixels, template)
    near = [features(moved(template, down + y, right + x), codec, 1) for y, x in STEPS]
    result: Floats = np.min([gaussian.apart(found, other) for other in near], axis=0)
    return result


def shift(pixels: Array, template: Array) -> tuple[int, int]:
    """The pixels down and to the right by which a template has to move, each at most FAR.

    Source: C. Kuglin and D. Hines, "The phase correlation image alignment method" (1975).
    """
    one, other = (np.fft.rfft2(image.mean(axis=2, dtype=np.float32)) for image in (pixels, template))
    product = one * other.conj()
    height, width = pixels.shape[:2]
    likely = np.fft.irfft2(product / (np.abs(product) + 1e-3), (height, width))
    rows, columns = (np.arange(-min(FAR, (n - 1) // 2), min(FAR, (n - 1) // 2) + 1) for n in (height, width))
    near = likely[np.ix_(rows, columns)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return int(rows[row]), int(columns[column])


def moved(pixels: Array, down: int, right: int) -> Array:
    """The same picture, moved; what comes in from beyond an edge is that of the edge."""
    rows, columns = (
        np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(pixels.shape[:2], (down, right), strict=True)
    )
    return np.ascontiguousarray(pixels[rows][:, columns])
