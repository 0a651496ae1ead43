"""Many small pictures -> a few large ones, side by side, as data URIs for an HTML page.

Beside `web`; `explore.reading` makes the small ones, and `explore.chart` packs them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from PIL import Image

from nicodec.picture import Array
from nicodec.picture.web import data_uri

# The longer side of a small picture, in pixels, and the most bytes that one may have.
SIDE, MOST_BYTES = 96, 1 << 16
# A large picture is a square of side SHEET, which every telephone can show. All together
# have PIXELS, unless LEAST x LEAST for each are more.
SHEET, PIXELS, LEAST = 2048, 1 << 24, 16


def small(pixels: Array) -> bytes:
    """uint8 (H, W, 3) -> JPEG of at most `SIDE` pixels a side; a smaller picture keeps its size."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, subsampling=0)
    return buffer.getvalue()


def tile_of(count: int) -> int:
    """The side of each of so many tiles, in pixels: as large as all of them may be."""
    return max(LEAST, min(SIDE, int((PIXELS / max(1, count)) ** 0.5)))


def sheets(images: Iterable[bytes], tile: int) -> Iterator[str]:
    """Data URIs of WebP with loss: `SHEET // tile` tiles in a row, and as many rows, each tile with one picture.

    images: what `small` made. Each is scaled to touch two sides of its tile, from its top left corner: so a pixel of a
    small drawing stays a square. What is no such picture stays gray.
    """
    per_row = SHEET // tile
    sheet, number = Image.new("RGB", (SHEET, SHEET), "#888"), 0
    for image in images:
        if number == per_row**2:
            yield _packed(sheet)
            sheet, number = Image.new("RGB", (SHEET, SHEET), "#888"), 0
        place = number % per_row * tile, number // per_row * tile
        number += 1
        if (found := _opened(image)) is not None:
            factor = tile / max(found.size)
            size = max(1, round(found.width * factor)), max(1, round(found.height * factor))
            how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
            sheet.paste(found.resize(size, how), place)
    if number:
        # What no tile needs is cut off.
        used = min(number, per_row) * tile, -(-number // per_row) * tile
        yield _packed(sheet.crop((0, 0, *used)))


def _opened(data: bytes) -> Image.Image | None:
    """A picture that `small` made; None if it is another, or damaged."""
    if len(data) > MOST_BYTES:
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        return image.convert("RGB") if max(image.size) <= SIDE else None
    except Exception:  # a damaged file raises whatever it likes
        return None


def _packed(sheet: Image.Image) -> str:
    return data_uri(sheet, "WEBP", quality=75, method=2)
