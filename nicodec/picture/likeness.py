"""How alike two pictures look: 256 bits of each, and how many of them differ.

Beside `metrics`: samples come in, 32 bytes go out. `train.held` tells near-duplicates by them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nicodec.picture import Samples

SIDE = 16
"""Rows and columns of the comparisons."""

NEAR = 30
"""Two pictures are near-duplicates if at most this number of their 256 bits differs. Strangers differ in about 128."""

_LUMA = np.array([299, 587, 114])
_ONES = np.array([value.bit_count() for value in range(256)], np.uint16)


def difference_hash(pixels: Samples) -> bytes:
    """32 bytes: whether each of 16 x 16 places is darker than its right neighbour, row by row.

    pixels: (H, W), (H, W, 1) or (H, W, 3), of any size. Its luma is reduced to 16 x 17 means first. Another size,
    another quality of JPEG and another brightness change few bits.
    Source: N. Krawetz, "Kind of Like That", hackerfactor.com (2013), there with 8 x 8 places.
    """
    planes = pixels.reshape(*pixels.shape[:2], -1)
    for axis, parts in ((0, SIDE), (1, SIDE + 1)):
        edges = np.linspace(0, planes.shape[axis], parts + 1).astype(int)
        # A place between two equal edges holds one sample. `np.add.reduceat` takes eighteen times as long.
        spans = [slice(a, max(b, a + 1)) for a, b in pairwise(edges)]
        lines = planes.swapaxes(0, axis)
        planes = np.stack([lines[span].mean(0, dtype=np.float64) for span in spans]).swapaxes(0, axis)
    luma = planes @ _LUMA if planes.shape[2] == 3 else planes[..., 0]
    return np.packbits(luma[:, :-1] < luma[:, 1:]).tobytes()


def mirrored(bits: bytes) -> bytes:
    """The difference hash of the picture with left and right exchanged."""
    rows = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(SIDE, SIDE)
    return np.packbits(1 - rows[:, ::-1]).tobytes()


def distances(bits: bytes, others: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """The number of bits (N,), 0 to 256, in which each of the others differs. others: hashes (N, 32) uint8."""
    result: npt.NDArray[np.uint16] = _ONES[np.frombuffer(bits, np.uint8) ^ others].sum(1, dtype=np.uint16)
    return result


def near(bits: bytes, others: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether each of the others (N,) is a near-duplicate, mirrored or not. others: hashes (N, 32) uint8."""
    return np.minimum(distances(bits, others), distances(mirrored(bits), others)) <= NEAR
