"""The networks g_a, h_a, h_sigma, h_mu, context, g_s and the preview, as ONNX graphs; two of them backwards too.

Between `runtime` and `coding`. The graphs hold the structure, the checkpoint the weights. A session is made when its
graph is first needed, so a decoder never loads the encoder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadModel, NicError
from nicodec.model import runtime
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.runtime import Session
from nicodec.parallel.threads import cores
from nicodec.storage.files import shown

Planes: TypeAlias = npt.NDArray[np.float32]
Hyper: TypeAlias = npt.NDArray[np.int8] | Planes

# The bound on the outputs of a graph: far above those of any picture, and far below the limit of float32.
LARGEST = 1e20
# The graphs that `effort` needs. Models may lack them: nothing else does.
BACKWARDS = ("g_s_back", "context_back")


class Networks(Protocol):
    """The functions of every backend. Arrays are float32 of batch 1, (1, channels, rows, columns).

    L: the channels of the latent. D: its deep channels, the first ones, which have means. C: the colours of the model,
    3 or 1. quality: 0..100. threads: those of each call; None means all cores. Thread-safe. Each function may raise
    BadModel if its network fails, or gives another shape than the one named here.
    """

    @property
    def threads(self) -> int | None: ...

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

    def preview(self, y: Planes, quality: float) -> Planes:
        """Deep channels of the decoded latent (1, D, h, w) -> pixels at an eighth of their size, (1, C, 2h, 2w)."""


class OnnxNetworks:
    """`Networks` through ONNX Runtime, on the CPU, and the gradients of two of them.

    Raises NicError for an impossible number of threads.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise NicError(f"threads must be at least 1, not {threads}")
        self.checkpoint, self.threads = checkpoint, threads
        self._config = checkpoint.config
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        runtime.survive_forks(self)

    def g_a(self, x: Planes, quality: float) -> Planes:
        return self._run("g_a", _times(x, 1 / 16, self._config.latent), x=x, q=_scalar(quality))[0]

    def h_a(self, y: Planes, quality: float) -> Planes:
        return self._run("h_a", _times(y, 1 / 4, self._config.z), y=y, q=_scalar(quality))[0]

    def h_sigma(self, z: Hyper, hats: Planes) -> npt.NDArray[np.uint8]:
        shape = _times(z, 4, self._config.latent)
        (index,) = self._run("h_sigma", shape, most=256, z=z.astype(np.float32), hats=hats)
        return index.astype(np.uint8)

    def h_mu(self, z: Hyper, quality: float) -> tuple[Planes, Planes]:
        shape = _times(z, 4, self._config.deep)
        features, mu0 = self._run("h_mu", shape, z=z.astype(np.float32), q=_scalar(quality))
        return features, mu0

    def context(self, y0: Planes, features: Planes, quality: float) -> Planes:
        return self._run("context", y0.shape, y0=y0, features=features, q=_scalar(quality))[0]

    def g_s(self, y: Planes, quality: float) -> Planes:
        return self._run("g_s", _times(y, 16, self._config.colours), y=y, q=_scalar(quality))[0]

    def preview(self, y: Planes, quality: float) -> Planes:
        return self._run("preview", _times(y, 2, self._config.colours), y=y, q=_scalar(quality))[0]

    def g_s_back(self, y: Planes, target: Planes, counted: Planes, quality: float) -> tuple[float, Planes]:
        """The squared error of g_s(y), cut off at [-1/2, 1/2], and its gradient at the deep channels, (1, D, h, w).

        y: as for `g_s`. target: pixels (1, C, 16h, 16w) in [-1/2, 1/2]. counted: how much the error of each counts,
        (1, 1, 16h, 16w).
        """
        shape = 1, self._config.deep, *y.shape[2:]
        error, gradient = self._run("g_s_back", shape, y=y, target=target, counted=counted, q=_scalar(quality))
        return float(error.sum()), gradient

    def context_back(self, y0: Planes, features: Planes, mu1: Planes, quality: float) -> Planes:
        """The gradient at y0, from the gradient `mu1` at the mean of phase 1; all else as for `context`."""
        return self._run("context_back", y0.shape, y0=y0, features=features, mu1=mu1, q=_scalar(quality))[0]

    def _run(self, name: str, shape: tuple[int, ...], most: float | None = None, **inputs: Planes) -> list[Planes]:
        """The outputs of a graph, the last of this shape. most: if given, they must be from 0 to under this."""
        with self._lock:
            if name not in self._sessions:
                with self._blaming(name):
                    self._sessions[name] = self._open(name)
            session = self._sessions[name]
        with self._blaming(name):
            outputs: list[Planes] = session.run(inputs)
            if outputs[-1].shape != shape:
                raise ValueError(f"it gives {outputs[-1].shape} where {shape} belongs")
            # Negated, so that NaN fails too. Later steps scale these numbers and cast them to integers.
            low, high = (-LARGEST, LARGEST) if most is None else (0, most)
            if not all(x.min() >= low and x.max() < high for x in outputs):
                raise ValueError("it gives numbers beyond all bounds")
        return outputs

    def _open(self, name: str) -> Session:
        # Only the weights that the graph names are passed on. Their list is stored beside the graph.
        names = self.checkpoint.array(f"graph.{name}.weights").tobytes().decode().split("\n")
        weights = {n: np.ascontiguousarray(self.checkpoint.array(n), np.float32) for n in names}
        return Session(self.checkpoint.array(f"graph.{name}").tobytes(), weights, self.threads or cores())

    def renew(self) -> None:
        """Forget all sessions, because in a forked process their threads are gone."""
        self._sessions, self._lock = {}, threading.Lock()

    @contextmanager
    def _blaming(self, name: str) -> Iterator[None]:
        """Turn every error of ONNX Runtime into a BadModel. These errors have no common base class."""
        try:
            yield
        except (BadModel, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise BadModel(f"{shown(self.checkpoint.path)}: the graph {name} fails: {reason}") from None


def _times(planes: Hyper, n: float, channels: int) -> tuple[int, ...]:
    """The shape of planes n times as high and wide, with this number of channels."""
    return 1, channels, int(planes.shape[2] * n), int(planes.shape[3] * n)


def _scalar(quality: float) -> Planes:
    return np.array([[quality]], np.float32)
