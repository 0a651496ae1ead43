"""Ways up other than the pixel shuffle: the deep branch of g_s doubles its size four times, from /16 to pixels.

Under `transforms`. Each doubling moves every channel alone, and then mixes all channels by a 1x1 convolution. So the
products are about those of the shuffle, and no channel is lost on the way.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.model.config import ModelConfig

# The kernels of transposed convolutions with stride 2. Four is a multiple of the stride, so every pixel gets as many
# weights. With three the pixels get 1, 2 or 4 in turn: a checkerboard (Odena, Dumoulin, Olah 2016, Distill).
KERNELS = {"transposed": 4, "transposed-3": 3}


class Doubling(nn.Module):
    """(B, h, w, C) -> (B, 2h, 2w, O) by one of the ways: `depthwise` doubles each channel alone, `mix` is 1x1.

    nearest, bilinear: interpolation, then 3x3. bed-of-nails: zeros between the samples, then 3x3, which computes what
    transposed-3 does (Dumoulin, Visin 2016, arXiv 1603.07285). bilinear: pixel centres as in torch, edges repeated.
    """

    def __init__(self, way: str, c_in: int, c_out: int) -> None:
        super().__init__()
        self.way, kernel = way, KERNELS.get(way)
        self.depthwise: nn.Conv2d | nn.ConvTranspose2d
        if kernel is None:
            self.depthwise = nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in)
        else:
            self.depthwise = nn.ConvTranspose2d(
                c_in, c_in, kernel, stride=2, padding=1, output_padding=kernel % 2, groups=c_in
            )
        self.mix = nn.Linear(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        t = x.permute(0, 3, 1, 2)
        if self.way == "nearest":
            t = F.interpolate(t, scale_factor=2.0, mode="nearest")
        elif self.way == "bilinear":
            t = F.interpolate(t, scale_factor=2.0, mode="bilinear", align_corners=False)
        elif self.way == "bed-of-nails":
            t = F.pixel_shuffle(torch.stack([t, *[torch.zeros_like(t)] * 3], dim=2).flatten(1, 2), 2)
        mixed: Tensor = self.mix(self.depthwise(t).permute(0, 2, 3, 1))
        return mixed


def doublings(c: ModelConfig) -> nn.ModuleList:
    """From /16 to /8, where the blocks are, and then by three steps with fewer channels to pixels."""
    widths = (c.deep, c.width, max(4, c.width // 3), max(4, c.width // 12), c.colours)
    return nn.ModuleList(Doubling(c.upsample, *pair) for pair in pairwise(widths))
