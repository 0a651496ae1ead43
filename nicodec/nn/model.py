"""The network as torch modules: RGB -> y, z -> rates and RGB again, the differentiable twin of the runtime.

Made of `transforms`; `likelihood` counts the bits. The trainer minimises a loss of the output of `forward`;
`export` writes the parts into a model file.

All tensors are NHWC, so that a 1x1 convolution is a matrix product over the last axis. Pixels lie in
[-1/2, 1/2]. Names are the field's: g_a, g_s (transforms), h_a, h_s (hyperprior; here split into h_sigma
and h_mu), y (latent, /16), z (hyper latent, /64), after Ballé et al. 2018 (arXiv 1802.01436) and Minnen
et al. 2018 (arXiv 1809.02736). The linear shortcuts follow AuxT (Li et al. 2025). Scales from integers alone
follow JPEG AI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.hyper import MAX_HYPER as Z_MAX
from nicodec.bitstream.tiles import STRIDE
from nicodec.coding.quantize import LEFT
from nicodec.model.config import LINEAR, ModelConfig
from nicodec.nn.layers import bounded, full, hats, integer_hats, round_ste
from nicodec.nn.likelihood import SCALE_MIN, SCALE_STEP, ZPrior, bits, gaussian_bits, thresholds
from nicodec.nn.linear import LinearAnalysis, LinearSynthesis
from nicodec.nn.transforms import Analysis, Context, HyperAnalysis, HyperMean, HyperScale, Synthesis

# `familiar` before it is measured: about the value of photographs.
FAMILIAR = 30.0


@dataclass
class Output:
    """What one pass returns: pixels (B, H, W, C), bits of y and of z (B,), and the symbols.

    z (B, h/4, w/4, Z) and r (B, h, w, L) are the rounded symbols, index (B, h, w, L) the table of each r,
    y_hat (B, h, w, L) the decoded latent in quantiser steps.
    """

    pixels: Tensor
    y_bits: Tensor
    z_bits: Tensor
    z: Tensor
    r: Tensor
    index: Tensor
    y_hat: Tensor


class Model(nn.Module):
    """The whole codec. `forward` trains it; the parts are what `export` writes."""

    spread: Tensor
    familiar: Tensor
    thresholds: Tensor
    # The generator of the noise of training; None: that of torch.
    noise: torch.Generator | None = None

    def __init__(self, config: ModelConfig, *, skips: bool = False) -> None:
        """skips: a way from g_a to g_s beside the latent (U-Net, arXiv 1505.04597), which no file can hold."""
        super().__init__()
        self.config = config
        linear = config.transform == LINEAR
        self.skip = nn.Linear(config.width, config.width) if skips else None
        if self.skip is not None:  # it changes nothing until it is trained
            nn.init.zeros_(self.skip.weight)
            nn.init.zeros_(self.skip.bias)
        self.g_a = LinearAnalysis(config) if linear else Analysis(config)
        self.h_a = HyperAnalysis(config)
        self.h_sigma = HyperScale(config)
        self.h_mu = HyperMean(config)
        self.context = Context(config)
        self.g_s = LinearSynthesis(config) if linear else Synthesis(config)
        self.z_prior = ZPrior(config)
        self.log_gain = nn.Parameter(torch.zeros(ANCHORS, config.latent))
        # Standard deviation of each latent channel at the start: it gives the deep branches, which work
        # best on numbers near one, the scale of the orthonormal shortcut beside them.
        self.register_buffer("spread", torch.ones(config.latent))
        # An encoder checks the decoded cells whose latents are stranger than this (`limits`).
        self.register_buffer("familiar", torch.full((1,), FAMILIAR))
        self.register_buffer("thresholds", thresholds(), persistent=False)

    def init_from_patches(self, patches: Tensor, gains: tuple[float, float]) -> None:
        """Start as a block-transform codec: both shortcuts from the PCA of real patches.

        patches: (N, 256 C) pixels in [-1/2, 1/2], 16x16xC in the order of `space_to_depth(16)`.
        gains: quantiser gain at quality 0 and 100; log-linear between.
        """
        x = patches.double()
        basis = torch.linalg.eigh(x.T @ x / len(x)).eigenvectors.flip(1)[:, : self.config.latent]
        basis = basis * torch.where(basis.sum(0) < 0, -1.0, 1.0)
        self.spread.copy_((x @ basis).square().mean(0).sqrt().clamp(min=1e-3).float())
        with torch.no_grad():
            self.g_a.shortcut.weight.copy_(basis.T)
            self.g_s.shortcut.weight.copy_(basis)
            still = (*self.g_a.last, *self.g_s.last, self.context.mean0, self.context.mean1)
            for layer in (self.g_a.shortcut, self.g_s.shortcut, *still):
                layer.bias.zero_()
            for layer in still:
                layer.weight.zero_()
            low, high = math.log(gains[0]), math.log(gains[1])
            self.log_gain.copy_(torch.linspace(low, high, ANCHORS)[:, None].expand_as(self.log_gain))
            # h_sigma starts at the spread that each channel has at each quality, the same everywhere.
            last = self.h_sigma.last
            last.weight.mul_(0.1)
            sigma = (self.log_gain + self.spread.log()).exp().square().add(1 / 12).sqrt()
            last.bias.copy_((sigma.log() - math.log(SCALE_MIN)) / SCALE_STEP)

    def gain(self, hat: Tensor) -> Tensor:
        """(B, ANCHORS) -> quantiser gain for each sample and channel (B, 1, 1, L)."""
        return torch.exp(hat @ self.log_gain)[:, None, None, :]

    def latents(
        self, x: Tensor, hat: Tensor, gain: Tensor, passing: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pixels (B, H, W, C) -> y in quantiser steps, and z in -Z_MAX..Z_MAX; neither is rounded. passing: of g_a."""
        y = self.g_a(x, hat, self.spread, passing) * gain
        return y, bounded(self.h_a(y, hat), -Z_MAX, Z_MAX)

    def forward(self, x: Tensor, q: Tensor, visible: Tensor | None = None) -> Output:
        """Pixels (B, H, W, C), sides multiples of 64; quality (B,) in hundredths, 0..10000.

        visible: the rows and columns (B, 2) that a picture has; None: all. Beyond them is its margin, without
        symbols.

        In training the bits see additive noise and everything else sees rounded values, with straight-through
        gradients ("mixed" quantisation, Minnen and Singh 2020, arXiv 2007.08739). In evaluation all is rounded.
        """
        hat, ihat = hats(q.float() / 100), integer_hats(q)
        gain = self.gain(hat)
        outside = None if visible is None else beyond(visible, x.shape[1] // STRIDE, x.shape[2] // STRIDE, STRIDE)
        passing: list[Tensor] = []
        y, z = self.latents(x, hat, gain, passing)
        z_round = round_ste(z)
        z_bits = bits(self.z_prior.likelihood(self.perturb(z, z_round), hat))

        index = self.h_sigma(z_round, ihat)
        features = self.h_mu(z_round, hat)
        deep, parts = self.config.deep, [self.config.deep, self.config.linear]
        unit = (gain * self.spread)[..., :deep]
        start, rare = torch.split(y, parts, dim=-1)
        mu0 = full(self.context.mean0(features)) * unit
        start = _replaced(start, mu0, outside)
        # The deep channels learn from plain rounding; an encoder sets a few more symbols to zero.
        left = 0 if self.training else LEFT
        r0 = self.symbols(start - mu0, index[..., :deep], left)
        mu = self.context.mean(mu0, start + (r0 + mu0 - start).detach(), features, unit)
        start, rare = _replaced(start, mu, outside), _replaced(rare, torch.zeros_like(rare), outside)
        index = _replaced(index, torch.zeros_like(index), outside)  # of which a zero costs nothing
        r = torch.cat([start - mu, rare], dim=-1)
        r_round = torch.cat(
            [self.symbols(r[..., :deep], index[..., :deep], left), self.symbols(rare, index[..., deep:], 1)], dim=-1
        )
        y_hat = torch.cat([start, rare], dim=-1) + (r_round - r).detach()
        # Scales learn from the symbols that will be coded; the noisy rate, which has a gradient at zero too,
        # teaches the transforms and the means.
        y_bits = gaussian_bits(r_round, index)
        if self.training:
            noisy = gaussian_bits(self.perturb(r, r_round), index.detach())
            y_bits = y_bits + noisy - noisy.detach()

        beside = None if self.skip is None else self.skip(passing[0])
        pixels = self.g_s(y_hat / gain, hat, self.spread, beside)
        return Output(
            pixels=pixels,
            y_bits=y_bits,
            z_bits=z_bits.sum((1, 2, 3)),
            z=z_round.detach(),
            r=r_round,
            index=index.detach(),
            y_hat=y_hat.detach(),
        )

    @torch.no_grad()
    def symbols(self, r: Tensor, index: Tensor, share: float) -> Tensor:
        """r rounded, or zero in the dead zone: the twin of `quantize.symbols`.

        index: the table of each. share: how much of each threshold beyond 1/2 counts, 0..1.
        """
        rounded = torch.floor(r + 0.5)
        if share == 0:
            return rounded
        # A network that has run away gives nan as index. Training notices it by the loss, which is not finite.
        threshold = self.thresholds[index.nan_to_num(0, 0, 0).long()]
        return rounded.masked_fill_(r.abs() < 0.5 + share * (threshold - 0.5), 0)

    def perturb(self, x: Tensor, rounded: Tensor) -> Tensor:
        """What the rate is measured on: x with uniform noise in training, the rounded value otherwise."""
        if not self.training:
            return rounded
        return x + torch.rand(x.shape, generator=self.noise, dtype=x.dtype, device=x.device) - 0.5


def beyond(visible: Tensor, rows: int, columns: int, stride: int = 1) -> Tensor:
    """Which of the positions of `stride` pixels hold no sample of a picture, (B, rows, columns, 1).

    visible: the rows and columns (B, 2) of pixels that a picture has.
    """
    y, x = (torch.arange(0, n * stride, stride, device=visible.device) for n in (rows, columns))
    return ((y[:, None] >= visible[:, 0, None, None]) | (x >= visible[:, 1, None, None]))[..., None]


def _replaced(values: Tensor, by: Tensor, outside: Tensor | None) -> Tensor:
    """The values, but those of `by` at the positions outside of a picture."""
    return values if outside is None else torch.where(outside, by, values)
