"""How large the features of h_mu become on real pictures, and what holds them there on all others.

Called by `run` before `export`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nicodec.train import coded
from nicodec.train.model import LIMITLESS, Model

# The share of pictures and qualities that stay under a limit.
SHARE = 0.98


def measure(model: Model, pictures: Tensor, *, amp: bool = False) -> None:
    """Set `model.h_mu.limits` from pictures at all anchor qualities.

    pictures: uint8 (N, H, W, 3), sides multiples of 64.
    """
    peaks: list[list[float]] = [[], [], []]
    layers: tuple[nn.Module, ...] = (model.h_mu.quality, model.h_mu.up2, model.h_mu.spatial)
    hooks = [
        # Positive numbers pass the activation as they are.
        layer.register_forward_hook(lambda _, __, out, mine=mine: mine.append(float(out.max())))
        for layer, mine in zip(layers, peaks, strict=True)
    ]
    try:
        for _ in coded.each(model, pictures, amp=amp):
            pass
    finally:
        for hook in hooks:
            hook.remove()
    found = torch.quantile(torch.tensor(peaks), SHARE, dim=1)
    # A layer that is never above zero, as in a network at its start, says nothing of what it will be.
    model.h_mu.limits.copy_(torch.where(found > 0, found.clamp(max=LIMITLESS), LIMITLESS))
