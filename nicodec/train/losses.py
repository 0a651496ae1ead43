"""Rate plus distortion: what training minimises, from the output of `model` to one number.

One model serves all rates: each sample carries its own quality q, and with it its own lambda.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nicodec.coding.quantize import LAMBDA_MAX, LAMBDA_MIN
from nicodec.nn.model import Output, beyond
from nicodec.train import distortion

# Weighs all rates alike: near its optimum the loss bpp + lambda * MSE grows about as lambda^0.45.
BALANCE = 0.45
# Above this the loss of a patch grows as a logarithm: a patch that runs away counts, but does not outweigh
# all others. Photographs lie between 1 and 20.
RUNAWAY = 32.0


def lambda_of(q: Tensor) -> Tensor:
    """Quality (B,) in hundredths, 0..10000 -> lambda (B,), log-linear."""
    return LAMBDA_MIN * torch.exp(q.float() * (math.log(LAMBDA_MAX / LAMBDA_MIN) / 10000))


@dataclass
class Loss:
    """The number to minimise; for each picture (B,) without its margin: bpp of y and z, of z, MSE of samples 0..255."""

    total: Tensor
    bpp: Tensor
    bpp_z: Tensor
    mse: Tensor


def rate_distortion(x: Tensor, q: Tensor, output: Output, kind: str = "mse", visible: Tensor | None = None) -> Loss:
    """(bpp + lambda 255² MSE) / lambda^0.45, tamed, mean over the batch. x: pixels (B, H, W, C) in [-1/2, 1/2].

    kind: one of `options.DISTORTIONS`, which stands in place of the squared error. visible: the rows and columns (B, 2)
    that a picture has; None: all. Nobody sees its margin, so there any pixel is right, and counts as one without error.
    """
    area = x.shape[1] * x.shape[2]
    pixels = output.pixels if visible is None else torch.where(beyond(visible, *x.shape[1:3]), x, output.pixels)
    mse = distortion.squared(x, pixels)
    bpp_z = output.z_bits / area
    bpp = output.y_bits / area + bpp_z
    weight = lambda_of(q)
    error = mse if kind == "mse" else distortion.error(kind, x, pixels, weight)
    each = (bpp + weight * error) / weight.pow(BALANCE)
    share = 1.0 if visible is None else visible.prod(1) / area
    return Loss(tamed(each).mean(), *(value.detach() / share for value in (bpp, bpp_z, mse)))


def tamed(each: Tensor) -> Tensor:
    """Losses (B,), of which one above `RUNAWAY` grows as a logarithm; the slope is continuous."""
    over = RUNAWAY * (1 + torch.log(each.clamp(min=RUNAWAY) / RUNAWAY))
    return torch.where(each < RUNAWAY, each, over)
