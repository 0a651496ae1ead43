"""The network as torch modules: RGB -> y, z -> rates and RGB again, the differentiable twin of the runtime.

Stands at the head of training: `loss` weighs what `forward` returns, `loop` trains it, `export` freezes it.

All tensors are NHWC, so that a 1x1 convolution is a matrix product over the last axis. Pixels lie in
[-1/2, 1/2]. Names are the field's: g_a, g_s (transforms), h_a, h_s (hyperprior; here split into h_sigma
and h_mu), y (latent, /16), z (hyper latent, /64), after Ballé et al. 2018 (arXiv 1802.01436) and Minnen
et al. 2018 (arXiv 1809.02736). The block follows DCVC-RT (arXiv 2502.20762); the linear shortcuts AuxT
(Li et al. 2025); scales that depend on integers alone JPEG AI and Ballé et al. 2019 (Integer Networks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.prior import ANCHORS, HAT_ONE
from nicodec.quantize import MAX_HYPER as Z_MAX

# The 64 scales of the Gaussian tables, log-spaced. 0.11 is where a symbol is almost surely zero; 160 holds
# the largest residual spread at the highest quality.
SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 160.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)

# h_sigma is computed in integers. Activations are 8 bits with 4 fractional ones; weights are 8 bits with one
# power-of-two scale for each output channel; the weights of the quality anchors are sixteenths (`prior`).
ACT_BITS, ACT_MAX, WEIGHT_MAX = 4, 255, 127


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the network; the same for training, export and the manifest.

    linear: how many of the latent's channels, the last ones, only the linear shortcuts make and read, and
    without means. They hold what is rare, such as colour that changes from pixel to pixel.
    """

    latent: int = 768
    width: int = 128
    blocks_a: int = 4
    blocks_s: int = 4
    hyper: int = 96
    z: int = 64
    context: int = 192
    context_blocks: int = 1
    latent_blocks_a: int = 6
    latent_blocks_s: int = 4
    linear: int = 448

    @classmethod
    def of(cls, saved: dict[str, Any]) -> ModelConfig:
        """The config of a model file, of which the first lack what came later. Raises TypeError."""
        return cls(**({"latent_blocks_a": 0, "latent_blocks_s": 0, "linear": 0} | saved))

    @property
    def deep(self) -> int:
        """The channels of the latent that the deep branches work on."""
        return self.latent - self.linear


def space_to_depth(x: Tensor, r: int) -> Tensor:
    """(B, H, W, C) -> (B, H/r, W/r, r*r*C), channel order (row, column, c), as ONNX SpaceToDepth."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // r, r, w // r, r, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // r, w // r, r * r * c)


def depth_to_space(x: Tensor, r: int) -> Tensor:
    """(B, H, W, r*r*C) -> (B, H*r, W*r, C), the inverse of `space_to_depth` (ONNX DepthToSpace, DCR)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, r, r, c // (r * r)).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * r, w * r, c // (r * r))


def hats(q: Tensor) -> Tensor:
    """Quality (B,) in [0, 100] -> weights (B, ANCHORS) of the two anchors around it, summing to one."""
    anchors = torch.arange(ANCHORS, device=q.device, dtype=q.dtype)
    return (1 - (q[:, None] * ((ANCHORS - 1) / 100) - anchors).abs()).clamp(min=0)


def integer_hats(q: Tensor) -> Tensor:
    """Quality (B,) in hundredths, 0..10000 -> integer weights (B, ANCHORS) in sixteenths.

    The same integers as `nicodec.prior.integer_hats`.
    """
    anchors = torch.arange(ANCHORS, device=q.device) * 1000
    near = (1000 - (q.long()[:, None] - anchors).abs()).clamp(min=0)
    return torch.div(near * HAT_ONE + 500, 1000, rounding_mode="floor")


def full(x: Tensor) -> Tensor:
    """bf16, as autocast leaves it, -> float32; float32 and float64 stay as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x + 0.5).floor_()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        grad: Tensor = grads[0]
        return grad


def round_ste(x: Tensor) -> Tensor:
    """Round half up, with the gradient of the identity (straight-through)."""
    result: Tensor = _Rounded.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Asinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        root = (x * x).add_(1).sqrt_()
        ctx.save_for_backward(root)
        return x.abs().add_(root).log_().copysign_(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        (root,), grad = ctx.saved_tensors, grads[0]
        result: Tensor = grad / root
        return result


def asinh(x: Tensor) -> Tensor:
    """As torch.asinh to 1e-7, and several times as fast on a CPU."""
    result: Tensor = _Asinh.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (x,), (low, high), grad = ctx.saved_tensors, ctx.bounds, grads[0]
        blocked = ((x < low) & (grad > 0)) | ((x > high) & (grad < 0))
        return grad.masked_fill(blocked, 0), None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp that lets a gradient pass where a descent step leads back inside (as CompressAI's LowerBound)."""
    result: Tensor = _Bounded.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


# What bits are worth where linear channels are rounded: so many move the threshold by one step. Outliers are
# never as rare as a Gaussian has it, hence a most, which also leaves a one that is chosen a one.
BITS_A_STEP, DEAREST = 24.0, 12.0


class Block(nn.Module):
    """x + 1x1(dw3x3(act(1x1 x))), then x + 1x1(fold2(act(1x1 C->2C))): 5C² + 9C MAC at each position."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mix_in = nn.Linear(c, c)
        self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.mix_out = nn.Linear(c, c)
        self.expand = nn.Linear(c, 2 * c)
        self.project = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        t = F.leaky_relu(self.mix_in(x), 0.01)
        t = self.depthwise(t.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.mix_out(t)
        a, b = F.leaky_relu(self.expand(x), 0.01).chunk(2, dim=-1)
        folded: Tensor = self.project(a + b)
        return x + folded


def still_blocks(c: int, count: int) -> nn.ModuleList:
    """Blocks that change nothing until they are trained: a network can grow by them and go on as it was."""
    blocks = nn.ModuleList(Block(c) for _ in range(count))
    for name, parameter in blocks.named_parameters():
        if "mix_out" in name or "project" in name:
            nn.init.zeros_(parameter)
    return blocks


class Modulation(nn.Module):
    """A scale and a shift for each channel that depend on quality, interpolated between the anchors."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(ANCHORS, c))
        self.shift = nn.Parameter(torch.zeros(ANCHORS, c))

    def forward(self, x: Tensor, hat: Tensor) -> Tensor:
        scale, shift = hat @ self.scale, hat @ self.shift
        return x * (1 + scale[:, None, None, :]).to(x.dtype) + shift[:, None, None, :].to(x.dtype)


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


class IntegerLayer(nn.Module):
    """A 1x1 or 3x3 layer of h_sigma, trained with the very integers that will be shipped.

    Weights are w_int * 2^-e with |w_int| <= 127 and one e for each output channel; the bias depends on
    quality through integer hats; the result is floor(acc * 2^-s + 1/2), clipped to 0..`top`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        kernel: int = 1,
        in_bits: int = ACT_BITS,
        out_bits: int = ACT_BITS,
        top: int = ACT_MAX,
    ) -> None:
        super().__init__()
        self.kernel, self.in_bits, self.out_bits, self.top = kernel, in_bits, out_bits, top
        fan_in = c_in * kernel * kernel
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel) * math.sqrt(1 / fan_in))
        self.bias = nn.Parameter(torch.zeros(ANCHORS, c_out))

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """(w_int (O, I, k, k), bias_int (ANCHORS, O), shift (O,)), integers held in floats."""
        # 1 + out_bits - in_bits keeps every shift at one bit or more, so that rounding is well defined.
        low = 1 + self.out_bits - self.in_bits
        peak = self.weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-9)
        # At most 9, so that a bias of 63 * 2^(9 + 4), times the hats, is exact in float32.
        e = torch.floor(torch.log2(WEIGHT_MAX / peak)).clamp(low, 9)
        w = round_ste(self.weight * torch.exp2(e)[:, None, None, None]).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        b = round_ste(self.bias * torch.exp2(e + self.in_bits))
        return w, b, e + self.in_bits - self.out_bits

    def forward(self, a: Tensor, hat: Tensor) -> Tensor:
        """Integer activations (B, h, w, I), integer hats (B, ANCHORS) -> integer activations (B, h, w, O)."""
        w, b, shift = self.integers()
        bias = round_ste((hat @ b) / HAT_ONE)[:, None, None]
        if self.kernel == 1:
            acc = F.linear(a, w.flatten(1))
        else:
            acc = F.conv2d(a.permute(0, 3, 1, 2), w, padding=self.kernel // 2).permute(0, 2, 3, 1)
        return bounded(round_ste((acc + bias) * torch.exp2(-shift)), 0, self.top)


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


# No limit, in float16 too. The name of the limits among a model's tensors.
LIMITLESS = 60_000.0
LIMITS = "h_mu.limits"


class HyperMean(nn.Module):
    """h_mu: integers z (B, h/4, w/4, Z) -> features (B, h, w, context) for both phases of the mean.

    limits: the largest value behind each layer, from `limits.measure`. Training shows the network the z of
    its own pictures only; a z beside those once made features 200 times as large, and a file ten times.
    """

    limits: Tensor

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("limits", torch.full((3,), LIMITLESS))
        self.up1 = nn.Linear(c.z, 4 * c.hyper)
        self.quality = Modulation(c.hyper)
        self.up2 = nn.Linear(c.hyper, 4 * c.hyper)
        self.spatial = nn.Conv2d(c.hyper, c.context, 3, padding=1)

    def forward(self, z: Tensor, hat: Tensor) -> Tensor:
        t = self._activate(0, self.quality(depth_to_space(self.up1(z), 2), hat))
        t = self._activate(1, depth_to_space(self.up2(t), 2))
        return self._activate(2, self.spatial(t.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

    def _activate(self, layer: int, t: Tensor) -> Tensor:
        return torch.minimum(F.leaky_relu(t, 0.01), self.limits[layer].to(t.dtype))


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


# The least probability that bits tells from nothing.
LEAST = 2.0**-60


def gaussian_likelihood(v: Tensor, sigma: Tensor) -> Tensor:
    """Mass of a zero-mean Gaussian of standard deviation `sigma` on [v - 1/2, v + 1/2]."""
    v = v.abs()
    scale = 1 / (sigma * math.sqrt(2))
    return 0.5 * (torch.erfc((v - 0.5) * scale) - torch.erfc((v + 0.5) * scale))


def bits(likelihood: Tensor) -> Tensor:
    """-log2 of a probability, held at 60 bits, where float32 differences of erfc still have a gradient."""
    return -torch.log2(likelihood.clamp(min=LEAST))


class _GaussianBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, index: Tensor) -> Tensor:
        # One sample at a time on a CPU: what a dozen passes leave between them then stays in its cache.
        size = 1 if v.device.type == "cpu" else len(v)
        parts = zip(torch.split(v, size), torch.split(index, size), strict=True)
        total, *slopes = zip(*(_bits_and_slopes(*part, *ctx.needs_input_grad) for part in parts), strict=True)
        ctx.save_for_backward(*(None if slope[0] is None else torch.cat(slope) for slope in slopes))
        return torch.cat(total)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        grad = grads[0][:, None, None, None]
        return tuple(None if slope is None else slope * grad for slope in ctx.saved_tensors)


def _bits_and_slopes(
    v: Tensor, index: Tensor, of_v: bool, of_index: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Bits (B,), and their derivatives by v and by index (B, h, w, L), each only where it is asked for."""
    inverse = torch.exp(index * -SCALE_STEP - math.log(SCALE_MIN * math.sqrt(2)))
    size = v.abs()
    near, far = (size - 0.5).mul_(inverse), (size + 0.5).mul_(inverse)
    p = torch.erfc(near).sub_(torch.erfc(far)).mul_(0.5)
    total = bits(p).sum((1, 2, 3))
    # d bits / d near = common exp(-near^2), d bits / d far = -common exp(-far^2); none under LEAST.
    common = (1 / (p * (math.log(2) * math.sqrt(math.pi)))).masked_fill_(p < LEAST, 0)
    at_near, at_far = ((x * x).neg_().exp_().mul_(common) for x in (near, far))
    by_v = (at_near - at_far).mul_(inverse).copysign_(v) if of_v else None
    by_index = far.mul_(at_far).sub_(near.mul_(at_near)).mul_(SCALE_STEP) if of_index else None
    return total, by_v, by_index


def gaussian_bits(v: Tensor, index: Tensor) -> Tensor:
    """Bits of each sample (B,): its symbols, or what lies between two, under the Gaussians of the scales.

    v, index: (B, h, w, L). The same as `bits(gaussian_likelihood(v, sigma))` in a third of the time.
    """
    total: Tensor = _GaussianBits.apply(v, index)  # type: ignore[no-untyped-call]
    return total


def thresholds() -> Tensor:
    """The magnitude under which a symbol of a linear channel becomes zero, for each scale (SCALES,).

    Half a step, and more the more bits a one costs than a zero: the deep branches learn by themselves to
    leave out what is not worth its bits, linear ones cannot.
    """
    sigma = torch.exp(math.log(SCALE_MIN) + SCALE_STEP * torch.arange(SCALES))
    zero, one = (bits(gaussian_likelihood(torch.full((SCALES,), n), sigma)) for n in (0.0, 1.0))
    return 0.5 + (one - zero).clamp(max=DEAREST) / BITS_A_STEP


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

    def forward(self, x: Tensor, q: Tensor) -> Output:
        """Pixels (B, H, W, 3), sides multiples of 64; quality (B,) in hundredths, 0..10000.

        In training the bits see additive noise and everything else sees rounded values, with straight-through
        gradients ("mixed" quantisation, Minnen and Singh 2020, arXiv 2007.08739); else all is rounded.
        """
        hat, ihat = hats(q.float() / 100), integer_hats(q)
        gain = self.gain(hat)
        y = self.g_a(x, hat, self.spread) * gain
        z = bounded(self.h_a(y, hat), -Z_MAX, Z_MAX)
        z_round = round_ste(z)
        z_bits = bits(self.z_prior.likelihood(self.perturb(z, z_round), hat))

        index = self.h_sigma(z_round, ihat)
        features = self.h_mu(z_round, hat)
        deep, parts = self.config.deep, [self.config.deep, self.config.linear]
        unit = (gain * self.spread)[..., :deep]
        start, rare = torch.split(y, parts, dim=-1)
        even = phase0(start)
        mu0 = full(self.context.mean0(features)) * unit
        y0 = torch.where(even, start + (torch.floor(start - mu0 + 0.5) + mu0 - start).detach(), 0)
        mu1 = self.context.phase1(y0 / unit, features) * unit
        r = torch.cat([start - torch.where(even, mu0, mu1), rare], dim=-1)
        with torch.no_grad():
            r_round = torch.floor(r + 0.5)
            dead = rare.abs() < self.thresholds[index[..., deep:].long()]
            r_round[..., deep:].masked_fill_(dead, 0)
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


def parameters(model: nn.Module, names: Sequence[str] = ()) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for n, p in model.named_parameters() if not names or n in names)
