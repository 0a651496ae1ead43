"""Graphs computed by an execution provider of ONNX Runtime: GPUs of all makers, and the Neural Engine.

One of the backends. Providers come with a package in place of onnxruntime, or as a plugin beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import onnxruntime as ort

from nicodec import extras
from nicodec.errors import MissingExtra, NicError, one_line
from nicodec.model import runtime
from nicodec.model.backends import weights
from nicodec.model.backends.interface import Planes


@dataclass(frozen=True)
class Provider:
    """What ONNX Runtime calls it, the package that brings it, and its options. plugin: the module, if it is one."""

    name: str
    package: str
    options: dict[str, str] = field(default_factory=dict)
    plugin: str | None = None


KNOWN = {
    # Convolutions in full float32, not in TF32, the default of newer GPUs.
    "cuda": Provider("CUDAExecutionProvider", "onnxruntime-gpu", {"use_tf32": "0"}),
    "tensorrt": Provider("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "directml": Provider("DmlExecutionProvider", "onnxruntime-directml"),
    "migraphx": Provider("MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    "coreml": Provider("CoreMLExecutionProvider", "onnxruntime", {"ModelFormat": "MLProgram"}),
    "webgpu": Provider("WebGpuExecutionProvider", "onnxruntime-ep-webgpu", plugin="onnxruntime_ep_webgpu"),
}


class Place:
    """`Elsewhere` of one provider. Raises MissingExtra if this ONNX Runtime lacks it, NicError without a device."""

    def __init__(self, name: str, threads: int, at_once: int) -> None:
        self.name, self._provider, self._threads = name, KNOWN[name], threads
        self._devices = None if self._provider.name in ort.get_available_providers() else self._plugged()

    def open(self, graph: bytes, tensors: dict[str, Planes]) -> Session:
        """Raises NicError if ONNX Runtime would compute it, or its products, somewhere else."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.enable_mem_pattern = False  # DirectML needs that
        options.log_severity_level = 4  # errors are raised, so they need no log
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        wanted, chosen = self._provider, {}
        if self._devices is None:
            chosen = {"providers": [(wanted.name, wanted.options)]}
        else:
            options.add_provider_for_devices(self._devices, wanted.options)
        session = ort.InferenceSession(weights.held(graph, tensors), options, **chosen)
        session.disable_fallback()
        given = session.get_providers()
        if given[0] != wanted.name or _products_elsewhere(session, wanted.name):
            raise NicError(f"ONNX Runtime computes not with {wanted.name} but with {given[-1]}; use backend cpu")
        return Session(session)

    def _plugged(self) -> Any:
        """The device of a plugin, which is loaded once."""
        wanted = self._provider
        if wanted.plugin is None or not hasattr(ort, "register_execution_provider_library"):
            first = f"pip uninstall onnxruntime && pip install {wanted.package}"
            raise MissingExtra(
                f"backend='{self.name}' needs an ONNX Runtime with {wanted.name}: "
                + (first if wanted.package != "onnxruntime" else "its package for macOS has it")
            )
        if not extras.is_installed(wanted.plugin):
            raise MissingExtra(f"backend='{self.name}' needs {wanted.package}: pip install {wanted.package}")
        _register(wanted.plugin)
        devices = [device for device in ort.get_ep_devices() if device.ep_name == wanted.name]
        if not devices:
            raise NicError(f"backend='{self.name}' finds no device here")
        return devices[:1]


class Session:
    """A `Runner` of ONNX Runtime."""

    def __init__(self, session: Any) -> None:
        self._session = session
        runtime.kept_after_fork(self)

    def run(self, inputs: dict[str, Planes]) -> list[Planes]:
        outputs: list[Planes] = self._session.run(None, inputs)
        return outputs


def _products_elsewhere(session: Any, provider: str) -> bool:
    """Whether a product was given to another provider. ONNX Runtime tells that from 1.24 on."""
    told: list[Any] = getattr(session, "get_provider_graph_assignment_info", list)()
    return any(part.ep_name != provider and any("Conv" in n.op_type for n in part.get_nodes()) for part in told)


@cache
def _register(plugin: str) -> None:
    """Load the library of a plugin. Raises NicError."""
    try:
        module = import_module(plugin)
        ort.register_execution_provider_library(plugin, module.get_library_path())
    except Exception as error:
        raise NicError(f"{plugin} cannot be loaded: {one_line(error)}") from None
