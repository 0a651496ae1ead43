"""Models: found by name, path and id, and loaded, or refused as a BadModel."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sealing import META, entry, model_bytes

from nicodec.errors import BadModel, ModelNotFound
from nicodec.model import modelfile, shelf
from nicodec.model.checkpoint import Checkpoint, find, find_id, load
from nicodec.model.config import NETWORKS
from nicodec.model.modelfile import FORMAT, UNSEALED, parse
from nicodec.model.shelf import installed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that is looked into behind the released ones."""
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("NICODEC_MODELS", os.pathsep.join([str(tmp_path / "none"), str(models)]))
    return models


def manifest(folder: Path, *entries: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({"models": entries}), "utf-8")


def released(folder: Path, name: str, data: bytes, file: str = "") -> dict[str, Any]:
    """Put a model into a folder; its manifest entry."""
    file = file or f"{name}.nicmodel"
    (folder / file).write_bytes(data)
    return {"name": name, "file": file, "id": load(folder / file).identity}


# Loading


def test_a_file_is_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    model = load(path)
    assert model.identity == modelfile.identity(NETWORKS["fast"], parse(model_bytes(), "m")[1])
    assert model.id.hex() == model.identity[:16]
    assert (model.name, model.config) == ("mine", NETWORKS["fast"])
    assert load(path) is model


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    data = bytearray(find("photo-fast").read_bytes())
    data[-1000] ^= 1
    path = tmp_path / "my.nicmodel"
    path.write_bytes(data)
    with pytest.raises(BadModel, match=r"my\.nicmodel: the file is damaged: its sha256 is not"):
        load(path)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    before = load(path)
    path.write_bytes(model_bytes(meta=META | {"name": "longer name"}))
    assert load(path).name == "longer name"
    assert before.name == "mine"


@pytest.mark.parametrize(
    "meta",
    [{"format": FORMAT, "sha256": UNSEALED}, META | {"config": "{"}, META | {"config": "[]"}, META | {"config": 5},
     META | {"name": None}, {"format": FORMAT, "sha256": UNSEALED, "config": "{}"}, META | {"config": "[" * 100_000}],
    ids=lambda m: str(m)[:60],
)  # fmt: skip
def test_a_model_must_describe_itself(tmp_path: Path, meta: Any) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes(meta=meta))
    with pytest.raises(BadModel, match=r"describe itself|are not texts"):
        load(path)


def test_what_cannot_be_read_is_a_bad_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadModel, match="No such file"):
        load(tmp_path / "none.nicmodel")
    with pytest.raises(BadModel):
        load(tmp_path)
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    monkeypatch.setattr(modelfile, "MAX_FILE", 10)
    with pytest.raises(BadModel, match="too large"):
        load(path)


def test_a_missing_array_is_named() -> None:
    model = Checkpoint("mine", Path("my.nicmodel"), "00" * 32, {}, {})
    with pytest.raises(BadModel, match=r"my\.nicmodel: the model lacks graph\.g_a"):
        model.array("graph.g_a")


# Finding


def test_the_released_model_is_found_by_name_path_and_id() -> None:
    path = find("photo")
    identity = load(path).identity
    assert path.suffix == ".nicmodel"
    for way in (str(path), path, identity, identity[:8], identity[:16].upper()):
        assert find(way) == path
    assert find_id(bytes.fromhex(identity[:16])) == path
    assert identity in [entry["id"] for entry, _ in installed()]
    assert identity == modelfile.identity(load(path).config, load(path).tensors), "the manifest tells the true id"


def test_a_manifest_of_the_user_does_not_tell_the_id_of_a_model(folder: Path) -> None:
    """Only the package's own is believed: a file must not be decoded with another model."""
    entry = released(folder, "mine", model_bytes())
    manifest(folder, entry | {"id": "0" * 64, "sha256": load(folder / "mine.nicmodel").sha256})
    assert replace(load(folder / "mine.nicmodel")).identity == entry["id"]


def test_models_beside_a_manifest_of_something_else_load(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an app of somebody"}')
    (tmp_path / "my.nicmodel").write_bytes(model_bytes())
    assert load(find(tmp_path / "my.nicmodel")).name == "mine"


def test_a_folder_without_manifest_offers_its_files(folder: Path) -> None:
    made = released(folder, "x", model_bytes(), "birds.nicmodel")
    for way in ("birds", made["id"][:8]):
        assert find(way) == folder / "birds.nicmodel"
    assert find_id(bytes.fromhex(made["id"][:16])) == folder / "birds.nicmodel"
    assert find("photo").parent != folder


def test_of_one_name_the_newest_of_the_first_folder_is_taken(folder: Path) -> None:
    old, new = model_bytes(), model_bytes(body=bytes(12))
    first, second = released(folder, "birds", old, "a.nicmodel"), released(folder, "birds", new, "b.nicmodel")
    manifest(folder, first, second)
    assert find("birds") == folder / "b.nicmodel"
    # The older one stays there for the files that were made with it.
    assert find_id(bytes.fromhex(first["id"])[:8]) == folder / "a.nicmodel"
    assert find(first["id"][:10]) == folder / "a.nicmodel"


def test_no_folder_puts_itself_before_a_released_model(folder: Path) -> None:
    mine = released(folder, "photo", model_bytes())
    entry, path = next(iter(installed()))
    manifest(folder, mine, entry | {"file": mine["file"]})
    assert find("photo") == path != folder / mine["file"]
    assert find_id(bytes.fromhex(entry["id"])[:8]) == path


def test_a_model_whose_file_is_gone_is_not_offered(folder: Path) -> None:
    manifest(folder, {"name": "gone", "file": "gone.nicmodel", "id": "0" * 64})
    with pytest.raises(ModelNotFound, match=r"no model is named 'gone'; installed: .*photo"):
        find("gone")


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match=r"nothing\.nicmodel: no such model file"):
        find("nothing.nicmodel")
    with pytest.raises(ModelNotFound, match="no such model file"):
        find(tmp_path / "photo")
    for name in ("", "phot", "0" * 64, load(find("photo")).identity[:7]):
        with pytest.raises(ModelNotFound, match="no model is named"):
            find(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.nicmodel").touch()
    with pytest.raises(ModelNotFound, match=r"no model is named 'mine'; .*; the file here is -m mine\.nicmodel"):
        find("mine")
    with pytest.raises(ModelNotFound, match="0102030405060708"):
        find_id(bytes(range(1, 9)))
    monkeypatch.setattr(shelf, "folders", list)
    with pytest.raises(ModelNotFound, match="installed: none"):
        find("photo")


@pytest.mark.parametrize(
    "text",
    [
        *["", "{", "[]", "null", '{"models": 1}', '{"models": [1]}', '{"models": [{}]}', '{"models": ["ab"]}'],
        '{"models": [{"name": "a", "file": "b"}]}',
        '{"models": [{"name": "a", "file": "b", "id": 7}]}',
        '{"models": [{"name": "a", "file": "b", "id": "00"}]}',
        '{"models": [{"name": "a", "id": "' + "00" * 32 + '"}]}',
        '{"models": [{"name": 1, "file": "b", "id": "' + "00" * 32 + '"}]}',
        *["[" * 100_000, "\xff"],
    ],
    ids=lambda t: t[:60],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadModel, match=r"manifest\.json: not a manifest"):
        find("nothing")
    with pytest.raises(BadModel):
        list(installed())


def test_no_name_in_a_model_can_write_to_the_terminal(folder: Path) -> None:
    """Names of arrays, of the model, and of a manifest come from whoever made them."""
    evil = "a\n\x1b[2J"
    messages = []
    for wrong in (entry(offsets=[1, 12]), entry(shape=[5])):
        with pytest.raises(BadModel) as caught:
            parse(model_bytes({evil: wrong["x"]}), "m")
        messages.append(str(caught.value))
    with pytest.raises(BadModel) as caught:
        Checkpoint("n", Path("p"), "", {}, {}).array(evil)
    messages.append(str(caught.value))
    manifest(folder, released(folder, "x", model_bytes()) | {"name": evil})
    with pytest.raises(ModelNotFound) as missing:
        find("nothing")
    messages.append(str(missing.value))
    assert [text for text in messages if not text.isprintable()] == []
    assert all(r"a\n\x1b[2J" in text for text in messages)
