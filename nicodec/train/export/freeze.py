"""Weights of a trained model -> one .nicmodel file, checked before it is kept.

The bridge from training to the runtime.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save
from torch import Tensor

from nicodec.errors import BadModel
from nicodec.model import checkpoint, modelfile
from nicodec.model.card import Card
from nicodec.model.config import ModelConfig
from nicodec.nn.layers import IntegerLayer
from nicodec.nn.model import Model
from nicodec.nn.thaw import thaw
from nicodec.storage.files import atomic_write
from nicodec.train import tables
from nicodec.train.export import gradient, graphs
from nicodec.train.export.proof import compare, measure_halos, prove_exact

Array: TypeAlias = npt.NDArray[Any]


def freeze(model: Model, counts: tables.Counts | None, fitted: dict[str, Array]) -> dict[str, Array]:
    """All tensors of a model file: weights (float16), integers of h_sigma, tables, graphs, and what was fitted.

    Without counts `fitted` has the tables; its tensors stand in place of those of the same name.
    """
    tensors: dict[str, Array] = {}
    for name, value in model.state_dict().items():
        if name.startswith("h_sigma."):
            continue
        tensors[name] = stored(name, value)
    for i, layer in enumerate(model.h_sigma.layers):
        assert isinstance(layer, IntegerLayer)
        weight, bias, shift = (t.detach().cpu().double() for t in layer.integers())
        # 3x3 weights become the columns of one matrix, in the order (row, column, channel) of the graph.
        matrix = weight.permute(0, 2, 3, 1).flatten(1)[:, :, None, None]
        tensors[f"h_sigma.layers.{i}.weight"] = matrix.numpy().astype(np.int8)
        tensors[f"h_sigma.layers.{i}.bias"] = bias.numpy().astype(np.int32)
        tensors[f"h_sigma.layers.{i}.scale"] = torch.exp2(-shift)[None].numpy().astype(np.float32)
    tensors |= fitted
    prove_exact(tensors)
    tensors["thresholds"] = model.thresholds.cpu().numpy()
    tensors |= {} if counts is None else tables.y_tables(counts) | tables.z_tables(model, counts)
    shapes = {name: array.shape for name, array in tensors.items()}
    parts = [*graphs.PARTS, *([graphs.NATURAL] if any(name.startswith(modelfile.NATURAL) for name in shapes) else [])]
    made = {name: graphs.build(name, model.config, shapes) for name in parts}
    made |= {name: gradient.build(name, model.config, shapes) for name in gradient.PARTS}
    for name, (data, weights) in made.items():
        tensors |= stored_graph(name, data, weights)
    return tensors


def stored_graph(name: str, data: bytes, weights: list[str]) -> dict[str, Array]:
    """A graph as a model file has it. data: the serialised graph. weights: the names of those that it refers to."""
    return {
        f"graph.{name}": np.frombuffer(data, np.uint8),
        f"graph.{name}.weights": np.frombuffer("\n".join(weights).encode(), np.uint8),
    }


def stored(name: str, value: Tensor) -> Array:
    """A weight as a model file has it: float16, those of 1x1 layers as convolutions. Raises BadModel beyond float16."""
    array = value.detach().cpu().float().numpy()
    if array.ndim == 2 and name.endswith(".weight"):
        array = array[:, :, None, None]
    # These are few, and scale everything else: they keep their full precision.
    with np.errstate(over="ignore"):
        array = array.astype(np.float32 if name in ("spread", "log_gain", "familiar") else np.float16)
    if not np.isfinite(array).all():
        raise BadModel(f"{name} holds values that float16 cannot")
    return array


def write_model(
    model: Model,
    path: Path,
    name: str,
    training: dict[str, Any],
    counts: tables.Counts | None,
    fitted: dict[str, Array],
    card: Card | None = None,
) -> checkpoint.Checkpoint:
    """Freeze, verify and write one .nicmodel file.

    training: how it was made, kept in the file, as the card is. counts: symbols of real pictures; None if `fitted` has
    the tables. fitted: what `preview.fit` and `correction.fit` found, or tensors that stay those of the start.

    Raises BadModel, and leaves nothing behind, if the result would not compute what the model computes.
    """
    tensors = freeze(model, counts, fitted)
    metadata = {
        "format": modelfile.FORMAT,
        "sha256": modelfile.UNSEALED,
        "id": modelfile.identity(model.config, tensors),
        "name": name,
        **(card or Card()).texts(),
        "config": json.dumps(model.config.stated(), sort_keys=True),
        "training": json.dumps(training, sort_keys=True, allow_nan=False),
    }
    rounded = Model(model.config)
    rounded.load_state_dict(thaw(tensors, model.config))

    def trial() -> tuple[checkpoint.Checkpoint, bytes]:
        data = modelfile.sealed(save(tensors, metadata))
        read, parsed = modelfile.parse(data, str(path))
        config = ModelConfig.of(json.loads(read["config"]), str(path))
        return checkpoint.Checkpoint(name, path, read["sha256"], config, parsed), data

    tensors["halos"] = measure_halos(trial()[0])
    made, data = trial()
    compare(rounded.eval(), made)
    atomic_write(path, data, overwrite=True)
    return checkpoint.load(path)
