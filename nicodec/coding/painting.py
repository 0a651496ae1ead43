"""Symbols -> samples, window by window, each with its place in the picture.

Between `windows` and `codec`, which joins the samples to a picture. The encoder's look paints with it too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import flats, patches, tiles
from nicodec.bitstream.container import CELL, File, Header, Kind
from nicodec.bitstream.symbols import Symbols
from nicodec.bitstream.tiles import Box
from nicodec.coding import layout, quantize
from nicodec.coding.natural import Draw, check_draws
from nicodec.coding.windows import Windows
from nicodec.errors import NicError
from nicodec.model.backends import Planes
from nicodec.picture import Depth, Samples
from nicodec.storage.files import Data

# A preview has one sample for PREVIEW x PREVIEW pixels.
PREVIEW = 8


Region: TypeAlias = tuple[int, int, int, int] | None
Limit: TypeAlias = int | None
# A .nic file, packed or not.
Nic: TypeAlias = Data | File


class View(NamedTuple):
    """The wanted part of a picture.

    area: in pixels of the view. shrink: the factor by which the view is smaller than the picture, 1 or 8. windows:
    those that cover the area, in cells, by their tops. natural, seed: of draws.
    """

    area: Box
    shrink: int
    windows: list[Box]
    natural: float = 0
    seed: int = 0

    def draw(self, windows: Windows, header: Header) -> Draw | None:
        """What is added for symbols that are zero; None in a faithful picture and in a preview."""
        if not self.natural or self.shrink > 1:
            return None
        key, model = (header.symbols_crc, self.seed), windows.networks.checkpoint
        return Draw(windows.widths, self.natural, key, header.quality, model.config.noise if model.has_natural else 0)


def view(header: Header, region: Region = None, scale: float = 1, natural: float = 0, seed: int = 0) -> View:
    """The view of a whole picture, of a region (x, y, width, height), or with scale=1/8 of the whole at an eighth.

    natural, seed: as for `decode`. Raises NicError for impossible ones, for a region that is not
    inside the picture, for other scales, and for a region and a scale at once.
    """
    check_draws(natural, seed)
    whole = Box(0, 0, header.height, header.width)
    drawn = float(natural), int(seed)
    if scale != 1:
        if scale != 1 / PREVIEW or region is not None:
            raise NicError(f"scale must be 1 or 1/{PREVIEW}, and does not go with a region")
        small = whole.over(PREVIEW)
        return View(small, PREVIEW, layout.preview_windows(small.over(CELL // PREVIEW)), *drawn)
    if region is None:
        return View(whole, 1, layout.windows(whole.over(CELL)), *drawn)
    try:
        x, y, width, height = map(operator.index, region)
    except (TypeError, ValueError):
        raise NicError(f"a region is four whole numbers (x, y, width, height), not {region!r}") from None
    area = Box(y, x, y + height, x + width)
    if width < 1 or height < 1:
        raise NicError(f"a region has at least one pixel, not {width}x{height}")
    if area.cut(whole) != area:
        raise NicError(f"the region {width}x{height} at {x},{y} is not inside {header.width}x{header.height}")
    return View(area, 1, layout.windows(area.over(CELL)), *drawn)


def depth(dtype: npt.DTypeLike) -> Depth:
    """The type of samples that a caller asks for. Raises NicError unless it is np.uint8 or np.uint16."""
    for known in (np.uint8, np.uint16):
        if dtype in (known, np.dtype(known), known.__name__):
            return known
    raise NicError(f"dtype must be numpy.uint8 or numpy.uint16, not {dtype!r}")


def paint(
    windows: Windows, symbols: Symbols, file: File, wanted: View, dtype: Depth = np.uint8, *, check: bool = False
) -> Iterator[tuple[Box, Samples]]:
    """The samples of each window inside the wanted area, (h, w, C), with their place in pixels of the view.

    They are corrected, but not in a preview. Patches are laid over them, then flat cells. check: hold all symbols
    against their checksum at the end. Raises BadFile or LimitExceeded for malformed ones, and as `Symbols` and
    `Windows`.
    """
    header = file.header
    kinds = ((Kind.PATCHES, patches.decode), (Kind.FLATS, flats.decode))
    sent = ((file.extra(kind), decode) for kind, decode in kinds)
    laid = [
        decode(stored, header.width, header.height, header.channels) for stored, decode in sent if stored is not None
    ]
    filtered = file.extra(Kind.CORRECTION)
    weights = None if filtered is None else windows.filters.decode(filtered)
    draw = wanted.draw(windows, header)
    full = partial(windows.synthesis, weights=weights, deep=header.depth == 16, draw=draw)
    render, cell = (full if wanted.shrink == 1 else windows.preview), CELL // wanted.shrink
    graph = "preview" if wanted.shrink > 1 else "g_s_natural" if draw is not None and draw.noise else "g_s"
    windows.aside(partial(windows.networks.session, graph))
    checks: list[Callable[[], None]] = []

    def decoded() -> Iterator[tuple[Box, Callable[[], Planes]]]:
        for window in wanted.windows:
            symbols.forget(window.top - windows.halo)
            render_it = render(window, symbols, header.quality)
            if check and window is wanted.windows[-1]:
                checks.append(windows.aside(symbols.check))
            yield window.times(cell), render_it

    def painted(job: tuple[Box, Callable[[], Planes]]) -> tuple[Box, Samples]:
        seen, paint = job
        part = seen.cut(wanted.area)
        planes = tiles.crop(paint(), seen, part)
        half = part.rows // 2
        pixels: Samples = np.empty((part.rows, part.columns, header.channels), dtype)
        lower = windows.aside(partial(quantize.samples, planes[:, :, half:], pixels[half:]))
        quantize.samples(planes[:, :, :half], pixels[:half])
        lower()
        for cells in laid:
            cells.lay(pixels, part, wanted.shrink)
        return part, pixels

    yield from windows.beside(painted, decoded())
    for checked in checks:
        checked()
