"""g_a, g_s, h_a, h_sigma, h_mu and the context as torch modules.

Under `model`; made of `layers`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.model.config import SHUFFLE, ModelConfig
from nicodec.nn.layers import (
    Block,
    Cap,
    IntegerLayer,
    Modulation,
    asinh,
    depth_to_space,
    full,
    space_to_depth,
    still_blocks,
)
from nicodec.nn.likelihood import SCALES
from nicodec.nn.repair import Repair
from nicodec.nn.upsampling import Doubling, doublings


class Analysis(nn.Module):
    """g_a: pixels (B, H, W, colours) -> latent (B, H/16, W/16, L), in the units of an orthonormal transform."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.repair = Repair(c) if c.repair else None
        self.embed = nn.Linear(64 * c.colours, c.width)
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_a))
        self.head = nn.Linear(4 * c.width, c.deep)
        self.shortcut = nn.Linear(256 * c.colours, c.latent)
        self.latent_blocks = still_blocks(c.deep, c.latent_blocks_a)

    @property
    def last(self) -> tuple[nn.Linear, ...]:
        """The last layer before the sum with the shortcut."""
        return (self.head,)

    def forward(self, x: Tensor, hat: Tensor, spread: Tensor, passing: list[Tensor] | None = None) -> Tensor:
        """passing: gets the features at /8 (B, H/8, W/8, width), for skips."""
        x = x if self.repair is None else self.repair(x)
        linear = full(self.shortcut(space_to_depth(x, 16))) / spread
        t = self.quality(self.embed(space_to_depth(x, 8)), hat)
        for block in self.blocks:
            t = block(t)
        if passing is not None:
            passing.append(t)
        deep = self.head.out_features
        linear, rare = torch.split(linear, [deep, linear.shape[-1] - deep], dim=-1)
        y = linear + full(self.head(space_to_depth(t, 2)))
        for block in self.latent_blocks:
            y = block(y)
        return torch.cat([y, rare], dim=-1) * spread


class Synthesis(nn.Module):
    """g_s: decoded latent (B, h, w, L) in the units of g_a -> pixels (B, 16h, 16w, colours).

    The deep branch goes up by pixel shuffles, from /16 to /8 and from there to pixels, or by four doublings.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.deep, self.shuffles = c.deep, c.upsample == SHUFFLE
        self.latent_blocks = still_blocks(c.deep, c.latent_blocks_s)
        if self.shuffles:
            self.embed = nn.Linear(c.deep, 4 * c.width)
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_s))
        if self.shuffles:
            self.head = nn.Linear(c.width, 64 * c.colours)
        else:
            self.up = doublings(c)
        self.shortcut = nn.Linear(c.latent, 256 * c.colours)

    @property
    def last(self) -> tuple[nn.Linear, ...]:
        """The last layer before the sum with the shortcut."""
        if self.shuffles:
            return (self.head,)
        doubling = self.up[-1]
        assert isinstance(doubling, Doubling)
        return (doubling.mix,)

    def forward(self, y: Tensor, hat: Tensor, spread: Tensor, beside: Tensor | None = None) -> Tensor:
        """beside: features at /8 (B, 2h, 2w, width) that no file holds, from skips."""
        t, linear = self.raised(y, spread)
        t = self.quality(t, hat)
        t = t if beside is None else t + beside
        for block in self.blocks:
            t = block(t)
        return linear + full(self.painted(t))

    def raised(self, y: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """The latent -> channels at /8 (B, 2h, 2w, width), before quality; and the linear part of the pixels."""
        y, rare = torch.split(y / spread, [self.deep, y.shape[-1] - self.deep], dim=-1)
        for block in self.latent_blocks:
            y = block(y)
        t = depth_to_space(self.embed(y), 2) if self.shuffles else self.up[0](y)
        linear = depth_to_space(self.shortcut(torch.cat([y, rare], dim=-1) * spread), 16)
        return t, full(linear)

    def painted(self, t: Tensor) -> Tensor:
        """Channels at /8 -> the part of the pixels that the deep branch paints."""
        if self.shuffles:
            return depth_to_space(self.head(t), 8)
        first, second, third = self.up[1:]
        result: Tensor = third(F.leaky_relu(second(F.leaky_relu(first(t), 0.01)), 0.01))
        return result


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

    Each layer is capped: a z unlike those of training once made features 200 times as large.
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

    def mean(self, mu0: Tensor, y0: Tensor, features: Tensor, unit: Tensor) -> Tensor:
        """The mean of both phases in quantiser steps: the twin of `coding.prior.mean`.

        mu0: the mean of phase 0. y0: the latent that phase 0 decoded; its positions of phase 1 do not count.
        unit: the spread of each channel in quantiser steps.
        """
        even = phase0(mu0)
        mu1 = self.phase1(torch.where(even, y0, 0) / unit, features) * unit
        return torch.where(even, mu0, mu1)


def phase0(y: Tensor) -> Tensor:
    """Mask (1, h, w, L), true where i + j + c is even."""
    _, h, w, c = y.shape
    i, j, k = (torch.arange(n, device=y.device) for n in (h, w, c))
    return ((i[:, None, None] + j[None, :, None] + k) % 2 == 0)[None]
