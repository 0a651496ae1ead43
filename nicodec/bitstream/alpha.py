"""The alpha plane <-> the bytes of its chunk, exactly.

Under `coding.beside`, which puts the chunk into the container; no network sees alpha.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadFile

CONSTANT, PLAIN, VERTICAL = 0, 1, 2


def encode(alpha: npt.NDArray[np.uint8]) -> bytes:
    """uint8 (H, W) -> the payload of an alpha chunk: a method byte, then its data.

    Data of method 0: one byte, the value everywhere. 1: a zlib stream of the rows. 2: a zlib stream of the
    differences to the row above, modulo 256. The shortest is taken; a constant plane takes two bytes.
    """
    if (alpha == alpha[0, 0]).all():
        return bytes([CONSTANT, alpha[0, 0]])
    differences = np.diff(alpha, axis=0, prepend=np.zeros((1, alpha.shape[1]), np.uint8))
    candidates = (
        bytes([method]) + zlib.compress(plane.tobytes(), 9)
        for method, plane in ((PLAIN, alpha), (VERTICAL, differences))
    )
    return min(candidates, key=len)


def decode(payload: bytes, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The inverse of `encode`: uint8 (height, width). Raises BadFile.

    Inflates at most one byte more than the plane has.
    """
    method, size = payload[:1], width * height
    if method == bytes([CONSTANT]) and len(payload) == 2:
        return np.full((height, width), payload[1], np.uint8)
    if method not in (bytes([PLAIN]), bytes([VERTICAL])):
        raise BadFile("the alpha plane is stored by an unknown method")
    engine = zlib.decompressobj()
    try:
        plane = engine.decompress(payload[1:], size)
        complete = engine.eof or (engine.decompress(engine.unconsumed_tail, 1) == b"" and engine.eof)
    except zlib.error as error:
        raise BadFile(f"the alpha plane does not inflate ({error})") from None
    if len(plane) != size or not complete or engine.unused_data:
        raise BadFile("the alpha plane has the wrong size")
    rows = np.frombuffer(plane, np.uint8).reshape(height, width)
    return np.add.accumulate(rows, axis=0, dtype=np.uint8) if method == bytes([VERTICAL]) else rows
