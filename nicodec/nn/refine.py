"""Effort: the latent of one picture, refined by gradient for its own rate and distortion before it is coded.

Between the analysis of `windows` and the symbols; needs torch. The decoder stays the same.

Stochastic Gumbel annealing (Yang, Bamler, Mandt 2020, arXiv 2006.04240) with the logits of SGA+
(Perugachi-Diaz, Gansekoele, Bhulai 2024, arXiv 2401.17789), but nothing is annealed: in place of each symbol
stands a random number between its two nearest integers, and the latent follows the gradient of
bpp + lambda * MSE. Rates are those of the tables that the file is coded with, linear between integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream import tiles
from nicodec.bitstream.entropy import FREQUENCY_BITS, Tables
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box, Rows
from nicodec.coding import prior, quantize
from nicodec.model.backends import Networks
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.layers import bf16_pays, bounded, full, hats
from nicodec.nn.thaw import model_of
from nicodec.nn.transforms import phase0
from nicodec.picture import Picture

# Steps by effort. Effort 1 is the plain forward pass.
STEPS = {1: 0, 2: 10, 3: 20, 4: 40, 5: 80, 6: 160, 7: 320, 8: 640, 9: 1280}
# The learning rate of Adam, in quantiser steps.
RATE = 0.02
# The logit of a symbol is SLOPE times that of its fraction, plus NOISE times logistic noise.
SLOPE, NOISE = 4.0, 1.25
# Fractions nearer than this to 0 or 1 count as this near.
EDGE = 1e-3
# Steps between two measurements of the rounded latent.
LOOK = 10
# Most cells of 64 pixels in a window.
WINDOW = 64
# About the bits of a symbol outside its table, without its escape mark.
ESCAPE_BITS = 16


class Refiner:
    """Refines pictures for one model. networks and tables: what the picture will be coded with.

    device: of torch. Raises what `model_of` raises.
    """

    def __init__(self, checkpoint: Checkpoint, networks: Networks, tables: Tables, device: str) -> None:
        if networks.threads is not None:
            torch.set_num_threads(networks.threads)  # of the whole process: torch has no other way
        self.networks = networks
        self.model = model_of(checkpoint, device).requires_grad_(False)
        self.device = self.model.spread.device
        self.amp = bf16_pays(self.device)
        # A frequency of 0 stands for 2^16: the only symbol of its table.
        frequencies = np.where(tables.frequencies == 0, 2**FREQUENCY_BITS, tables.frequencies.astype(np.int64))
        self.bits = self.tensor((FREQUENCY_BITS - np.log2(frequencies)).astype(np.float32))
        self.settled = self.tensor(tables.settled)
        self.start, self.low, self.high = (
            self.tensor(a.astype(np.int64)) for a in (tables.start[:-1], tables.low, tables.high)
        )

    def tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self.device)

    def picture(
        self, picture: Picture, q: int, effort: int, progress: Callable[[float, float], None] | None
    ) -> Refinement:
        """The `Refinement` of one picture. q: quality in hundredths. progress: as for `Codec.encode`."""
        return Refinement(self, picture, q, STEPS[effort], progress or (lambda done, cost: None))


class Refinement:
    """Refines one picture, band by band, as the analysis makes them.

    hat, gain: of its quality. weight: the bits that a squared error of 1 is worth, for samples of range 1.
    """

    def __init__(
        self, refiner: Refiner, picture: Picture, q: int, steps: int, progress: Callable[[float, float], None]
    ) -> None:
        self.refiner, self.pixels, self.alpha, self.q = refiner, picture.pixels, picture.alpha, q
        self.hat = hats(torch.tensor([q / 100], device=refiner.device))
        self.gain = refiner.model.gain(self.hat)
        self.weight = quantize.lambda_of(q) * 255**2
        self._steps, self._progress = steps, progress
        whole = tiles.cells(self.pixels.shape[1], self.pixels.shape[0])
        self._cells = whole.rows * whole.columns
        # Cells that are done, and their cost in bits before and after.
        self._done, self._before, self._after = 0, 0.0, 0.0

    def __call__(self, band: Box, y: Rows, z: npt.NDArray[np.int8]) -> None:
        """Refine the latent of a band of cells, in place. z (1, Z, R, S): known one cell beyond it."""
        for window in tiles.windows(band, WINDOW):
            self._refine(window, y, z)

    def cost(self, size: int, psnr: float) -> float:
        """Rate plus weighted distortion of a file, in bits. size: in bytes. psnr: in dB."""
        height, width, _ = self.pixels.shape
        visible = height * width if self.alpha is None else np.count_nonzero(self.alpha)
        return 8 * size + self.weight * visible * float(10 ** (-psnr / 10))

    def _refine(self, window: Box, y: Rows, z: npt.NDArray[np.int8]) -> None:
        """Refine a window of cells. The best latent is kept; it may be the first."""
        device, amp = self.refiner.device, self.refiner.amp
        task, cells = Window(self, window, y, z), window.rows * window.columns
        latent = task.start.clone().requires_grad_()
        optimiser = torch.optim.Adam([latent], lr=RATE, betas=(0.9, 0.99))
        generator = torch.Generator(device).manual_seed(0)
        kept = task.start
        with torch.no_grad():
            first, _ = task.cost(latent, nearest)
        best = before = float(first)
        for step in range(1, self._steps + 1):
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                cost, _ = task.cost(latent, lambda r: drawn(r, generator))
            cost.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % LOOK == 0:
                with torch.no_grad():
                    cost, decoded = task.cost(latent, nearest)
                if float(cost) < best:
                    best, kept = float(cost), decoded
            done = (self._done + cells * step / self._steps) / self._cells
            self._progress(done, (self._after + best) / max(self._before + before, EDGE))
        self._done += cells
        self._before += before
        self._after += best
        task.keep(kept)


class Window:
    """A window of cells under refinement, with the surroundings that its means depend on.

    Surroundings count in the cost, but stay as they are. start: the deep channels of both, in quantiser steps
    (1, h, w, D). Linear channels are not refined: few of their symbols are not zero.
    """

    def __init__(self, picture: Refinement, window: Box, y: Rows, z: npt.NDArray[np.int8]) -> None:
        self._picture, refiner = picture, picture.refiner
        self._deep = refiner.model.config.deep
        self._unit = (picture.gain * refiner.model.spread)[..., : self._deep]
        # An even number of positions, so that the phases begin as they do in the picture.
        around = 2 * -(-(1 + refiner.model.config.context_blocks) // 2)
        whole = Box(0, 0, *z.shape[2:])
        near = window.grown(-(-around // Y_CELL), whole)
        seen = window.times(Y_CELL).grown(around, whole.times(Y_CELL))

        def part(planes: npt.NDArray[Any]) -> Tensor:
            return refiner.tensor(tiles.crop(planes, near.times(Y_CELL), seen)).permute(0, 2, 3, 1)

        features, mu0 = refiner.networks.h_mu(tiles.crop(z, whole, near), picture.q / 100)
        self._features, self._mu0 = part(features), part(mu0)
        index = part(prior.tables_of(refiner.networks, z, near, picture.q)).long()
        latent = refiner.tensor(y.view(seen)).permute(0, 2, 3, 1)
        rare = refiner.model.symbols(latent[..., self._deep :], index[..., self._deep :], 1)
        self._rare = rare.masked_fill(refiner.settled[index[..., self._deep :]], 0)
        index = index[..., : self._deep]
        self._low, self._high = refiner.low[index], refiner.high[index]
        self._settled = refiner.settled[index]
        self._zero = refiner.start[index] - self._low
        self._view = y.view(seen)[:, : self._deep]
        self.start = latent[..., : self._deep]
        self._even = phase0(self.start)
        self._inside = torch.zeros((1, seen.rows, seen.columns, 1), dtype=torch.bool, device=refiner.device)
        rows, columns = window.times(Y_CELL).within(seen)
        self._inside[:, rows, columns] = True
        top, left, bottom, right = seen.times(STRIDE)
        # Cut off where the picture ends: decoded samples beyond it do not count.
        self._x = refiner.tensor(picture.pixels[top:bottom, left:right]).float() / 255 - 0.5
        # Nobody sees samples under alpha 0.
        alpha = picture.alpha
        self._visible = 1 if alpha is None else refiner.tensor(alpha[top:bottom, left:right] > 0)

    def cost(self, latent: Tensor, rounded: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Rate plus weighted distortion in bits, and the decoded latent. rounded: maps r to symbols."""

        def symbols(r: Tensor) -> Tensor:
            free = torch.where(self._inside, rounded(r), nearest(r.detach()))
            return free.masked_fill(self._settled, 0)

        p, m = self._picture, self._picture.refiner.model
        r0 = symbols(latent - self._mu0)
        mu = m.context.mean(self._mu0, r0 + self._mu0, self._features, self._unit)
        r = torch.where(self._even, r0, symbols(latent - mu))
        decoded = r + mu
        rate = self._rate(r).sum()
        latent = torch.cat([decoded, self._rare], dim=-1)
        x = full(m.g_s(latent / p.gain, p.hat, m.spread))[0]
        x = x[: self._x.shape[0], : self._x.shape[1]]
        if self._x.shape[2] == 1:
            x = x.mean(2, keepdim=True)
        error = ((bounded(x, -0.5, 0.5) - self._x).square().mean(2) * self._visible).sum()
        return rate + p.weight * error, decoded

    def _rate(self, r: Tensor) -> Tensor:
        """Bits of each symbol; linear between two."""
        low = torch.floor(r.detach())
        bits, more = (self._bits(n.long()) for n in (low, low + 1))
        return bits + (more - bits) * (r - low)

    def _bits(self, n: Tensor) -> Tensor:
        escaped = (n < self._low) | (n > self._high)
        entry = self._zero + torch.where(escaped, self._high + 1, n)
        return self._picture.refiner.bits[entry] + ESCAPE_BITS * escaped

    def keep(self, latent: Tensor) -> None:
        """Make this the latent of the window.

        It is the decoded latent. So the coder finds the same symbols, though its means differ in the last bits.
        """
        kept = torch.where(self._inside, latent, self.start)
        self._view[...] = kept.permute(0, 3, 1, 2).cpu().numpy()


def nearest(r: Tensor) -> Tensor:
    return torch.floor(r + 0.5)


def drawn(r: Tensor, generator: torch.Generator) -> Tensor:
    """A random number between the two nearest integers: close to one of them, more often to the nearer."""
    low = torch.floor(r.detach())
    uniform = torch.rand(r.shape, generator=generator, device=r.device)
    # The difference of two Gumbel draws is logistic.
    noise = torch.logit(uniform, eps=1e-6)
    return low + torch.sigmoid(SLOPE * torch.logit(r - low, eps=EDGE) + NOISE * noise)
