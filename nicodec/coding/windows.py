"""The networks over windows with halos: pixels -> latents in bands, symbols -> pixels in windows.

Between `codec`, `painting` and the networks, which take one array. Only a band of latents and the features of the
windows at work are in memory. A halo covers the reach of the networks, so pieces make the same picture as the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import product
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import tiles
from nicodec.bitstream.container import CELL
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.symbols import Symbols
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box, Rows
from nicodec.coding import correction, layout, margin, prior, quantize
from nicodec.coding.natural import NOISE_CELL, Draw, Widths
from nicodec.errors import BadModel
from nicodec.model import tables as modelled
from nicodec.model.backends import OnnxNetworks, Planes
from nicodec.model.checkpoint import Checkpoint
from nicodec.parallel import threads
from nicodec.storage.files import shown

Item = TypeVar("Item")
Result = TypeVar("Result")


class Windows:
    """The networks of one checkpoint, run over windows. Raises BadModel for impossible thresholds or halos.

    Each block and each 3x3 layer sees one position further: at /8 or /16 in g_a and g_s, at /16 in all other networks.
    The end of that reach hardly counts, so a model file names the halos that g_a and g_s need, measured at export.

    crew: the number of windows at work at once. halo: the cells around a window whose symbols its pixels need. reach:
    the distance in cells to which the latent of a cell changes pixels. filters: those of the model, for corrections.
    """

    def __init__(self, checkpoint: Checkpoint, networks: OnnxNetworks, crew: int = 1) -> None:
        self.networks, self.crew, self._checkpoint = networks, crew, checkpoint
        self._threads = networks.threads or threads.cores()
        self.filters = correction.Filters(checkpoint)
        config = checkpoint.config
        self._channels, self._deep, self._colours = config.latent, config.deep, config.colours
        # The dead zones by table: first of the linear channels, then of the deep ones.
        self._thresholds = checkpoint.array("thresholds")
        if self._thresholds.dtype != np.float32 or self._thresholds.ndim != 1 or not len(self._thresholds):
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible thresholds")
        self._thresholds_deep = quantize.learnt(self._thresholds)
        halos = checkpoint.array("halos").tolist()
        possible = product(range(config.reach_a + 1), range(config.reach_s + 1))
        if halos not in [list(pair) for pair in possible]:
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible halos")
        self._around_a, self._around_s = map(int, halos)
        # A correction and the smoothing of ramps see three pixels further than g_s.
        self._around_s = max(1, self._around_s)
        # The means of a tile need the symbols around it. These need their tables, which come from a 3x3 layer.
        self._around_mean = -(-(config.reach_mean + 1) // Y_CELL)
        self.halo = -(-(config.reach_mean + self._around_s) // Y_CELL)
        self.reach = -(-self._around_s // Y_CELL)

    @cached_property
    def widths(self) -> Widths:
        """Those of the model, for natural pictures."""
        return Widths(self._checkpoint, modelled.y_tables(self._checkpoint))

    def beside(
        self, work: Callable[[Item], Result], items: Iterable[Item], stop: Callable[[], None] | None = None
    ) -> Iterator[Result]:
        """work(item) for each item, in order, by the threads of the crew, while this thread makes the items.

        stop: as for `in_order`.
        """
        return map(work, items) if self.crew == 1 else threads.in_order(work, items, self.crew, ahead=1, stop=stop)

    def aside(self, work: Callable[[], Result]) -> Callable[[], Result]:
        """As `threads.aside`. The steps of a single window leave threads free, those of several windows do not."""
        return threads.aside(work, 1 if self.crew > 1 else self._threads)

    def analysis(
        self,
        pixels: npt.NDArray[np.uint8],
        q: int,
        ranges: tuple[npt.NDArray[np.integer[Any]], ...],
        z: npt.NDArray[np.int8],
        rows: int,
    ) -> Iterator[tuple[Box, Rows]]:
        """g_a and h_a of a picture, band by band. y and z run ahead as far as the symbols of a band need.

        pixels: uint8 (H, W, C). q: quality in hundredths. ranges: the lowest and the highest symbol of each channel of
        z, (Z,) each. z: int8 (1, Z, R, S), zero, filled here from the top. rows: the height of a band in cells. Yields
        the cells of the band, and y in quantiser steps, whose rows are kept while they are needed.
        """
        whole = tiles.cells(pixels.shape[1], pixels.shape[0])
        y = Rows(self._channels, whole.right * Y_CELL)
        z_bottom = 0
        for band in tiles.grid(whole, (whole.right, rows)):
            # The symbols of a band depend on cells of z below it, and these on y below them.
            ahead = band.bottom + 2 * self._around_mean
            fresh = Box(y.box.bottom // Y_CELL, 0, ahead, whole.right).cut(whole)
            y.grow(fresh.rows * Y_CELL)

            def latent(window: Box) -> tuple[Box, Planes]:
                return window, self._latent(pixels, window, whole, q)

            for window, part in self.beside(latent, layout.windows(fresh)):
                y.view(window.times(Y_CELL))[...] = part
            last = fresh.bottom if fresh.bottom == whole.bottom else fresh.bottom - self._around_mean

            def hyper(window: Box) -> tuple[Box, npt.NDArray[np.int8]]:
                seen = window.grown(1, whole)
                floats = self.networks.h_a(y.view(seen.times(Y_CELL)), q / 100)
                return window, quantize.hyper_symbols(tiles.crop(floats, seen, window), *ranges)

            for window, symbols in self.beside(hyper, layout.windows(Box(z_bottom, 0, last, whole.right))):
                tiles.crop(z, whole, window)[...] = symbols
            z_bottom = last
            yield band, y
            y.forget((band.bottom - self._around_mean) * Y_CELL)

    def _latent(self, pixels: npt.NDArray[np.uint8], window: Box, whole: Box, q: int) -> Planes:
        """y of a window of cells, (1, L, 4h, 4w), in quantiser steps."""
        inner = window.times(Y_CELL)
        seen = inner.grown(self._around_a, whole.times(Y_CELL))
        x = quantize.planes(margin.cut(pixels, seen.times(STRIDE)), self._colours)
        return tiles.crop(self.networks.g_a(x, q / 100), seen, inner)

    def residual(
        self, tile: Box, y: Rows, z: npt.NDArray[np.int8], q: int, tables: Tables, within: Box
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], Planes]:
        """The symbols r of a tile of cells, the table of each, and the latent that a decoder has, all (1, L, 4h, 4w).

        y: the latent around the tile, in quantiser steps. z: (1, Z, R, S), known around the tile. q: quality in
        hundredths. within: the positions of the latent that hold samples of the picture (`margin`).
        """
        whole = Box(0, 0, *z.shape[2:])
        seen = tile.grown(self._around_mean, whole)
        outer = seen.times(Y_CELL)
        latent, near = y.view(outer), tiles.crop(z, whole, seen)
        start_of = self.aside(partial(self.networks.h_mu, near, q / 100))
        index = prior.tables(self.networks, near, q)
        start, deep, rare = latent[:, : self._deep], index[:, : self._deep], index[:, self._deep :]
        zones, zones_deep = (quantize.settled(t, tables.settled) for t in (self._thresholds, self._thresholds_deep))

        def symbols(mu: Planes) -> npt.NDArray[np.int16]:
            return margin.silenced(quantize.symbols(start - mu, deep, zones_deep), outer, within)

        linear = self.aside(partial(quantize.symbols, latent[:, self._deep :], rare, zones))
        mean = prior.mean(self.networks, start_of(), q, lambda mu: symbols(mu) + mu)
        r = np.concatenate([symbols(mean), margin.silenced(linear(), outer, within)], axis=1)
        decoded = r.astype(np.float32)
        decoded[:, : self._deep] += mean
        inner = outer, tile.times(Y_CELL)
        return tiles.crop(r, *inner), tiles.crop(index, *inner), tiles.crop(decoded, *inner)

    def synthesis(
        self,
        window: Box,
        symbols: Symbols,
        q: int,
        *,
        weights: Planes | None = None,
        deep: bool = False,
        draw: Draw | None = None,
    ) -> Callable[[], Planes]:
        """Reads the symbols that a window of cells needs, and returns the function that paints it, in any thread.

        That gives planes (1, C, 64h, 64w), about [-1/2, 1/2]. q: quality in hundredths. weights: of the correction.
        deep: smooth slow ramps. draw: what is added for symbols that are zero.

        Layers that learnt from draws paint a picture of their own, which the correction was not fitted to. It is mixed
        with the faithful one: for squared error the straight line between the two is the best way (Freirich, Michaeli
        and Meir 2021, arXiv 2107.02555).
        """
        inner = window.times(Y_CELL).grown(self._around_s, symbols.cells.times(Y_CELL))
        seen = window.grown(self.reach, symbols.cells)
        r = None if draw is None else symbols.residual(seen)
        decoded = self._decoded(window.grown(self.halo, symbols.cells), inner, symbols, q)

        def faithful(latent: Planes) -> Planes:
            x = self.networks.g_s(latent, q / 100)
            return x if weights is None else correction.corrected(x, weights, self.aside)

        def natural(latent: Planes, draw: Draw, r: npt.NDArray[np.int16]) -> Planes:
            drawn = draw.of(seen, r, prior.tables_of(self.networks, symbols.z, seen, q))
            drawn = latent + tiles.crop(drawn, seen.times(Y_CELL), inner)
            if not draw.noise:
                return faithful(drawn)
            noise = tiles.crop(draw.grain(seen), seen.times(NOISE_CELL), inner.times(NOISE_CELL // Y_CELL))
            x = self.networks.g_s_natural(drawn, np.ascontiguousarray(noise), q / 100)
            return x if draw.natural == 1 else draw.natural * x + (1 - draw.natural) * faithful(latent)

        def paint() -> Planes:
            latent = np.concatenate(decoded(), axis=1, dtype=np.float32)
            x = faithful(latent) if draw is None or r is None else natural(latent, draw, r)
            if deep:
                x = quantize.smoothed(x)
            return tiles.crop(x, inner.times(STRIDE), window.times(CELL))

        return paint

    def pixels(self, latent: Planes, window: Box, q: int) -> Planes:
        """Planes (1, 3, 64h, 64w) of a window of cells, from the latent of a whole picture, (1, L, 4R, 4S)."""
        whole = Box(0, 0, *latent.shape[2:])
        inner = window.times(Y_CELL).grown(self._around_s, whole)
        x = self.networks.g_s(tiles.crop(latent, whole, inner), q / 100)
        return tiles.crop(x, inner.times(STRIDE), window.times(CELL))

    def preview(self, window: Box, symbols: Symbols, q: int) -> Callable[[], Planes]:
        """As `synthesis`, at an eighth of the size: planes (1, C, 8h, 8w)."""
        decoded = self.latent(window, symbols, q)
        return lambda: self.networks.preview(decoded()[0], q / 100)

    def latent(self, window: Box, symbols: Symbols, q: int) -> Callable[[], tuple[Planes, npt.NDArray[np.int16]]]:
        """Reads the symbols that a window of cells needs, and returns the function that decodes its latent.

        That gives the deep channels, float32 (1, D, 4h, 4w), and the linear ones, int16 (1, L - D, 4h, 4w). Both are
        in quantiser steps. q: quality in hundredths.
        """
        seen = window.grown(self._around_mean, symbols.cells)
        return self._decoded(seen, window.times(Y_CELL), symbols, q)

    def _decoded(
        self, seen: Box, inner: Box, symbols: Symbols, q: int
    ) -> Callable[[], tuple[Planes, npt.NDArray[np.int16]]]:
        """As `latent`, of a box of positions `inner`, from the symbols of the cells `seen` around it.

        A linear channel has no mean, so its symbols are its latent.
        """
        z = tiles.crop(symbols.z, symbols.cells, seen)
        start_of = self.aside(partial(self.networks.h_mu, z, q / 100))
        r = symbols.residual(seen)

        def decoded() -> tuple[Planes, npt.NDArray[np.int16]]:
            start, rare = r[:, : self._deep], r[:, self._deep :]
            mu, outer = prior.mean(self.networks, start_of(), q, lambda mu: start + mu), seen.times(Y_CELL)
            return tiles.crop(start + mu, outer, inner), tiles.crop(rare, outer, inner)

        return decoded
