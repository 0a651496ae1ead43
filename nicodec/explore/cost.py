"""A picture -> what each part of it costs the codec: bits + lambda * squared error, the negative ELBO.

Above `codec`, whose latents it adds up. The command `cost` prints and draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec import api
from nicodec.codec import Codec
from nicodec.coding.quantize import lambda_of, quality_index
from nicodec.errors import NicError, holding
from nicodec.picture import Picture, Source, metrics, reader
from nicodec.storage.files import Data

Cells: TypeAlias = npt.NDArray[np.float64]
# Pixels along a side of a cell.
CELL = metrics.CELL_SIDE


@dataclass(frozen=True, eq=False)
class Cost:
    """The cost of a picture, whole and by cells of 16 x 16 pixels; arrays are float64 (rows, columns) of cells.

    width, height: of the picture in pixels. quality: 0..100. weight: lambda, in bits for each unit of error. bits:
    those of the symbols of each cell; bits of z, which has one position for 64 x 64 pixels, are spread over its cells.
    Symbols beyond the edge of the picture count for the cell at the edge. error: the squared error of each cell, on the
    scale 0..255, a sum over its visible pixels and a mean over colours; None where the original is not known. other:
    bits of the file that belong to no symbol: headers, metadata, alpha, patches, flat cells.
    """

    width: int
    height: int
    quality: float
    weight: float
    bits: Cells
    error: Cells | None
    other: float

    @property
    def cost(self) -> Cells | None:
        """bits + lambda * error of each cell; None without the error."""
        return None if self.error is None else self.bits + self.weight * self.error

    @property
    def total_bits(self) -> float:
        """The bits of all symbols."""
        return float(self.bits.sum())

    @property
    def total_error(self) -> float | None:
        """The squared error of the whole picture."""
        return None if self.error is None else float(self.error.sum())

    @property
    def total_cost(self) -> float | None:
        """The cost of the whole picture."""
        return None if self.cost is None else float(self.cost.sum())


def of(
    source: Source | Picture | Data, codec: Codec, *, quality: float = 50, original: Source | Picture | None = None
) -> Cost:
    """The cost of a picture, or of a .nic file.

    source: a picture, which is encoded at this quality, with loss, and decoded; or the path or the bytes of a .nic
    file, whose own quality counts. codec: its model; for a .nic file that of the file. original: the picture that a
    .nic file was made of; without it the error is not known. Raises as `Codec.encode` and `Codec.decode`, and NicError
    for an original of another size, and for a lossless file.
    """
    if isinstance(source, Picture) or not api.is_nic(source):
        # What travels beside the pixels is not coded here, so nothing is said of it.
        with holding():
            picture = reader.taken(source, strip=True)
        return _measured(codec.encode(picture, quality=quality, lossless=False), codec, picture.eight)
    known = None if original is None else reader.taken(original, strip=True).eight
    return _measured(source, codec, known)  # type: ignore[arg-type]


def _measured(data: Data, codec: Codec, picture: Picture | None) -> Cost:
    """data: a .nic file. picture: its original in 8 bits, if known."""
    about = api.info(data)
    bits = np.zeros((-(-about.height // CELL), -(-about.width // CELL)))
    for part in codec.latent_windows(data):
        positions = part.bits.sum(axis=0, dtype=np.float64)
        share = part.z_bits.sum(axis=0, dtype=np.float64) / (64 // CELL) ** 2
        positions += share.repeat(64 // CELL, 0).repeat(64 // CELL, 1)
        x, y, _, _ = part.area
        # Positions beyond the edge count for the last row and column.
        rows, columns = (
            np.minimum(start // CELL + np.arange(count), most - 1)
            for start, count, most in zip((y, x), positions.shape, bits.shape, strict=True)
        )
        np.add.at(bits, np.ix_(rows, columns), positions)
    weight = lambda_of(quality_index(about.quality))
    error = None if picture is None else _errors(data, codec, picture, about)
    other = 8 * about.size - float(bits.sum())
    return Cost(about.width, about.height, about.quality, weight, bits, error, other)


def _errors(data: Data, codec: Codec, picture: Picture, about: api.Info) -> Cells:
    """The squared error of each cell, as in `Cost`."""
    height, width, channels = picture.pixels.shape
    if (width, height) != (about.width, about.height):
        raise NicError(f"the original is {width}x{height}, the .nic file {about.width}x{about.height}")
    back = codec.decode(data, dtype=np.uint8).reshape(height, width, -1)
    colours = 3 if about.mode.startswith("RGB") else 1
    both: list[npt.NDArray[Any]] = [picture.pixels, back[:, :, :colours]]
    # Gray counts as RGB where only one of the two is gray.
    most = max(channels, colours)
    a, b = (np.broadcast_to(pixels, (height, width, most)).astype(np.uint8, copy=False) for pixels in both)
    return metrics.cell_errors(a, b, picture.alpha) * metrics.visible(height, width, picture.alpha)
