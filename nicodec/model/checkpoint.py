"""A model's name, path or hash -> a verified checkpoint in memory.

Under `tables`, `backends` and `codec`. A .nicmodel file is a safetensors file, so nothing is unpickled.
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
from nicodec.model.config import ModelConfig
from nicodec.storage.files import shown

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
    """A verified model.

    sha256: of the file, in hexadecimal. config: the widths of its networks. tensors: read-only arrays by name.
    """

    name: str
    path: Path
    sha256: str
    config: ModelConfig
    tensors: dict[str, npt.NDArray[Any]]

    @property
    def id(self) -> bytes:
        """The first 8 bytes of the sha256, by which files name their model."""
        return bytes.fromhex(self.sha256)[:ID_BYTES]

    def expect(self, identity: bytes) -> None:
        """Raise ModelNotFound if a file names another model. identity: the first 8 bytes of its sha256."""
        if identity != self.id:
            raise ModelNotFound(
                f"the file was made with the model {identity.hex()}, not with {shown(self.name)} ({self.id.hex()})"
            )

    def array(self, name: str) -> npt.NDArray[Any]:
        """One tensor. Raises BadModel if the model has none of that name."""
        if name not in self.tensors:
            raise BadModel(f"{shown(self.path)}: the model lacks {shown(name)}")
        return self.tensors[name]


def folders() -> list[Path]:
    """The folders of models, in this order: those of NICODEC_MODELS, separated as in PATH; that of the package."""
    package = Path(os.path.realpath(__file__)).parent.parent
    extra = [Path(os.path.realpath(p)) for p in os.environ.get("NICODEC_MODELS", "").split(os.pathsep) if p]
    inside, around = package / "checkpoints", package.parent / "checkpoints"  # a wheel's, a checkout's
    return [f for f in (*extra, inside if inside.is_dir() else around) if f.is_dir()]


def released(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every model in a folder; the newest model of a name comes last.

    Without manifest.json the entries are made from the model files. Raises BadModel for a damaged manifest, or for
    a damaged model without one.
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
    """Manifest entry and path of every model in all folders. Raises BadModel as `released`."""
    for folder in folders():
        yield from released(folder)


def find(model: str | os.PathLike[str]) -> Path:
    """A path, a name, or the first 8 or more digits of a hash -> the model's file.

    The newest model of a name is taken, from the first folder with the name. Raises ModelNotFound, which lists the
    installed names, and BadModel as `released`.
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
    """The first 8 bytes of a sha256, by which a file names its model -> the model's file.

    Raises ModelNotFound, which names these bytes, and BadModel as `released`.
    """
    for entry, path in installed():
        if bytes.fromhex(entry["sha256"])[:ID_BYTES] == identity:
            return path
    raise ModelNotFound(
        f"the file was made with the model {identity.hex()}, which is not installed;"
        " give its .nicmodel file with --model (or model=)"
    )


def load(path: Path) -> Checkpoint:
    """Read and verify one model file. The last four are kept in memory until they change. Raises BadModel."""
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
                raise BadModel(f"{shown(path)}: the file is damaged: its manifest names another sha256")
    metadata, tensors = parse(data, shown(path))
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError, TypeError, RecursionError):
        config = None
    name = metadata.get("name")
    if not isinstance(config, dict) or not isinstance(name, str):
        raise BadModel(f"{shown(path)}: the model does not describe itself")
    return Checkpoint(name, path, sha256, ModelConfig.of(config, shown(path)), tensors)


def parse(data: bytes, where: str) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    """The bytes of a safetensors file -> its metadata and its arrays, which share the bytes.

    Source of the format: https://github.com/huggingface/safetensors. A model's arrays are ONNX graphs, float weights,
    integer weights and frequency tables. where: names the file in errors. Raises BadModel unless the header is JSON,
    and the arrays fill the rest without holes or overlaps.
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
                raise BadModel(f"{where}: {shown(name)} does not begin where the array before it ends")
            if stop - begin != prod(shape) * dtype.itemsize:
                raise BadModel(f"{where}: {shown(name)} has another length than its shape needs")
            array = np.frombuffer(memoryview(data)[8 + length + begin : 8 + length + stop], dtype)
            tensors[name] = array.reshape(shape)
            end = stop
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadModel(f"{where}: not a nicodec model ({error})") from None
    if 8 + length + end != len(data):
        raise BadModel(f"{where}: the file is cut short or has bytes left over")
    return metadata, tensors
