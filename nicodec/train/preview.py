"""The preview: one small matrix from a decoded latent to the picture at an eighth of its size.

Called by `run` for `export`, which puts it into the model file. It is the best linear fit, position by position,
to the output of g_s averaged over 8x8 pixels: a preview needs neither g_s nor a full-size picture.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream.anchors import ANCHORS
from nicodec.nn.layers import hats, space_to_depth
from nicodec.nn.model import Model
from nicodec.train import coded

Array: TypeAlias = npt.NDArray[Any]

# A share of the mean power of a channel. It keeps channels that are nearly always zero from large weights.
RIDGE = 1e-4


@torch.no_grad()
def fit(model: Model, pictures: Tensor, *, amp: bool = False) -> dict[str, Array]:
    """Least squares over uint8 pictures (N, H, W, C), sides multiples of 64, at every other anchor quality.

    Returns `preview.weight` (4 C, deep, 1, 1) and `preview.bias` (4 C,), float32. They map the deep channels of y
    at one position, in units of spread, to 2x2 samples of C colours in [-1/2, 1/2], by row, column and colour.
    """
    size, samples = model.config.deep + 1, 4 * model.config.colours
    device = model.spread.device
    gram, moment = torch.zeros(size, size).double(), torch.zeros(size, samples).double()
    for anchor, out in coded.each(model, pictures, range(0, ANCHORS, 2), amp=amp):
        unit = model.gain(hats(torch.tensor([10.0 * anchor], device=device))) * model.spread
        y = (out.y_hat / unit)[..., : size - 1].reshape(-1, size - 1).cpu().double()
        y = torch.cat([y, torch.ones(len(y), 1).double()], dim=1)
        small = torch.nn.functional.avg_pool2d(out.pixels.clamp(-0.5, 0.5).permute(0, 3, 1, 2), 8)
        target = space_to_depth(small.permute(0, 2, 3, 1), 2).reshape(-1, samples).cpu().double()
        gram += y.T @ y
        moment += y.T @ target
    ridge = RIDGE * gram.diagonal()[:-1].mean() * torch.eye(size).double()
    ridge[-1, -1] = 0
    solved = torch.linalg.solve(gram + ridge, moment).T.float().numpy()
    return {
        "preview.weight": np.ascontiguousarray(solved[:, :-1, None, None]),
        "preview.bias": np.ascontiguousarray(solved[:, -1]),
    }
