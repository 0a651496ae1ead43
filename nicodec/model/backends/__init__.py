"""Where the networks of a model are computed: the room's door.

Between the model and `coding`. A backend computes g_a and both g_s alone: symbols never depend on it.
"""

from __future__ import annotations

import os
from importlib import import_module

from nicodec.errors import NicError
from nicodec.model.backends.cpu import OnnxNetworks
from nicodec.model.backends.interface import BACKWARDS, Elsewhere, Hyper, Networks, Planes
from nicodec.model.checkpoint import Checkpoint
from nicodec.parallel.threads import cores
from nicodec.storage.files import shown

__all__ = ["BACKWARDS", "CPU", "NAMES", "Hyper", "Networks", "OnnxNetworks", "Planes", "chosen", "in_processes", "load"]

CPU, OPENVINO, VARIABLE = "cpu", "openvino", "NICODEC_BACKEND"
# Execution providers of ONNX Runtime, by the names that `providers` knows.
PROVIDERS = ("coreml", "cuda", "directml", "migraphx", "tensorrt", "webgpu")
NAMES = (CPU, OPENVINO, *PROVIDERS)


def chosen(backend: str | None) -> str:
    """The backend of a call: the one that it names, or that of NICODEC_BACKEND, or cpu. Raises NicError for others."""
    name = backend if backend is not None else os.environ.get(VARIABLE) or CPU
    if name not in NAMES:
        place = "" if backend is not None else f" ({VARIABLE})"
        raise NicError(f"there is no backend {shown(str(name))}{place}; there are {', '.join(NAMES)}")
    return name


def in_processes(backend: str) -> bool:
    """Whether several processes work faster than one: on a CPU. Others share one device, with memory for each."""
    return backend in (CPU, OPENVINO)


def load(checkpoint: Checkpoint, threads: int | None, backend: str = CPU, at_once: int = 1) -> OnnxNetworks:
    """The networks of a model on a backend of `NAMES`.

    threads: those of each call; None means all cores. at_once: the calls at a time. Raises MissingExtra or NicError for
    a backend that cannot be had here, and NicError for an impossible number of threads.
    """
    if backend == CPU:
        return OnnxNetworks(checkpoint, threads)
    module = import_module(f"nicodec.model.backends.{OPENVINO if backend == OPENVINO else 'providers'}")
    elsewhere: Elsewhere = module.Place(backend, threads or cores(), at_once)
    return OnnxNetworks(checkpoint, threads, elsewhere)
