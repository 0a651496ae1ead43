"""Graphs computed by OpenVINO on the CPU: products in bfloat16 where the processor has instructions for them.

One of the backends. Needs the extra [openvino]. `precision` says what stays in float32.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Any

from nicodec import extras
from nicodec.errors import NicError, one_line, warn
from nicodec.model import runtime
from nicodec.model.backends import precision, weights
from nicodec.model.backends.interface import Planes

DEVICE = "CPU"


class Place:
    """`Elsewhere` of OpenVINO. threads: those of each call. at_once: the calls at a time.

    Raises MissingExtra without OpenVINO. Warns once if the processor has no bfloat16: all is float32 then.
    """

    def __init__(self, name: str, threads: int, at_once: int) -> None:
        self.name, self._threads, self._at_once = name, threads, at_once
        self._half = _has_bfloat16()

    def open(self, graph: bytes, tensors: dict[str, Planes]) -> Compiled:
        """Raises NicError if it would run on another device, or in another precision, than the one that was asked."""
        core, kept = _core(), set[str]()
        model = core.read_model(weights.held(graph, tensors))
        if self._half:
            kept = precision.exact(model, {name for port in model.inputs for name in port.get_names()} - {"q"})
            model = core.read_model(*precision.marked(model, kept))
        wanted = "bf16" if self._half else "f32"
        options = {
            "INFERENCE_PRECISION_HINT": wanted,
            # A call takes a stream of its own, so that several work at once.
            "NUM_STREAMS": self._at_once,
            "INFERENCE_NUM_THREADS": self._threads * self._at_once,
            # Other programs may use the processors that it would bind its threads to.
            "ENABLE_CPU_PINNING": False,
        }
        made = core.compile_model(model, DEVICE, options)
        runs = [*made.get_property("EXECUTION_DEVICES")], made.get_property("INFERENCE_PRECISION_HINT").to_string()
        if runs != ([DEVICE], wanted) or _rounded(made, kept):
            raise NicError(
                f"OpenVINO runs on {', '.join(runs[0])} in {runs[1]}, other than it was asked to;"
                " pip install -U 'nicodec[openvino]', or use backend cpu"
            )
        return Compiled(made)


class Compiled:
    """A `Runner` of OpenVINO. Each call at a time has a request of its own, which is used again."""

    def __init__(self, made: Any) -> None:
        self._made, self._free = made, list[Any]()
        runtime.kept_after_fork(self)

    def run(self, inputs: dict[str, Planes]) -> list[Planes]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self._made.create_infer_request()
        # Always shared: an array that is copied after a shared one would be copied into memory that is gone.
        results = request.infer(inputs, share_inputs=True)
        self._free.append(request)
        return [results[port] for port in self._made.outputs]


def _rounded(made: Any, kept: set[str]) -> bool:
    """Whether a product that has to stay in float32 does not: an old OpenVINO knows no marks."""
    for op in made.get_runtime_model().get_ops():
        info = {key: value.value for key, value in op.get_rt_info().items()}
        # A product is named after all that was merged into it.
        names = info["originalLayersNames"].split(",")
        if (
            info["layerType"] in precision.PRODUCTS
            and kept.intersection(names[:1])
            and info["runtimePrecision"] != "f32"
        ):
            return True
    return False


@lru_cache(maxsize=1)
def _has_bfloat16() -> bool:
    half = "BF16" in _core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    if not half:
        warn("this processor has no bfloat16, so OpenVINO computes in float32")
    return half


@lru_cache(maxsize=1)
def _core() -> Any:
    """The one core of this process. Raises MissingExtra or NicError."""
    # At its import OpenVINO would report to its maker. Without this package it does not.
    reporter = "openvino_telemetry"
    hidden = reporter not in sys.modules
    if hidden:
        sys.modules[reporter] = None  # type: ignore[assignment]
    try:
        openvino = extras.load("openvino", "openvino", "backend='openvino'")
    finally:
        if hidden:
            del sys.modules[reporter]
    try:
        return openvino.Core()
    except Exception as error:
        raise NicError(f"OpenVINO does not work here: {one_line(error)}; use backend cpu") from None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.cache_clear)
