"""The network on pictures that were held out: estimated rate, and error, at all qualities.

Under `best`, which compares states by it, and `finish`, whose card says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from nicodec.coding import quantize
from nicodec.nn.model import Model
from nicodec.train import distortion
from nicodec.train.abreast import abreast
from nicodec.train.reading import centre
from nicodec.train.store import Pixels

VALIDATION_QUALITIES = (0, 1250, 2500, 3750, 5000, 6250, 7500, 8750, 10000)

# Bits per pixel, and mean squared error of samples 0..255, of each picture at each quality: (P, Q, 2). For another
# distortion the squared error that is worth as many bits.
Curves: TypeAlias = npt.NDArray[np.float64]


def curves(
    model: Model,
    pictures: list[Pixels],
    qualities: Sequence[int] = VALIDATION_QUALITIES,
    *,
    side: int = 256,
    amp: bool,
    kind: str = "mse",
) -> Curves:
    """Rate (estimated from likelihoods) and error of each picture at each quality.

    pictures: uint8 (H, W, C), sides of 64 at least; the central squares count, of at most `side` pixels. With 2 C
    samples the first half is what the encoder sees, the second what is wanted (`restoring`). qualities: in hundredths,
    0..10000. amp: in bf16. kind: one of `options.DISTORTIONS`.
    """
    device, colours = model.spread.device, model.config.colours

    def one(picture: Pixels) -> Curves:
        x = torch.tensor(centre(picture, side))[None].to(device).float() / 255 - 0.5
        found = np.empty((len(qualities), 2))
        for i, quality in enumerate(qualities):
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
                output = model(x[..., :colours], torch.tensor([quality], device=device))
            pixels = torch.round((output.pixels.float().clamp(-0.5, 0.5) + 0.5) * 255)
            wanted = x[..., -colours:]
            error = (pixels - (wanted + 0.5) * 255).square().mean()
            if kind != "mse":
                weight = torch.tensor([quantize.lambda_of(quality)], device=device)
                error = distortion.error(kind, wanted, pixels / 255 - 0.5, weight)
            found[i] = float(output.y_bits + output.z_bits) / (x.shape[1] * x.shape[2]), max(float(error), 1e-3)
        return found

    return np.stack(list(abreast(one, pictures, device)))


def decibels(found: Curves) -> npt.NDArray[np.float64]:
    """PSNR (P, Q) of curves, in dB."""
    result: npt.NDArray[np.float64] = 10 * np.log10(255**2 / found[..., 1])
    return result


def cost(found: Curves, qualities: Sequence[int] = VALIDATION_QUALITIES) -> float:
    """The mean logarithm of bits + lambda * error, over pictures and qualities. 0.01 less is one per cent better."""
    weights = np.array([quantize.lambda_of(q) for q in qualities])
    return float(np.log(found[..., 0] + weights * found[..., 1]).mean())


def points(found: Curves) -> list[dict[str, float]]:
    """Means over the pictures, at each of VALIDATION_QUALITIES: quality 0..100, bpp, PSNR in dB, and lambda."""
    means = zip(VALIDATION_QUALITIES, found[..., 0].mean(0), decibels(found).mean(0), strict=True)
    return [
        {"quality": q / 100, "bpp": float(bpp), "psnr": float(psnr), "lambda": quantize.lambda_of(q)}
        for q, bpp, psnr in means
    ]
