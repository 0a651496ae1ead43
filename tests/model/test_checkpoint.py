"""Models: found by name, path and hash; verified, or refused as a BadModel, never half believed."""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.errors import BadModel, ModelNotFound
from nicodec.model import checkpoint
from nicodec.model.checkpoint import FORMAT, MAX_HEADER, Checkpoint, find, find_id, installed, load, parse
from nicodec.model.config import NETWORKS

META = {"format": FORMAT, "name": "mine", "config": json.dumps(asdict(NETWORKS["fast"]))}


def model_bytes(entries: Any = None, body: bytes = bytes(range(12)), meta: Any = META) -> bytes:
    """A file of two small arrays, or of a header as given."""
    entries = entries if entries is not None else {
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b": {"dtype": "I16", "shape": [2], "data_offsets": [8, 12]},
    }  # fmt: skip
    return raw(json.dumps({"__metadata__": meta} | entries).encode(), body)


def raw(header: bytes, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def entry(*, dtype: Any = "U8", shape: Any = (12,), offsets: Any = (0, 12)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that is looked into first."""
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
    return {"name": name, "file": file, "sha256": hashlib.sha256(data).hexdigest()}


# The file format


def test_a_file_is_read_as_it_was_written() -> None:
    metadata, tensors = parse(model_bytes(), "m")
    assert metadata == META
    assert list(tensors) == ["a", "b"]
    assert tensors["a"].dtype == np.float32
    assert tensors["a"].tobytes() == bytes(range(8))
    assert tensors["a"].shape == (2, 1)
    assert tensors["b"].tolist() == [0x0908, 0x0B0A]
    assert not tensors["a"].flags.writeable


def test_safetensors_reads_the_released_file() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = find("photo")
    ours, theirs = load(path).tensors, safetensors.load_file(path)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert array.dtype == ours[name].dtype
        assert np.array_equal(array, ours[name])


def test_what_safetensors_writes_is_read() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {name: np.arange(6).reshape(2, 3).astype(np.dtype(kind)) for name, kind in checkpoint.DTYPES.items()}
    arrays |= {"scalar": np.array(3, np.int32), "nothing": np.zeros((0, 5), np.float32)}
    metadata, tensors = parse(safetensors.save(arrays, META), "m")
    assert metadata == META
    assert tensors.keys() == arrays.keys()
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        assert np.array_equal(tensors[name], array)


def test_every_prefix_is_refused() -> None:
    data = model_bytes()
    for end in range(len(data)):
        with pytest.raises(BadModel):
            parse(data[:end], "m")
    with pytest.raises(BadModel, match="left over"):
        parse(data + b"\0", "m")


@pytest.mark.parametrize(
    "entries",
    [
        entry(shape=[11]), entry(shape=[13]), entry(shape=[3, 5]), entry(shape=[-12]), entry(shape=[-3, -4]),
        entry(shape=[12.0]), entry(shape=["12"]), entry(shape=[True] * 3), entry(shape="12"),
        entry(shape=12), entry(shape=None), entry(shape=[1] * 9 + [12]),
        entry(shape=[2**62, 4, 12]), entry(shape=[10**300, 0]),
        entry(shape=[float("inf")]), entry(shape=[[12]]), entry(shape=[12, 0]),
        entry(offsets=[0, 11]), entry(offsets=[1, 12]), entry(offsets=[0, 13]), entry(offsets=[12, 0]),
        entry(offsets=[-12, 0]), entry(offsets=[0.0, 12.0]), entry(offsets=[0]), entry(offsets=[0, 12, 24]),
        entry(offsets="ab"), entry(offsets=None), entry(offsets=[False, 12]), entry(offsets=[0, 10**300]),
        entry(offsets={}), entry(dtype="F64"), entry(dtype=None), entry(dtype=["U8"]),
        {}, {"x": {}}, {"x": 1}, {"x": None}, {"x": [1, 2]},
        entry(shape=[8], offsets=[0, 8]) | {"hole": entry(shape=[3], offsets=[9, 12])["x"]},
        entry(shape=[8], offsets=[0, 8]) | {"overlap": entry(shape=[5], offsets=[7, 12])["x"]},
        entry() | {"again": entry()["x"]},
        entry() | {"mixed": entry(offsets=["0", "12"])["x"]},
    ],
    ids=str,
)  # fmt: skip
def test_arrays_that_do_not_tile_the_file_are_refused(entries: Any) -> None:
    assert parse(model_bytes(entry()), "m")[1]["x"].tolist() == list(range(12))
    with pytest.raises(BadModel, match=r"^m: "):
        parse(model_bytes(entries), "m")


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{}", b'{"__metadata__": null}',
     b"[" * 100_000, b'{"a":' * 100_000, b'{"__metadata__": []}', b'{"__metadata__": {"format": "pickle"}}',
     b'{"__metadata__": {"format": ["nicmodel-1"]}}', b"9" * 5000, b"NaN"],
    ids=lambda h: repr(h[:40]),
)  # fmt: skip
def test_headers_that_are_not_ours_are_refused(header: bytes) -> None:
    with pytest.raises(BadModel, match="not a nicodec model"):
        parse(raw(header), "m")


def test_a_header_is_limited() -> None:
    header = json.dumps({"__metadata__": META}).encode()
    assert parse(raw(header.ljust(MAX_HEADER)), "m")[1] == {}
    for data in (raw(header.ljust(MAX_HEADER + 1)), b"\xff" * 8 + header):
        with pytest.raises(BadModel):
            parse(data, "m")


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(model_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(BadModel):
        parse(bytes(damaged), "m")


# Loading


def test_identity_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    model = load(path)
    assert model.sha256 == hashlib.sha256(model_bytes()).hexdigest()
    assert model.id.hex() == model.sha256[:16]
    assert (model.name, model.config) == ("mine", NETWORKS["fast"])
    assert load(path) is model


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    before = load(path)
    path.write_bytes(model_bytes(meta=META | {"name": "longer name"}))
    assert load(path).name == "longer name"
    assert before.name == "mine"


@pytest.mark.parametrize(
    "meta",
    [{"format": FORMAT}, META | {"config": "{"}, META | {"config": "[]"}, META | {"config": 5},
     META | {"name": None}, {"format": FORMAT, "config": "{}"}, META | {"config": "[" * 100_000}],
    ids=lambda m: str(m)[:60],
)  # fmt: skip
def test_a_model_must_describe_itself(tmp_path: Path, meta: Any) -> None:
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes(meta=meta))
    with pytest.raises(BadModel, match="describe itself"):
        load(path)


def test_what_cannot_be_read_is_a_bad_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadModel, match="No such file"):
        load(tmp_path / "none.nicmodel")
    with pytest.raises(BadModel):
        load(tmp_path)
    path = tmp_path / "my.nicmodel"
    path.write_bytes(model_bytes())
    monkeypatch.setattr(checkpoint, "MAX_FILE", 10)
    with pytest.raises(BadModel, match="too large"):
        load(path)


def test_a_missing_array_is_named() -> None:
    model = Checkpoint("mine", Path("my.nicmodel"), "00" * 32, {}, {})
    with pytest.raises(BadModel, match=r"my\.nicmodel: the model lacks graph\.g_a"):
        model.array("graph.g_a")


# Finding


def test_the_released_model_is_found_by_name_path_and_hash() -> None:
    path = find("photo")
    sha256 = load(path).sha256
    assert path.suffix == ".nicmodel"
    for way in (str(path), path, sha256, sha256[:8], sha256[:16].upper()):
        assert find(way) == path
    assert find_id(bytes.fromhex(sha256[:16])) == path
    assert sha256 in [entry["sha256"] for entry, _ in installed()]


def test_a_released_model_that_its_manifest_does_not_name_is_damaged(folder: Path) -> None:
    manifest(folder, released(folder, "mine", model_bytes()))
    assert load(find("mine")).name == "mine"
    (folder / "mine.nicmodel").write_bytes(model_bytes(body=bytes(12)))
    for model in ("mine", folder / "mine.nicmodel", folder / ".." / "models" / "mine.nicmodel"):
        with pytest.raises(BadModel, match=r"damaged: its manifest names another"):
            load(find(model))


def test_models_beside_a_manifest_of_something_else_load(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an app of somebody"}')
    (tmp_path / "my.nicmodel").write_bytes(model_bytes())
    assert load(find(tmp_path / "my.nicmodel")).name == "mine"


def test_a_folder_without_manifest_offers_its_files(folder: Path) -> None:
    made = released(folder, "x", model_bytes(), "birds.nicmodel")
    for way in ("birds", made["sha256"][:8]):
        assert find(way) == folder / "birds.nicmodel"
    assert find_id(bytes.fromhex(made["sha256"][:16])) == folder / "birds.nicmodel"
    assert find("photo").parent != folder


def test_of_one_name_the_newest_of_the_first_folder_is_taken(folder: Path) -> None:
    old, new = model_bytes(), model_bytes(body=bytes(12))
    first, second = released(folder, "photo", old, "a.nicmodel"), released(folder, "photo", new, "b.nicmodel")
    manifest(folder, first, second)
    assert find("photo") == folder / "b.nicmodel"
    # The older one stays there for the files that were made with it.
    assert find_id(bytes.fromhex(first["sha256"])[:8]) == folder / "a.nicmodel"
    assert find(first["sha256"][:10]) == folder / "a.nicmodel"


def test_a_model_whose_file_is_gone_is_not_offered(folder: Path) -> None:
    manifest(folder, {"name": "gone", "file": "gone.nicmodel", "sha256": "0" * 64})
    with pytest.raises(ModelNotFound, match=r"no model is named 'gone'; installed: .*photo"):
        find("gone")


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match=r"nothing\.nicmodel: no such model file"):
        find("nothing.nicmodel")
    with pytest.raises(ModelNotFound, match="no such model file"):
        find(tmp_path / "photo")
    for name in ("", "phot", "0" * 64, load(find("photo")).sha256[:7]):
        with pytest.raises(ModelNotFound, match="no model is named"):
            find(name)
    with pytest.raises(ModelNotFound, match="0102030405060708"):
        find_id(bytes(range(1, 9)))
    monkeypatch.setattr(checkpoint, "folders", list)
    with pytest.raises(ModelNotFound, match="installed: none"):
        find("photo")


@pytest.mark.parametrize(
    "text",
    [
        *["", "{", "[]", "null", '{"models": 1}', '{"models": [1]}', '{"models": [{}]}', '{"models": ["ab"]}'],
        '{"models": [{"name": "a", "file": "b"}]}',
        '{"models": [{"name": "a", "file": "b", "sha256": 7}]}',
        '{"models": [{"name": "a", "file": "b", "sha256": "00"}]}',
        '{"models": [{"name": "a", "sha256": "' + "00" * 32 + '"}]}',
        '{"models": [{"name": 1, "file": "b", "sha256": "' + "00" * 32 + '"}]}',
        *["[" * 100_000, "\xff"],
    ],
    ids=lambda t: t[:60],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadModel, match=r"manifest\.json: not a manifest"):
        find("photo")
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
