"""Pictures through the trained network at the anchor qualities.

Between `nn.model` and the three that measure its output before `export`: `limits`, `tables` and `preview`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream.anchors import ANCHORS
from nicodec.nn.layers import hats, round_ste
from nicodec.nn.model import Model, Output
from nicodec.train.abreast import abreast


def each(
    model: Model, pictures: Tensor, anchors: Iterable[int] = range(ANCHORS), *, amp: bool = False
) -> Iterator[tuple[int, Output]]:
    """(anchor, output of the network at its quality), picture by picture.

    pictures: uint8 (N, H, W, C), sides multiples of 64. amp: in bf16.
    """
    device = model.spread.device

    def one(job: tuple[Tensor, int]) -> tuple[int, Output]:
        picture, anchor = job
        x = picture[None].to(device).float() / 255 - 0.5
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
            return anchor, model(x, torch.tensor([anchor * 1000], device=device))

    yield from abreast(one, product(pictures, anchors), device)


def hyper(model: Model, pictures: Iterable[Tensor], *, amp: bool = False) -> Iterator[npt.NDArray[np.int8]]:
    """z (ANCHORS, Z, H/64, W/64) of each picture, at all anchor qualities; nothing after z is computed.

    pictures: uint8 (H, W, C), sides multiples of 64. amp: in bf16.
    """
    device = model.spread.device
    hat = hats(torch.linspace(0, 100, ANCHORS, device=device))

    def one(picture: Tensor) -> npt.NDArray[np.int8]:
        x = picture[None].to(device).float().expand(ANCHORS, -1, -1, -1) / 255 - 0.5
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
            _, z = model.latents(x, hat, model.gain(hat))
            made: npt.NDArray[np.int8] = round_ste(z).permute(0, 3, 1, 2).to(torch.int8).cpu().numpy()
        return made

    yield from abreast(one, pictures, device)
