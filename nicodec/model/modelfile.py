"""The bytes of a .nicmodel file <-> metadata and arrays; its seal, and the id of its model.

Under `checkpoint` and the export. docs/FORMAT.md defines all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadModel, one_line
from nicodec.model.config import BOTH, SHUFFLE, ModelConfig
from nicodec.storage.files import shown

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]

SUFFIX = ".nicmodel"
FORMAT = "nicmodel-1"
# What stands in place of the seal while the seal is computed.
UNSEALED = "0" * 64
MAX_FILE, MAX_HEADER, MAX_DIMENSIONS = 2**30, 2**22, 8
# The most bytes of the head of a model that is only looked at. That of `photo` has 46 thousand.
MAX_GLANCE = 2**20
DTYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "I8": np.int8,
    "U8": np.uint8,
    "I16": np.int16,
    "U16": np.uint16,
    "I32": np.int32,
}
_KINDS = {np.dtype(dtype): kind for kind, dtype in DTYPES.items()}

# The part of a model that decides what a file decodes to: beginnings of the names of tensors, and of names in the
# config, those that only an encoder reads.
DECODER = ("context.", "correction.", "g_s.", "h_mu.", "h_sigma.", "log_gain", "spread", "tables.")
ENCODER_ONLY = ("blocks_a", "latent_blocks_a", "repair")
# How the names of the layers that paint natural pictures begin; neither side counts them (docs/NATURAL.md).
NATURAL = "natural."
# The parts of networks that the decoder of browsers computes.
PARTS = {"upsample": SHUFFLE, "transform": BOTH}


def identity(config: ModelConfig, tensors: Tensors) -> str:
    """The id of a model: the SHA-256, in hexadecimal, of all that decides what a file decodes to, and of nothing else.

    So a better encoder, or other graphs of the same networks, leave the id as it is, and files that name it decode.
    """
    kept = {name: value for name, value in config.stated().items() if name not in ENCODER_ONLY}
    names = sorted(name for name in tensors if name.startswith(DECODER))
    listed = [[name, _KINDS[tensors[name].dtype.newbyteorder("=")], list(tensors[name].shape)] for name in names]
    whole = hashlib.sha256(json.dumps([kept, listed], sort_keys=True, separators=(",", ":")).encode())
    for name in names:
        whole.update(tensors[name].tobytes())
    return whole.hexdigest()


def config_of(metadata: Mapping[str, Any], where: str) -> ModelConfig:
    """The config that metadata states. where: names the file in errors. Raises BadModel."""
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError, TypeError, RecursionError):
        config = None
    if not isinstance(config, dict) or not isinstance(metadata.get("name"), str):
        raise BadModel(f"{where}: the model does not describe itself")
    return ModelConfig.of(config, where)


def read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a model file. Raises BadModel if it is no regular file, too large, or cannot be read."""
    with _opened(path) as file:
        return file.read()


def head(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a model file, from its first bytes alone, so that neither its seal nor its arrays are checked.

    Only texts are kept. Raises BadModel if it is none, or if the head has over MAX_GLANCE bytes.
    """
    with _opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= MAX_GLANCE else b""
    try:
        metadata = json.loads(text)["__metadata__"]
        if metadata["format"] != FORMAT:
            raise ValueError
        return {name: value for name, value in metadata.items() if isinstance(value, str)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadModel(f"{shown(path)}: not a nicodec model") from None


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file of a sane size, open. A pipe is refused and never waited for."""
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadModel(f"{shown(path)}: not a file")
            if found.st_size > MAX_FILE:
                raise BadModel(f"{shown(path)}: too large for a model")
            yield file
    except (OSError, ValueError) as error:
        raise BadModel(f"{shown(path)}: {one_line(error)}") from None


def sealed(data: bytes) -> bytes:
    """A safetensors file whose metadata has `sha256` UNSEALED -> the same file with its seal there."""
    return data.replace(UNSEALED.encode(), _seal(data, UNSEALED).encode(), 1)


def _seal(data: bytes, written: str) -> str:
    """The SHA-256 of a file that has UNSEALED in place of the written seal."""
    place = data.index(written.encode())
    whole = hashlib.sha256(memoryview(data)[:place])
    whole.update(UNSEALED.encode())
    whole.update(memoryview(data)[place + len(UNSEALED) :])
    return whole.hexdigest()


def parse(data: bytes, where: str) -> tuple[dict[str, str], Tensors]:
    """The bytes of a .nicmodel file -> its metadata and its arrays, which share the bytes.

    It is a safetensors file, https://github.com/huggingface/safetensors, so nothing is unpickled. The arrays are ONNX
    graphs, float weights, integer weights and frequency tables. where: names the file in errors. Raises BadModel unless
    the header is JSON, the arrays fill the rest without holes or overlaps, and the seal is that of these bytes.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER):
        raise BadModel(f"{where}: not a nicodec model")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        if metadata.get("format") != FORMAT:
            raise BadModel(f"{where}: not a nicodec model of a kind that this release reads")
        if not all(isinstance(text, str) for text in metadata.values()):
            raise BadModel(f"{where}: not a nicodec model (its metadata are not texts)")
        tensors, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            shape, (begin, stop) = entry["shape"], entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (begin, stop, *shape))
            if not whole or len(shape) > MAX_DIMENSIONS or begin != end:
                raise BadModel(f"{where}: {shown(name)} does not begin where the array before it ends")
            if stop - begin != prod(shape) * dtype.itemsize:
                raise BadModel(f"{where}: {shown(name)} has another length than its shape needs")
            array = np.frombuffer(memoryview(data)[8 + length + begin : 8 + length + stop], dtype)
            tensors[name] = array.reshape(shape)
            end = stop
        if 8 + length + end != len(data):
            raise BadModel(f"{where}: the file is cut short or has bytes left over")
        if len(metadata["sha256"]) != len(UNSEALED) or _seal(data, metadata["sha256"]) != metadata["sha256"]:
            raise BadModel(f"{where}: the file is damaged: its sha256 is not the one that it states")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadModel(f"{where}: not a nicodec model ({error})") from None
    return metadata, tensors


def for_decoders(data: bytes, where: str) -> bytes:
    """The same model without what only an encoder needs: g_a, h_a, graphs and others. Its id stays. Raises as `parse`.

    What is left is what docs/FORMAT.md says that decoders need, with the preview. It is sealed anew. Raises BadModel
    too for a network that the decoder of browsers, which this is for, does not compute.
    """
    metadata, tensors = parse(data, where)
    for part, usual in PARTS.items():
        if (kind := config_of(metadata, where).stated().get(part, usual)) != usual:
            raise BadModel(f"{where}: the model has the {part} {kind}, which browsers cannot compute: no page shows it")
    kept = {name: value for name, value in tensors.items() if name.startswith((*DECODER, "preview.", "halos"))}
    config = {name: value for name, value in config_of(metadata, where).stated().items() if name != "repair"}
    texts = {name: value for name, value in metadata.items() if name in ("format", "name", "id")}
    texts["config"] = json.dumps(config, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": texts | {"sha256": UNSEALED}}
    at = 0
    for name, value in kept.items():
        kind = _KINDS[value.dtype.newbyteorder("=")]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    return sealed(b"".join([len(text).to_bytes(8, "little"), text, *(value.tobytes() for value in kept.values())]))
