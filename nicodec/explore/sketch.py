"""A picture -> its sketch: a few hundred numbers by which like pictures are found.

Between `index`, which keeps sketches, and g_a of a small released model. It sees texture, shape and colour.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from nicodec.codec import Codec
from nicodec.coding import latents
from nicodec.picture import Array, Picture, writer

# The model whose g_a sees every picture, and the quality at which it does.
MODEL, QUALITY = "photo-fast", 50
# A picture is reduced, or enlarged, to this many pixels, and to this side at most: so the scale is always one.
AREA, SIDE = 192**2, 384
# Differences of neighbours in GRID rows and columns make the two hashes of 256 bits.
GRID = 16
HASH_BITS = 2 * GRID * GRID
# Gray in LAYOUT x LAYOUT parts of the picture.
LAYOUT = 6
# What makes the parts of a vector comparable; chosen on training pictures (docs/EXPLORE.md).
FLOOR, COLOUR, PLACE = 0.05, 5.0, 0.4
# The samples of a frame differ by at most this, and it takes at most this share of a side.
FRAME, WIDEST = 12, 0.25
# The ways in which a picture may be turned: quarter turns to the left, after a mirror or not.
TURNS = tuple((mirrored, quarter) for mirrored in (False, True) for quarter in range(4))

Vector: TypeAlias = npt.NDArray[np.float16]
Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Sketch:
    """What is kept of a picture.

    width, height: in pixels. samples: SHA-256 of its size and samples. hash: uint8 (HASH_BITS / 8,), whether gray grows
    from place to place: 256 bits along rows, then 256 along columns. vector: float16 (D + 3 + LAYOUT^2,), whose
    Euclidean distances tell how alike pictures are.
    """

    width: int
    height: int
    samples: bytes
    hash: Array
    vector: Vector


def length(codec: Codec) -> int:
    """The numbers of a vector."""
    return codec.checkpoint.config.deep + 3 + LAYOUT**2


def of(picture: Picture, codec: Codec) -> Sketch:
    """The sketch of a picture. Raises BadModel if the network fails."""
    seen = shown(picture)
    height, width = seen.shape[:2]
    samples = hashlib.sha256(f"{width}x{height}".encode() + seen.tobytes()).digest()
    small = scaled(without_frame(seen))
    return Sketch(width, height, samples, hash_of(small), vector_of(small, codec))


def shown(picture: Picture) -> Array:
    """Samples in 8 bits, uint8 (H, W, 3), laid over white."""
    eight = picture.eight
    pixels = np.broadcast_to(eight.pixels, (*eight.pixels.shape[:2], 3))
    if eight.alpha is not None:
        alpha = eight.alpha[:, :, None].astype(np.float32) / 255
        pixels = np.rint(pixels * alpha + 255 * (1 - alpha))
    return np.ascontiguousarray(pixels, np.uint8)


def without_frame(pixels: Array) -> Array:
    """uint8 (H, W, 3) -> its part inside a frame of one colour, if it has one on all four sides."""
    colour = pixels[0].mean(axis=0)
    sides = [
        _flat(lines, colour) for lines in (pixels, pixels[::-1], pixels.swapaxes(0, 1), pixels.swapaxes(0, 1)[::-1])
    ]
    if min(sides) == 0:
        return pixels
    top, bottom, left, right = sides
    return pixels[top : len(pixels) - bottom, left : pixels.shape[1] - right]


def _flat(lines: Array, colour: npt.NDArray[np.float64]) -> int:
    """The number of first lines that have this colour, at most a quarter of all."""
    most = int(len(lines) * WIDEST)
    for number, line in enumerate(lines[:most]):
        if np.abs(line - colour).max() > FRAME:
            return number
    return most


def scaled(pixels: Array, zoom: float = 1.0) -> Array:
    """uint8 (H, W, 3) -> about AREA * zoom^2 pixels of the same shape, in whole cells of 16."""
    height, width = pixels.shape[:2]
    factor = min(zoom * math.sqrt(AREA / (height * width)), SIDE / max(height, width))
    rows, columns = (max(16, 16 * round(side * factor / 16)) for side in (height, width))
    return writer.resized(np.ascontiguousarray(pixels), columns, rows)


def turned(plane: npt.NDArray[Kind], mirrored: bool, quarter: int) -> npt.NDArray[Kind]:
    """A picture, or any array (H, W, ...), in one of the positions of TURNS."""
    return np.ascontiguousarray(np.rot90(plane[:, ::-1] if mirrored else plane, quarter))


def layout_off(first: Vector, second: Vector, turn: tuple[bool, int]) -> float:
    """The distance of the layouts of two vectors, the second in one of the positions of TURNS."""
    a, b = (vector[-(LAYOUT**2) :].astype(np.float32).reshape(LAYOUT, LAYOUT) for vector in (first, second))
    return float(np.sqrt(np.square(a - turned(b, *turn)).sum()))


def hash_of(pixels: Array) -> Array:
    """The two difference hashes of uint8 (H, W, 3), packed.

    Source: N. Krawetz, "Kind of like that" (2013), with 256 bits each way.
    """
    along, down = (gray(pixels, *size) for size in ((GRID + 1, GRID), (GRID, GRID + 1)))
    bits = [np.diff(along, axis=1) > 0, np.diff(down, axis=0) > 0]
    return np.packbits(np.concatenate([part.reshape(-1) for part in bits]))


def vector_of(pixels: Array, codec: Codec) -> Vector:
    """The vector of uint8 (H, W, 3), whole cells of 16: the spread of each deep channel, colour, and layout."""
    deep = latents.features(codec, pixels, QUALITY)
    texture = np.log(deep.reshape(len(deep), -1).std(axis=1) + FLOOR)
    colour = pixels.reshape(-1, 3).mean(axis=0) / 255
    places = gray(pixels, LAYOUT, LAYOUT).reshape(-1)
    layout = (places - places.mean()) / (places.std() + 4)
    found: Vector = np.concatenate([texture, COLOUR * colour, PLACE * layout]).astype(np.float16)
    return found


def gray(pixels: Array, width: int, height: int) -> npt.NDArray[np.float32]:
    """The brightness of parts of uint8 (H, W, 3), 0 to 255, float32 (height, width)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    found: npt.NDArray[np.float32] = writer.resized(pixels, width, height).astype(np.float32) @ weights
    return found


def turned_bits(bits: npt.NDArray[np.bool_], mirrored: bool, quarter: int) -> npt.NDArray[np.bool_]:
    """The hashes (N, HASH_BITS), unpacked, of pictures in one of the positions of TURNS, from those as they are."""
    along, down = (part.reshape(-1, GRID, GRID) for part in np.split(bits, 2, axis=1))
    if mirrored:  # rows are read the other way, so a rise is a fall
        along, down = ~along[:, :, ::-1], down[:, :, ::-1]
    for _ in range(quarter):  # what was a column, read down, becomes a row, read to the right
        along, down = np.rot90(down, 1, (1, 2)), ~np.rot90(along, 1, (1, 2))
    return np.concatenate([along.reshape(len(bits), -1), down.reshape(len(bits), -1)], axis=1)
