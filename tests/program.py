"""What tests of the program share: what its run gives back, a picture, and that picture encoded."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

import nicodec

Run = Callable[..., tuple[int, bytes, str]]  # arguments and stdin -> exit code, stdout, stderr


def waves() -> Image.Image:
    y, x = np.mgrid[:40, :60]
    planes = [128 + 100 * np.sin((x + 2 * y) / 30 + p) for p in range(3)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


@cache
def encoded() -> bytes:
    """The picture of `here` as the program encodes it."""
    return bytes(nicodec.encode(waves()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
