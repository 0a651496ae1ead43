"""Proof before a model is written: its integer path is exact, and ONNX computes what torch computes, gradients too.

Under `freeze`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nicodec.bitstream import anchors, tiles
from nicodec.bitstream.anchors import HAT_ONE
from nicodec.bitstream.hyper import MAX_HYPER as Z_MAX
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box
from nicodec.coding import prior
from nicodec.errors import BadModel
from nicodec.model import checkpoint
from nicodec.model.backends import OnnxNetworks, Planes
from nicodec.nn.layers import ACT_MAX, Cap, bounded, hats
from nicodec.nn.model import Model
from nicodec.nn.transforms import phase0

Array: TypeAlias = npt.NDArray[Any]

# Every partial sum of the integer path must stay below this for float32 to be exact in any order.
EXACT = 2**24
# Largest difference allowed between ONNX Runtime and torch: latents in quantiser steps, relative to the
# larger of 1 and the value; pixels in 1/255.
LATENT_TOLERANCE, PIXEL_TOLERANCE = 1e-3, 1e-2
# The same of a gradient: the length of the difference, relative to that of the gradient.
GRADIENT_TOLERANCE = 1e-3
# The most that a smaller halo may change a sample, in 1/255. Decoders may differ by 1, for all reasons together.
HALO_TOLERANCE = 0.1


def prove_exact(tensors: dict[str, Array]) -> list[int]:
    """A bound for each layer of h_sigma: the largest magnitude of any partial sum.

    Products are w * a with |a| <= the largest activation; of the integer hats at most two are not zero,
    and they sum to at most 16 + 1; half a step is added before the floor.
    Raises BadModel if one is not below 2^24.
    """
    bounds = []
    for i, largest in enumerate((Z_MAX, ACT_MAX, ACT_MAX, ACT_MAX)):
        name = f"h_sigma.layers.{i}"
        weight, bias = (tensors[f"{name}.{part}"].astype(np.int64) for part in ("weight", "bias"))
        half = 0.5 / tensors[f"{name}.scale"].astype(np.float64)
        hat_product = np.abs(bias).max(0) * (HAT_ONE + 1)
        sums = np.abs(weight).sum((1, 2, 3)) * largest + hat_product / HAT_ONE + 1 + half
        bounds.append(math.ceil(max(sums.max(), hat_product.max())))
    if max(bounds) >= EXACT:
        raise BadModel(f"the scale decoder could reach {max(bounds)}, over 2^24: float32 sums would not be exact")
    return bounds


def _double(module: Any) -> Any:
    """A copy of a module in float64."""
    return copy.deepcopy(module).double().eval()


def measure_halos(trial: checkpoint.Checkpoint) -> Array:
    """int32 (2,): the halos of g_a and g_s, in latent positions, with which a piece equals the whole.

    They are the smallest within the tolerances at qualities 0, 50 and 100. The picture is noise of all sizes at
    once, louder than any photograph: it needs a wider halo than they do.
    """
    networks = OnnxNetworks(trial, threads=1)
    reach_a, reach_s = trial.config.reach_a, trial.config.reach_s
    rng = np.random.default_rng(0)
    # One cell in the middle, and around it as far as either network sees.
    margin = -(-max(reach_a, reach_s) // Y_CELL)
    whole = Box(0, 0, 2 * margin + 1, 2 * margin + 1).times(Y_CELL)
    inner = Box(margin, margin, margin + 1, margin + 1).times(Y_CELL)
    x = np.zeros((1, trial.config.colours, whole.rows * STRIDE, whole.columns * STRIDE), np.float32)
    for block in (1, 2, 4, 8, 16, 32, 64):
        coarse = rng.normal(0, 0.1, (*x.shape[:2], x.shape[2] // block, x.shape[3] // block))
        x += coarse.repeat(block, 2).repeat(block, 3).astype(np.float32)
    x = np.clip(x, -0.5, 0.5)

    def error(part: Callable[[Planes], Planes], given: Planes, result: Planes, halo: int) -> float:
        seen = inner.grown(halo, whole)
        fine_in, fine_out = given.shape[3] // whole.columns, result.shape[3] // whole.columns
        ours = part(np.ascontiguousarray(tiles.crop(given, whole.times(fine_in), seen.times(fine_in))))
        ours = tiles.crop(ours, seen.times(fine_out), inner.times(fine_out))
        theirs = tiles.crop(result, whole.times(fine_out), inner.times(fine_out))
        return float(np.abs(ours - theirs).max())

    halo_a = halo_s = 0
    for quality in (0.0, 50.0, 100.0):
        g_a, g_s = partial(networks.g_a, quality=quality), partial(networks.g_s, quality=quality)
        y = g_a(x)
        decoded = np.rint(y)
        pixels = g_s(decoded)
        while halo_a < reach_a and error(g_a, x, y, halo_a) > LATENT_TOLERANCE:
            halo_a += 1
        while halo_s < reach_s and 255 * error(g_s, decoded, pixels, halo_s) > HALO_TOLERANCE:
            halo_s += 1
    return np.array([halo_a, halo_s], np.int32)


@torch.no_grad()
def compare(model: Model, trial: checkpoint.Checkpoint) -> dict[str, float]:
    """Largest differences between the torch model and ONNX Runtime on random pictures of four sizes.

    Latents in steps (relative above 1), pixels in 1/255; scale indices are compared in float64, exactly. Gradients
    are those of effort, against what torch finds, in proportion; the worst picture does not count. An activation
    that is within an error of floats of zero has either slope, which changes the gradient at its position.
    Raises BadModel past the tolerances.
    """
    networks = OnnxNetworks(trial, threads=1)
    rng = np.random.default_rng(0)
    worst = {"latent": 0.0, "pixel": 0.0, "index": 0.0}
    gradients: tuple[list[float], list[float]] = [], []
    reference = _double(model)
    for part in reference.modules():
        if isinstance(part, Cap):  # the gradient passes a cap, as in `gradient`
            part.register_forward_hook(lambda cap, given, capped: given[0] + (capped - given[0]).detach())
    for rows, columns, q in ((1, 1, 0), (2, 3, 3333), (3, 1, 5000), (2, 2, 10000)):
        coarse = rng.normal(0, 0.2, (rows * 8, columns * 8, model.config.colours)).repeat(8, 0).repeat(8, 1)
        x = np.clip(coarse + rng.normal(0, 0.05, coarse.shape), -0.5, 0.5).astype(np.float32)[None]
        quality, hat = q / 100, hats(torch.tensor([q / 100], dtype=torch.float64))
        gain = reference.gain(hat)
        y = reference.g_a(torch.from_numpy(x).double(), hat, reference.spread) * gain
        z = torch.floor(reference.h_a(y, hat) + 0.5).clamp(-Z_MAX, Z_MAX)
        index = reference.h_sigma(z, torch.from_numpy(anchors.integer_hats(q)).double())
        features = reference.h_mu(z, hat)
        unit = (gain * reference.spread)[..., : model.config.deep]
        mu0 = reference.context.mean0(features) * unit
        start = y[..., : model.config.deep]
        y0 = torch.round(start - mu0) + mu0
        mean = reference.context.mean(mu0, y0, features, unit)
        # A decoded latent: one that no encoder makes may drive g_s out of all bounds.
        mu = F.pad(mean, (0, model.config.linear))
        y_hat = torch.round(y - mu) + mu
        pixels = reference.g_s(y_hat / gain, hat, reference.spread)

        start0 = _nchw(y0)
        ours_mean = prior.mean(networks, networks.h_mu(_nchw(z).astype(np.int8), quality), q, partial(_given, start0))
        onnx_y = networks.g_a(_nchw(x), quality)
        pairs = [(onnx_y, y), (networks.h_a(_nchw(y), quality), reference.h_a(y, hat)), (ours_mean, mean)]
        for ours, theirs in pairs:
            expected = _nchw(theirs)
            error = np.abs(ours - expected) / np.maximum(1, np.abs(expected))
            worst["latent"] = max(worst["latent"], float(error.max()))
        worst["pixel"] = max(
            worst["pixel"], 255 * float(np.abs(networks.g_s(_nchw(y_hat), quality) - _nchw(pixels)).max())
        )
        ours_index = networks.h_sigma(_nchw(z), anchors.integer_hats(q))
        worst["index"] = max(worst["index"], float(np.abs(ours_index - _nchw(index)).max()))
        seed = torch.from_numpy(rng.normal(0, 1, mean.shape))
        for found, (ours, theirs) in zip(
            gradients,
            (
                _error_gradients(reference, networks, y_hat, torch.from_numpy(x), quality),
                _mean_gradients(reference, networks, (mu0, y0, features), seed, quality),
            ),
            strict=True,
        ):
            size = max(np.linalg.norm(_nchw(theirs)), np.finfo(np.float32).tiny)  # 0 before the first step of training
            found.append(float(np.linalg.norm(ours - _nchw(theirs)) / size))
    worst["gradient"] = max(sorted(found)[-2] for found in gradients)
    limits = {"latent": LATENT_TOLERANCE, "pixel": PIXEL_TOLERANCE, "index": 0.0, "gradient": GRADIENT_TOLERANCE}
    for key, value in worst.items():
        if not value <= limits[key]:
            raise BadModel(f"ONNX and torch disagree: {key} differs by {value:.2g}, more than {limits[key]:.2g}")
    return worst


@torch.enable_grad()
def _error_gradients(
    model: Model, networks: OnnxNetworks, y: Tensor, target: Tensor, quality: float
) -> tuple[Array, Tensor]:
    """The gradient of the squared error at the deep channels of y: of ONNX, NCHW, and of torch."""
    hat, deep = hats(torch.tensor([quality], dtype=torch.float64)), model.config.deep
    y = y.clone().requires_grad_()
    x = bounded(model.g_s(y / model.gain(hat), hat, model.spread), -0.5, 0.5)
    (theirs,) = torch.autograd.grad((x - target).square().sum(), y)
    counted = np.ones((1, 1, *target.shape[1:3]), np.float32)
    _, ours = networks.g_s_back(_nchw(y), _nchw(target), counted, quality)
    return ours, theirs[..., :deep]


@torch.enable_grad()
def _mean_gradients(
    model: Model, networks: OnnxNetworks, given: tuple[Tensor, Tensor, Tensor], seed: Tensor, quality: float
) -> tuple[Array, Tensor]:
    """The gradient of a random sum of the second means at the first phase: of ONNX, NCHW, and of torch.

    given: the mean of the first phase, its latent, and features.
    """
    mu0, y0, features = given
    hat = hats(torch.tensor([quality], dtype=torch.float64))
    unit, first = (model.gain(hat) * model.spread)[..., : model.config.deep], phase0(y0)
    y0 = torch.where(first, y0, 0).requires_grad_()
    seed = torch.where(first, 0, seed)
    (theirs,) = torch.autograd.grad((model.context.mean(mu0, y0, features, unit) * seed).sum(), y0)
    ours = networks.context_back(_nchw(y0), _nchw(features), _nchw(seed), quality)
    return np.where(_nchw(first), ours, 0), theirs


def _given(y0: Array, mu0: Array) -> Array:
    return y0


def _nchw(x: Tensor | Array) -> Array:
    array = x.detach().numpy() if isinstance(x, Tensor) else x
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2), np.float32)
