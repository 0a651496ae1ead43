"""Sessions of ONNX Runtime on the CPU: one arena for all graphs, and sessions that a forked process may leave alone.

Under `backends`. `nicodec/__init__` switches off the telemetry of ONNX Runtime before this imports it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import weakref
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Session:
    """One graph, ready to run. graph: an ONNX model. weights: its external tensors, by name. threads: at least 1.

    exact: all products in float32; else in bfloat16 where a processor and ONNX Runtime have a quick way for that.
    Raises the errors of ONNX Runtime, which have no common base class.
    """

    def __init__(
        self, graph: bytes, weights: dict[str, npt.NDArray[np.float32]], threads: int, *, exact: bool = True
    ) -> None:
        import onnxruntime as ort  # only here and below: it takes a while to load, and files of samples need none

        # The weights must outlive the session.
        self._weights = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options = ort.SessionOptions()
        # Always a number: by default ONNX Runtime binds threads to processors, which other programs may use.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A pattern is one piece of memory for all arrays of a run. It would fit into no gap of the arena.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # errors are raised, so they need no log
        # Threads sleep between two layers. On busy cores that takes less than half of the processor time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        for entry in () if exact else fast_products(sys.platform, platform.machine()):
            options.add_session_config_entry(entry, "1")
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_external_initializers(list(weights), self._weights)
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        kept_after_fork(self)

    def run(self, inputs: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
        """The outputs of the graph, in its order."""
        outputs: list[npt.NDArray[np.float32]] = self._session.run(None, inputs)
        return outputs


def load() -> None:
    """Import ONNX Runtime. If a signal interrupts it, that is no fault of the graph that would be opened next."""
    import onnxruntime  # noqa: F401


def fast_products(system: str, machine: str) -> list[str]:
    """The options of ONNX Runtime for products in bfloat16: it has one, for Linux on 64-bit ARM.

    Processors without these instructions ignore it. system, machine: as of `sys.platform` and `platform.machine`.
    """
    arm = system == "linux" and machine in ("aarch64", "arm64")
    return ["mlas.enable_gemm_fastmath_arm64_bfloat16"] * arm


def kept_after_fork(session: object) -> None:
    """Have a forked process leave an inherited session alone, and never free it."""
    _sessions.add(session)


class Renewable(Protocol):
    """A holder of sessions, which can make them anew."""

    def renew(self) -> None:
        """Forget all sessions."""


_sessions: weakref.WeakSet[Any] = weakref.WeakSet()
_holders: weakref.WeakSet[Renewable] = weakref.WeakSet()


def survive_forks(holder: Renewable) -> None:
    """Have a holder of sessions make them anew in every process that is forked from this one."""
    _holders.add(holder)


def _after_fork() -> None:
    """In the child: inherited sessions are left alone, since their threads are gone and to free them waits for ever."""
    for session in list(_sessions):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _sessions.clear()
    for holder in list(_holders):
        holder.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache(maxsize=1)
def _share_arena() -> None:
    """One arena for all graphs of the process.

    The arena grows to the size that the largest window needs, and is used again. One arena for each graph would hold
    that memory for each. Without an arena, every layer of a large window asks the system for fresh pages, which took
    15 to 20 % of the time. The holes left behind took as much memory as the networks (docs/SPEED.md).
    """
    import onnxruntime as ort

    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    # No limit, and growth by doubling, from one piece that holds a whole window. Freed memory can only be joined within
    # a piece. Pages that are not touched cost nothing.
    growth = ort.OrtArenaCfg(0, 0, 1 << 27, -1)
    with suppress(Exception):  # the application registered an arena of its own, which serves as well
        ort.create_and_register_allocator(info, growth)
