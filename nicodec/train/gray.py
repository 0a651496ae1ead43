"""A model of colour pictures -> the start of a model of gray ones: the same network without what carries chroma.

Under `run` and `trainer`. The start is known in closed form, from the weights of the colour model alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nicodec.errors import BadImage
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import ModelConfig
from nicodec.nn.model import Model
from nicodec.train.data import Patches
from nicodec.train.options import BadOption, Options

# A linear channel is left out if less than this share of its weights, by their length, sees luma.
LUMA = 0.3
# A gray network that starts from nothing has all components of 16 x 16 pixels, and this share of the deep channels.
COMPONENTS, DEEP = 256, 0.7


def word(options: Options, begin: Checkpoint | None, resume: bool) -> str:
    """What `Patches` takes as colour. begin: the model that training starts from.

    Raises BadOption if --colour does not go with that model, or with the state that is resumed.
    """
    start = options.model if resume else begin.config if begin is not None else None
    if start is None or (start.colours > 1 and not resume):
        return options.colour
    own = "rgb" if start.colours > 1 else "gray"
    if options.colour not in ("auto", own):
        raise BadOption(f"--colour {options.colour} does not go with a start from a model of {own} pictures")
    return own if resume else options.colour


def network(config: ModelConfig, begin: Checkpoint | None, data: Patches) -> ModelConfig:
    """The network for these pictures, from the one that was asked for. begin: the model that training starts from.

    Raises BadImage for pictures in colour where the network knows gray ones alone.
    """
    if data.colours > config.colours:
        raise BadImage(
            f"{data.coloured} pictures are in colour, and the model to start from knows gray ones alone;"
            " --colour gray learns from them in gray"
        )
    if data.colours == config.colours:
        return config
    return _from_nothing(config) if begin is None else config_of(begin)


def _from_nothing(config: ModelConfig) -> ModelConfig:
    """The gray network that goes with a network of three colours, to be trained from nothing."""
    latent = min(COMPONENTS, config.latent)
    return replace(config, colours=1, latent=latent, linear=latent - round(DEEP * min(config.deep, latent)))


def config_of(start: Checkpoint) -> ModelConfig:
    """The config of the gray network that starts from a model file of three colours."""
    weight = torch.from_numpy(start.array("g_a.shortcut.weight").astype("float32")).flatten(1)
    return _config(start.config, _kept(weight, start.config))


@torch.no_grad()
def gray(model: Model) -> Model:
    """The network of one colour that does to a plane what a model of three does to three equal ones.

    g_a sees the sum of the weights of all colours, and g_s paints their mean. Deep channels stay, because blocks mix
    them. Linear channels that hardly see luma are left out: nearly all their symbols are zero in gray pictures.
    """
    kept = _kept(model.g_a.shortcut.weight, model.config)
    made = Model(_config(model.config, kept))
    made.load_state_dict(_state(model.state_dict(), kept, model.config.colours))
    return made


def _kept(shortcut: Tensor, config: ModelConfig) -> Tensor:
    """The numbers of the channels that stay. shortcut: the weights of the linear branch of g_a, (L, 768)."""
    weight = shortcut.reshape(len(shortcut), -1, config.colours)
    luma = weight.sum(2).norm(dim=1) / (weight.norm(dim=(1, 2)) * config.colours**0.5)
    stay = luma >= LUMA
    stay[: config.deep] = True
    return torch.nonzero(stay).flatten()


def _config(config: ModelConfig, kept: Tensor) -> ModelConfig:
    return replace(config, colours=1, latent=len(kept), linear=len(kept) - config.deep)


def _state(state: dict[str, Tensor], kept: Tensor, colours: int) -> dict[str, Tensor]:
    """The state dict of the gray network. kept: the channels of the latent that stay."""
    made = dict(state)
    for name in ("g_a.embed.weight", "g_a.shortcut.weight"):
        made[name] = state[name].reshape(len(state[name]), -1, colours).sum(2)
    for part in ("head.weight", "head.bias", "shortcut.weight", "shortcut.bias"):
        rows = state[f"g_s.{part}"]
        made[f"g_s.{part}"] = rows.reshape(-1, colours, *rows.shape[1:]).mean(1)
    last = "h_sigma.layers.3"
    for name in ("g_a.shortcut.weight", "g_a.shortcut.bias", f"{last}.weight", "spread"):
        made[name] = made[name][kept]
    for name in ("g_s.shortcut.weight", "h_a.embed.weight", f"{last}.bias", "log_gain"):
        made[name] = made[name][:, kept]
    return made
