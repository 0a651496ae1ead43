"""The optimiser of a run: Adam, with a rate of its own for the linear shortcuts.

Under `trainer`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The shortcuts start near their optimum, and every pixel passes through them: with a quarter of the
# learning rate their jitter alone held PSNR under 37 dB (docs/LOG.md).
SHORTCUT_RATE = 0.02


def made(model: nn.Module, *, cuda: bool) -> torch.optim.Adam:
    """Adam of all weights. On a GPU the rate lies in a tensor, which a recorded step reads."""
    rates = [torch.zeros((), device=next(model.parameters()).device) if cuda else 0.0 for _ in range(2)]
    named = list(model.named_parameters())
    return torch.optim.Adam(
        [
            {"params": [p for n, p in named if "shortcut" not in n], "factor": 1.0, "lr": rates[0]},
            {"params": [p for n, p in named if "shortcut" in n], "factor": SHORTCUT_RATE, "lr": rates[1]},
        ],
        betas=(0.9, 0.98),
        fused=True,
        capturable=cuda,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * group["factor"])
        else:
            group["lr"] = rate * group["factor"]
