"""Models: a name, a path or the hash in a file -> a verified checkpoint in memory. Never unpickles.

A .nicmodel file is a safetensors file (https://github.com/huggingface/safetensors): a length, a JSON
header, and raw arrays without holes. It holds the ONNX graphs, the weights they refer to, the integer
weights and the frequency tables. Its identity is the sha256 of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadModel, ModelNotFound
from nicodec.files import shown

FORMAT = "nicmodel-1"
SUFFIX = ".nicmodel"
MANIFEST = "manifest.json"
ID_BYTES = 8
MAX_FILE, MAX_HEADER, MAX_DIMENSIONS = 2**30, 2**22, 8
DTYPES = {
    "F16": np.float16,
    "F32": np.float32,
    "I8": np.int8,
    "U8": np.uint8,
    "I16": np.int16,
    "U16": np.uint16,
    "I32": np.int32,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A verified model. tensors: read-only arrays by name; config: the widths of its network."""

    name: str
    path: Path
    sha256: str
    config: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]]

    @property
    def id(self) -> bytes:
        """First 8 bytes of the sha256: how files name their model."""
        return bytes.fromhex(self.sha256)[:ID_BYTES]

    def array(self, name: str) -> npt.NDArray[Any]:
        """One tensor. Raises BadModel if the model has none of that name."""
        if name not in self.tensors:
            raise BadModel(f"{shown(self.path)}: the model lacks {shown(name)}")
        return self.tensors[name]


def folders() -> list[Path]:
    """Where models are looked for, in this order: NICODEC_MODELS (as PATH), then those of the package."""
    package = Path(os.path.realpath(__file__)).parent
    extra = [Path(os.path.realpath(p)) for p in os.environ.get("NICODEC_MODELS", "").split(os.pathsep) if p]
    inside, around = package / "checkpoints", package.parent / "checkpoints"  # a wheel's, a checkout's
    return [f for f in (*extra, inside if inside.is_dir() else around) if f.is_dir()]


def released(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every model in a folder; the newest of a name comes last.

    Without manifest.json the entries are made from the files themselves. Raises BadModel for a manifest
    that is not one.
    """
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file():
            paths = sorted(folder.glob("*" + SUFFIX))
            return [({"name": p.stem, "file": p.name, "sha256": load(p).sha256}, p) for p in paths]
        entries = [dict(entry) for entry in json.loads(manifest.read_bytes())["models"]]
        for entry in entries:
            if not isinstance(entry["name"], str) or len(bytes.fromhex(entry["sha256"])) != 32:
                raise ValueError("an entry without name or sha256")
        found = [(entry, folder / str(entry["file"])) for entry in entries]
        return [(entry, path) for entry, path in found if path.is_file()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadModel(f"{shown(manifest)}: not a manifest ({error})") from None


def installed() -> Iterator[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every model that is present, in all folders. Raises BadModel."""
    for folder in folders():
        yield from released(folder)


def find(model: str | os.PathLike[str]) -> Path:
    """A path, a name, or the first 8 or more digits of a hash -> the model's file.

    Of one name the newest is taken, from the first folder that has it. Raises ModelNotFound, saying what
    there is.
    """
    text = os.fspath(model)
    if text.endswith(SUFFIX) or os.path.dirname(text):
        if not Path(text).is_file():
            raise ModelNotFound(f"{shown(text)}: no such model file")
        return Path(text)
    names: list[str] = []
    for folder in folders():
        models = released(folder)
        for entry, path in models[::-1]:
            name, sha256 = str(entry["name"]), str(entry["sha256"])
            if name == text or (len(text) >= 8 and sha256.startswith(text.lower())):
                return path
        names += (entry["name"] for entry, _ in models)
    listed = ", ".join(map(shown, sorted(set(names))))
    raise ModelNotFound(f"no model is named {text!r}; installed: {listed or 'none'}")


def find_id(identity: bytes) -> Path:
    """First 8 bytes of a sha256, as a file names its model -> the model. Raises ModelNotFound naming them."""
    for entry, path in installed():
        if bytes.fromhex(entry["sha256"])[:ID_BYTES] == identity:
            return path
    raise ModelNotFound(
        f"the file was made with the model {identity.hex()}, which is not installed;"
        " give its .nicmodel file with --model (or model=)"
    )


def load(path: Path) -> Checkpoint:
    """Read and verify one model file; kept in memory until the file changes. Raises BadModel."""
    try:
        path = Path(os.path.realpath(path))
        stat = path.stat()
        if stat.st_size > MAX_FILE:
            raise BadModel(f"{shown(path)}: too large for a model")
        return _load(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise BadModel(f"{shown(path)}: {error.strerror}") from None


@lru_cache(maxsize=4)
def _load(path: Path, size: int, mtime_ns: int) -> Checkpoint:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if path.parent in folders() and (path.parent / MANIFEST).is_file():
        for entry, named in released(path.parent):
            if os.path.samefile(named, path) and entry["sha256"] != sha256:
                raise BadModel(f"{shown(path)}: the file is damaged: its manifest names another")
    metadata, tensors = parse(data, shown(path))
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError, TypeError, RecursionError):
        config = None
    name = metadata.get("name")
    if not isinstance(config, dict) or not isinstance(name, str):
        raise BadModel(f"{shown(path)}: the model does not describe itself")
    return Checkpoint(name, path, sha256, config, tensors)


def parse(data: bytes, where: str) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """The bytes of a safetensors file -> its metadata and its arrays, which share the bytes.

    where: names the file in errors. Raises BadModel unless the header is JSON and the arrays tile the rest
    without holes or overlaps.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, MAX_HEADER):
        raise BadModel(f"{where}: not a nicodec model")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        if metadata.get("format") != FORMAT:
            raise BadModel(f"{where}: not a nicodec model of a kind that this release reads")
        tensors, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            shape, (begin, stop) = entry["shape"], entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (begin, stop, *shape))
            if not whole or len(shape) > MAX_DIMENSIONS or begin != end:
                raise BadModel(f"{where}: {shown(name)} lies where it should not")
            if stop - begin != prod(shape) * dtype.itemsize:
                raise BadModel(f"{where}: {shown(name)} is not of its shape")
            array = np.frombuffer(memoryview(data)[8 + length + begin : 8 + length + stop], dtype)
            tensors[name] = array.reshape(shape)
            end = stop
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadModel(f"{where}: not a nicodec model ({error})") from None
    if 8 + length + end != len(data):
        raise BadModel(f"{where}: the file is cut short or has bytes left over")
    return metadata, tensors
