"""A model file -> the torch model that it was made from.

Under the trainer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.errors import BadModel
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import ModelConfig
from nicodec.model.modelfile import NATURAL
from nicodec.nn.layers import IntegerLayer
from nicodec.nn.model import Model
from nicodec.nn.natural import NaturalSynthesis
from nicodec.storage.files import shown


def model_of(checkpoint: Checkpoint) -> Model:
    """The model of a file, on the CPU. Raises BadModel."""
    try:
        model = Model(checkpoint.config)
        model.load_state_dict(thaw(checkpoint.tensors, checkpoint.config))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadModel(f"{shown(checkpoint.path)}: not a network that torch can run ({error})") from None
    return model.eval()


def natural_of(checkpoint: Checkpoint) -> NaturalSynthesis | None:
    """The layers of a file that paint the natural picture, on the CPU; None if it has none. Raises BadModel."""
    if not any(name.startswith(NATURAL) for name in checkpoint.tensors):
        return None
    layers = NaturalSynthesis(checkpoint.config)
    try:
        layers.load_state_dict(
            {
                name: torch.from_numpy(checkpoint.tensors[NATURAL + name].astype(np.float32)).reshape(value.shape)
                for name, value in layers.state_dict().items()
            }
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadModel(f"{shown(checkpoint.path)}: not layers that torch can run ({error})") from None
    return layers.eval()


def thaw(tensors: dict[str, npt.NDArray[Any]], config: ModelConfig) -> dict[str, Tensor]:
    """The inverse of `export.freeze`: the state dict of a model file, float32, at the precision of the file."""
    model = Model(config)
    state = {
        name: torch.from_numpy(tensors[name].astype(np.float32)).reshape(value.shape)
        for name, value in model.state_dict().items()
        if not name.startswith("h_sigma.")
    }
    for i, layer in enumerate(model.h_sigma.layers):
        assert isinstance(layer, IntegerLayer)
        weight, bias, scale = (
            torch.from_numpy(tensors[f"h_sigma.layers.{i}.{part}"].astype(np.float32))
            for part in ("weight", "bias", "scale")
        )
        # scale is 2^-shift, and shift is e + in_bits - out_bits.
        unit = scale[0] * 2.0 ** (layer.in_bits - layer.out_bits)
        matrix = weight.reshape(len(unit), layer.kernel, layer.kernel, -1).permute(0, 3, 1, 2)
        state[f"h_sigma.layers.{i}.weight"] = matrix * unit[:, None, None, None]
        state[f"h_sigma.layers.{i}.bias"] = bias * unit * 2.0**-layer.in_bits
    return state
