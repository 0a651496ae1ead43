"""A stage before g_a that repairs single pixels, before g_a mixes patches of them.

Under `transforms`; only encoders that have learnt to clean have one.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.model.config import REPAIRING, ModelConfig
from nicodec.nn.layers import bounded, depth_to_space, full, space_to_depth


class Repair(nn.Module):
    """Damaged pixels (B, H, W, colours) in [-1/2, 1/2] -> repaired ones, of the same shape and range.

    3x3 layers at half the size find what is to be added, as FFDNet does (Zhang et al. 2018, arXiv 1710.04026). Before
    training this is zero. The range is a cap: whatever the input, the result is a picture.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        widths = [4 * c.colours, *[REPAIRING] * (c.repair - 1), 4 * c.colours]
        layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight)
        for p in layers[-1].parameters():
            nn.init.zeros_(p)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        t = space_to_depth(x, 2).permute(0, 3, 1, 2)
        for layer in self.layers[:-1]:
            t = F.relu(layer(t))
        added = depth_to_space(full(self.layers[-1](t)).permute(0, 2, 3, 1), 2)
        return bounded(x + added, -0.5, 0.5)
