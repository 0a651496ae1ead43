"""How much the texture of two pictures differs, wherever each grain of it lies: a loss that smear does not please.

Under `learner`. Squared error alone asks for the mean of all pictures that a file may stand for, which is smooth.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Scales, each of half the size of the one before, so that blocks of 4 samples see 4, 8 and 16 pixels.
SCALES = 3
# Squared levels. FAINT is added to each variance, so that its root has a slope everywhere. FLOOR is added to the energy
# of the source: grain that hardly shows is not asked for. Without it the layers wove a pattern into skies.
FAINT, FLOOR = 4.0, 100.0
# The share of the squared mean in the energy of the source, and the weight of each plane of chroma.
STEADY, CHROMA = 0.5, 0.25
# Luma and chroma of RGB (ITU-T T.871, as JPEG has them), to three digits.
YCBCR = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))


def distance(made: Tensor, source: Tensor) -> Tensor:
    """The distance (B,) of the textures of two batches of pictures (B, H, W, C) in [-1/2, 1/2]; sides of 64 at least.

    The Wasserstein distortion (Qiu, Bachard, Ballé et al. 2024, arXiv 2310.03629) with a fixed filter bank in place of
    VGG. Each plane Y, Cb, Cr in levels 0..255 is filtered by the 15 cosines of a 4 x 4 DCT without its mean, at every
    second sample. Around each place a coefficient has a mean m and a spread s, and for the source n and t. Between two
    Gaussians the squared Wasserstein distance is (m - n)² + (s - t)². It counts in shares of the energy of the source:

        ((m - n)² + (s - t)²) / (t² + n² / 2 + FLOOR)

    It is the mean over places and coefficients, chroma weighs `CHROMA`, and the three scales are added up. The gradient
    goes to `made` alone. Nothing here was learnt: a network that judges pictures, such as VGG or AlexNet, would be the
    measure that the result is judged by, and layers that learnt to please AlexNet wove a pattern (docs/LOG.md).
    """
    with torch.no_grad():
        wanted = statistics(source)
    total = made.new_zeros(len(made))
    for (mean, spread), (true_mean, true_spread) in zip(statistics(made), wanted, strict=True):
        error = (spread - true_spread).square() + (mean - true_mean).square()
        share = error / (true_spread.square() + STEADY * true_mean.square() + FLOOR)
        weights = torch.ones(share.shape[1], device=share.device)
        weights[15:] = CHROMA
        total = total + (weights[:, None, None] * share).mean((1, 2, 3))
    return total


def statistics(x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Local mean and spread of each coefficient (B, 15 C, h, w), in levels, at each scale. x: as in `distance`."""
    planes = 255 * x.permute(0, 3, 1, 2)
    if planes.shape[1] == 3:
        planes = torch.einsum("oc,bchw->bohw", planes.new_tensor(YCBCR), planes)
    result = []
    for _ in range(SCALES):
        batch, channels, height, width = planes.shape
        found = F.conv2d(planes.reshape(-1, 1, height, width), cosines().to(planes), stride=2)
        found = found.reshape(batch, 15 * channels, *found.shape[2:])
        mean, square = _pooled(found), _pooled(found * found)
        spread = ((square - mean * mean).clamp(min=0) + FAINT).sqrt()
        result.append((F.avg_pool2d(mean, 3, 1, 1, count_include_pad=False), spread))
        planes = F.avg_pool2d(planes, 2)
    return result


def _pooled(x: Tensor) -> Tensor:
    """Means over 5 x 5 places, at every second one; beyond an edge there is nothing."""
    return F.avg_pool2d(x, 5, 2, 2, count_include_pad=False)


def cosines() -> Tensor:
    """The filters (15, 1, 4, 4) of an orthonormal cosine transform of 4 x 4 samples, without the one of the mean."""
    k = torch.arange(4)
    rows = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / 8)
    rows = rows / rows.norm(dim=1, keepdim=True)
    return torch.einsum("ai,bj->abij", rows, rows).reshape(16, 1, 4, 4)[1:]
