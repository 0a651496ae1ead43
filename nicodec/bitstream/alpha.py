"""The alpha plane <-> the bytes of its chunk, exactly.

Under `coding.beside`, which puts the chunk into the container; no network sees alpha.
"""

from __future__ import annotations

import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadFile

CONSTANT, PLAIN, VERTICAL, DEEP = 0, 1, 2, 3

Plane: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


def encode(alpha: Plane) -> bytes:
    """uint8 or uint16 (H, W) -> the payload of an alpha chunk: a method byte, then its data.

    Data of method 0: one byte, the value everywhere. 1: a zlib stream of the rows. 2: a zlib stream of the
    differences to the row above, modulo 256. The shortest is taken; a constant plane takes two bytes. 3, for 16 bits: a
    zlib stream of the high bytes of these differences, modulo 65536, then of the low ones. A plane of 16 bits whose
    numbers are all multiples of 257 is that of 8 bits.
    """
    if alpha.dtype == np.uint16 and (alpha % 257).any():
        differences = np.diff(alpha, axis=0, prepend=np.zeros((1, alpha.shape[1]), np.uint16))
        parts = ((differences >> shift).astype(np.uint8).tobytes() for shift in (8, 0))
        return bytes([DEEP]) + zlib.compress(b"".join(parts), 9)
    if alpha.dtype == np.uint16:
        alpha = (alpha // 257).astype(np.uint8)
    if (alpha == alpha[0, 0]).all():
        return bytes([CONSTANT, alpha[0, 0]])
    differences = np.diff(alpha, axis=0, prepend=np.zeros((1, alpha.shape[1]), np.uint8))
    candidates = (
        bytes([method]) + zlib.compress(plane.tobytes(), 9)
        for method, plane in ((PLAIN, alpha), (VERTICAL, differences))
    )
    return min(candidates, key=len)


def decode(payload: bytes, width: int, height: int) -> Plane:
    """The inverse of `encode`: (height, width), uint16 of method 3, else uint8. Raises BadFile.

    Inflates at most one byte more than the plane has.
    """
    method = payload[0] if payload else -1
    if method == CONSTANT and len(payload) == 2:
        return np.full((height, width), payload[1], np.uint8)
    if method not in (PLAIN, VERTICAL, DEEP):
        raise BadFile("the alpha plane is stored by an unknown method")
    size = width * height * (2 if method == DEEP else 1)
    engine = zlib.decompressobj()
    try:
        plane = engine.decompress(payload[1:], size)
        complete = engine.eof or (engine.decompress(engine.unconsumed_tail, 1) == b"" and engine.eof)
    except zlib.error as error:
        raise BadFile(f"the alpha plane does not inflate ({error})") from None
    if len(plane) != size or not complete or engine.unused_data:
        raise BadFile("the alpha plane has the wrong size")
    rows = np.frombuffer(plane, np.uint8).reshape(-1, height, width)
    if method == PLAIN:
        plain: Plane = rows[0]
        return plain
    if method == VERTICAL:
        flat: Plane = np.add.accumulate(rows[0], axis=0, dtype=np.uint8)
        return flat
    deep: Plane = np.add.accumulate(rows[0].astype(np.uint16) << np.uint16(8) | rows[1], axis=0, dtype=np.uint16)
    return deep
