"""Errors that training may weigh against bits, each told as the squared error that is worth as many bits.

Under `losses` and `validate`. Pixels are NHWC about [-1/2, 1/2]; the picture itself never leaves that range.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nicodec.nn.layers import bounded

# What MS-SSIM weighs its scales by, finest first; its constants, for samples of range 1; and its Gaussian window
# (Wang, Simoncelli, Bovik 2003). A patch of 64 has room for three scales, of 128 for four, of 256 for all five. The
# weights of those that have room are made to sum to one.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01**2, 0.03**2
_TAPS = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
# Structure that is worse than this counts as this, because a power of it has no bounded slope at 0.
LEAST = 1e-3
# Probabilities stay this far from 0 and 1: half a step of 8 bits.
HALF = 1 / 510


def squared(x: Tensor, pixels: Tensor) -> Tensor:
    """Mean squared error of samples 0..255, (B,)."""
    return (pixels - x).square().mean((1, 2, 3)) * 255**2


def absolute(x: Tensor, pixels: Tensor) -> Tensor:
    """Mean absolute error of samples 0..255, (B,)."""
    return (pixels - x).abs().mean((1, 2, 3)) * 255


def dissimilarity(x: Tensor, pixels: Tensor) -> Tensor:
    """1 - MS-SSIM, (B,), as `picture.metrics.msssim` where all five scales have room. Sides of 11 at least."""
    a, b = (t.permute(0, 3, 1, 2) + 0.5 for t in (x, pixels))
    room = min(len(SCALES), (min(a.shape[2:]) // len(_TAPS)).bit_length())
    result = torch.ones(a.shape[:2], device=x.device)
    for i, weight in enumerate(SCALES[:room]):
        light, structure = _similarity(a, b)
        factor = structure.mean((2, 3)) if i < room - 1 else (light * structure).mean((2, 3))
        result = result * factor.clamp(min=LEAST).pow(weight / sum(SCALES[:room]))
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return 1 - result.mean(1)


def _similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast with structure, of each window of two batches of planes (B, C, H, W)."""
    channels, taps = a.shape[1], (_TAPS / _TAPS.sum()).to(a)
    row, column = (taps.reshape(1, 1, *shape).expand(channels, -1, -1, -1) for shape in ((1, -1), (-1, 1)))
    five = torch.cat([a, b, a * a, b * b, a * b])
    blurred = F.conv2d(F.conv2d(five, row, groups=channels), column, groups=channels)
    mean_a, mean_b, aa, bb, ab = blurred.chunk(5)
    means = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    return (2 * means + _C1) / (squares + _C1), (2 * (ab - means) + _C2) / (aa + bb - squares + _C2)


def cross_entropy(x: Tensor, pixels: Tensor) -> Tensor:
    """Binary cross-entropy of samples as probabilities of white, less its least value, in nats a sample, (B,).

    x ln(x / s) + (1 - x) ln((1 - x) / (1 - s)), near (x - s)^2 / (2 s (1 - s)): dark and light errors weigh more. A
    decoder has no sigmoid, so s is the decoded sample itself, held inside of 0 and 1.
    """
    p, s = (bounded(t + 0.5, HALF, 1 - HALF) for t in (x, pixels))
    return (p * (p / s).log() + (1 - p) * ((1 - p) / (1 - s)).log()).mean((1, 2, 3))


RAW: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": squared,
    "l1": absolute,
    "ms-ssim": dissimilarity,
    "bce": cross_entropy,
}

# A distortion D is weighed by FACTOR * lambda^POWER: the bits that a small change of D is worth where the squared error
# and D go along one curve, that of `photo-fast` on 24 patches of 128 of photographs at nine qualities. So files keep
# about their sizes. The fits are within 22 % (l1), 10 % (ms-ssim) and 7 % (bce) at every one of the nine.
EXCHANGE = {"mse": (1.0, 1.0), "l1": (5.25, 0.718), "ms-ssim": (1023.0, 0.934), "bce": (13788.0, 0.924)}


def error(kind: str, x: Tensor, pixels: Tensor, weight: Tensor) -> Tensor:
    """The squared error (B,) that is worth as many bits as this distortion, at lambda `weight` (B,)."""
    factor, power = EXCHANGE[kind]
    return RAW[kind](x, pixels) * factor * weight.pow(power - 1)
