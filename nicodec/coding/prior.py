"""The table and the mean of a symbol, which both ends know before it is coded.

Between the networks and `windows`. An encoder and a decoder call the same two rules, and so agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import anchors, tiles
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.model.backends import Networks, Planes

# Side in cells of the pieces whose tables are found at a time. They are squares, because these have the least halo.
PIECE = 16


def tables(networks: Networks, z: npt.NDArray[np.int8], q: int) -> npt.NDArray[np.uint8]:
    """The table of every symbol, (1, L, 4h, 4w), from z of their cells, (1, Z, h, w). q: quality in hundredths.

    h_sigma has one 3x3 layer, so the result is wrong at an edge of z where the picture goes on.
    """
    return networks.h_sigma(z, anchors.integer_hats(q))


def tables_of(networks: Networks, z: npt.NDArray[np.int8], tile: Box, q: int) -> npt.NDArray[np.uint8]:
    """As `tables`, for a tile of the whole z (1, Z, R, S), and right at its edges too."""
    whole, rows = Box(0, 0, *z.shape[2:]), []
    # A tile may have eight times the cells of our encoder's tiles. Pieces keep its features small.
    for band in tiles.grid(tile, (tile.columns, PIECE)):
        pieces = []
        for piece in tiles.grid(band, (PIECE, band.rows)):
            seen = piece.grown(1, whole)
            index = tables(networks, tiles.crop(z, whole, seen), q)
            pieces.append(tiles.crop(index, seen.times(Y_CELL), piece.times(Y_CELL)))
        rows.append(tiles.joined(pieces, axis=3))
    return tiles.joined(rows, axis=2)


def mean(networks: Networks, start: tuple[Planes, Planes], q: int, decoded: Callable[[Planes], Planes]) -> Planes:
    """The mean of the deep channels, (1, D, 4h, 4w), in quantiser steps, phase by phase.

    start: the result of `Networks.h_mu`. q: quality in hundredths. decoded: the function mean of phase 0 -> decoded
    latent (1, D, 4h, 4w), a new array, whose positions of phase 1 do not count.
    """
    features, mu0 = start
    first = phase0(mu0.shape)
    y0 = decoded(mu0)
    np.putmask(y0, ~first, 0)  # in place, as below: half of the time of `numpy.where`
    result = networks.context(y0, features, q / 100)
    np.putmask(result, first, mu0)
    return result


def phase0(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Mask of the phase that is decoded first, bool (1, L, h, w): true where channel + row + column is even."""
    i, j = np.ogrid[: shape[2], : shape[3]]
    even = (i + j) % 2 == 0
    mask = np.empty(shape, np.bool_)  # filled by planes: a tenth of the time of a sum for each place
    mask[:, ::2], mask[:, 1::2] = even, ~even
    return mask
