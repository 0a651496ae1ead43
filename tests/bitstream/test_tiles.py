"""Padding and tiles: whole numbers, exhaustively at the edges."""

from itertools import product

import numpy as np
import pytest

from nicodec.bitstream.container import Header, tile_count
from nicodec.bitstream.tiles import Box, Rows, cells, cut, grid, windows

EDGES = (1, 2, 63, 64, 65, 127, 128, 129, 300, 1023, 1024, 1025)


def test_cells_cover_the_picture_and_no_more() -> None:
    for width, height in product(range(1, 200), EDGES):
        _, _, rows, columns = cells(width, height)
        assert 0 <= 64 * columns - width < 64
        assert 0 <= 64 * rows - height < 64


@pytest.mark.parametrize("height", [1, 2, 63, 64, 65])
@pytest.mark.parametrize("width", [1, 63, 64, 65, 130])
def test_padding_repeats_the_last_row_and_column(width: int, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    whole = cells(width, height).times(64)
    padded = cut(pixels, whole)
    _, _, rows, columns = cells(width, height)
    assert padded.dtype == np.uint8
    assert padded.shape == (64 * rows, 64 * columns, 3)
    y = np.minimum(np.arange(64 * rows), height - 1)
    x = np.minimum(np.arange(64 * columns), width - 1)
    assert np.array_equal(padded, pixels[y][:, x])


@pytest.mark.parametrize("tile", [(1, 1), (16, 16), (3, 2), (1, 65535), (65535, 65535)])
def test_tiles_cover_every_latent_once_in_reading_order(tile: tuple[int, int]) -> None:
    for width, height in product(EDGES, EDGES):
        _, _, rows, columns = cells(width, height)
        cover = np.full((4 * rows, 4 * columns), -1)
        boxes = list(grid(cells(width, height), tile))
        assert len(boxes) == tile_count(Header(width, height, 3, 8, 0, tile, bytes(8), 0))
        for i, part in enumerate(boxes):
            rows_of, columns_of = part.times(4).within(Box(0, 0, *cover.shape))
            assert (cover[rows_of, columns_of] == -1).all()
            cover[rows_of, columns_of] = i
        assert (cover >= 0).all()
        # The number of a tile rises along a row, and from each row of tiles to the next.
        assert (np.diff(cover, axis=1) >= 0).all()
        assert (np.diff(cover, axis=0)[4 * tile[1] - 1 :: 4 * tile[1]] > 0).all()
        assert cover.shape[1] <= 4 * tile[0] or (cover[0, 4 * tile[0] - 1], cover[0, 4 * tile[0]]) == (0, 1)


@pytest.mark.parametrize("most", [1, 5, 64, 100])
def test_windows_cover_all_once_with_the_shortest_cuts(most: int) -> None:
    for rows, columns in product((0, 1, 2, 7, 8, 12, 33, 101), repeat=2):
        area = Box(3, 5, 3 + rows, 5 + columns)
        cover = np.zeros((rows, columns), int)
        pieces = list(windows(area, most))
        for piece in pieces:
            assert 0 < piece.rows * piece.columns <= most
            cover[piece.within(area)] += 1
        assert (cover == 1).all()
        assert pieces == sorted(pieces)
        if rows * columns == 0:
            continue
        down, across = (len({piece[edge] for piece in pieces}) for edge in (0, 1))
        shortest = min(
            (d - 1) * columns + (a - 1) * rows
            for d, a in product(range(1, rows + 1), range(1, columns + 1))
            if -(-rows // d) * -(-columns // a) <= most
        )
        assert (down - 1) * columns + (across - 1) * rows == shortest


def test_a_photograph_of_half_a_megapixel_is_one_window() -> None:
    assert list(windows(cells(768, 512), 100)) == [Box(0, 0, 8, 12)]
    assert list(windows(cells(512, 768), 100)) == [Box(0, 0, 12, 8)]
    assert next(windows(Box(0, 0, 2**25, 2**25), 100)) == Box(0, 0, 9, 9)  # at once; most are of 10 by 10


def test_rows_are_kept_until_they_are_forgotten() -> None:
    all_rows = np.arange(2 * 12 * 3, dtype=np.float32).reshape(1, 2, 12, 3)
    kept = Rows(2, 3)
    for above, bottom in ((0, 4), (3, 7), (3, 8), (8, 12)):
        kept.forget(above)
        top = kept.box.bottom
        kept.grow(bottom - top)
        kept.view(Box(top, 0, bottom, 3))[...] = all_rows[:, :, top:bottom]
        assert kept.box == (above, 0, bottom, 3)
        assert np.array_equal(kept.view(kept.box), all_rows[:, :, above:bottom])
