"""Symbols -> their bits and gradients, under the densities of training: Gaussians for y, logistics for z.

Under `model`. The tables that are shipped begin as these Gaussians (`tables`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from nicodec.bitstream.anchors import ANCHORS
from nicodec.model.config import ModelConfig

# The 64 scales of the Gaussian tables, log-spaced. 0.11 is where a symbol is almost surely zero; 160 holds
# the largest residual spread at the highest quality.
SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 160.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)

# The least probability that `bits` tells from 0.
LEAST = 2.0**-60

# Where linear channels are rounded, this number of bits moves the threshold by one step. The bits count up to
# `DEAREST`, because outliers are less rare than a Gaussian says. The threshold is then at most 1: a one stays.
BITS_A_STEP, DEAREST = 24.0, 12.0


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
        # One sample at a time on a CPU: then the results between a dozen passes stay in its cache.
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
    """Bits (B,), and their derivatives by v and by index (B, h, w, L); None for one that is not asked for."""
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
    """Bits of each sample (B,) under the Gaussians of the scales.

    v: symbols, or numbers between two symbols. index: their scales, 0..63. Both (B, h, w, L), float. The same
    as the sum of `bits(gaussian_likelihood(v, sigma))`, in a third of the time.
    """
    total: Tensor = _GaussianBits.apply(v, index)  # type: ignore[no-untyped-call]
    return total


def thresholds() -> Tensor:
    """The magnitude under which a symbol of a linear channel becomes zero, for each scale (SCALES,).

    It is half a step where a one costs no more bits than a zero, and larger where it costs more. The deep
    branches learn to leave out what is not worth its bits; linear ones cannot.
    """
    sigma = torch.exp(math.log(SCALE_MIN) + SCALE_STEP * torch.arange(SCALES))
    zero, one = (bits(gaussian_likelihood(torch.full((SCALES,), n), sigma)) for n in (0.0, 1.0))
    return 0.5 + (one - zero).clamp(max=DEAREST) / BITS_A_STEP


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
            torch.einsum("ba,azk->bzk", hat, p)[:, None, None] for p in (self.weight, self.centre, self.log_width)
        )
        v = (z[..., None] - centre).abs()
        inverse = torch.exp(-log_width)
        p = torch.sigmoid((0.5 - v) * inverse) - torch.sigmoid((-0.5 - v) * inverse)
        return (torch.softmax(weight, dim=-1) * p).sum(-1)
