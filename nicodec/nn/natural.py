"""The last layers of g_s once more, learnt from latents with draws in them: they paint the natural picture.

Beside `transforms`. The faithful picture does not change by them, so a model's id does not count them.
"""

from __future__ import annotations

from torch import Tensor, nn

from nicodec.model.config import NOISE, ModelConfig
from nicodec.nn.layers import Block, Modulation, depth_to_space, full
from nicodec.nn.transforms import Synthesis

# The spread of the weights of the noise at the start of training. Grain that a file does not place has to come from
# somewhere; without noise of their own, the layers wove a pattern.
FAINT = 0.02


class NaturalSynthesis(nn.Module):
    """What follows the channels at /8 in g_s, with noise added to them: the same layers, with other weights."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.noise = nn.Linear(NOISE, c.width, bias=False)
        nn.init.normal_(self.noise.weight, std=FAINT)
        self.quality = Modulation(c.width)
        self.blocks = nn.ModuleList(Block(c.width) for _ in range(c.blocks_s))
        self.head = nn.Linear(c.width, 64 * c.colours)

    def start_from(self, g_s: Synthesis) -> None:
        """Take the weights of the faithful layers."""
        self.load_state_dict(g_s.state_dict() | self.noise.state_dict(prefix="noise."), strict=False)

    def forward(self, g_s: Synthesis, y: Tensor, hat: Tensor, spread: Tensor, noise: Tensor) -> Tensor:
        """As g_s, of which the first layers are taken. noise: standard normal (B, 2h, 2w, NOISE)."""
        t, linear = g_s.raised(y, spread)
        t = self.quality(t + self.noise(noise).to(t.dtype), hat)
        for block in self.blocks:
            t = block(t)
        return linear + full(depth_to_space(self.head(t), 8))
