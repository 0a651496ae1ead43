"""The network on pictures that were held out: estimated rate, and PSNR, at all qualities.

Under `loop`, for its log.
"""

from __future__ import annotations

import numpy as np
import torch

from nicodec.nn.model import Model
from nicodec.train.data import centre
from nicodec.train.losses import lambda_of
from nicodec.train.store import Pixels

VALIDATION_BATCH = 10
VALIDATION_QUALITIES = (0, 1250, 2500, 3750, 5000, 6250, 7500, 8750, 10000)


def points(model: Model, pictures: list[Pixels], *, side: int = 256, amp: bool) -> list[dict[str, float]]:
    """Rate (estimated from likelihoods) and PSNR of pictures, at each quality.

    pictures: uint8 (H, W, 3); the central squares count, of at most `side` pixels. amp: in bf16.
    """
    by_shape: dict[tuple[int, ...], list[Pixels]] = {}
    for picture in pictures:
        crop = centre(picture, side)
        if crop.size:
            by_shape.setdefault(crop.shape, []).append(crop)
    batches = [
        torch.tensor(np.stack(same[i : i + VALIDATION_BATCH]))
        for same in by_shape.values()
        for i in range(0, len(same), VALIDATION_BATCH)
    ]
    found, device = [], model.spread.device
    with torch.no_grad():
        for quality in VALIDATION_QUALITIES:
            bpp, psnr = [], []
            for batch in batches:
                x = batch.to(device).float() / 255 - 0.5
                q = torch.full((len(x),), quality, device=device)
                with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                    output = model(x, q)
                pixels = torch.round((output.pixels.clamp(-0.5, 0.5) + 0.5) * 255)
                mse = (pixels - (x + 0.5) * 255).square().mean((1, 2, 3))
                bpp += ((output.y_bits + output.z_bits) / (x.shape[1] * x.shape[2])).tolist()
                psnr += (10 * torch.log10(255**2 / mse.clamp(min=1e-3))).tolist()
            found.append(
                {
                    "quality": quality / 100,
                    "bpp": float(np.mean(bpp)),
                    "psnr": float(np.mean(psnr)),
                    "lambda": float(lambda_of(torch.tensor([quality]))),
                }
            )
    return found
