"""The basis of corrections: the principal filters of training pictures, each in units of what an error costs.

Called by `run` for `export`, which puts it into the model file. `coding.correction` makes filters of it.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream.anchors import ANCHORS
from nicodec.coding import correction, quantize
from nicodec.coding.correction import BEST_STEP, REACH, features, rounding
from nicodec.nn.model import Model
from nicodec.train import coded

Array: TypeAlias = npt.NDArray[Any]

# A filter counts as the square root of what it saves. Else a few drawings would choose the basis for all pictures.
FAITH = 0.5
# The least size of a coefficient in steps, by which its code is chosen.
LEAST = 2.0**-4


@torch.no_grad()
def fit(model: Model, pictures: Tensor, *, amp: bool = False) -> dict[str, Array]:
    """A Karhunen-Loeve transform of the best filters for uint8 pictures (N, H, W, C), sides multiples of 64.

    Returns `correction.basis`, float32 (K, C, F), the first filters the commonest, and `correction.widths`, int8 (K,).
    F is the number of features. The basis is complete: K is C * F. With the mean covariance of features it is
    orthonormal, so an error of any coefficient costs the same.
    """
    found: list[tuple[float, Array]] = []
    colours = model.config.colours
    known = features(colours)
    for anchor, out in coded.each(model, pictures, range(1, ANCHORS, 2), amp=amp):
        source = pictures[len(found) // len(range(1, ANCHORS, 2))].cpu().numpy()
        x = out.pixels[0].float().permute(2, 0, 1).cpu().numpy()
        around = np.pad(x, ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
        every = np.ones(source.shape[:2], np.bool_)
        sums = correction.products(around, source, every)
        found.append((quantize.lambda_of(1000 * anchor) * 255**2 / colours, sums / every.size))
    own = [sums[:known, :known] + rounding(colours) for _, sums in found]
    root = np.linalg.cholesky(np.mean(own, axis=0))
    filters = [np.linalg.solve(a, sums[:known, known:]) for a, (_, sums) in zip(own, found, strict=True)]
    # In bits for each pixel, where the root makes the features alike, colour by colour.
    costly = np.array([math.sqrt(w) * (root.T @ f).T.ravel() for f, (w, _) in zip(filters, found, strict=True)])
    sizes = np.linalg.norm(costly, axis=1, keepdims=True)
    axes = np.linalg.svd(costly / np.maximum(sizes, np.finfo(float).tiny) ** FAITH, full_matrices=True)[2]
    basis = np.linalg.solve(root.T, axes.reshape(-1, known).T).T.reshape(-1, colours, known)
    # For a picture of the size of these, a typical coefficient in the best steps.
    typical = np.median(np.abs(costly @ axes.T), axis=0) * math.sqrt(pictures[0, :, :, 0].numel() / BEST_STEP)
    return {
        "correction.basis": np.ascontiguousarray(basis, np.float32),
        "correction.widths": np.rint(np.log2(np.maximum(typical, LEAST))).astype(np.int8),
    }
