"""Rate plus distortion: what training minimises, from the output of `model` to one number.

One model serves all rates: each sample carries its own quality q, and with it its own lambda.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nicodec.train.model import Output

# lambda, in bits per pixel for each unit of squared error on the 0..255 scale, at quality 0 and 100.
# This pair defines what a quality number means, and so stays from release to release.
LAMBDA_MIN, LAMBDA_MAX = 0.0005, 0.4
# Weighs all rates alike: near its optimum the loss bpp + lambda * MSE grows about as lambda^0.45.
BALANCE = 0.45


def lambda_of(q: Tensor) -> Tensor:
    """Quality (B,) in hundredths, 0..10000 -> lambda (B,), log-linear."""
    return LAMBDA_MIN * torch.exp(q.float() * (math.log(LAMBDA_MAX / LAMBDA_MIN) / 10000))


@dataclass
class Loss:
    """The number to minimise, and per sample (B,): y and z bits per pixel, squared error of 255."""

    total: Tensor
    bpp: Tensor
    bpp_z: Tensor
    mse: Tensor


def rate_distortion(x: Tensor, q: Tensor, output: Output) -> Loss:
    """(bpp + lambda 255² MSE) / lambda^0.45, mean over the batch. x: pixels (B, H, W, 3) in [-1/2, 1/2]."""
    area = x.shape[1] * x.shape[2]
    mse = (output.pixels - x).square().mean((1, 2, 3)) * 255**2
    bpp_z = output.z_bits / area
    bpp = output.y_bits / area + bpp_z
    weight = lambda_of(q)
    total = ((bpp + weight * mse) / weight.pow(BALANCE)).mean()
    return Loss(total, bpp.detach(), bpp_z.detach(), mse.detach())
