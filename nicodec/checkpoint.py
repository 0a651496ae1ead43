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
from pathlib import Path
from typing import Any

import numpy as np

from nicodec.errors import BadModel, ModelNotFound

FORMAT = "nicmodel-1"
SUFFIX = ".nicmodel"
ID_BYTES = 8
MAX_FILE, MAX_HEADER = 2**30, 2**22
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
    tensors: dict[str, np.ndarray]

    @property
    def id(self) -> bytes:
        """First 8 bytes of the sha256: how files name their model."""
        return bytes.fromhex(self.sha256)[:ID_BYTES]

    def array(self, name: str) -> np.ndarray:
        """One tensor. Raises BadModel if the model has none of that name."""
        if name not in self.tensors:
            raise BadModel(f"{self.path}: the model lacks {name}")
        return self.tensors[name]


def folders() -> list[Path]:
    """Where models are looked for: NICODEC_MODELS (as PATH), the installed package, the checkout around it."""
    here = Path(__file__).resolve().parent
    extra = [Path(p) for p in os.environ.get("NICODEC_MODELS", "").split(os.pathsep) if p]
    return [f for f in (*extra, here / "checkpoints", here.parent / "checkpoints") if f.is_dir()]


def installed() -> Iterator[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every released model that is present; the newest of a name comes last.

    Entries of a folder without manifest.json are made from its file names. Raises BadModel for a
    manifest that is not one.
    """
    for folder in folders():
        manifest = folder / "manifest.json"
        if manifest.is_file():
            try:
                entries = json.loads(manifest.read_text("utf-8"))["models"]
                found = [(e, folder / str(e["file"])) for e in entries if isinstance(e["name"], str)]
                yield from ((e, p) for e, p in found if len(bytes.fromhex(e["sha256"])) == 32 and p.is_file())
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise BadModel(f"{manifest}: not a manifest ({error})") from None
        else:
            for path in sorted(folder.glob("*" + SUFFIX)):
                yield (
                    {
                        "name": path.stem,
                        "file": path.name,
                        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    },
                    path,
                )


def find(model: str | os.PathLike[str]) -> Path:
    """A released name, the hash of one, or a path -> its file. Raises ModelNotFound, saying what there is."""
    text = os.fspath(model)
    if text.endswith(SUFFIX) or os.sep in text:
        if not Path(text).is_file():
            raise ModelNotFound(f"{text}: no such model file")
        return Path(text)
    newest: Path | None = None
    names: list[str] = []
    for entry, path in installed():
        names.append(entry["name"])
        if entry["name"] == text or (len(text) >= 8 and entry["sha256"].startswith(text)):
            newest = path
    if newest is None:
        raise ModelNotFound(
            f"no model is named {text!r}; installed: {', '.join(sorted(set(names))) or 'none'}"
        )
    return newest


def find_id(identity: bytes) -> Path:
    """The model with which a file was made, by its first 8 bytes of sha256. Raises ModelNotFound naming them."""
    for entry, path in installed():
        if bytes.fromhex(entry["sha256"])[:ID_BYTES] == identity:
            return path
    raise ModelNotFound(
        f"the file was made with the model {identity.hex()}, which is not installed;"
        " name its .nicmodel file with --model (or model=)"
    )


@lru_cache(maxsize=4)
def _load(path: Path, size: int, mtime_ns: int) -> Checkpoint:
    if size > MAX_FILE:
        raise BadModel(f"{path}: too large for a model")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror}") from None
    sha256 = hashlib.sha256(data).hexdigest()
    metadata, tensors = parse(data, str(path))
    try:
        config = json.loads(metadata["config"])
        name = metadata["name"]
    except (KeyError, ValueError, TypeError):
        raise BadModel(f"{path}: the model does not describe itself") from None
    for entry, released in installed():
        if released == path and entry["sha256"] != sha256:
            raise BadModel(f"{path}: the file is damaged: it is not the one that the manifest names")
    return Checkpoint(name, path, sha256, config, tensors)


def load(path: Path) -> Checkpoint:
    """Read and verify one model file; kept in memory. Raises BadModel."""
    try:
        stat = path.stat()
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror}") from None
    return _load(path, stat.st_size, stat.st_mtime_ns)


def parse(data: bytes, where: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The bytes of a safetensors file -> its metadata and its arrays, which share the bytes.

    Raises BadModel unless the header is JSON and the arrays tile the rest without holes or overlaps.
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
            shape = tuple(int(n) for n in entry["shape"])
            begin, stop = entry["data_offsets"]
            count = int(np.prod(shape, dtype=np.float64))
            if begin != end or min(shape, default=1) < 0 or stop - begin != count * dtype.itemsize:
                raise BadModel(f"{where}: {name} lies where it should not")
            tensors[name] = np.frombuffer(data, dtype, count, offset=8 + length + begin).reshape(shape)
            end = stop
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadModel(f"{where}: not a nicodec model ({error})") from None
    if 8 + length + end != len(data):
        raise BadModel(f"{where}: the file is cut short or has bytes left over")
    return metadata, tensors
