"""Model files -> the shelf of the user, or a folder of .nic files; whole or not at all.

Above `checkpoint`, which verifies them; `nicodec models` and `nicodec encode --with-model` come here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nicodec.errors import ModelNotFound, NicError
from nicodec.model import card, checkpoint, modelfile, shelf, tables
from nicodec.model.card import Card
from nicodec.model.checkpoint import Checkpoint
from nicodec.storage import store_of
from nicodec.storage.files import atomic_write, shown


def file_name(name: str, identity: str) -> str:
    """The name of the file of a model: mine-1a2b3c4d.nicmodel."""
    return f"{name}-{identity[:8]}{modelfile.SUFFIX}"


def add(source: str | os.PathLike[str], name: str | None = None) -> tuple[dict[str, Any], Path, bool]:
    """Install a model file, as `name` or by the name that it carries; returns what `shelf` knows of it, and whether
    it is new. A model that is installed or released already stays as it is; one that restores may have its id.

    Raises BadModel for a file that is none, and NicError for a name that cannot be, for another file of an installed
    model, and where there is no folder to install to.
    """
    path, home = Path(os.path.realpath(source)), _home()
    if not path.is_file():
        raise ModelNotFound(f"{shown(source)}: no such model file")
    data = modelfile.read(path)
    made = checkpoint.of(data, path)
    tables.y_tables(made)
    tables.z_tables(made)
    for entry, there in [*shelf.stock(shelf.package()).models, *shelf.stock(home).models]:
        # A released file states its seal; a better encoder of it is another file with this id.
        same = entry.get("sha256", made.sha256) == made.sha256
        if entry["id"] == made.identity and same and Card.of(modelfile.head(there)).restores == made.restores:
            if there.parent == home and there.read_bytes() != data:
                raise NicError(f"{shown(there)} is another file of this model; remove it first")
            return entry, there, False
    chosen = made.name if name is None else name
    if why := shelf.taken(chosen):
        raise NicError(f"{shown(chosen)} cannot name it: {why}" + (name is None) * "; --name gives it another name")
    target = home / file_name(chosen, made.identity)
    if target.exists():
        raise NicError(f"{shown(target)} is another model of this name and id; --name gives this one another name")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NicError(f"{shown(home)}: cannot be made: {error.strerror}") from None
    atomic_write(target, data, overwrite=True)
    return {"name": chosen, "file": target.name, "id": made.identity}, target, True


def remove(model: str) -> Path:
    """Take an installed model away, by its name or the first 8 or more digits of its id; returns where it was.

    Raises ModelNotFound, or NicError if it was not put there by `add` or cannot be removed.
    """
    home = _home()
    if not any(checkpoint.matches(entry, model) for entry, _ in shelf.stock(home).models):
        path = checkpoint.find(model)
        raise NicError(f"{shown(path)}: was not added with `nicodec models add`, and stays")
    path = checkpoint.pick(shelf.stock(home), model)[1]
    try:
        path.unlink()
    except OSError as error:
        raise NicError(f"{shown(path)}: cannot be removed: {error.strerror}") from None
    return path


def put(model: Checkpoint, folder: str, *, overwrite: bool) -> str | None:
    """Write the file of a model into a folder, which may be that of a bucket; returns its name there.

    None if the very same file is there already. Raises NicError if another one is, without `overwrite`.
    """
    store, data = store_of(folder), modelfile.read(model.path)
    target = store.inside(folder, file_name(card.cleaned(model.name), model.identity))
    if store.size(target) == len(data) and store.read(target) == data:
        return None
    store.write(target, data, overwrite=overwrite, folders=True)
    return target


def _home() -> Path:
    """The folder to install to. Raises NicError."""
    home = next(iter(shelf.homes()), None)
    if home is None:
        raise NicError("there is no home folder to install to; NICODEC_MODELS names another one")
    if (home / shelf.MANIFEST).is_file():
        raise NicError(f"{shown(home)} is a folder of released models, with a manifest; NICODEC_MODELS names another")
    return home
