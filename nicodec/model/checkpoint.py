"""A model's name, path or id -> a verified checkpoint in memory.

Between `modelfile` and `codec`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nicodec.errors import BadModel, ModelNotFound
from nicodec.model import modelfile
from nicodec.model.config import ModelConfig
from nicodec.storage.files import shown

SUFFIX = ".nicmodel"
MANIFEST = "manifest.json"
ID_BYTES = 8
MAX_FILE = 2**30


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A verified model.

    sha256: the seal of its file, in hexadecimal. config: the widths of its networks. tensors: read-only arrays by name.
    """

    name: str
    path: Path
    sha256: str
    config: ModelConfig
    tensors: modelfile.Tensors

    @cached_property
    def identity(self) -> str:
        """The id of the model, 64 hexadecimal digits: of all that decides what a file decodes to (`modelfile`).

        To hash all weights takes a while. The manifest of the package tells it of a released model, by the seal.
        """
        return _released_ids().get(self.sha256) or modelfile.identity(self.config, self.tensors)

    @property
    def id(self) -> bytes:
        """The first 8 bytes of its id, by which files name their model."""
        return bytes.fromhex(self.identity)[:ID_BYTES]

    def expect(self, identity: bytes) -> None:
        """Raise ModelNotFound if a file names another model. identity: the first 8 bytes of its id."""
        if identity != self.id:
            raise ModelNotFound(
                f"the file was made with the model {identity.hex()}, not with {shown(self.name)} ({self.id.hex()})"
            )

    def array(self, name: str) -> npt.NDArray[Any]:
        """One tensor. Raises BadModel if the model has none of that name."""
        if name not in self.tensors:
            raise BadModel(f"{shown(self.path)}: the model lacks {shown(name)}")
        return self.tensors[name]


def own_folder() -> Path:
    """The folder of the package's models, in a wheel or in a checkout."""
    package = Path(os.path.realpath(__file__)).parent.parent
    inside, around = package / "checkpoints", package.parent / "checkpoints"
    return inside if inside.is_dir() else around


def folders() -> list[Path]:
    """The folders of models, in this order: those of NICODEC_MODELS, separated as in PATH; that of the package."""
    extra = [Path(os.path.realpath(p)) for p in os.environ.get("NICODEC_MODELS", "").split(os.pathsep) if p]
    return [f for f in (*extra, own_folder()) if f.is_dir()]


@lru_cache(maxsize=1)
def _released_ids() -> dict[str, str]:
    """The seals of the package's models, and their ids."""
    folder = own_folder()
    found = released(folder) if (folder / MANIFEST).is_file() else []
    return {str(entry.get("sha256")): str(entry["id"]) for entry, _ in found}


def released(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every model in a folder; the newest model of a name comes last.

    Without manifest.json the entries are made from the model files. Raises BadModel for a damaged manifest, or for
    a damaged model without one.
    """
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file():
            paths = sorted(folder.glob("*" + SUFFIX))
            return [({"name": p.stem, "file": p.name, "id": load(p).identity}, p) for p in paths]
        entries = [dict(entry) for entry in json.loads(manifest.read_bytes())["models"]]
        for entry in entries:
            if not isinstance(entry["name"], str) or len(bytes.fromhex(entry["id"])) != 32:
                raise ValueError("an entry without name or id")
        found = [(entry, folder / str(entry["file"])) for entry in entries]
        return [(entry, path) for entry, path in found if path.is_file()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadModel(f"{shown(manifest)}: not a manifest ({error})") from None


def installed() -> Iterator[tuple[dict[str, Any], Path]]:
    """Manifest entry and path of every model in all folders. Raises BadModel as `released`."""
    for folder in folders():
        yield from released(folder)


def find(model: str | os.PathLike[str]) -> Path:
    """A path, a name, or the first 8 or more digits of an id -> the model's file.

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
            name, identity = str(entry["name"]), str(entry["id"])
            if name == text or (len(text) >= 8 and identity.startswith(text.lower())):
                return path
        names += (entry["name"] for entry, _ in models)
    listed = ", ".join(map(shown, sorted(set(names))))
    raise ModelNotFound(f"no model is named {text!r}; installed: {listed or 'none'}")


def find_id(identity: bytes) -> Path:
    """The first 8 bytes of an id, by which a file names its model -> the model's file.

    Raises ModelNotFound, which names these bytes, and BadModel as `released`.
    """
    for entry, path in installed():
        if bytes.fromhex(entry["id"]).startswith(identity):
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
    metadata, tensors = modelfile.parse(path.read_bytes(), shown(path))
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError, TypeError, RecursionError):
        config = None
    name = metadata.get("name")
    if not isinstance(config, dict) or not isinstance(name, str):
        raise BadModel(f"{shown(path)}: the model does not describe itself")
    return Checkpoint(name, path, metadata["sha256"], ModelConfig.of(config, shown(path)), tensors)
