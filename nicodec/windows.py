"""The networks over windows with halos: pixels -> latents in bands, symbols -> pixels piece by piece.

Between `codec`, which thinks in pictures, and `transform`, whose graphs take one array. Whatever the size of
a picture, only a band of its latents and one window of its features are in memory; and since every window
sees as far around itself as the networks reach, it comes out as if all had been computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nicodec import prior, quantize, tiles
from nicodec.checkpoint import Checkpoint
from nicodec.container import CELL
from nicodec.entropy import Tables
from nicodec.errors import BadModel
from nicodec.files import shown
from nicodec.symbols import Symbols
from nicodec.tiles import Y_CELL, Box, Rows
from nicodec.transform import Networks, Planes
from nicodec.workers import in_order

Item = TypeVar("Item")
Result = TypeVar("Result")

# Most cells of 64 pixels in a window, of which each thread has one at work: just a photograph of 768 x 512.
# Of what is over WIDE cells wide, which takes memory by the row, they are smaller, though that takes longer.
WINDOW, WIDE, SMALLER = 96, 128, 72
# The most for previews, whose halo is a whole cell too but whose features are small, all at /16.
PREVIEW_WINDOW = 400
# Pixels for each latent position.
STRIDE = CELL // Y_CELL
# A latent is strange where its mean square is so many times what nearly all cells of photographs stay under.
STRANGE = 1.5
# Nobody trains a network with more channels, or more blocks in a row.
MAX_WIDTH, MAX_BLOCKS = 2**14, 64


def pieces(area: Box) -> list[Box]:
    """The windows of an area of cells."""
    return list(tiles.windows(area, WINDOW if area.columns <= WIDE else SMALLER))


def reach(config: dict[str, Any], g: str) -> int:
    """How many latent positions around each g_a ("a") or g_s ("s") sees: its blocks, those at /8 half."""
    positions: int = config[f"latent_blocks_{g}"] + -(-config[f"blocks_{g}"] // 2)
    return positions


class Windows:
    """The networks of one checkpoint, run over windows. Raises BadModel if its config is impossible.

    How far a network sees: each block one position further, at /8 in g_a and g_s, at /16 on the latent of
    both, in h_a, in the context and in the 3x3 layer of h_mu. Little comes from the end of that reach, so
    a model file names the halos that g_a and g_s need, measured when it was exported. `halo` is in cells,
    enough for every pixel; `reach` says how many cells around it a cell of the latent paints on. crew: how
    many windows are worked on at once.
    """

    def __init__(self, checkpoint: Checkpoint, networks: Networks, crew: int = 1) -> None:
        def size(name: str, least: int, most: int) -> int:
            value = checkpoint.config.get(name)
            if type(value) is not int or not least <= value <= most:
                raise BadModel(
                    f"{shown(checkpoint.path)}: the config of the model needs {name}, from {least} to {most}"
                )
            return value

        self.networks, self.crew = networks, crew
        self._channels = size("latent", 1, MAX_WIDTH)
        self._deep = self._channels - size("linear", 0, self._channels - 1)
        # What an encoder makes zero, by table: of the other channels, and of the deep ones.
        self._thresholds = checkpoint.array("thresholds")
        if self._thresholds.dtype != np.float32 or self._thresholds.ndim != 1 or not len(self._thresholds):
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible thresholds")
        self._thresholds_deep = quantize.learnt(self._thresholds)
        self._log_gain, self._spread = (checkpoint.array(name) for name in ("log_gain", "spread"))
        self._familiar = checkpoint.array("familiar")
        shapes = (prior.ANCHORS, self._channels), (self._channels,), (1,)
        if [a.shape for a in (self._log_gain, self._spread, self._familiar)] != list(shapes):
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible gains")
        for name in ("latent_blocks_a", "latent_blocks_s", "blocks_a", "blocks_s"):
            size(name, 0, MAX_BLOCKS)
        reach_a, reach_s = reach(checkpoint.config, "a"), reach(checkpoint.config, "s")
        halos = checkpoint.array("halos").tolist()
        if halos not in [[a, s] for a in range(reach_a + 1) for s in range(reach_s + 1)]:
            raise BadModel(f"{shown(checkpoint.path)}: the model has impossible halos")
        self._around_a, self._around_s = map(int, halos)
        deciding = 1 + size("context_blocks", 0, MAX_BLOCKS)
        # The means of a tile need the symbols around it, and those their tables, from a 3x3 layer.
        self._around_mean = -(-(deciding + 1) // Y_CELL)
        self.halo = -(-(deciding + self._around_s) // Y_CELL)
        self.reach = -(-self._around_s // Y_CELL)

    def beside(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """work(item) for each, in order, by the crew, while this thread makes the items."""
        return map(work, items) if self.crew == 1 else in_order(work, items, self.crew, ahead=1)

    def analysis(
        self,
        pixels: npt.NDArray[np.uint8],
        q: int,
        ranges: tuple[npt.NDArray[np.integer[Any]], ...],
        z: npt.NDArray[np.int8],
        rows: int,
    ) -> Iterator[tuple[Box, Rows]]:
        """g_a and h_a of a picture: bands of so many rows of cells, each once its symbols can be known.

        pixels: (H, W, C). q: quality in hundredths. ranges: the lowest and the highest symbol of each
        channel of z. z: (1, Z, R, S), zero; filled from the top. Yields the cells of the band, and y in
        quantiser steps, whose rows are kept as long as they are needed.
        """
        whole = tiles.cells(pixels.shape[1], pixels.shape[0])
        y = Rows(self._channels, whole.right * Y_CELL)
        z_bottom = 0
        for band in tiles.grid(whole, (whole.right, rows)):
            # What decides a band's symbols reaches below it: y runs twice as far ahead as z.
            ahead = band.bottom + 2 * self._around_mean
            fresh = Box(y.box.bottom // Y_CELL, 0, ahead, whole.right).cut(whole)
            y.grow(fresh.rows * Y_CELL)

            def latent(window: Box) -> tuple[Box, Planes]:
                return window, self._latent(pixels, window, whole, q)

            for window, part in self.beside(latent, pieces(fresh)):
                y.view(window.times(Y_CELL))[...] = part
            last = fresh.bottom if fresh.bottom == whole.bottom else fresh.bottom - self._around_mean

            def hyper(window: Box) -> tuple[Box, npt.NDArray[np.int8]]:
                seen = window.grown(1, whole)
                floats = self.networks.h_a(y.view(seen.times(Y_CELL)), q / 100)
                return window, quantize.hyper_symbols(tiles.crop(floats, seen, window), *ranges)

            for window, symbols in self.beside(hyper, pieces(Box(z_bottom, 0, last, whole.right))):
                tiles.crop(z, whole, window)[...] = symbols
            z_bottom = last
            yield band, y
            y.forget((band.bottom - self._around_mean) * Y_CELL)

    def _latent(self, pixels: npt.NDArray[np.uint8], window: Box, whole: Box, q: int) -> Planes:
        """y of a window of cells."""
        inner = window.times(Y_CELL)
        seen = inner.grown(self._around_a, whole.times(Y_CELL))
        x = quantize.planes(tiles.cut(pixels, seen.times(STRIDE)))
        return tiles.crop(self.networks.g_a(x, q / 100), seen, inner)

    def gain(self, q: int) -> npt.NDArray[np.float64]:
        """Quantiser gain of each channel (L,) at a quality in hundredths, for what no graph computes."""
        hats = np.maximum(0, 1 - np.abs(q / 1000 - np.arange(prior.ANCHORS)))
        result: npt.NDArray[np.float64] = np.exp(hats @ self._log_gain)
        return result

    def strange(self, band: Box, y: Rows, q: int) -> npt.NDArray[np.bool_]:
        """Which cells (rows, columns) of a band hold latents that are far from those of training pictures.

        What counts is the mean square of the deep channels at a position, in units of their spread: where the
        networks fail it is twice what it is in photographs.
        """
        latent = y.view(band.times(Y_CELL))[0, : self._deep]
        unit = (self.gain(q) * self._spread)[: self._deep]
        energy = np.einsum("cij,cij,c->ij", latent, latent, (unit**-2 / self._deep).astype(np.float32))
        largest = energy.reshape(band.rows, Y_CELL, band.columns, Y_CELL).max((1, 3))
        result: npt.NDArray[np.bool_] = largest > STRANGE * self._familiar
        return result

    def residual(
        self, tile: Box, y: Rows, z: npt.NDArray[np.int8], q: int, tables: Tables
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
        """What is coded of a tile of cells: r, and the table of each symbol, both (1, L, 4h, 4w)."""
        whole = Box(0, 0, *z.shape[2:])
        seen = tile.grown(self._around_mean, whole)
        latent, near = y.view(seen.times(Y_CELL)), tiles.crop(z, whole, seen)
        index = self.networks.h_sigma(near, prior.integer_hats(q))
        start, deep, rare = latent[:, : self._deep], index[:, : self._deep], index[:, self._deep :]

        def symbols(mu: Planes) -> npt.NDArray[np.int16]:
            return tables.settle(quantize.worthwhile(start - mu, deep, self._thresholds_deep), deep)

        r = np.empty(latent.shape, np.int16)
        r[:, : self._deep] = symbols(self._mean(near, q, symbols))
        symbols_of_rare = quantize.sparse(latent[:, self._deep :], rare, self._thresholds)
        r[:, self._deep :] = tables.settle(symbols_of_rare, rare)
        inner = seen.times(Y_CELL), tile.times(Y_CELL)
        return tiles.crop(r, *inner), tiles.crop(index, *inner)

    def _mean(
        self, z: npt.NDArray[np.int8], q: int, r_of: Callable[[Planes], npt.NDArray[np.int16]]
    ) -> Planes:
        """The mean of both phases (1, D, 4h, 4w) from z; r_of: r of the first, given its mean."""
        features, mu0 = self.networks.h_mu(z, q / 100)
        first = quantize.phase0(mu0.shape)
        y0 = np.where(first, r_of(mu0) + mu0, np.float32(0))
        mean: Planes = np.where(first, mu0, self.networks.context(y0, features, q / 100))
        return mean

    def synthesis(self, window: Box, symbols: Symbols, q: int) -> Callable[[], Planes]:
        """Reads the symbols that a window of cells needs; the result paints it, in whatever thread.

        It gives planes (1, 3, 64h, 64w), about [-1/2, 1/2].
        """
        inner = window.times(Y_CELL).grown(self._around_s, symbols.cells.times(Y_CELL))
        decoded = self._decoded(window.grown(self.halo, symbols.cells), inner, symbols, q)

        def paint() -> Planes:
            latent = np.concatenate(decoded(), axis=1, dtype=np.float32)
            x = self.networks.g_s(latent, q / 100)
            return tiles.crop(x, inner.times(STRIDE), window.times(CELL))

        return paint

    def preview(self, window: Box, symbols: Symbols, q: int) -> Callable[[], Planes]:
        """As `synthesis`, at an eighth of the size: planes (1, 3, 8h, 8w)."""
        decoded = self.latent(window, symbols, q)
        return lambda: self.networks.preview(decoded()[0], q / 100)

    def latent(
        self, window: Box, symbols: Symbols, q: int
    ) -> Callable[[], tuple[Planes, npt.NDArray[np.int16]]]:
        """Reads the symbols that a window of cells needs; the result decodes its latent (1, ., 4h, 4w).

        It gives the deep channels and the others, in quantiser steps.
        """
        seen = window.grown(self._around_mean, symbols.cells)
        return self._decoded(seen, window.times(Y_CELL), symbols, q)

    def _decoded(
        self, seen: Box, inner: Box, symbols: Symbols, q: int
    ) -> Callable[[], tuple[Planes, npt.NDArray[np.int16]]]:
        """The decoded latent of a box of positions, from a box of cells with what it needs around it.

        Its deep channels, and the others, which are their symbols.
        """
        r, z = symbols.residual(seen), tiles.crop(symbols.z, symbols.cells, seen)

        def decoded() -> tuple[Planes, npt.NDArray[np.int16]]:
            start, rare = r[:, : self._deep], r[:, self._deep :]
            mu, outer = self._mean(z, q, lambda _: start), seen.times(Y_CELL)
            return tiles.crop(start + mu, outer, inner), tiles.crop(rare, outer, inner)

        return decoded
