"""Effort: the latent of one picture, refined by gradient for its own rate and distortion before it is coded.

Between the analysis of `windows` and the symbols, made by `effort`. The decoder stays the same.

Stochastic Gumbel annealing (Yang, Bamler, Mandt 2020, arXiv 2006.04240) with the logits of SGA+
(Perugachi-Diaz, Gansekoele, Bhulai 2024, arXiv 2401.17789): in place of each symbol stands a random number between
its two nearest integers, and the latent follows the gradient of bpp + lambda * MSE. Nothing is annealed but the rate
of learning. Rates are those of the tables that the file is coded with, linear between integers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import tiles
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box, Rows
from nicodec.coding import margin, prior, quantize
from nicodec.coding.crew import Crew
from nicodec.coding.rates import Rates
from nicodec.model.backends import OnnxNetworks, Planes
from nicodec.picture import Picture

# The learning rate at the first step and at the last, in quantiser steps.
RATES = 0.06, 0.02
# How long a gradient, and its square, are remembered (Adam: Kingma, Ba 2015, arXiv 1412.6980).
MEMORY, MEMORY_OF_SQUARES = 0.7, 0.99
# The share of its channel in the square of a gradient. Steps grow with the gradient that much, and noise counts less.
SHARED = 0.75
# The logit of a symbol is SLOPE times that of its fraction, plus logistic noise. This is NOISE times the number of
# steps to the power of GROWTH: few steps gain most with little noise, and many with more.
SLOPE, NOISE, GROWTH = 3.0, 0.38, 0.2
# Fractions nearer than this to 0 or 1 count as this near.
EDGE = 1e-3
# Steps between two measurements of the rounded latent.
LOOK = 10
# Most cells of 64 pixels in a window.
WINDOW = 64


class Refinement:
    """Refines one picture, band by band, as the analysis makes them.

    crew: of networks of ONNX Runtime. q: quality in hundredths. steps: a multiple of LOOK. progress: as for
    `Codec.encode`, called by the threads of the crew, one at a time.
    """

    def __init__(
        self,
        crew: Crew,
        rates: Rates,
        picture: Picture,
        q: int,
        steps: int,
        progress: Callable[[float, float], None] | None,
    ) -> None:
        self.rates, self.pixels, self.alpha, self.q, self.steps = rates, picture.pixels, picture.alpha, q, steps
        # The bits that a squared error of 1 is worth, for samples of range 1.
        self.weight = quantize.lambda_of(q) * 255**2
        self._crew, self._progress, self._lock = crew, progress, threading.Lock()
        whole = tiles.cells(self.pixels.shape[1], self.pixels.shape[0])
        self._whole = whole.rows * whole.columns * steps
        # What ends all windows, since each may take minutes: an error in one, or Ctrl-C.
        self._failure: BaseException | None = None
        # Steps of cells that are done, and the cost in bits of the windows so far, before and now.
        self._done, self._before, self._now = 0, 0.0, 0.0

    def __call__(self, band: Box, y: Rows, z: npt.NDArray[np.int8]) -> None:
        """Refine the latent of a band of cells, in place. z (1, Z, R, S): known one cell beyond it.

        No window sees what another has become. So the result is the same with any number of threads.
        """
        windows = list(tiles.windows(band, WINDOW))
        crew = self._crew.of(len(windows))
        networks = crew.networks

        def refined(window: Box) -> Planes:
            try:
                return Window(self, networks, window, y, z).refined()
            except BaseException as error:
                self._failure = self._failure or error
                raise

        def stop() -> None:
            self._failure = CancelledError()

        for window, latent in zip(windows, list(crew.beside(refined, windows, stop)), strict=True):
            y.view(window.times(Y_CELL))[:, : latent.shape[1]] = latent

    def cost(self, size: int, psnr: float) -> float:
        """Rate plus weighted distortion of a file, in bits. size: in bytes. psnr: in dB."""
        height, width, _ = self.pixels.shape
        visible = height * width if self.alpha is None else np.count_nonzero(self.alpha)
        return quantize.cost(self.q, size, psnr, visible)

    def begin(self, cost: float) -> None:
        """A window begins, at this cost in bits."""
        with self._lock:
            self._before += cost
            self._now += cost

    def tell(self, cells: int, saved: float) -> None:
        """So many cells have done a step more, which saved so many bits. Raises the error of any other window."""
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._done += cells
            self._now -= saved
            if self._progress is not None:
                self._progress(self._done / self._whole, self._now / max(self._before, EDGE))


class Window:
    """A window of cells under refinement, with the surroundings that its means depend on.

    Surroundings count in the cost, but stay as they are. Arrays are (1, D, h, w) of both, in quantiser steps. Linear
    channels are not refined: few of their symbols are not zero. To a model of three colours gray is three equal planes.
    """

    def __init__(
        self, picture: Refinement, networks: OnnxNetworks, window: Box, y: Rows, z: npt.NDArray[np.int8]
    ) -> None:
        self._picture, self._networks, self._quality = picture, networks, picture.q / 100
        self._cells, config = window.rows * window.columns, networks.checkpoint.config
        # An even number of positions, so that the phases begin as they do in the picture.
        around = 2 * -(-config.reach_mean // 2)
        whole = Box(0, 0, *z.shape[2:])
        near = window.grown(-(-around // Y_CELL), whole)
        seen = window.times(Y_CELL).grown(around, whole.times(Y_CELL))
        self._inner = (..., *window.times(Y_CELL).within(seen))
        self._features, self._mu0 = (
            np.ascontiguousarray(tiles.crop(planes, near.times(Y_CELL), seen))
            for planes in networks.h_mu(tiles.crop(z, whole, near), self._quality)
        )
        self._even = prior.phase0(self._mu0.shape)
        index = tiles.crop(prior.tables_of(networks, z, near, picture.q), near.times(Y_CELL), seen)
        deep, rare = index[:, : config.deep], index[:, config.deep :]
        self._rates, self._inner_rates = picture.rates.of(deep), picture.rates.of(deep[self._inner])
        # Symbols that stay zero: those of settled tables, and those where no sample of the picture lies.
        beyond = margin.beyond(seen, tiles.positions(*picture.pixels.shape[1::-1]))
        self._still = self._rates.settled | beyond
        # What g_s decodes: the deep channels, filled in at each step, and the symbols of the linear ones.
        self._latent = y.view(seen).copy()
        self.start = y.view(seen)[:, : config.deep].copy()
        symbols = quantize.symbols(self._latent[:, config.deep :], rare, networks.checkpoint.array("thresholds"))
        self._latent[:, config.deep :] = np.where(picture.rates.settled[rare] | beyond, 0, symbols)
        area = seen.times(STRIDE)
        self._target = quantize.planes(tiles.cut(picture.pixels, area), config.colours)
        # Samples beyond the picture do not count, nor do those under alpha 0: nobody sees them.
        part = slice(area.top, area.bottom), slice(area.left, area.right)
        visible = np.ones(picture.pixels[part].shape[:2], bool) if picture.alpha is None else picture.alpha[part] > 0
        self._counted = np.zeros((1, 1, area.rows, area.columns), np.float32)
        self._counted[0, 0, : visible.shape[0], : visible.shape[1]] = visible * (picture.weight / config.colours)

    def refined(self) -> Planes:
        """The best latent of the window that was found, which may be the first.

        It is the decoded latent. So the coder finds the same symbols, though its means differ in the last bits.
        """
        steps = self._picture.steps
        latent, descent = self.start.copy(), Descent(self.start[self._inner].shape, steps)
        best, kept = self._looked(latent)
        self._picture.begin(best)
        for step in range(1, steps + 1):
            draw = Draw(descent.noise(step))
            latent[self._inner] -= descent.step(step, self._gradient(latent, draw))
            before = best
            if step % LOOK == 0:
                cost, decoded = self._looked(latent)
                if cost < best:
                    best, kept = cost, decoded
            self._picture.tell(self._cells, before - best)
        return kept[self._inner]

    def _looked(self, latent: Planes) -> tuple[float, Planes]:
        """Rate plus weighted distortion of the rounded latent, in bits, and the latent that decoders make of it."""
        r, mu = self._decoded(latent, nearest)
        error, _ = self._error(r + mu)
        return self._rates.total(r) + error, r + mu

    def _gradient(self, latent: Planes, draw: Draw) -> Planes:
        """The gradient of the cost at the latent of the window, by drawn symbols."""
        inner, even = self._inner, self._even
        r, mu = self._decoded(latent, draw)
        decoded = r + mu
        _, at_decoded = self._error(decoded)
        moves = np.where(self._still[self._inner], np.float32(0), draw.slope)
        at_r = (at_decoded[inner] + self._inner_rates.slopes(draw.below)) * moves
        # A mean of the second phase moves the latent, and the fraction of its symbol the other way.
        at_mu1 = np.where(even, np.float32(0), at_decoded)
        at_mu1[inner] -= np.where(even[inner], np.float32(0), at_r)
        y0 = np.where(even, decoded, np.float32(0))
        at_y0 = self._networks.context_back(y0, self._features, at_mu1, self._quality)[inner]
        result: Planes = at_r + np.where(even[inner], at_y0, np.float32(0)) * moves
        return result

    def _decoded(self, latent: Planes, rounded: Callable[[Planes], Planes]) -> tuple[Planes, Planes]:
        """The symbols of a latent, and their means. rounded: r of the window -> symbols, or numbers in their place."""

        def symbols(r: Planes) -> Planes:
            made = nearest(r)
            made[self._inner] = rounded(r[self._inner])
            made[self._still] = 0
            return made

        y0 = np.where(self._even, symbols(latent - self._mu0) + self._mu0, np.float32(0))
        mu = np.where(self._even, self._mu0, self._networks.context(y0, self._features, self._quality))
        return symbols(latent - mu), mu

    def _error(self, decoded: Planes) -> tuple[float, Planes]:
        """The weighted squared error of a decoded latent, in bits, and its gradient there."""
        self._latent[:, : decoded.shape[1]] = decoded
        return self._networks.g_s_back(self._latent, self._target, self._counted, self._quality)


class Draw:
    """Numbers in place of symbols, by the noise given. slope, below: of the last ones, by r, and the integers below."""

    def __init__(self, noise: Planes) -> None:
        self._noise = noise
        self.slope = self.below = noise

    def __call__(self, r: Planes) -> Planes:
        """Numbers between the two nearest integers: close to one of them, more often to the nearer."""
        self.below = np.floor(r)
        fraction = np.clip(r - self.below, np.float32(EDGE), np.float32(1 - EDGE))
        share = 1 / (1 + np.exp(-(np.float32(SLOPE) * logit(fraction) + self._noise)))
        self.slope = np.float32(SLOPE) * share * (1 - share) / (fraction * (1 - fraction))
        result: Planes = self.below + share
        return result


class Descent:
    """Adam for a latent of this shape, with noise for its symbols: the same at each call, on every machine."""

    def __init__(self, shape: tuple[int, ...], steps: int) -> None:
        self._random, self._shape = np.random.default_rng(0), shape
        self._rates = np.linspace(*RATES, steps)
        self._size = np.float32(NOISE * steps**GROWTH)
        self._noise = self._mean = self._square = np.zeros(shape, np.float32)

    def noise(self, step: int) -> Planes:
        """Logistic noise of a step, counted from 1. Each second one is the one before it, negated: they balance."""
        if step % 2:
            uniform = self._random.random(self._shape, np.float32)
            self._noise = self._size * logit(np.clip(uniform, np.float32(1e-6), np.float32(1 - 1e-6)))
        return self._noise if step % 2 else -self._noise

    def step(self, step: int, gradient: Planes) -> Planes:
        """What to take from the latent."""
        square = gradient * gradient
        square += np.float32(SHARED) * (square.mean((2, 3), keepdims=True) - square)
        self._mean = self._mean + np.float32(1 - MEMORY) * (gradient - self._mean)
        self._square = self._square + np.float32(1 - MEMORY_OF_SQUARES) * (square - self._square)
        rate = np.float32(self._rates[step - 1] / (1 - MEMORY**step))
        size = np.sqrt(self._square / np.float32(1 - MEMORY_OF_SQUARES**step))
        result: Planes = rate * self._mean / (size + np.float32(1e-8))
        return result


def nearest(r: Planes) -> Planes:
    rounded: Planes = np.floor(r + np.float32(0.5))
    return rounded


def logit(share: Planes) -> Planes:
    """log(x / (1 - x)) of numbers between 0 and 1."""
    result: Planes = np.log(share) - np.log1p(-share)
    return result
