"""Counts what the network costs: multiply-accumulates for each pixel, from the layers as they run.

Beside `export`, which writes the counts into the manifest.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from nicodec.bitstream.anchors import ANCHORS
from nicodec.nn.model import Model

SIDE = 256


@torch.no_grad()
def kmac_per_pixel(model: Model) -> dict[str, float]:
    """Thousands of multiply-accumulates for each pixel of each part, and of a whole encode and decode.

    Products and convolutions are counted, element-wise work is not. Means and scales are computed on both
    sides, the transforms on one.
    """
    c = model.config
    x, hat = torch.zeros(1, SIDE, SIDE, c.colours), torch.zeros(1, ANCHORS)
    y, z = torch.zeros(1, SIDE // 16, SIDE // 16, c.latent), torch.zeros(1, SIDE // 64, SIDE // 64, c.z)
    features = torch.zeros(1, SIDE // 16, SIDE // 16, c.context)
    parts: dict[str, Callable[[], object]] = {
        "g_a": lambda: model.g_a(x, hat, model.spread),
        "h_a": lambda: model.h_a(y, hat),
        "h_sigma": lambda: model.h_sigma(z, hat),
        "h_mu": lambda: model.h_mu(z, hat),
        "context": lambda: (model.context.mean0(features), model.context.phase1(y[..., : c.deep], features)),
        "g_s": lambda: model.g_s(y, hat, model.spread),
    }
    counts: dict[str, float] = {}
    for name, part in parts.items():
        with FlopCounterMode(display=False) as counter:
            part()
        counts[name] = counter.get_total_flops() / 2 / SIDE**2 / 1000
    shared = counts["h_sigma"] + counts["h_mu"] + counts["context"]
    counts["encode"] = counts["g_a"] + counts["h_a"] + shared
    counts["decode"] = counts["g_s"] + shared
    return {name: round(value, 3) for name, value in counts.items()}
