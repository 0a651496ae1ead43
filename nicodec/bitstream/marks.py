"""The marks of a chunk on the cells of a picture, a bit for each, and samples in the depth that they are laid over.

Under `patches` and `flats`, whose chunks both say which cells they replace.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadFile

Where = npt.NDArray[np.bool_]


def size(rows: int, columns: int) -> int:
    """The bytes that the marks of so many cells take."""
    return -(-rows * columns // 8)


def decode(stored: bytes, rows: int, columns: int, what: str) -> Where:
    """A bit for each cell in row-major order, as `numpy.packbits` packs -> bool (rows, columns).

    Raises BadFile, naming `what` is marked, for too few bits, bits beyond the last cell, and no mark at all.
    """
    bits = np.unpackbits(np.frombuffer(stored, np.uint8))
    if len(bits) < rows * columns or bits[rows * columns :].any() or not bits.any():
        raise BadFile(f"the {what} do not fit the picture")
    return bits[: rows * columns].reshape(rows, columns).astype(np.bool_)


def numbers(where: Where) -> npt.NDArray[np.integer[Any]]:
    """The number of each marked cell among them, from 0, (R, S)."""
    counted: npt.NDArray[np.integer[Any]] = np.cumsum(where, dtype=np.int32).reshape(where.shape) - 1
    return counted


def in_depth(samples: npt.NDArray[np.uint8], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Samples of 8 bits as uint8, or as uint16, 257 times as large."""
    larger: npt.NDArray[Any] = samples.astype(dtype) * dtype.type(np.iinfo(dtype).max // 255)
    return larger
