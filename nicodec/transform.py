"""The networks: g_a, h_a, h_sigma, h_mu, context and g_s, as ONNX graphs run by ONNX Runtime.

Between pixels and latents. Graphs hold structure, the checkpoint the weights; a session is made when a
graph is first needed, so that a decoder never loads the encoder.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import onnxruntime as ort

from nicodec.checkpoint import Checkpoint
from nicodec.errors import BadModel


class Networks:
    """The graphs of one checkpoint. Every method takes and returns float32 NCHW arrays of batch 1.

    quality: 0..100. Thread-safe; each call may use `threads` threads (None: all cores).
    """

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        self.checkpoint, self.threads = checkpoint, threads
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._lock = threading.Lock()

    def _session(self, name: str) -> ort.InferenceSession:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = _open(self.checkpoint, name, self.threads)
            return self._sessions[name]

    def _run(self, name: str, **inputs: np.ndarray) -> list[np.ndarray]:
        result: list[np.ndarray] = self._session(name).run(None, inputs)
        return result

    def g_a(self, x: np.ndarray, quality: float) -> np.ndarray:
        """Pixels (1, 3, 16h, 16w) in [-1/2, 1/2] -> latent y (1, L, h, w) in quantiser steps."""
        return self._run("g_a", x=x, q=_scalar(quality))[0]

    def h_a(self, y: np.ndarray, quality: float) -> np.ndarray:
        """Latent (1, L, 4h, 4w) -> hyper latent z (1, Z, h, w), not yet rounded."""
        return self._run("h_a", y=y, q=_scalar(quality))[0]

    def h_sigma(self, z: np.ndarray, hats: np.ndarray) -> np.ndarray:
        """Integers z (1, Z, h, w) and `prior.integer_hats` -> table of each symbol, uint8 (1, L, 4h, 4w), exactly."""
        return self._run("h_sigma", z=z.astype(np.float32), hats=hats)[0].astype(np.uint8)

    def h_mu(self, z: np.ndarray, quality: float) -> tuple[np.ndarray, np.ndarray]:
        """Integers z -> features for `context`, and the mean of phase 0 (1, L, 4h, 4w) in quantiser steps."""
        features, mu0 = self._run("h_mu", z=z.astype(np.float32), q=_scalar(quality))
        return features, mu0

    def context(self, y0: np.ndarray, features: np.ndarray, quality: float) -> np.ndarray:
        """What phase 0 decoded, zero elsewhere -> the mean of phase 1 (1, L, h, w)."""
        return self._run("context", y0=y0, features=features, q=_scalar(quality))[0]

    def g_s(self, y: np.ndarray, quality: float) -> np.ndarray:
        """Decoded latent (1, L, h, w) -> pixels (1, 3, 16h, 16w), about [-1/2, 1/2]."""
        return self._run("g_s", y=y, q=_scalar(quality))[0]


def _scalar(quality: float) -> np.ndarray:
    return np.array([[quality]], np.float32)


def _open(checkpoint: Checkpoint, name: str, threads: int | None) -> ort.InferenceSession:
    graph = checkpoint.array(f"graph.{name}").tobytes()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Only the weights that the graph names are handed over; their list is stored beside the graph.
    wanted = bytes(checkpoint.array(f"graph.{name}.weights")).decode().split("\n")
    values = [
        ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(checkpoint.array(w), np.float32))
        for w in wanted
    ]
    options.add_external_initializers(wanted, values)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class for its errors
        raise BadModel(f"{checkpoint.path}: the graph {name} does not load ({_first_line(error)})") from None


def _first_line(error: Any) -> str:
    return str(error).strip().split("\n")[0][:200]
