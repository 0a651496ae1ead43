"""The last layers of g_s once more, learnt from latents with draws in them: they paint the natural picture.

Beside `transforms`. The faithful picture does not change by them, so a model's id does not count them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nicodec.model.config import ModelConfig
from nicodec.nn.layers import Block, Modulation, depth_to_space, full
from nicodec.nn.transforms import Synthesis

# The amplitude of each wave of grain at the start, of the range of samples: half a level.
FAINT = 0.002
# RGB of luma and chroma (ITU-T T.871, as JPEG has them).
RGB = ((1.0, 0.0, 1.402), (1.0, -0.344, -0.714), (1.0, 1.772, 0.0))


class NaturalSynthesis(nn.Module):
    """What follows the channels at /8 in g_s, with other weights; and grain, whose amplitudes these channels tell.

    A file does not place the grain of 8 x 8 pixels. It is a sum of as many waves as there are samples, each with a
    random number for a factor. The waves start as cosines of luma and chroma. So the grain has a spectrum that depends
    on the place, and no pattern. Where noise came in before the blocks, they made of it few patterns of 8 x 8 pixels.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_s))
        self.head = nn.Linear(c.width, 64 * c.colours)
        self.grain = nn.Linear(c.width, c.noise)
        nn.init.zeros_(self.grain.weight)
        nn.init.constant_(self.grain.bias, FAINT)
        self.waves = nn.Linear(c.noise, 64 * c.colours, bias=False)
        self.waves.weight.data.copy_(cosines(c.colours))

    def start_from(self, g_s: Synthesis) -> None:
        """Take the weights of the faithful layers."""
        for name in ("quality", "blocks", "head"):
            getattr(self, name).load_state_dict(getattr(g_s, name).state_dict())

    def forward(self, g_s: Synthesis, y: Tensor, hat: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
        """As g_s, of which the first layers are taken. noise: standard normal (B, 2h, 2w, 64 C)."""
        t, linear = g_s.raised(y, spread)
        t = self.quality(t, hat)
        for block in self.blocks:
            t = block(t)
        grain = self.waves((self.grain(t) * noise).to(t.dtype))
        return linear + full(depth_to_space(self.head(t) + grain, 8))


def cosines(colours: int) -> Tensor:
    """The waves at the start (64 C, 64 C): from (plane, frequency) to (place, colour), orthonormal in each plane."""
    k = torch.arange(8)
    rows = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / 16)
    rows = rows / rows.norm(dim=1, keepdim=True)
    waves = torch.einsum("ui,vj->uvij", rows, rows).reshape(64, 64)
    planes = torch.tensor(RGB) if colours > 1 else torch.ones(1, 1)
    return torch.einsum("kp,cm->pcmk", waves, planes).reshape(64 * colours, 64 * colours)
