"""Damage to training pictures: what the encoder sees in place of the clean picture that the loss compares with.

Between `data` and `trainer`. Everything follows from the seed, the step and the progress of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from nicodec.picture.scenes import Fonts, lettering
from nicodec.train.damage import Damage

# Lines have this number of rows at most.
THICK = 4
# Holes cover this share of a patch. Their sides grow from SMALL to the size that is asked for, over GROWN of a run.
COVERED, SMALL, GROWN = 0.08, 4, 0.5
# What stands in a hole: samples of an even gray.
GRAY = 128
# The share of patches with strokes across them in place of holes, and with lettering.
STROKES, LETTERS = 0.15, 0.15
# Beside the seed of a run, so that damage is independent of the choice of patches.
STREAM = 0xDA3A6E

# Damage, patches, random numbers and progress -> damaged patches.
Kind: TypeAlias = Callable[[Damage, Tensor, np.random.Generator, float], Tensor]


def corrupted(damage: Damage, patches: Tensor, seed: int, step: int, progress: float = 1.0) -> Tensor:
    """Damaged patches; the given ones stay. The same arguments make the same damage on one kind of device.

    patches: uint8 (B, H, W, C). progress: the share of the run that is done, 0..1; holes grow with it.
    """
    rng = np.random.default_rng([STREAM, seed, step])
    return _KINDS[damage.kind](damage, patches, rng, progress)


def _random(patches: Tensor, rng: np.random.Generator) -> torch.Generator:
    """A generator on the device of the patches: a GPU would wait for numbers from elsewhere."""
    return torch.Generator(patches.device).manual_seed(int(rng.integers(2**62)))


def _noise(damage: Damage, patches: Tensor, rng: np.random.Generator, progress: float) -> Tensor:
    """Gaussian noise in each sample, rounded and clipped to 0..255. Each patch has its own sigma, in levels."""
    sigma = torch.from_numpy(rng.uniform(damage.low, damage.high, len(patches)).astype(np.float32)).to(patches.device)
    noise = torch.randn(patches.shape, generator=_random(patches, rng), device=patches.device)
    noisy = patches + sigma[:, None, None, None] * noise
    return noisy.round_().clamp_(0, 255).to(torch.uint8)


def _salt(damage: Damage, patches: Tensor, rng: np.random.Generator, progress: float) -> Tensor:
    """Whole pixels become black or white, equally often."""
    draw = torch.rand((*patches.shape[:3], 1), generator=_random(patches, rng), device=patches.device)
    share = torch.from_numpy(rng.uniform(damage.low, damage.high, len(patches)).astype(np.float32)).to(patches.device)
    share = share[:, None, None, None]
    return torch.where(draw < share, torch.where(draw < share / 2, 0, 255).to(torch.uint8), patches)


def _lines(damage: Damage, patches: Tensor, rng: np.random.Generator, progress: float) -> Tensor:
    """Rows, or columns in half of the patches, in stripes of 1 to THICK: black, white, gray, or noise."""
    made = patches.clone()
    for patch in made:
        rows = patch if rng.random() < 0.5 else patch.transpose(0, 1)
        share = rng.uniform(damage.low, damage.high)
        for _ in range(max(1, round(share * len(rows) / ((1 + THICK) / 2)))):
            top = int(rng.integers(len(rows)))
            stripe = rows[top : top + int(rng.integers(1, THICK + 1))]
            if rng.random() < 0.25:
                noise = rng.integers(0, 256, tuple(stripe.shape), np.uint8)
                stripe.copy_(torch.from_numpy(noise))
            else:
                stripe.fill_(int(rng.choice([0, 255, GRAY, int(rng.integers(256))])))
    return made


def _holes(damage: Damage, patches: Tensor, rng: np.random.Generator, progress: float) -> Tensor:
    """Rectangles and ellipses of one gray; in some patches strokes across all of it, or lettering.

    The larger sides are up to SMALL at first, and the size that is asked for after GROWN of a run.
    """
    made = patches.clone()
    side = SMALL + (damage.high - SMALL) * min(1.0, progress / GROWN)
    for patch in made:
        height, width, _ = patch.shape
        kind = rng.random()
        if kind < LETTERS and height == width:
            _letter(patch, rng)
        elif kind < LETTERS + STROKES:
            rows = patch if rng.random() < 0.5 else patch.transpose(0, 1)
            thick = int(rng.uniform(2, max(3, side / 2)))
            for _ in range(max(1, round(COVERED * len(rows) / thick))):
                top = int(rng.integers(len(rows)))
                rows[top : top + thick] = GRAY
        else:
            covered = 0.0
            while covered < COVERED * height * width:
                sides = np.maximum(1, side * rng.uniform([0.5, 0.5], 1)).astype(int)
                covered += _hole(patch, rng, *sides.tolist())
    return made


def _hole(patch: Tensor, rng: np.random.Generator, h: int, w: int) -> float:
    """One hole in a random place, partly outside at times; the pixels that it has, about."""
    height, width, _ = patch.shape
    top, left = int(rng.integers(-h // 2, height - h // 2)), int(rng.integers(-w // 2, width - w // 2))
    part = patch[max(0, top) : max(0, top + h), max(0, left) : max(0, left + w)]
    if rng.random() < 0.5:
        part.fill_(GRAY)
        return h * w
    y, x = np.mgrid[max(0, top) : min(height, top + h), max(0, left) : min(width, left + w)]
    inside = ((y - top + 0.5) / h - 0.5) ** 2 + ((x - left + 0.5) / w - 0.5) ** 2 <= 0.25
    part[torch.from_numpy(inside).to(part.device)] = GRAY
    return h * w * np.pi / 4


def _letter(patch: Tensor, rng: np.random.Generator) -> None:
    pixels = patch.expand(*patch.shape[:2], 3).cpu().numpy()
    patch.copy_(torch.from_numpy(lettering.caption(rng, pixels, _fonts()))[..., : patch.shape[2]])


_KINDS: dict[str, Kind] = {"noise": _noise, "salt": _salt, "lines": _lines, "holes": _holes}


@lru_cache(maxsize=1)
def _fonts() -> Fonts:
    return Fonts()
