"""A network -> the same with fewer deep channels, fitted to pictures: what other channels tell is left out.

Under `gray`. Channels of a block go one by one, the one first that the others tell best; each layer that read it is
fitted anew, by least squares, to what it made of all. (As He et al. 2017, arXiv 1707.06168, do by steps.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from nicodec.nn.layers import Block, hats
from nicodec.nn.model import Model

# Qualities at which the channels are watched, in hundredths.
QUALITIES = (2000, 5000, 8000)
# A share of the mean power. It keeps fits of channels that are nearly always zero from large weights.
RIDGE = 1e-4


@torch.no_grad()
def thin(model: Model, deep: int, pictures: Tensor) -> Model:
    """The network with so many deep channels, an even number. pictures: uint8 (N, H, W, C), sides multiples of 64."""
    c, products = model.config, _watched(model, pictures)
    steps = 1 / (12 * model.gain(hats(torch.tensor([50.0])))[0, 0, 0, : c.deep].double().square())
    # What a channel is worth: the error of pixels, where the others stand in for it as well as they can.
    noisy = _covariance(products["latent"]) + torch.diag(steps)
    chosen = _paired(_chosen(noisy, model.g_s.shortcut.weight[:, : c.deep], deep, paired=True))
    kept = [*chosen, *range(c.deep, c.latent)]
    state = model.state_dict()

    def refit(name: str, inputs: list[int], outputs: list[int] | None = None) -> None:
        """Leave a layer these inputs and outputs."""
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        if outputs is not None:
            weight, bias = weight[outputs], bias[outputs]
        whole = torch.cat([weight, bias[:, None]], dim=1).double() @ _told(products[name], inputs)
        state[f"{name}.weight"], state[f"{name}.bias"] = whole[:, :-1].float(), whole[:, -1].float()

    for name, block in _blocks(model):
        spatial = _chosen(_covariance(products[f"{name}.mix_out"]), block.mix_out.weight[chosen], deep)
        folded = _chosen(_covariance(products[f"{name}.project"]), block.project.weight[chosen], deep)
        refit(f"{name}.mix_in", chosen, spatial)
        refit(f"{name}.mix_out", spatial, chosen)
        refit(f"{name}.expand", chosen, [*folded, *(c.deep + i for i in folded)])
        refit(f"{name}.project", folded, chosen)
        for part in ("weight", "bias"):
            state[f"{name}.depthwise.{part}"] = state[f"{name}.depthwise.{part}"][spatial]
        for cap in ("mix_cap", "project_cap"):
            state[f"{name}.{cap}.limit"] = state[f"{name}.{cap}.limit"][chosen]
    refit("context.fuse", [*chosen, *range(c.deep, c.deep + c.context)])
    refit("g_s.embed", chosen)
    for name in ("g_s.shortcut", "h_a.embed"):
        refit(name, kept)
    for name in ("g_a.head", "context.mean0", "context.mean1"):
        for part in ("weight", "bias"):
            state[f"{name}.{part}"] = state[f"{name}.{part}"][chosen]
    select(state, kept)
    made = Model(replace(c, latent=len(kept)))
    made.load_state_dict(state)
    return made.eval()


def select(state: dict[str, Tensor], kept: list[int]) -> None:
    """Leave these channels of the latent to what makes them, and to their tables."""
    for name in ("g_a.shortcut.weight", "g_a.shortcut.bias", "h_sigma.layers.3.weight", "spread"):
        state[name] = state[name][kept]
    for name in ("h_sigma.layers.3.bias", "log_gain"):
        state[name] = state[name][:, kept]


def _blocks(model: Model) -> Iterator[tuple[str, Block]]:
    """The blocks that are as wide as the deep channels, by name."""
    for name, module in model.named_modules():
        if isinstance(module, Block) and ".latent_blocks." in name:
            yield name, module


def _watched(model: Model, pictures: Tensor) -> dict[str, Tensor]:
    """Sums over positions of the products of what goes into each layer, with a one behind it: float64 (n + 1, n + 1).

    By name of the layer; "latent" is what is decoded, the deep channels alone, in the units of g_a.
    """
    sums: dict[str, Tensor] = {}

    def add(name: str, given: Tensor) -> None:
        x = given.reshape(-1, given.shape[-1]).double()
        x = torch.cat([x, torch.ones(len(x), 1).double()], dim=1)
        sums[name] = sums.get(name, 0) + x.T @ x

    names = ["g_s.embed", "g_s.shortcut", "h_a.embed", "context.fuse"]
    names += [f"{name}.{part}" for name, _ in _blocks(model) for part in ("mix_in", "mix_out", "expand", "project")]
    with _hooked(model, names, add):
        for picture, quality in product(pictures, QUALITIES):
            out = model(picture[None].float() / 255 - 0.5, torch.tensor([quality]))
            gain = model.gain(hats(torch.tensor([quality / 100])))
            add("latent", (out.y_hat / gain)[..., : model.config.deep])
    return sums


@contextmanager
def _hooked(model: Model, names: list[str], add: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Calls `add` with the name and the input of each of these layers, whenever it runs."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, given: add(name, given[0])

    hooks = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _covariance(products: Tensor) -> Tensor:
    """(n, n), of sums of products (n + 1, n + 1)."""
    mean = products[:-1, -1] / products[-1, -1]
    return products[:-1, :-1] / products[-1, -1] - torch.outer(mean, mean)


def _chosen(covariance: Tensor, readers: Tensor, count: int, *, paired: bool = False) -> list[int]:
    """The numbers of the inputs to keep, in order.

    One goes after the other: the one whose error, as the others predict it, weighs least in the outputs of `readers`,
    (outputs, n). paired: as many even ones as odd ones stay.
    """
    size, weights = len(covariance), readers.double().square().sum(0)
    ridge = RIDGE * covariance.diagonal().mean().clamp(min=1e-12) * torch.eye(size).double()
    precision, left = torch.linalg.inv(covariance + ridge), list(range(size))
    while len(left) > count:
        loss = weights[left] / precision.diagonal()
        for odd in range(2) if paired else ():
            full = [i for i, channel in enumerate(left) if channel % 2 == odd]
            if 2 * len(full) <= count:
                loss[full] = torch.inf
        gone = int(loss.argmin())
        column = precision[:, gone : gone + 1]
        precision = precision - column @ column.T / precision[gone, gone]
        rest = [i for i in range(len(left)) if i != gone]
        precision = precision[rest][:, rest]
        del left[gone]
    return left


def _paired(chosen: list[int]) -> list[int]:
    """Even and odd numbers in turn: the phase of a channel depends on whether its number is even."""
    even, odd = ([n for n in chosen if n % 2 == rest] for rest in range(2))
    return [n for pair in zip(even, odd, strict=True) for n in pair]


def _told(products: Tensor, inputs: list[int]) -> Tensor:
    """All inputs and a one, (n + 1, inputs + 1), from these inputs and a one: they stay, the others are guessed."""
    known = [*inputs, len(products) - 1]
    own = products[known][:, known]
    ridge = RIDGE * own.diagonal().mean() * torch.eye(len(known)).double()
    told: Tensor = torch.linalg.solve(own + ridge, products[known]).T
    told[known] = torch.eye(len(known)).double()
    return told
