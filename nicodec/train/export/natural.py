"""Layers that paint the natural picture -> the same model with these layers in it, checked before it is kept.

Beside `freeze`, which makes whole models. No other byte of a tensor changes, and the id stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from nicodec.errors import BadModel
from nicodec.model import checkpoint, modelfile
from nicodec.model.backends import OnnxNetworks
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.layers import hats
from nicodec.nn.model import Model
from nicodec.nn.natural import NaturalSynthesis
from nicodec.nn.thaw import NATURAL, model_of, natural_of
from nicodec.nn.transforms import Synthesis
from nicodec.storage.files import atomic_write
from nicodec.train.export import graphs
from nicodec.train.export.freeze import stored
from nicodec.train.export.proof import PIXEL_TOLERANCE

# The word under which the history of a model tells how its layers were made: a list, one entry for each run.
HISTORY = "natural"


def add(
    metadata: Mapping[str, str], begin: Checkpoint, layers: NaturalSynthesis, out: Path, made: dict[str, Any]
) -> Checkpoint:
    """Write a model with layers in it, in place of those it may have. metadata: of its file. made: how they were made.

    Raises BadModel, and leaves nothing behind, if the result would not compute what the layers compute.
    """
    tensors = {name: np.asarray(array) for name, array in begin.tensors.items() if not name.startswith(NATURAL)}
    tensors |= {NATURAL + name: stored(name, value) for name, value in layers.state_dict().items()}
    shapes = {name: array.shape for name, array in tensors.items()}
    graph, weights = graphs.build(graphs.NATURAL, begin.config, shapes)
    tensors[f"graph.{graphs.NATURAL}"] = np.frombuffer(graph, np.uint8)
    tensors[f"graph.{graphs.NATURAL}.weights"] = np.frombuffer("\n".join(weights).encode(), np.uint8)
    texts = {**metadata, "sha256": modelfile.UNSEALED, "training": json.dumps(_history(metadata, made), sort_keys=True)}
    data = modelfile.sealed(save(tensors, texts))
    trial = checkpoint.of(data, out)
    compare(trial)
    atomic_write(out, data, overwrite=True)
    return checkpoint.load(out)


def _history(metadata: Mapping[str, str], made: dict[str, Any]) -> dict[str, Any]:
    """The history of a model, with one more run at its end. One that cannot be read is empty."""
    try:
        before = json.loads(metadata.get("training", "{}"))
    except (ValueError, RecursionError):
        before = {}
    history = dict(before) if isinstance(before, dict) else {}
    earlier = history.get(HISTORY)
    history[HISTORY] = [*(earlier if isinstance(earlier, list) else []), made]
    return history


@torch.no_grad()
def compare(trial: Checkpoint) -> float:
    """The largest difference of the layers in torch and in ONNX Runtime, in 1/255, on latents of random pictures.

    Raises BadModel past the tolerance of `proof`, and if the model has no such layers.
    """
    layers, networks, model = natural_of(trial), OnnxNetworks(trial, threads=1), model_of(trial).double()
    if layers is None:
        raise BadModel("the model has no layers for the natural picture")
    layers, worst = layers.double(), 0.0
    for seed, (rows, columns, quality) in enumerate(((4, 4, 0.0), (8, 12, 33.33), (12, 4, 100.0))):
        generator = torch.Generator().manual_seed(seed)
        hat = hats(torch.tensor([quality], dtype=torch.float64))
        y = _latent(model, hat, rows, columns, generator)
        noise = torch.randn(1, 2 * rows, 2 * columns, layers.noise.in_features, generator=generator).double()
        assert isinstance(model.g_s, Synthesis)
        theirs = layers(model.g_s, y / model.gain(hat), hat, model.spread, noise)
        given = {"y": y, "noise": noise}
        planes = {name: x.permute(0, 3, 1, 2).float().contiguous().numpy() for name, x in given.items()}
        session = networks.session(graphs.NATURAL)
        (ours,) = session.run({**planes, "q": np.array([[quality]], np.float32)})
        worst = max(worst, 255 * float(np.abs(ours - theirs.permute(0, 3, 1, 2).numpy()).max()))
    if not worst <= PIXEL_TOLERANCE:
        raise BadModel(f"ONNX and torch disagree: {graphs.NATURAL} differs by {worst:.2g}, over {PIXEL_TOLERANCE:.2g}")
    return worst


def _latent(model: Model, hat: torch.Tensor, rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    """The latent of a random picture in steps (1, rows, columns, L), with draws of a quarter of a step in it."""
    coarse = torch.randn(1, 2 * rows, 2 * columns, model.config.colours, generator=generator).double() * 0.2
    x = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2).clamp(-0.5, 0.5)
    y = torch.round(model.g_a(x, hat, model.spread) * model.gain(hat))
    return y + 0.25 * torch.randn(y.shape, generator=generator).double()
