"""Drawn parts: a brushed surface, good or with a dark spot; made from a number, so always the same."""

import numpy as np

from nicodec.picture import Array

# The top left corner and the side of the spot.
SPOT, SIDE = (80, 96), 16


def part(seed: int, *, spot: bool = False, height: int = 160, width: int = 192) -> Array:
    """uint8 (height, width, 1)."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 6, (1, width)) + rng.normal(0, 2, (height, width))
    light = np.linspace(rng.uniform(110, 120), rng.uniform(130, 140), height)[:, None]
    pixels = light + grain
    if spot:
        x, y = SPOT
        pixels[y : y + SIDE, x : x + SIDE] -= 25
    return np.clip(pixels, 0, 255).astype(np.uint8)[:, :, None]
