"""The networks of a model as ONNX graphs, two of them backwards too: on the CPU, or some of them elsewhere.

Between `runtime` and `coding`. The graphs hold the structure, the checkpoint the weights. A session is made when its
graph is first needed, so a decoder never loads the encoder.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadModel, NicError
from nicodec.model import runtime
from nicodec.model.backends import trial
from nicodec.model.backends.interface import MOVED, Elsewhere, Hyper, Planes, Runner
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.runtime import Session
from nicodec.parallel.threads import MOST, cores
from nicodec.storage.files import shown

# The bound on the outputs of a graph: far above those of any picture, and far below the limit of float32.
LARGEST = 1e20


class OnnxNetworks:
    """`Networks` through ONNX Runtime, on the CPU, and the gradients of two of them.

    elsewhere: where the graphs of `MOVED` are computed instead. Each has to pass its trial there first. Raises NicError
    for an impossible number of threads.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None, elsewhere: Elsewhere | None = None) -> None:
        if threads is not None and not 1 <= threads <= MOST:
            raise NicError(f"threads must be from 1 to {MOST}, not {threads}")
        self.checkpoint, self.threads = checkpoint, threads
        self._config, self._elsewhere = checkpoint.config, elsewhere
        self._sessions: dict[str, Runner] = {}
        self._locks = defaultdict[str, threading.Lock](threading.Lock)
        runtime.survive_forks(self)

    @property
    def backend(self) -> str:
        """The name of what computes the graphs of `MOVED`."""
        return "cpu" if self._elsewhere is None else self._elsewhere.name

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

    def g_s_natural(self, y: Planes, noise: Planes, quality: float) -> Planes:
        shape = _times(y, 16, self._config.colours)
        return self._run("g_s_natural", shape, y=y, noise=noise, q=_scalar(quality))[0]

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
        session = self.session(name)
        with self._blaming(name):
            outputs: list[Planes] = session.run(inputs)
            if outputs[-1].shape != shape:
                raise ValueError(f"it gives {outputs[-1].shape} where {shape} belongs")
            # Negated, so that NaN fails too. Later steps scale these numbers and cast them to integers.
            low, high = (-LARGEST, LARGEST) if most is None else (0, most)
            if not all(x.min() >= low and x.max() < high for x in outputs):
                raise ValueError("it gives numbers beyond all bounds")
        return outputs

    def session(self, name: str) -> Runner:
        """The session of a graph, opened at its first use. Several graphs may be opened at once. Raises BadModel."""
        with self._locks[name]:
            if name not in self._sessions:
                runtime.load()
                with self._blaming(name):
                    self._sessions[name] = self._open(name)
            return self._sessions[name]

    def _open(self, name: str) -> Runner:
        # Only the weights that the graph names are passed on. Their list is stored beside the graph.
        names = self.checkpoint.array(f"graph.{name}.weights").tobytes().decode().split("\n")
        weights = {n: np.ascontiguousarray(self.checkpoint.array(n), np.float32) for n in names}
        graph = self.checkpoint.array(f"graph.{name}").tobytes()
        # OpenVINO refuses the stage that repairs pixels (docs/LOG.md).
        stays = name not in MOVED or (name == "g_a" and self._config.repair > 0)
        if self._elsewhere is None or stays:
            return Session(graph, weights, self.threads or cores(), exact=name not in MOVED)
        made = self._elsewhere.open(graph, weights)
        trial.hold(made, name, self._elsewhere.name, OnnxNetworks(self.checkpoint, self.threads))
        return made

    def renew(self) -> None:
        """Forget all sessions, because in a forked process their threads are gone."""
        self._sessions, self._locks = {}, defaultdict(threading.Lock)

    @contextmanager
    def _blaming(self, name: str) -> Iterator[None]:
        """Turn every error of ONNX Runtime into a BadModel. These errors have no common base class."""
        try:
            yield
        except (NicError, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise BadModel(f"{shown(self.checkpoint.path)}: the graph {name} fails: {reason}") from None


def _times(planes: Hyper, n: float, channels: int) -> tuple[int, ...]:
    """The shape of planes n times as high and wide, with this number of channels."""
    return 1, channels, int(planes.shape[2] * n), int(planes.shape[3] * n)


def _scalar(quality: float) -> Planes:
    return np.array([[quality]], np.float32)
