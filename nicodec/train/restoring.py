"""What a run that learns to clean does differently: damaged pictures beside clean ones, and the start of its encoder.

Between `corrupt` and `trainer`. Two pictures travel as one, (..., 2 C): what the encoder sees, then what is wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nicodec.nn.layers import space_to_depth
from nicodec.nn.model import Model
from nicodec.train.corrupt import corrupted
from nicodec.train.damage import Damage
from nicodec.train.data import Patches
from nicodec.train.store import Pixels

# The seed of damage to pictures that are held out, counted or fitted on: the same in every run.
FIXED = 1
# Patches that the linear start is fitted to, and the first step of those that no run learns from.
FITTED, FIRST = 512, 2**32
# A share of the mean power of a pixel, so that the fit has one solution.
RIDGE = 1e-4


def pairs(damage: Damage | None, patches: Tensor, seed: int, step: int, progress: float = 1.0) -> Tensor:
    """uint8 (B, H, W, C) -> (B, H, W, 2 C), damaged and clean; without damage the patches as they are."""
    if damage is None:
        return patches
    return torch.cat([corrupted(damage, patches, seed, step, progress), patches], dim=-1)


def held(damage: Damage | None, pictures: list[Pixels]) -> list[Pixels]:
    """The pictures (H, W, C) as `pairs`, each with damage of its own that is the same in every look."""
    if damage is None:
        return pictures
    return [pairs(damage, torch.from_numpy(p)[None], FIXED, i)[0].numpy() for i, p in enumerate(pictures)]


def seen(damage: Damage | None, pictures: Tensor) -> Tensor:
    """What an encoder sees of uint8 pictures (N, H, W, C): those that symbols are counted on."""
    return pictures if damage is None else corrupted(damage, pictures, FIXED, 0)


@torch.no_grad()
def start(model: Model, data: Patches, damage: Damage) -> None:
    """Change the shortcut of g_a to the best linear map from damaged patches to what it made of clean ones.

    The shortcut passes by the network, and would carry damage into the file. Least squares shrinks each channel by the
    share of it that is no damage (Wiener 1949): most of the channels for rare content nearly vanish.
    """
    layer, side = model.g_a.shortcut, 64
    size = layer.in_features + 1
    gram, moment = (torch.zeros(size, n, dtype=torch.float64) for n in (size, layer.out_features))
    for step in range(FITTED // 16):
        patches, _ = data.batch(FIRST + step, 16, side)
        both = pairs(damage, patches, FIXED, FIRST + step).float() / 255 - 0.5
        damaged, clean = (
            space_to_depth(part, 16).reshape(-1, size - 1) for part in both.split(patches.shape[-1], dim=-1)
        )
        x = torch.cat([damaged, torch.ones(len(damaged), 1, device=damaged.device)], dim=1).cpu().double()
        gram += x.T @ x
        moment += x.T @ layer(clean).cpu().double()
    ridge = RIDGE * gram.diagonal()[:-1].mean() * torch.eye(size, dtype=torch.float64)
    solved = torch.linalg.solve(gram + ridge, moment).T.float()
    layer.weight.copy_(solved[:, :-1])
    layer.bias.copy_(solved[:, -1])
