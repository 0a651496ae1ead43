"""The networks: g_a, h_a, h_sigma, h_mu, context and g_s, as ONNX graphs run by ONNX Runtime.

Between pixels and latents. Graphs hold structure, the checkpoint the weights; a session is made when a
graph is first needed, so that a decoder never loads the encoder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from nicodec.checkpoint import Checkpoint
from nicodec.errors import BadModel, NicError
from nicodec.files import shown

Planes: TypeAlias = npt.NDArray[np.float32]
Hyper: TypeAlias = npt.NDArray[np.int8] | Planes

# What a graph may give: far more than any picture needs, and far less than float32 holds.
LARGEST = 1e30


class Networks:
    """The graphs of one checkpoint. Methods take and return arrays of batch 1, (1, channels, rows, columns).

    L: the channels of the latent; D: the first of them, which are deep and so have means. quality: 0..100.
    Thread-safe; each call may use `threads` threads (None: all cores). Everything raises BadModel if a graph
    fails, or gives what is not of the shape named here.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise NicError(f"threads must be at least 1, not {threads}")
        self.checkpoint, self.threads = checkpoint, threads
        self._latent, self._z = checkpoint.config.get("latent"), checkpoint.config.get("z")
        self._deep = deep_channels(checkpoint.config)
        self._sessions: dict[str, tuple[ort.InferenceSession, list[ort.OrtValue]]] = {}
        self._lock = threading.Lock()

    def g_a(self, x: Planes, quality: float) -> Planes:
        """Pixels (1, 3, 16h, 16w) in [-1/2, 1/2] -> latent y (1, L, h, w) in quantiser steps."""
        return self._run("g_a", _times(x, 1 / 16, self._latent), x=x, q=_scalar(quality))[0]

    def h_a(self, y: Planes, quality: float) -> Planes:
        """Latent (1, L, 4h, 4w) -> hyper latent z (1, Z, h, w), not yet rounded."""
        return self._run("h_a", _times(y, 1 / 4, self._z), y=y, q=_scalar(quality))[0]

    def h_sigma(self, z: Hyper, hats: Planes) -> npt.NDArray[np.uint8]:
        """Integers z (1, Z, h, w), `prior.integer_hats` -> table of each symbol (1, L, 4h, 4w), exactly."""
        shape = _times(z, 4, self._latent)
        (index,) = self._run("h_sigma", shape, most=256, z=z.astype(np.float32), hats=hats)
        return index.astype(np.uint8)

    def h_mu(self, z: Hyper, quality: float) -> tuple[Planes, Planes]:
        """Integers z -> features for `context`, and the mean of phase 0 (1, D, 4h, 4w) in quantiser steps."""
        shape = _times(z, 4, self._deep)
        features, mu0 = self._run("h_mu", shape, z=z.astype(np.float32), q=_scalar(quality))
        return features, mu0

    def context(self, y0: Planes, features: Planes, quality: float) -> Planes:
        """What phase 0 decoded, zero elsewhere -> the mean of phase 1 (1, D, h, w)."""
        return self._run("context", y0.shape, y0=y0, features=features, q=_scalar(quality))[0]

    def g_s(self, y: Planes, quality: float) -> Planes:
        """Decoded latent (1, L, h, w) -> pixels (1, 3, 16h, 16w), about [-1/2, 1/2]."""
        return self._run("g_s", _times(y, 16, 3), y=y, q=_scalar(quality))[0]

    def preview(self, y: Planes, quality: float) -> Planes:
        """Deep channels of it (1, D, h, w) -> pixels at an eighth of their size, (1, 3, 2h, 2w)."""
        return self._run("preview", _times(y, 2, 3), y=y, q=_scalar(quality))[0]

    def _run(
        self, name: str, shape: tuple[object, ...], most: float | None = None, **inputs: Planes
    ) -> list[Planes]:
        """The outputs of a graph, the last of this shape. most: they lie from zero to under this."""
        with self._lock:
            if name not in self._sessions:
                with self._blaming(name):
                    self._sessions[name] = self._open(name)
            session, _ = self._sessions[name]
        with self._blaming(name):
            outputs: list[Planes] = session.run(None, inputs)
            if outputs[-1].shape != shape:
                raise ValueError(f"it gives {outputs[-1].shape} where {shape} belongs")
            # Said so that NaN fails too. What follows adds and scales these, and casts them to integers.
            low, high = (-LARGEST, LARGEST) if most is None else (0, most)
            if not all(x.min() >= low and x.max() < high for x in outputs):
                raise ValueError("it gives numbers beyond all bounds")
        return outputs

    def _open(self, name: str) -> tuple[ort.InferenceSession, list[ort.OrtValue]]:
        """A session and its weights, which must outlive it."""
        graph = self.checkpoint.array(f"graph.{name}").tobytes()
        # Only the weights that the graph names are handed over; their list is stored beside the graph.
        names = self.checkpoint.array(f"graph.{name}.weights").tobytes().decode().split("\n")
        arrays = (np.ascontiguousarray(self.checkpoint.array(n), np.float32) for n in names)
        weights = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads or 0
        options.inter_op_num_threads = 1
        # A pattern is one piece as large as all that lives at once, which fits into no gap of the arena.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # what goes wrong is raised
        # Threads sleep between two layers: on busy cores that takes less than half of the processor time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_external_initializers(names, weights)
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), weights

    @contextmanager
    def _blaming(self, name: str) -> Iterator[None]:
        """Turn what ONNX Runtime raises, whose errors have no base class in common, into a BadModel."""
        try:
            yield
        except (BadModel, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise BadModel(f"{shown(self.checkpoint.path)}: the graph {name} fails: {reason}") from None


@lru_cache(maxsize=1)
def _share_arena() -> None:
    """One arena for all graphs of the process, which never run in the same step of one picture.

    It grows to what the largest window needs and is used again. With an arena for each graph that would be
    held for each; without any, every layer of a large window asks the system for fresh pages, which took
    15 to 20 % of the time, and the holes left behind took as much memory as the networks.
    """
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    # No limit; grow by doubling, from one piece that holds a whole window: only within a piece can what was
    # given back be joined again. Pages that are not touched cost nothing.
    growth = ort.OrtArenaCfg(0, 0, 1 << 27, -1)
    with suppress(Exception):  # the application has registered one of its own, which serves as well
        ort.create_and_register_allocator(info, growth)


def deep_channels(config: dict[str, object]) -> object:
    """How many of a latent's channels are deep; None if the config does not say."""
    latent, linear = config.get("latent"), config.get("linear")
    return latent - linear if isinstance(latent, int) and isinstance(linear, int) else None


def _times(planes: Hyper, n: float, channels: object) -> tuple[object, ...]:
    """The shape of planes n times as high and wide, with so many channels."""
    return 1, channels, int(planes.shape[2] * n), int(planes.shape[3] * n)


def _scalar(quality: float) -> Planes:
    return np.array([[quality]], np.float32)
