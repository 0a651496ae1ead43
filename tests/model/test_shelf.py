"""Where models are found: in which order, at which cost, and past what is broken or hostile."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sealing import META, model_bytes

from nicodec.errors import ModelNotFound
from nicodec.model import checkpoint, modelfile, shelf
from nicodec.model.checkpoint import find, find_id, load
from nicodec.model.config import NETWORKS

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed models."""
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    monkeypatch.setenv("NICODEC_MODELS", str(folder))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "0" / "1" / "2" / "3" / "4"
    folder.mkdir(parents=True)
    return folder


def stating(body: bytes = bytes(range(12)), **fields: str) -> bytes:
    """A model that states its id."""
    plain = model_bytes(body=body)
    identity = modelfile.identity(NETWORKS["fast"], modelfile.parse(plain, "m")[1])
    return model_bytes(body=body, meta=META | {"id": identity} | fields)


def identity_of(data: bytes) -> bytes:
    return checkpoint.of(data, Path("m")).id


# The order


def test_models_lie_beside_a_file_or_above_it(home: Path, tree: Path) -> None:
    data = stating()
    identity, file = identity_of(data), tree / "a.nic"
    for folder in (tree, *tree.parents[: shelf.ABOVE]):
        (folder / "m.nicmodel").write_bytes(data)
        assert find_id(identity, file) == folder / "m.nicmodel"
        assert checkpoint.named(identity, file) == "m"
        with pytest.raises(ModelNotFound):
            find_id(identity)
        (folder / "m.nicmodel").unlink()
    (tree.parents[shelf.ABOVE] / "m.nicmodel").write_bytes(data)
    with pytest.raises(ModelNotFound) as missing:
        find_id(identity, file)
    for place in (identity.hex(), shelf.package(), home, tree, tree.parent):
        assert str(place) in str(missing.value)


def test_the_nearest_is_taken_and_what_is_installed_comes_before(home: Path, tree: Path) -> None:
    data = stating()
    identity, file = identity_of(data), tree / "a.nic"
    places = [tree.parent / "b.nicmodel", tree / "c.nicmodel", home / "d.nicmodel"]
    for place in places:
        place.write_bytes(data)
        assert find_id(identity, file) == place


def test_a_released_model_is_found_without_a_look_at_anything_else(
    home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for look in ("_scanned", "_packages", "beside"):
        monkeypatch.setattr(shelf, look, lambda *_: pytest.fail("more than the manifest was read"))
    path = find("photo")
    assert find_id(load(path).id, tree / "a.nic") == path


@pytest.mark.parametrize("name", ["-", "s3://bucket/a.nic", None])
def test_streams_and_buckets_have_nothing_beside_them(name: str | None, tmp_path: Path) -> None:
    assert list(shelf.beside(name)) == []


def test_a_name_is_that_of_the_file_without_its_id(home: Path) -> None:
    data = stating()
    short = identity_of(data).hex()[:8]
    for stem, name in ((f"birds-{short}", "birds"), ("birds-12345678", "birds-12345678")):
        path = home / f"{stem}.nicmodel"
        path.write_bytes(data)
        assert find(name) == path
        path.unlink()


def test_two_models_of_one_name_are_told_by_their_ids(home: Path) -> None:
    ids = []
    for body in (bytes(12), bytes(range(12))):
        data = stating(body)
        ids.append(identity_of(data).hex())
        (home / f"birds-{ids[-1][:8]}.nicmodel").write_bytes(data)
    with pytest.raises(ModelNotFound, match=f"several .* 'birds'.*{min(ids)}, {max(ids)}"):
        find("birds")
    for identity in ids:
        assert load(find(identity)).id.hex() == identity


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [("linux", {"XDG_DATA_HOME": "/x"}, "/x/nicodec/models"), ("linux", {}, "/h/.local/share/nicodec/models"),
     ("linux", {"XDG_DATA_HOME": "not/whole"}, "/h/.local/share/nicodec/models"),
     ("darwin", {}, "/h/Library/Application Support/nicodec/models"),
     ("win32", {"LOCALAPPDATA": "/l"}, "/l/nicodec/models")],
)  # fmt: skip
def test_installed_models_lie_where_the_system_keeps_data(
    system: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NICODEC_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/h"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", system)
    assert [folder.as_posix() for folder in shelf.homes()] == [expected]
    assert all(folder.is_dir() for folder in shelf.folders())


# What is broken or hostile


def test_what_cannot_be_read_is_left_out_and_named(home: Path, tree: Path) -> None:
    data = stating()
    other = stating(body=bytes(12))
    lying = model_bytes(body=bytes(12), meta=META | {"id": checkpoint.of(data, Path("m")).identity})
    wrong = {
        "1 empty": b"", "2 text": b"x" * 100, "3 long": b"\xff" * 8 + data, "4 lies": lying,
        "5 cut": data[:-1], "6 nested": (10**5).to_bytes(8, "little") + b"[" * 10**5, "7 other": other,
    }  # fmt: skip
    for name, content in wrong.items():
        (tree / f"{name}.nicmodel").write_bytes(content)
    (tree / "8 folder.nicmodel").mkdir()
    with pytest.raises(ModelNotFound, match=r"left out: .*1 empty.*2 text.* \.\.\.$") as missing:
        find_id(identity_of(data), tree / "a.nic")
    assert str(missing.value).isprintable()
    (tree / "9.nicmodel").write_bytes(data)
    assert find_id(identity_of(data), tree / "a.nic") == tree / "9.nicmodel"
    # In the folder of the user, too, one bad file stands in nobody's way.
    for path in tree.glob("*.nicmodel"):
        path.rename(home / path.name)
    assert find_id(identity_of(data)) == find("9") == home / "9.nicmodel"


@posix
def test_pipes_and_links_do_not_hang(tree: Path) -> None:
    os.mkfifo(tree / "pipe.nicmodel")
    (tree / "loop.nicmodel").symlink_to("loop.nicmodel")
    (tree / "nothing.nicmodel").symlink_to("gone")
    (tree / "zero.nicmodel").symlink_to("/dev/zero")
    (tree / "to a pipe.nicmodel").symlink_to("pipe.nicmodel")
    data = stating()
    (tree.parent / "real").write_bytes(data)
    (tree / "z.nicmodel").symlink_to("../real")
    assert find_id(identity_of(data), tree / "a.nic") == tree / "z.nicmodel"
    assert len(next(shelf.beside(tree / "a.nic")).skipped) == 5
    for path in ("pipe", "loop", "zero"):
        for read in (modelfile.head, modelfile.read):
            with pytest.raises(modelfile.BadModel):
                read(tree / f"{path}.nicmodel")


def test_a_search_is_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In models of a folder, and in the bytes that are read of them: heads alone, of those that state their id."""
    monkeypatch.setattr(shelf, "MOST", 3)
    data = stating(bytes(12))
    for i in range(5):
        (tree / f"{i}.nicmodel").write_bytes(data if i == 4 else stating(note=str(i)))
    with pytest.raises(ModelNotFound, match="2 more than the first 3 models"):
        find_id(identity_of(data), tree / "a.nic")
    monkeypatch.setattr(shelf, "MOST", 5)
    read: list[Path] = []
    whole = modelfile.read
    monkeypatch.setattr(modelfile, "read", lambda path: (read.append(path), whole(path))[1])
    assert find_id(identity_of(data), tree / "a.nic") == tree / "4.nicmodel"
    assert read == [tree / "4.nicmodel"]
    plain = model_bytes(body=bytes(11) + b"\1")
    (tree / "0.nicmodel").write_bytes(plain)
    assert find_id(identity_of(plain), tree / "a.nic") == tree / "0.nicmodel"
    monkeypatch.setattr(shelf, "HASHED", len(plain) - 1)
    with pytest.raises(ModelNotFound, match="does not state an id"):
        find_id(identity_of(plain), tree / "a.nic")


def test_a_head_is_read_without_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.nicmodel"
    path.write_bytes(stating(note="n")[:-5])
    assert modelfile.head(path)["note"] == "n"
    path.write_bytes(model_bytes(meta=META | {"licence": 3}))
    assert "licence" not in modelfile.head(path)
    monkeypatch.setattr(modelfile, "MAX_GLANCE", 100)
    with pytest.raises(modelfile.BadModel, match=r"m\.nicmodel: not a nicodec model"):
        modelfile.head(path)


# Python packages

Bring = Callable[..., Path]


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    """Install a distribution whose entry point names a package, which must not be imported."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)
    shelf._packages.cache_clear()

    def bring(value: str, **models: bytes) -> Path:
        top = value.split(".")[0].split(":")[0]
        folder = site.joinpath(*value.split("."))
        folder.mkdir(parents=True)
        (site / top / "__init__.py").write_text("raise SystemExit('imported')")
        for name, data in models.items():
            (folder / f"{name}.nicmodel").write_bytes(data)
        info = site / f"{top}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {top}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nicodec.models]\nanything = {value}\n")
        shelf._packages.cache_clear()
        return folder

    return bring


@pytest.mark.parametrize("value", ["birds_of_paradise", "birds_of_paradise.models.small"])
def test_a_package_brings_models(bring: Bring, home: Path, value: str) -> None:
    data = stating()
    folder = bring(value, paradise=data)
    assert find("paradise") == find_id(identity_of(data)) == folder / "paradise.nicmodel"
    assert ("paradise", folder / "paradise.nicmodel") in [(entry["name"], path) for entry, path in shelf.installed()]
    assert "birds_of_paradise" not in sys.modules
    # What the user installed comes before it.
    (home / "mine.nicmodel").write_bytes(data)
    assert find_id(identity_of(data)) == home / "mine.nicmodel"


def test_a_package_that_is_gone_brings_nothing(bring: Bring, home: Path) -> None:
    folder = bring("some_birds", one=stating(), two=b"broken")
    assert find("one").parent == folder
    entries = folder.parent / "some_birds-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[nicodec.models]\na = gone.models\nb = json\nc = some_birds\nd = some_birds.nothing\n")
    shelf._packages.cache_clear()
    assert find("one").parent == folder
    with pytest.raises(ModelNotFound, match=r"package some_birds.*left out: .*two\.nicmodel"):
        find_id(bytes(range(8)))


def test_a_manifest_beside_a_file_is_nobodys(tree: Path) -> None:
    """Only the heads of models count there."""
    data = stating()
    listed: Any = {"models": [{"name": "a", "file": "a.png", "id": checkpoint.of(data, Path("m")).identity}]}
    (tree / "manifest.json").write_text(json.dumps(listed))
    (tree / "a.png").write_bytes(b"")
    with pytest.raises(ModelNotFound):
        find_id(identity_of(data), tree / "a.nic")
