"""Measures of a coded picture that follow people's judgement: SSIMULACRA2, LPIPS and DISTS.

Beside PSNR and MS-SSIM in the benchmark. The door is `Measures`; behind it `weights` reads files, `deep` computes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nicodec import extras
from nicodec.bench.perceptual import weights
from nicodec.bench.perceptual.deep import Deep

LEAST_SIDE = 64
"""The shortest side in pixels that all measures take."""


class Scores(NamedTuple):
    """Of one pair. ssimulacra2: 100 is equal, 90 hardly to be told apart, below 30 poor. The others: 0 is equal."""

    ssimulacra2: float
    lpips_alex: float
    lpips_vgg: float
    dists: float


class Measures:
    """The measures with their weights, loaded once.

    folder: that of the files; None as `weights.folder`. Raises ModelNotFound, BadModel, or MissingExtra without the
    extra [perceptual].
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._ssimulacra2 = extras.load("ssimulacra2", "perceptual", "SSIMULACRA2").compute_ssimulacra2
        self._deep = Deep(weights.load(folder))

    def of(self, before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> Scores:
        """The scores of a version of a picture: (H, W, 3) both, sides of at least `LEAST_SIDE`, else ValueError.

        The features of `before` are kept, so further versions of the same array take half the time.
        """
        if before.shape != after.shape or before.shape[2:] != (3,) or min(before.shape[:2]) < LEAST_SIDE:
            raise ValueError(f"two pictures (H, W, 3) of equal size belong here, not {before.shape}, {after.shape}")
        deep = self._deep
        return Scores(
            float(self._ssimulacra2(_file(before), _file(after))),
            deep.lpips_alex(before, after),
            deep.lpips_vgg(before, after),
            deep.dists(before, after),
        )


def _file(pixels: npt.NDArray[np.uint8]) -> io.BytesIO:
    """A picture as a file of PPM, since the package reads files alone."""
    height, width, _ = pixels.shape
    return io.BytesIO(b"P6 %d %d 255\n" % (width, height) + pixels.tobytes())
