"""Layers that paint the natural picture -> the same model with these layers in it, checked before it is kept.

Beside `freeze`, which makes whole models. No other byte of a tensor changes, and the id stays.
"""

from __future__ import annotations

import copy
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
from nicodec.model.modelfile import NATURAL
from nicodec.nn.layers import hats
from nicodec.nn.natural import NaturalSynthesis
from nicodec.nn.thaw import model_of, natural_of
from nicodec.nn.transforms import Synthesis
from nicodec.storage.files import atomic_write
from nicodec.train.export import graphs
from nicodec.train.export.freeze import stored, stored_graph
from nicodec.train.export.proof import PIXEL_TOLERANCE
from nicodec.train.natural import pool

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
    # The halo of g_s was measured on its own layers, and these have others: they get their whole reach.
    tensors["halos"] = np.array([tensors["halos"][0], begin.config.reach_s], tensors["halos"].dtype)
    shapes = {name: array.shape for name, array in tensors.items()}
    tensors |= stored_graph(graphs.NATURAL, *graphs.build(graphs.NATURAL, begin.config, shapes))
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
    """The largest difference of the layers in torch and in ONNX Runtime, in 1/255, on random pictures of three sizes.

    Their latents have draws, as those of a decoder. Raises BadModel past the tolerance of `proof`, and if the model has
    no such layers.
    """
    layers, model, networks = natural_of(trial), model_of(trial), OnnxNetworks(trial, threads=1)
    if layers is None:
        raise BadModel("the model has no layers for the natural picture")
    g_s, worst, rng = copy.deepcopy(model.g_s).double(), 0.0, np.random.default_rng(0)
    assert isinstance(g_s, Synthesis)
    for rows, columns, quality in ((1, 1, 0), (2, 3, 3333), (3, 1, 10000)):
        coarse = rng.normal(0, 50, (rows * 8, columns * 8, model.config.colours)).repeat(8, 0).repeat(8, 1)
        pixels = np.clip(128 + coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)
        square, _ = pool.code(model, pixels, quality, amp=False)
        y = pool.Draws(trial).latent(square, (0, quality))[None]
        noise = rng.normal(0, 1, (1, layers.grain.out_features, 8 * rows, 8 * columns)).astype(np.float32)
        hat = hats(torch.tensor([quality / 100], dtype=torch.float64))
        gain = torch.exp(hat @ model.log_gain.double())
        latent, given = (torch.from_numpy(x).permute(0, 2, 3, 1).double() for x in (y, noise))
        theirs = layers.double()(g_s, latent / gain, hat, model.spread.double(), given)
        session = networks.session(graphs.NATURAL)
        (ours,) = session.run({"y": y, "noise": noise, "q": np.array([[quality / 100]], np.float32)})
        worst = max(worst, 255 * float(np.abs(ours - theirs.permute(0, 3, 1, 2).numpy()).max()))
    if not worst <= PIXEL_TOLERANCE:
        raise BadModel(f"ONNX and torch disagree: {graphs.NATURAL} differs by {worst:.2g}, over {PIXEL_TOLERANCE:.2g}")
    return worst
