"""The sizes into which a picture is cut: tiles are coded, bands are in memory, windows are computed.

Under `windows`, `codec`, `look` and `painting`. Our encoder and decoder choose these sizes; the format allows others.
"""

from __future__ import annotations

from nicodec.bitstream import tiles
from nicodec.bitstream.tiles import Box

# Width and height of a tile in cells. A row of tiles is in memory at once, so wide pictures have lower tiles. A row has
# at most ROW cells, but is at least LOWEST cells high.
TILE = (16, 8)
ROW, LOWEST = 1536, 4
# Short rows of tiles are grouped into bands of about 768 cells, so that every thread has work.
BAND = 768
# The most cells in a window: 96 are a photograph of 768 x 512 pixels. A picture over WIDE cells wide has rows that
# already fill the memory. So its windows have at most SMALLER cells, though these take longer.
WINDOW, WIDE, SMALLER = 96, 128, 72
# The most cells in a window of a preview, whose features are all at /16 and so take little memory.
PREVIEW_WINDOW = 400


def tile_size(whole: Box) -> tuple[int, int]:
    """Width and height in cells of the tiles of a picture. whole: the box of its cells."""
    return TILE[0], min(TILE[1], max(LOWEST, ROW // whole.columns))


def band_rows(whole: Box, tile: tuple[int, int]) -> int:
    """The height of a band in cells: whole rows of tiles. tile: width and height in cells."""
    return tile[1] * max(1, BAND // (tile[1] * whole.columns))


def windows(area: Box) -> list[Box]:
    """The windows of an area, in cells."""
    return list(tiles.windows(area, WINDOW if area.columns <= WIDE else SMALLER))


def preview_windows(area: Box) -> list[Box]:
    """The windows of an area for a preview, in cells."""
    return list(tiles.windows(area, PREVIEW_WINDOW))
