"""A model of colour pictures -> the start of a model of gray ones: the same network without what carries chroma.

Under `run` and `trainer`. The start is known in closed form, from the weights of the colour model alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nicodec.errors import BadImage, BadModel
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import BOTH, SHUFFLE, ModelConfig
from nicodec.nn.model import Model
from nicodec.storage.files import shown
from nicodec.train import thin
from nicodec.train.data import Patches
from nicodec.train.options import BadOption, Options

# A linear channel is left out if less than this share of its weights, by their length, sees luma.
LUMA = 0.5
# The share of the deep channels that is left, and the number that they are a multiple of. High qualities need more
# channels than low ones: all components of 16 x 16 pixels (docs/LOG.md).
DEEP, LANES = 0.88, 16
# The pictures on which channels are watched.
WATCHED = 16
# A gray network that starts from nothing has all components of 16 x 16 pixels, this share of them deep.
COMPONENTS, OF_THEM = 256, 0.875


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

    Raises BadImage for pictures in colour where the network knows gray ones alone, and BadModel for a start whose parts
    cannot be made gray.
    """
    if data.colours > config.colours:
        raise BadImage(
            f"{data.coloured} pictures are in colour, and the model to start from knows gray ones alone;"
            " --colour gray learns from them in gray"
        )
    if data.colours == config.colours:
        return config
    if begin is not None and (config.upsample, config.transform) != (SHUFFLE, BOTH):
        raise BadModel(
            f"{shown(begin.path)}: a gray model starts from the transform {BOTH} and the upsample {SHUFFLE} alone;"
            " say --colour rgb, or --from none"
        )
    return _from_nothing(config) if begin is None else config_of(begin)


def alone(options: Options, begin: Checkpoint | None, resume: bool) -> str:
    """What is said of a gray model, with the way to another one where there is one; empty for a model of colour."""
    if options.model.colours > 1:
        return ""
    open_to_all = not resume and (begin is None or begin.config.colours > 1)
    return f" The model is for gray pictures alone{'; --colour rgb makes one for all' if open_to_all else ''}."


def _from_nothing(config: ModelConfig) -> ModelConfig:
    """The gray network that goes with a network of three colours, to be trained from nothing."""
    latent = min(COMPONENTS, config.latent)
    deep = min(_fewer(config.deep), round(OF_THEM * latent))
    return replace(config, colours=1, latent=latent, linear=latent - deep)


def config_of(start: Checkpoint) -> ModelConfig:
    """The config of the gray network that starts from a model file of three colours."""
    weight, deep = torch.from_numpy(start.array("g_a.shortcut.weight").astype("float32")), _fewer(start.config.deep)
    linear = len(_kept(weight.flatten(1), start.config)) - start.config.deep
    return replace(start.config, colours=1, latent=deep + linear, linear=linear)


@torch.no_grad()
def gray(model: Model, data: Patches) -> Model:
    """The network of one colour that does to a plane what a model of three does to three equal ones, about.

    g_a sees the sum of the weights of all colours, and g_s paints their mean. Linear channels that hardly see luma are
    left out: nearly all their symbols are zero in gray pictures. Of the deep channels, an eighth is left out (`thin`).
    """
    colours, kept = model.config.colours, _kept(model.g_a.shortcut.weight, model.config)
    state = model.state_dict()
    for name in ("g_a.embed.weight", "g_a.shortcut.weight"):
        state[name] = state[name].reshape(len(state[name]), -1, colours).sum(2)
    means = ["g_s.head.weight", "g_s.head.bias", "g_s.shortcut.weight", "g_s.shortcut.bias"]
    if layers := model.config.repair:
        weight = state["g_a.repair.layers.0.weight"]
        state["g_a.repair.layers.0.weight"] = weight.reshape(len(weight), -1, colours, 3, 3).sum(2)
        means += [f"g_a.repair.layers.{layers - 1}.{part}" for part in ("weight", "bias")]
    for name in means:
        rows = state[name]
        state[name] = rows.reshape(-1, colours, *rows.shape[1:]).mean(1)
    thin.select(state, kept)
    for name in ("g_s.shortcut.weight", "h_a.embed.weight"):
        state[name] = state[name][:, kept]
    deep = model.config.deep
    made = Model(replace(model.config, colours=1, latent=len(kept), linear=len(kept) - deep)).eval()
    made.load_state_dict(state)
    return thin.thin(made, _fewer(deep), data.squares(WATCHED).cpu()) if _fewer(deep) < deep else made


def _kept(shortcut: Tensor, config: ModelConfig) -> list[int]:
    """The deep channels, and the linear ones that see luma. shortcut: the weights of their branch in g_a, (L, 768)."""
    weight = shortcut.reshape(len(shortcut), -1, config.colours)
    luma = weight.sum(2).norm(dim=1) / (weight.norm(dim=(1, 2)) * config.colours**0.5)
    return [i for i, share in enumerate(luma.tolist()) if i < config.deep or share >= LUMA]


def _fewer(deep: int) -> int:
    """The deep channels that are left: about DEEP of them, as processors like them."""
    return min(deep, max(1, round(DEEP * deep / LANES)) * LANES)
