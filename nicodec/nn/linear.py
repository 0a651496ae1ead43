"""g_a and g_s without a deep branch: one matrix each, the linear autoencoder of a patch of 16 x 16 pixels.

Under `model`; beside `transforms`, whose shortcuts these are.
"""

from __future__ import annotations

from torch import Tensor, nn

from nicodec.model.config import ModelConfig
from nicodec.nn.layers import depth_to_space, full, space_to_depth


class LinearAnalysis(nn.Module):
    """g_a: pixels (B, H, W, colours) -> latent (B, H/16, W/16, L), in the units of an orthonormal transform.

    Its best rows span the first L principal axes of patches (Baldi, Hornik 1989), where `init_from_patches` starts.
    """

    # There is no deep branch, so no layer stands before a sum.
    last: tuple[nn.Linear, ...] = ()

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.shortcut = nn.Linear(256 * c.colours, c.latent)

    def forward(self, x: Tensor, hat: Tensor, spread: Tensor, passing: list[Tensor] | None = None) -> Tensor:
        return full(self.shortcut(space_to_depth(x, 16)))


class LinearSynthesis(nn.Module):
    """g_s: decoded latent (B, h, w, L) in the units of g_a -> pixels (B, 16h, 16w, colours)."""

    last: tuple[nn.Linear, ...] = ()

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.shortcut = nn.Linear(c.latent, 256 * c.colours)

    def forward(self, y: Tensor, hat: Tensor, spread: Tensor, beside: Tensor | None = None) -> Tensor:
        return full(depth_to_space(self.shortcut(y), 16))
