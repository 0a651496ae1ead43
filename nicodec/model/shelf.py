"""Places of models -> name, id and path of each model there, from manifests and from the heads of files.

Under `checkpoint`, which picks one and loads it. `install` puts models onto the shelf of the user.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from nicodec.errors import BadModel
from nicodec.model import modelfile
from nicodec.model.card import name_fault
from nicodec.model.modelfile import SUFFIX
from nicodec.storage import store_of
from nicodec.storage.files import Files, shown

MANIFEST = "manifest.json"
# Other Python packages bring models by entry points of this group.
GROUP = "nicodec.models"
# Beside a .nic file: the folders above its own, the models of each folder, and the bytes that are hashed there. Only a
# model whose head does not state its id is hashed.
ABOVE, MOST, HASHED = 3, 64, 2**28

# What is known of a model, at least its name and its id; and its file.
Found: TypeAlias = tuple[dict[str, Any], Path]


class Shelf(NamedTuple):
    """The models of one place. where: the place, for messages. skipped: why files there were left out.

    ranked: of two models with one name the later one is newer, and meant.
    """

    where: str
    models: list[Found]
    skipped: list[str]
    ranked: bool = False


def shelves(near: str | os.PathLike[str] | None = None) -> Iterator[Shelf]:
    """All places, each looked at when it is its turn: released models, installed ones, those of Python packages,
    and those beside the file `near` and in the folders above it.

    So a released model is found without a look at anything else, and no file can put itself before what the user
    installed. Raises BadModel for a damaged manifest.
    """
    yield from (stock(folder) for folder in folders())
    yield from packages()
    yield from beside(near)


def folders() -> list[Path]:
    """The folder of the package, then those of the user: of NICODEC_MODELS, else the one for all programs."""
    return [folder for folder in (package(), *homes()) if folder.is_dir()]


def package() -> Path:
    """The folder of the released models, which every installation has."""
    here = Path(os.path.realpath(__file__)).parent.parent
    inside, around = here / "checkpoints", here.parent / "checkpoints"  # a wheel's, a checkout's
    return inside if inside.is_dir() else around


@lru_cache(maxsize=1)
def seals() -> dict[str, str]:
    """The seals of the released models, and their ids."""
    return {str(entry.get("sha256")): entry["id"] for entry, _ in stock(package()).models}


def homes() -> list[Path]:
    """The folders of installed models, which need not be there: those of NICODEC_MODELS, separated as in PATH.

    Without it, the one in the data folder of the user; none if the user has no home.
    """
    named = [Path(os.path.realpath(p)) for p in os.environ.get("NICODEC_MODELS", "").split(os.pathsep) if p]
    if named:
        return named
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    elif sys.platform == "darwin":
        data = os.path.expanduser("~/Library/Application Support")
    else:
        data = os.environ.get("XDG_DATA_HOME", "")
        data = data if os.path.isabs(data) else os.path.expanduser("~/.local/share")
    return [Path(data, "nicodec", "models")] if os.path.isabs(data) else []


def stock(folder: Path) -> Shelf:
    """The models of a folder: those of its manifest, or without one all that can be read. Raises BadModel."""
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file():
            return _scanned(folder, sys.maxsize, sys.maxsize)
        entries = [dict(entry) for entry in json.loads(manifest.read_bytes())["models"]]
        for entry in entries:
            if not isinstance(entry["name"], str) or len(bytes.fromhex(entry["id"])) != 32:
                raise ValueError("an entry without name or id")
            entry["id"] = entry["id"].lower()
        found = [(entry, folder / str(entry["file"])) for entry in entries]
        return Shelf(str(folder), [(entry, path) for entry, path in found if path.is_file()], [], ranked=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadModel(f"{shown(manifest)}: not a manifest ({error})") from None


def packages() -> Iterator[Shelf]:
    """The models that Python packages bring: the .nicmodel files in the folder of each package that is named."""
    for name, folder in _packages(tuple(sys.path)):
        yield _scanned(folder, sys.maxsize, sys.maxsize)._replace(where=f"the package {name}")


@lru_cache(maxsize=1)
def _packages(path: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Name and folder of each package that an entry point names, found without an import of it. path: sys.path."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    found: dict[str, Path] = {}
    for entry in entry_points(group=GROUP):
        top, *below = entry.value.partition(":")[0].split(".")
        try:
            spec = find_spec(top)
        except (ImportError, ValueError):
            continue
        for start in (spec and spec.submodule_search_locations) or ():
            found.setdefault(entry.value, Path(start, *below))
    return sorted(found.items())


def beside(near: str | os.PathLike[str] | None) -> Iterator[Shelf]:
    """The models in the folder of a file, then in those above it. A stream and a URL have none."""
    if near is None or not isinstance(store_of(os.fsdecode(near)), Files):
        return
    folder = Path(os.path.abspath(os.fsdecode(near))).parent
    for place in (folder, *folder.parents[:ABOVE]):
        yield _scanned(place, MOST, HASHED)


def _scanned(folder: Path, most: int, hashed: int) -> Shelf:
    """The models of a folder that has no manifest, sorted. most, hashed: as MOST and HASHED."""
    shelf = Shelf(str(folder), [], [])
    try:
        with os.scandir(folder) as entries:
            paths = sorted(Path(entry.path) for entry in entries if entry.name.endswith(SUFFIX))
    except OSError:
        return shelf
    if len(paths) > most:
        shelf.skipped.append(f"{shown(folder)}: {len(paths) - most} more than the first {most} models")
    for path in paths[:most]:
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                raise BadModel(f"{shown(path)}: not a file")
            key = str(path), found.st_size, found.st_mtime_ns
            identity = _stated(*key)
            if not identity:
                hashed -= found.st_size
                if hashed < 0:
                    raise BadModel(f"{shown(path)}: its head does not state an id")
                identity = _computed(*key)
            name = path.stem.removesuffix(f"-{identity[:8]}")
            shelf.models.append(({"name": name, "file": path.name, "id": identity}, path))
        except BadModel as error:
            shelf.skipped.append(str(error))
        except OSError as error:
            shelf.skipped.append(f"{shown(path)}: {error.strerror}")
    return shelf


# Size and time of a file are arguments, so that a file that changes is read again.
@lru_cache(maxsize=256)
def _stated(path: str, size: int, mtime_ns: int) -> str:
    """The id that a model file states; empty if it states none. `checkpoint.load` holds it to its word."""
    identity = modelfile.head(path).get("id", "")
    return identity if len(identity) == 64 and set(identity) <= set("0123456789abcdef") else ""


@lru_cache(maxsize=256)
def _computed(path: str, size: int, mtime_ns: int) -> str:
    """The id of a model file, from all of it."""
    metadata, tensors = modelfile.parse(modelfile.read(path), shown(path))
    return modelfile.identity(modelfile.config_of(metadata, shown(path)), tensors)


def installed() -> Iterator[Found]:
    """Every model that is released or installed, those of Python packages too. Raises BadModel as `stock`."""
    for shelf in shelves():
        yield from shelf.models


def released(identity: str) -> bool:
    """Whether every installation of this release has the model of this id, or of its beginning."""
    return any(entry["id"].startswith(identity) for entry, _ in stock(package()).models)


def taken(name: str) -> str | None:
    """Why a model of one's own cannot have a name, or None."""
    names = {entry["name"] for entry, _ in stock(package()).models}
    return "a released model has this name" if name in names else name_fault(name)
