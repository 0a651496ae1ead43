"""What every backend is: the networks g_a, h_a, h_sigma, h_mu, context, g_s and two more, as functions of arrays.

Under the other modules of `backends`. Steps of the codec know `Networks` alone, and never ask where they are computed.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.model.checkpoint import Checkpoint

Planes: TypeAlias = npt.NDArray[np.float32]
Hyper: TypeAlias = npt.NDArray[np.int8] | Planes

# The graphs that `effort` needs. Models may lack them: nothing else does.
BACKWARDS = ("g_s_back", "context_back")
# The graphs that a backend computes. All others decide symbols or means, and stay with ONNX Runtime on the CPU in
# float32, so that a file decodes to the same symbols everywhere.
MOVED = ("g_a", "g_s", "g_s_natural")


class Networks(Protocol):
    """The functions of every backend. Arrays are float32 of batch 1, (1, channels, rows, columns).

    L: the channels of the latent. D: its deep channels, the first ones, which have means. C: the colours of the model,
    3 or 1. quality: 0..100. threads: those of each call; None means all cores. Thread-safe. Each function may raise
    BadModel if its network fails, or gives another shape than the one named here.
    """

    @property
    def threads(self) -> int | None: ...
    @property
    def checkpoint(self) -> Checkpoint: ...

    def g_a(self, x: Planes, quality: float) -> Planes:
        """Pixels (1, C, 16h, 16w) in [-1/2, 1/2] -> latent y (1, L, h, w), in quantiser steps."""

    def h_a(self, y: Planes, quality: float) -> Planes:
        """Latent (1, L, 4h, 4w) -> hyper latent z (1, Z, h, w), not yet rounded."""

    def h_sigma(self, z: Hyper, hats: Planes) -> npt.NDArray[np.uint8]:
        """Integers z (1, Z, h, w) and `anchors.integer_hats` -> table of each symbol, uint8 (1, L, 4h, 4w), exact."""

    def h_mu(self, z: Hyper, quality: float) -> tuple[Planes, Planes]:
        """Integers z (1, Z, h, w) -> features for `context`, and mean of phase 0 (1, D, 4h, 4w), in quantiser steps."""

    def context(self, y0: Planes, features: Planes, quality: float) -> Planes:
        """Decoded phase 0 (1, D, h, w), zero elsewhere, and features -> the mean of phase 1, (1, D, h, w)."""

    def g_s(self, y: Planes, quality: float) -> Planes:
        """Decoded latent (1, L, h, w) -> pixels (1, C, 16h, 16w), about [-1/2, 1/2]."""

    def g_s_natural(self, y: Planes, noise: Planes, quality: float) -> Planes:
        """As g_s, by layers that learnt from latents with draws. noise: standard normal (1, 64 C, 2h, 2w)."""

    def preview(self, y: Planes, quality: float) -> Planes:
        """Deep channels of the decoded latent (1, D, h, w) -> pixels at an eighth of their size, (1, C, 2h, 2w)."""


class Runner(Protocol):
    """A graph that is ready to run, safe to share between threads."""

    def run(self, inputs: dict[str, Planes]) -> list[Planes]:
        """The outputs of the graph, in its order."""


class Elsewhere(Protocol):
    """A place for the graphs of `MOVED`. name: that of the backend."""

    @property
    def name(self) -> str: ...

    def open(self, graph: bytes, weights: dict[str, Planes]) -> Runner:
        """A graph of `MOVED`, an ONNX model, with its external tensors by name. Raises NicError, or what else fails."""
