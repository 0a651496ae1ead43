"""A model's name, path or id -> a verified checkpoint in memory.

Between `shelf`, which knows where models are, `modelfile` and `codec`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nicodec.errors import BadModel, ModelNotFound
from nicodec.model import modelfile, shelf
from nicodec.model.card import MAX_NAME, Card
from nicodec.model.config import ModelConfig
from nicodec.model.modelfile import NATURAL, SUFFIX
from nicodec.storage.files import shown

ID_BYTES = 8
# The most files that were left out whose reasons an error names.
NAMED = 4


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A verified model.

    sha256: the seal of its file, in hexadecimal. config: the widths of its networks. tensors: read-only arrays by name.
    restores: the damage that it takes away from pictures; empty for a faithful model. decodes: the id of another model,
    64 hexadecimal digits, whose files it decodes to restored pictures; or empty.
    """

    name: str
    path: Path
    sha256: str
    config: ModelConfig
    tensors: modelfile.Tensors
    restores: str = ""
    decodes: str = ""

    @cached_property
    def identity(self) -> str:
        """The id of the model, 64 hexadecimal digits: of all that decides what a file decodes to (`modelfile`).

        To hash all weights takes a while. The manifest of the package tells it of a released model, by the seal.
        """
        return shelf.seals().get(self.sha256) or modelfile.identity(self.config, self.tensors)

    @property
    def id(self) -> bytes:
        """The first 8 bytes of its id, by which files name their model."""
        return bytes.fromhex(self.identity)[:ID_BYTES]

    def expect(self, identity: bytes) -> None:
        """Raise ModelNotFound if a file names another model. identity: the first 8 bytes of its id."""
        if identity != self.id and not self.restores_files_of(identity):
            raise ModelNotFound(
                f"the file was made with the model {identity.hex()}, not with {shown(self.name)} ({self.id.hex()})"
            )

    def restores_files_of(self, identity: bytes) -> bool:
        """Whether it decodes files of another model, to restored pictures. identity: the first 8 bytes of an id."""
        return bool(self.decodes) and identity == bytes.fromhex(self.decodes)[:ID_BYTES]

    @property
    def has_natural(self) -> bool:
        """Whether it has layers of g_s that learnt from draws, or a part of them (docs/NATURAL.md)."""
        return any(name.startswith((NATURAL, "graph.g_s_natural")) for name in self.tensors)

    def array(self, name: str) -> npt.NDArray[Any]:
        """One tensor. Raises BadModel if the model has none of that name."""
        if name not in self.tensors:
            raise BadModel(f"{shown(self.path)}: the model lacks {shown(name)}")
        return self.tensors[name]


def find(model: str | os.PathLike[str]) -> Path:
    """A path, a name, or the first 8 or more digits of an id -> the model's file.

    Places are looked into in the order of `shelf.shelves`. Of released models with one name the newest is taken. Raises
    ModelNotFound, which lists the names there are and says if a file of this name is here, or the ids of several models
    with this name in one place; and BadModel as `shelf.stock`.
    """
    text = os.fspath(model)
    if text.endswith(SUFFIX) or os.path.dirname(text):
        if not Path(text).is_file():
            raise ModelNotFound(f"{shown(text)}: no such model file")
        return Path(text)
    names: set[str] = set()
    for place in shelf.shelves():
        if any(matches(entry, text) for entry, _ in place.models):
            return pick(place, text)[1]
        names |= {entry["name"] for entry, _ in place.models}
    here = f"; the file here is -m {shown(text + SUFFIX)}" if Path(text + SUFFIX).is_file() else ""
    known = ", ".join(map(shown, sorted(names))) or "none"
    raise ModelNotFound(f"no model is named {text!r}; installed: {known}{here}")


def matches(entry: dict[str, Any], text: str) -> bool:
    """Whether a text is the name of a model, or the first 8 or more digits of its id."""
    return bool(entry["name"] == text or (len(text) >= ID_BYTES and entry["id"].startswith(text.lower())))


def pick(place: shelf.Shelf, text: str) -> shelf.Found:
    """The one model of a place that a text means, of at least one. Raises ModelNotFound for several.

    A file of just this name comes before one that has the beginning of its id in its name, as an earlier model has.
    """
    hits = [found for found in place.models if matches(found[0], text)]
    hits = [found for found in hits if found[1].stem == text] or hits
    ids = sorted({entry["id"][:16] for entry, _ in hits})
    if len(ids) > 1 and not place.ranked:
        raise ModelNotFound(f"several models are named {text!r}; give the id of one: {', '.join(ids)}")
    if len(names := sorted({found[0]["name"] for found in hits})) > 1 and not place.ranked:
        # One of them restores: its encoder is another one, its decoder the same.
        raise ModelNotFound(f"several models have the id {text}; give the name of one: {', '.join(map(shown, names))}")
    return hits[-1]


def find_id(identity: bytes, near: str | os.PathLike[str] | None = None) -> Path:
    """The first 8 bytes of an id, by which a file names its model -> the model's file.

    near: the path of that file, if it has one, for the models beside it. A model that only states this id is left out.
    Raises ModelNotFound, which names these bytes, the places that were looked into and the files that were left out;
    and BadModel as `shelf.stock`.
    """
    places, skipped = [], []
    for place in shelf.shelves(near):
        places.append(shown(place.where))
        skipped += place.skipped
        for entry, path in place.models:
            if entry["id"].startswith(identity.hex()):
                try:
                    # A released model is not read here: a decoder that needs it finds out what is wrong with it.
                    if place.ranked or load(path).id == identity:
                        return path
                except BadModel as error:
                    skipped.append(str(error))
    left = f"; left out: {'; '.join(skipped[:NAMED])}{' ...' * (len(skipped) > NAMED)}" if skipped else ""
    raise ModelNotFound(
        f"the file was made with the model {identity.hex()}, which is not in {', '.join(places) or 'any place'};"
        f" name its {SUFFIX} file with --model (model= in Python), or put it beside the file{left}"
    )


def named(identity: bytes, near: str | os.PathLike[str] | None = None) -> str | None:
    """The name under which `find_id` would find a model, if the head of its file is true; or None."""
    found = (entry for place in shelf.shelves(near) for entry, _ in place.models)
    return next((str(entry["name"]) for entry in found if entry["id"].startswith(identity.hex())), None)


def of(data: bytes, path: Path) -> Checkpoint:
    """The bytes of a model file, verified. path: names it. Raises BadModel, also if it states another id than its own.

    The id is that of the arrays; a head states it too, so that a model can be found without reading all of it.
    """
    metadata, tensors = modelfile.parse(data, shown(path))
    config = modelfile.config_of(metadata, shown(path))
    card = Card.of(metadata)
    name, seal = metadata["name"][:MAX_NAME], metadata["sha256"]
    decodes = card.decodes if card.restores else ""
    made = Checkpoint(name, path, seal, config, tensors, card.restores, decodes)
    if "id" in metadata and metadata["id"] != made.identity:
        raise BadModel(f"{shown(path)}: the model states another id than its own")
    return made


def load(path: Path) -> Checkpoint:
    """Read and verify one model file. The last four are kept in memory until they change. Raises BadModel."""
    try:
        path = Path(os.path.realpath(path))
        stat = path.stat()
        return _load(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise BadModel(f"{shown(path)}: {error.strerror}") from None


@lru_cache(maxsize=4)
def _load(path: Path, size: int, mtime_ns: int) -> Checkpoint:
    return of(modelfile.read(path), path)
