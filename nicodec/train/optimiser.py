"""The optimiser of a run: Adam, with rates of their own for the linear shortcuts and the stage that repairs pixels.

Under `trainer`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The shortcuts start near their optimum, and every pixel passes through them: with a quarter of the
# learning rate their jitter alone held PSNR under 37 dB (docs/LOG.md).
SHORTCUT_RATE = 0.02
# That stage is small, and has to be learnt from nothing in a few thousand steps (docs/LOG.md).
REPAIR_RATE = 4.0


def made(model: nn.Module, *, cuda: bool) -> torch.optim.Adam:
    """Adam of all weights. On a GPU the rate lies in a tensor, which a recorded step reads."""
    groups: dict[float, list[nn.Parameter]] = {1.0: [], SHORTCUT_RATE: [], REPAIR_RATE: []}
    for name, p in model.named_parameters():
        groups[SHORTCUT_RATE if "shortcut" in name else REPAIR_RATE if "repair" in name else 1.0].append(p)
    device = next(model.parameters()).device
    return torch.optim.Adam(
        [
            {"params": params, "factor": factor, "lr": torch.zeros((), device=device) if cuda else 0.0}
            for factor, params in groups.items()
            if params
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
