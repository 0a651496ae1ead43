"""What the tests of training share: a few small pictures, a network that is quick, and runs of a few steps.

Beside `tiny_models`, which has the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_models import TINY

from nicodec.train.data import Patches
from nicodec.train.trainer import Options, Trainer

OPTIONS = Options(steps=200, batch=2, patch=64, model=TINY)
CPU = torch.device("cpu")


def picture(seed: int, height: int = 150, width: int = 170) -> np.ndarray[Any, Any]:
    """Shaded shapes on a slope, and a little noise: cheap, but with edges and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * a + y * b for a, b in rng.uniform(-0.6, 0.6, (3, 2))], -1) + 128
    for _ in range(6):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(10, 50)
        pixels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += rng.uniform(-90, 90, 3)
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def pictures(folder: Path) -> Path:
    """The same folder, with four pictures in it."""
    for i in range(4):
        Image.fromarray(picture(i)).save(folder / f"{i}.png")
    return folder


def patches(folder: Path, /, **options: Any) -> Patches:
    """The pictures of a folder, on the CPU."""
    return Patches([folder], CPU, seed=0, **options)


def losses_of(trainer: Trainer, count: int) -> list[float]:
    """The losses of the next steps."""
    return [float(trainer.train_step()[0]) for _ in range(count)]


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
