"""The weights of a smaller network in a larger one, which goes on as that one was.

Called by `loop` where training starts from a model file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nicodec.train.layers import ends_branch, hats, space_to_depth
from nicodec.train.likelihood import SCALE_STEP
from nicodec.train.model import Model, ModelConfig

# From so many of the faintest channels there were, new ones learn how their scales follow z.
MODELS = 64
# Keeps the analysis of what hardly occurs small; a share of the mean power of a sample.
RIDGE = 1e-2


def fits(smaller: ModelConfig, larger: ModelConfig) -> bool:
    """Whether one can grow into the other: by more blocks in the transforms, and by linear channels."""
    blocks = ("blocks_a", "blocks_s", "latent_blocks_a", "latent_blocks_s")
    grown = {name: max(getattr(smaller, name), getattr(larger, name)) for name in blocks}
    rest = larger.latent - smaller.latent
    if rest > 0:
        grown |= {"latent": larger.latent, "linear": smaller.linear + rest}
    return ModelConfig(**(vars(smaller) | grown)) == larger


@torch.no_grad()
def grow(model: Model, state: dict[str, Tensor], pictures: Tensor) -> None:
    """Load the state dict of a smaller network that `fits`.

    pictures: uint8 (N, H, W, 3), sides multiples of 64. New linear channels hold what the smaller network
    loses of these, unquantised, beside what its shortcut spans: the principal components of that, as far as
    they follow linearly from the pixels along them. New blocks change nothing at first, as they are made.
    """
    old, all_of = len(state["spread"]), model.config.latent
    own = {name: value.clone() for name, value in model.state_dict().items()}
    for name in own.keys() - state.keys():
        if ends_branch(name):
            own[name].zero_()
    for name, value in state.items():
        if value.shape == own[name].shape:
            own[name] = value
        else:
            own[name].zero_()[tuple(slice(n) for n in value.shape)] = value
    own["spread"][old:] = 1
    model.load_state_dict(own)
    if old == all_of:
        return

    held = torch.linalg.qr(state["g_s.shortcut.weight"].double()).Q
    beside = torch.eye(len(held), dtype=held.dtype) - held @ held.T
    best = hats(torch.tensor([100.0]))
    inside, across, lost = (torch.zeros_like(beside) for _ in range(3))
    for picture in pictures:
        pixels = picture[None].float() / 255 - 0.5
        error = pixels - model.g_s(model.g_a(pixels, best, model.spread), best, model.spread)
        x, e = (space_to_depth(t, 16).flatten(0, 2).double() @ beside for t in (pixels, error))
        inside, across, lost = inside + x.T @ x, across + x.T @ e, lost + e.T @ e
    basis = torch.linalg.eigh(lost).eigenvectors.flip(1)[:, : all_of - old]
    ridge = RIDGE * inside.diagonal().mean() * torch.eye(len(inside))
    within = basis.T @ (inside + ridge) @ basis
    towards = basis @ torch.linalg.solve(within, basis.T @ across @ basis)

    new, count = slice(old, None), pictures.numel() / 768
    model.g_a.shortcut.weight[new] = towards.T.float()
    model.g_s.shortcut.weight[:, new] = basis.float()
    model.spread[new] = ((towards * (inside @ towards)).sum(0) / count).sqrt().clamp(min=1e-4).float()
    model.log_gain[:, new] = state["log_gain"].mean(1, keepdim=True)
    # The scales of the new ones, as those of the faintest old ones but for their own spread.
    near, last = state["spread"].argsort()[:MODELS], model.h_sigma.last
    spread = model.log_gain + model.spread.log()
    fainter = spread[:, new] - spread[:, near].mean(1, keepdim=True)
    last.weight[new] = last.weight[near].mean(0)
    last.bias[:, new] = last.bias[:, near].mean(1, keepdim=True) + fainter / SCALE_STEP
