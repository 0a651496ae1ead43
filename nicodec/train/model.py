"""The network as torch modules: RGB -> y, z -> rates and RGB again, the differentiable twin of the runtime.

Stands at the head of training: `loss` weighs what `forward` returns, `loop` trains it, `export` freezes it.
Its parts are made of `layers`; `likelihood` counts the bits.

All tensors are NHWC, so that a 1x1 convolution is a matrix product over the last axis. Pixels lie in
[-1/2, 1/2]. Names are the field's: g_a, g_s (transforms), h_a, h_s (hyperprior; here split into h_sigma
and h_mu), y (latent, /16), z (hyper latent, /64), after Ballé et al. 2018 (arXiv 1802.01436) and Minnen
et al. 2018 (arXiv 1809.02736). The linear shortcuts follow AuxT (Li et al. 2025); scales that depend on
integers alone JPEG AI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.prior import ANCHORS
from nicodec.quantize import LEFT
from nicodec.quantize import MAX_HYPER as Z_MAX
from nicodec.train.layers import (
    Block,
    Cap,
    IntegerLayer,
    Modulation,
    asinh,
    bounded,
    depth_to_space,
    full,
    hats,
    integer_hats,
    round_ste,
    space_to_depth,
    still_blocks,
)
from nicodec.train.likelihood import SCALE_MIN, SCALE_STEP, SCALES, bits, gaussian_bits, thresholds
from nicodec.windows import MAX_BLOCKS, MAX_WIDTH


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the network; the same for training, export and the manifest.

    linear: how many of the latent's channels, the last ones, only the linear shortcuts make and read, and
    without means. They hold what is rare, such as colour that changes from pixel to pixel.
    """

    latent: int
    width: int
    blocks_a: int
    blocks_s: int
    hyper: int
    z: int
    context: int
    context_blocks: int
    latent_blocks_a: int
    latent_blocks_s: int
    linear: int

    @classmethod
    def of(cls, saved: dict[str, Any]) -> ModelConfig:
        """The config of a model file.

        Raises TypeError for names too many or too few, and for what no network is made of.
        """
        config = cls(**saved)
        for name, value in vars(config).items():
            if type(value) is not int or not 0 <= value <= (MAX_BLOCKS if "blocks" in name else MAX_WIDTH):
                raise TypeError(f"{name} cannot be {value!r}")
        return config

    @property
    def deep(self) -> int:
        """The channels of the latent that the deep branches work on."""
        return self.latent - self.linear


# What can be trained by name: the smallest files, or a quarter of the work for a little more bytes.
NETWORKS = {
    "full": ModelConfig(
        latent=768,
        width=128,
        blocks_a=12,
        blocks_s=4,
        hyper=96,
        z=64,
        context=192,
        context_blocks=1,
        latent_blocks_a=10,
        latent_blocks_s=4,
        linear=448,
    ),
    "fast": ModelConfig(
        latent=512,
        width=96,
        blocks_a=3,
        blocks_s=2,
        hyper=64,
        z=48,
        context=96,
        context_blocks=1,
        latent_blocks_a=0,
        latent_blocks_s=1,
        linear=272,
    ),
}


class Analysis(nn.Module):
    """g_a: pixels (B, H, W, 3) -> latent (B, H/16, W/16, L), in the units of an orthonormal transform."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.embed = nn.Linear(192, c.width)
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_a))
        self.head = nn.Linear(4 * c.width, c.deep)
        self.shortcut = nn.Linear(768, c.latent)
        self.latent_blocks = still_blocks(c.deep, c.latent_blocks_a)

    def forward(self, x: Tensor, hat: Tensor, spread: Tensor) -> Tensor:
        linear = full(self.shortcut(space_to_depth(x, 16))) / spread
        t = self.quality(self.embed(space_to_depth(x, 8)), hat)
        for block in self.blocks:
            t = block(t)
        deep = self.head.out_features
        linear, rare = torch.split(linear, [deep, linear.shape[-1] - deep], dim=-1)
        y = linear + full(self.head(space_to_depth(t, 2)))
        for block in self.latent_blocks:
            y = block(y)
        return torch.cat([y, rare], dim=-1) * spread


class Synthesis(nn.Module):
    """g_s: decoded latent (B, h, w, L) in the units of g_a -> pixels (B, 16h, 16w, 3)."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.latent_blocks = still_blocks(c.deep, c.latent_blocks_s)
        self.embed = nn.Linear(c.deep, 4 * c.width)
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_s))
        self.head = nn.Linear(c.width, 192)
        self.shortcut = nn.Linear(c.latent, 768)

    def forward(self, y: Tensor, hat: Tensor, spread: Tensor) -> Tensor:
        y, deep = y / spread, self.embed.in_features
        y, rare = torch.split(y, [deep, y.shape[-1] - deep], dim=-1)
        for block in self.latent_blocks:
            y = block(y)
        t = self.quality(depth_to_space(self.embed(y), 2), hat)
        for block in self.blocks:
            t = block(t)
        linear = depth_to_space(self.shortcut(torch.cat([y, rare], dim=-1) * spread), 16)
        return full(linear) + full(depth_to_space(self.head(t), 8))


class HyperAnalysis(nn.Module):
    """h_a: y in quantiser steps (B, h, w, L) -> z (B, h/4, w/4, Z), not yet rounded."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.embed = nn.Linear(c.latent, c.hyper)
        self.quality = Modulation(c.hyper)
        self.block = Block(c.hyper)
        self.down1 = nn.Linear(4 * c.hyper, c.hyper)
        self.down2 = nn.Linear(4 * c.hyper, c.z)

    def forward(self, y: Tensor, hat: Tensor) -> Tensor:
        t = self.block(self.quality(self.embed(asinh(y)), hat))
        t = F.leaky_relu(self.down1(space_to_depth(t, 2)), 0.01)
        return full(self.down2(space_to_depth(t, 2)))


class HyperScale(nn.Module):
    """h_sigma: integers z (B, h/4, w/4, Z), integer hats -> scale index 0..63 (B, h, w, L), exactly."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                IntegerLayer(c.z, 4 * c.hyper, in_bits=0),
                IntegerLayer(c.hyper, 4 * c.hyper),
                IntegerLayer(c.hyper, c.hyper, kernel=3),
                IntegerLayer(c.hyper, c.latent, out_bits=0, top=SCALES - 1),
            ]
        )

    @property
    def last(self) -> IntegerLayer:
        layer = self.layers[-1]
        assert isinstance(layer, IntegerLayer)
        return layer

    def forward(self, z: Tensor, hat: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            # float32, or float64 where exactness is checked: integers in either.
            hat, a = full(hat.to(z.dtype)), full(z)
            for i, layer in enumerate(self.layers):
                a = layer(a, hat)
                if i < 2:
                    a = depth_to_space(a, 2)
            return a


class HyperMean(nn.Module):
    """h_mu: integers z (B, h/4, w/4, Z) -> features (B, h, w, context) for both phases of the mean.

    Each layer is capped: a z beside those of training once made features 200 times as large.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.up1 = nn.Linear(c.z, 4 * c.hyper)
        self.quality = Modulation(c.hyper)
        self.cap1 = Cap(c.hyper)
        self.up2 = nn.Linear(c.hyper, 4 * c.hyper)
        self.cap2 = Cap(c.hyper)
        self.spatial = nn.Conv2d(c.hyper, c.context, 3, padding=1)
        self.cap3 = Cap(c.context)

    def forward(self, z: Tensor, hat: Tensor) -> Tensor:
        t = self.cap1(F.leaky_relu(self.quality(depth_to_space(self.up1(z), 2), hat), 0.01))
        t = self.cap2(F.leaky_relu(depth_to_space(self.up2(t), 2), 0.01))
        t = self.spatial(t.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        capped: Tensor = self.cap3(F.leaky_relu(t, 0.01))
        return capped


class Context(nn.Module):
    """Two-phase mean of the deep channels: mu0 from the hyper features; mu1 also from what phase 0 decoded.

    Position (i, j) of channel c is in phase 0 where i + j + c is even, so that every phase-1 coefficient
    has its four neighbours and half of its own position's channels known (checkerboard after He et al.
    2021, arXiv 2103.15306). Both means are in units of `spread`.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.mean0 = nn.Linear(c.context, c.deep)
        self.fuse = nn.Linear(c.deep + c.context, c.context)
        self.blocks = nn.ModuleList(Block(c.context) for _ in range(c.context_blocks))
        self.mean1 = nn.Linear(c.context, c.deep)

    def phase1(self, y0: Tensor, features: Tensor) -> Tensor:
        """y0: what phase 0 decoded, in units of `spread`, zero elsewhere -> the mean for phase 1."""
        t = self.fuse(torch.cat([asinh(y0).to(features.dtype), features], dim=-1))
        for block in self.blocks:
            t = block(t)
        return full(self.mean1(t))


class ZPrior(nn.Module):
    """Density of z for each channel: three logistics, with centres and widths that follow quality."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(ANCHORS, c.z, 3))
        self.centre = nn.Parameter(torch.zeros(ANCHORS, c.z, 3) + torch.tensor([-1.5, 0.0, 1.5]))
        self.log_width = nn.Parameter(torch.zeros(ANCHORS, c.z, 3))

    def likelihood(self, z: Tensor, hat: Tensor) -> Tensor:
        """z (B, h, w, Z), hats (B, ANCHORS) -> probability of the unit interval around each z."""
        weight, centre, log_width = (
            torch.einsum("ba,azk->bzk", hat, p)[:, None, None]
            for p in (self.weight, self.centre, self.log_width)
        )
        v = (z[..., None] - centre).abs()
        inverse = torch.exp(-log_width)
        p = torch.sigmoid((0.5 - v) * inverse) - torch.sigmoid((-0.5 - v) * inverse)
        return (torch.softmax(weight, dim=-1) * p).sum(-1)


# What `familiar` is until it is measured: about what photographs come to.
FAMILIAR = 30.0


@dataclass
class Output:
    """What one pass returns: pixels (B, H, W, 3), bits of y and z for each sample (B,), and what is coded.

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
    # Where the noise of training comes from; None: from torch's own generator.
    noise: torch.Generator | None = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.g_a = Analysis(config)
        self.h_a = HyperAnalysis(config)
        self.h_sigma = HyperScale(config)
        self.h_mu = HyperMean(config)
        self.context = Context(config)
        self.g_s = Synthesis(config)
        self.z_prior = ZPrior(config)
        self.log_gain = nn.Parameter(torch.zeros(ANCHORS, config.latent))
        # Standard deviation of each latent channel at the start: it gives the deep branches, which work
        # best on numbers near one, the scale of the orthonormal shortcut beside them.
        self.register_buffer("spread", torch.ones(config.latent))
        # How strange a latent may be before an encoder looks at what comes of it (`limits`).
        self.register_buffer("familiar", torch.full((1,), FAMILIAR))
        self.register_buffer("thresholds", thresholds(), persistent=False)

    def init_from_patches(self, patches: Tensor, gains: tuple[float, float]) -> None:
        """Start as a block-transform codec: both shortcuts from the PCA of real patches.

        patches: (N, 768) pixels in [-1/2, 1/2], 16x16x3 in the order of `space_to_depth(16)`.
        gains: quantiser gain at quality 0 and 100; log-linear between.
        """
        x = patches.double()
        basis = torch.linalg.eigh(x.T @ x / len(x)).eigenvectors.flip(1)[:, : self.config.latent]
        basis = basis * torch.where(basis.sum(0) < 0, -1.0, 1.0)
        self.spread.copy_((x @ basis).square().mean(0).sqrt().clamp(min=1e-3).float())
        with torch.no_grad():
            self.g_a.shortcut.weight.copy_(basis.T)
            self.g_s.shortcut.weight.copy_(basis)
            for layer in (
                self.g_a.shortcut,
                self.g_s.shortcut,
                self.g_a.head,
                self.g_s.head,
                self.context.mean0,
                self.context.mean1,
            ):
                assert isinstance(layer, nn.Linear)
                layer.bias.zero_()
            for layer in (self.g_a.head, self.g_s.head, self.context.mean0, self.context.mean1):
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

    def latents(self, x: Tensor, hat: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (B, H, W, 3) -> y in quantiser steps and z, neither rounded; z within what tables hold."""
        y = self.g_a(x, hat, self.spread) * gain
        return y, bounded(self.h_a(y, hat), -Z_MAX, Z_MAX)

    def forward(self, x: Tensor, q: Tensor) -> Output:
        """Pixels (B, H, W, 3), sides multiples of 64; quality (B,) in hundredths, 0..10000.

        In training the bits see additive noise and everything else sees rounded values, with straight-through
        gradients ("mixed" quantisation, Minnen and Singh 2020, arXiv 2007.08739); else all is rounded.
        """
        hat, ihat = hats(q.float() / 100), integer_hats(q)
        gain = self.gain(hat)
        y, z = self.latents(x, hat, gain)
        z_round = round_ste(z)
        z_bits = bits(self.z_prior.likelihood(self.perturb(z, z_round), hat))

        index = self.h_sigma(z_round, ihat)
        features = self.h_mu(z_round, hat)
        deep, parts = self.config.deep, [self.config.deep, self.config.linear]
        unit = (gain * self.spread)[..., :deep]
        start, rare = torch.split(y, parts, dim=-1)
        even = phase0(start)
        mu0 = full(self.context.mean0(features)) * unit
        # The deep channels learn from plain rounding; an encoder leaves out a little more.
        left = 0 if self.training else LEFT
        r0 = self._symbols(start - mu0, index[..., :deep], left)
        y0 = torch.where(even, start + (r0 + mu0 - start).detach(), 0)
        mu1 = self.context.phase1(y0 / unit, features) * unit
        r = torch.cat([start - torch.where(even, mu0, mu1), rare], dim=-1)
        r_round = torch.cat(
            [
                self._symbols(r[..., :deep], index[..., :deep], left),
                self._symbols(rare, index[..., deep:], 1),
            ],
            dim=-1,
        )
        y_hat = y + (r_round - r).detach()
        # Scales learn from the symbols that will be coded; the noisy rate, which has a gradient at zero too,
        # teaches the transforms and the means.
        y_bits = gaussian_bits(r_round, index)
        if self.training:
            noisy = gaussian_bits(self.perturb(r, r_round), index.detach())
            y_bits = y_bits + noisy - noisy.detach()

        pixels = self.g_s(y_hat / gain, hat, self.spread)
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
    def _symbols(self, r: Tensor, index: Tensor, share: float) -> Tensor:
        """r rounded, or zero under its threshold. share: how much of that counts beyond one half."""
        rounded = torch.floor(r + 0.5)
        if share == 0:
            return rounded
        return rounded.masked_fill_(r.abs() < 0.5 + share * (self.thresholds[index.long()] - 0.5), 0)

    def perturb(self, x: Tensor, rounded: Tensor) -> Tensor:
        """What the rate is measured on: x with uniform noise in training, the rounded value otherwise."""
        if not self.training:
            return rounded
        return x + torch.rand(x.shape, generator=self.noise, dtype=x.dtype, device=x.device) - 0.5


def phase0(y: Tensor) -> Tensor:
    """Mask (1, h, w, L), true where i + j + c is even."""
    _, h, w, c = y.shape
    i, j, k = (torch.arange(n, device=y.device) for n in (h, w, c))
    return ((i[:, None, None] + j[None, :, None] + k) % 2 == 0)[None]
