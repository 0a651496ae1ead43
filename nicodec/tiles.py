"""Integer geometry: padding to whole cells of 64 pixels, and the grid of entropy-coded tiles.

Before analysis and after synthesis; no arithmetic on samples happens here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nicodec.container import CELL

# Latent positions for each cell: y lies at /16, z at /64.
Y_CELL = CELL // 16


def cells(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of 64-pixel cells that cover the picture."""
    return -(-width // CELL), -(-height // CELL)


def pad(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(H, W, C) -> the same with its last row and column repeated to multiples of 64."""
    h, w = pixels.shape[:2]
    return np.pad(pixels, ((0, -h % CELL), (0, -w % CELL), (0, 0)), mode="edge")


def grid(width: int, height: int, tile: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Row and column slices of the latent y of each tile, row-major. tile: (width, height) in cells."""
    columns, rows = cells(width, height)
    for top in range(0, rows, tile[1]):
        for left in range(0, columns, tile[0]):
            bottom, right = min(rows, top + tile[1]), min(columns, left + tile[0])
            yield slice(top * Y_CELL, bottom * Y_CELL), slice(left * Y_CELL, right * Y_CELL)
