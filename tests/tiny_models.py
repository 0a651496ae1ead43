"""Networks that are quick, and model files of them, for the tests of training; makes fuzz/tiny.nicmodel too.

`python tests/tiny_models.py` makes one like it anew: what is random depends on torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.hyper import MAX_HYPER
from nicodec.coding.correction import features
from nicodec.model import modelfile
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import ModelConfig
from nicodec.nn.likelihood import SCALES
from nicodec.nn.model import Model
from nicodec.nn.natural import NaturalSynthesis
from nicodec.nn.thaw import model_of
from nicodec.train import correction, export, limits, preview, tables
from nicodec.train.export import natural

TINY = ModelConfig(
    latent=24,
    linear=8,
    width=16,
    blocks_a=1,
    blocks_s=1,
    hyper=8,
    z=8,
    context=16,
    context_blocks=1,
    latent_blocks_a=3,
    latent_blocks_s=2,
)
FUZZED = replace(TINY, latent=4, linear=1, width=4, hyper=4, z=2, context=4, latent_blocks_a=0, latent_blocks_s=1)


def unseen(config: ModelConfig) -> tuple[tables.Counts, dict[str, Any]]:
    """What export is given beside a network, of no pictures.

    No symbol was counted, previews are gray, and each coefficient of a correction is a weight of its filter.
    """
    sets = len(tables.BOUNDS) + 2
    counts = tables.Counts(
        y=np.zeros((SCALES, 2 * tables.WIDTH + 1)),
        z=np.zeros((sets, ANCHORS * config.z, 2 * MAX_HYPER + 1)),
        bounds=np.zeros((ANCHORS * config.z, sets - 2), np.int16),
    )
    colours, known = config.colours, features(config.colours)
    small = {"preview.weight": np.zeros((4 * colours, config.deep, 1, 1), np.float32)}
    small["preview.bias"] = np.zeros(4 * colours, np.float32)
    small["correction.basis"] = np.eye(colours * known, dtype=np.float32).reshape(-1, colours, known)
    small["correction.widths"] = np.zeros(colours * known, np.int8)
    return counts, small


def write(model: Model, path: Path) -> Checkpoint:
    """A model file of a network that has seen no pictures."""
    return export.write_model(model.eval(), path, path.stem, {"steps": 0}, *unseen(model.config))


def random(config: ModelConfig) -> Model:
    """A network whose every weight is at work: the layers that start at zero get random values too."""
    torch.manual_seed(0)
    network = Model(config)
    network.init_from_patches(torch.randn(2000, 256 * config.colours) * 0.2, (1.5, 40.0))
    with torch.no_grad():
        for name, p in network.named_parameters():
            if not name.startswith(("h_sigma", "log_gain")):
                p.add_(torch.randn_like(p) * 0.03)
        network.h_sigma.last.weight.mul_(20)
    return network.eval()


def with_natural(made: Checkpoint, path: Path, spread: float) -> Checkpoint:
    """The same model with layers for natural pictures: those of g_s, and grain whose amplitudes have this spread."""
    torch.manual_seed(1)
    layers = NaturalSynthesis(made.config)
    layers.start_from(model_of(made).g_s)
    torch.nn.init.normal_(layers.grain.weight, std=spread)
    torch.nn.init.zeros_(layers.grain.bias)
    return natural.add(modelfile.head(made.path), made, layers.eval(), path, {})


def main() -> None:
    """As training ends, on pictures of noise."""
    model = random(FUZZED)
    pictures = torch.randint(0, 256, (4, 16, 16, 3)).repeat_interleave(8, 1).repeat_interleave(8, 2).byte()
    limits.measure(model, pictures, pictures)
    counts = tables.count(model, pictures, list(pictures))
    path = Path(__file__).parent / "fuzz" / "tiny.nicmodel"
    fitted = preview.fit(model, pictures) | correction.fit(model, pictures)
    export.write_model(model, path, "tiny", {}, counts, fitted)


if __name__ == "__main__":
    main()
