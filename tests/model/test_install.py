"""Models put onto the shelf of the user and beside files: whole, under names that can be found, and taken away."""

import os
from pathlib import Path

import fuzz_decode
import pytest
from sealing import META, model_bytes, raw, resealed

from nicodec.errors import BadModel, ModelNotFound, NicError
from nicodec.model import checkpoint, install, shelf
from nicodec.model.checkpoint import find, load

TINY = fuzz_decode.TINY
SHORT = load(TINY).identity[:8]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to install to, which is not there yet."""
    monkeypatch.setenv("NICODEC_MODELS", str(tmp_path / "data" / "models"))
    return tmp_path / "data" / "models"


def renamed(path: Path, name: str) -> Path:
    """The file of the same model with another name in it."""
    data = TINY.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    head = data[8:end].replace(b'"name":"tiny"', f'"name":"{name}"'.encode())
    path.write_bytes(resealed(raw(head, data[end:])))
    return path


def test_a_model_is_installed_found_and_removed(home: Path) -> None:
    entry, path, is_new = install.add(TINY)
    assert (entry["name"], path, is_new) == ("tiny", home / f"tiny-{SHORT}.nicmodel", True)
    assert path.read_bytes() == TINY.read_bytes()
    assert find("tiny") == find(SHORT) == path
    assert install.add(TINY)[1:] == (path, False)
    assert [p.name for p in home.iterdir()] == [path.name]
    assert install.remove("tiny") == path
    assert list(home.iterdir()) == []
    install.add(TINY, "other")
    assert install.remove(SHORT).name == f"other-{SHORT}.nicmodel"
    for name in ("tiny", "other", SHORT):
        with pytest.raises(ModelNotFound):
            install.remove(name)


def test_a_model_that_restores_stands_beside_the_one_whose_id_it_has(home: Path, tmp_path: Path) -> None:
    data = TINY.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    head = data[8:end].replace(b'"name":"tiny"', b'"name":"clean","restores":"noise:25"')
    clean = tmp_path / "x.nicmodel"
    clean.write_bytes(resealed(raw(head, data[end:])))
    install.add(TINY)
    assert install.add(clean)[1:] == (home / f"clean-{SHORT}.nicmodel", True)
    assert install.add(clean)[1:] == (home / f"clean-{SHORT}.nicmodel", False)
    assert load(find("clean")).restores == "noise:25"
    assert load(find("tiny")).restores == ""
    with pytest.raises(ModelNotFound, match=f"several models have the id {SHORT}; give the name of one: clean, tiny"):
        find(SHORT)
    assert load(checkpoint.find_id(load(TINY).id)).identity == load(TINY).identity  # either decodes
    head = head.replace(b"noise:25", b"salt:5%").replace(b'"clean"', b'"tiny"')
    clean.write_bytes(resealed(raw(head, data[end:])))
    with pytest.raises(NicError, match="another model of this name and id"):
        install.add(clean)


def test_a_better_encoder_of_a_released_model_is_installed_beside_it(home: Path, tmp_path: Path) -> None:
    released = checkpoint.find("photo-fast")
    data = released.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    better = tmp_path / "x.nicmodel"
    better.write_bytes(resealed(raw(data[8:end].replace(b'"name":"photo-fast"', b'"name":"mine"'), data[end:])))
    assert install.add(released)[1:] == (released, False)
    assert install.add(better)[2]
    assert load(find("mine")).id == load(released).id


def test_a_name_has_to_be_one(home: Path, tmp_path: Path) -> None:
    for name in ("photo", "photo-fast", "a b", "../x", "", "deadbeef", "z" * 41, "a\n"):
        with pytest.raises(NicError, match="cannot name it"):
            install.add(TINY, name)
    with pytest.raises(NicError, match=r"photo cannot name it: a released model .*--name"):
        install.add(renamed(tmp_path / "x.nicmodel", "photo"))
    assert not home.exists()


def test_what_is_no_model_is_not_installed(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.nicmodel"
    for data in (b"", b"text", TINY.read_bytes()[:-1], model_bytes(meta=META)):
        path.write_bytes(data)
        with pytest.raises(BadModel):
            install.add(path)
    for nothing in (tmp_path / "none.nicmodel", tmp_path):
        with pytest.raises(ModelNotFound, match="no such model file"):
            install.add(nothing)
    assert not home.exists()


def test_a_released_model_is_there_already_and_stays(home: Path) -> None:
    path = find("photo-fast")
    assert install.add(path)[1:] == (path, False)
    with pytest.raises(NicError, match="stays"):
        install.remove("photo-fast")
    assert path.exists()


def test_another_file_of_an_installed_model_takes_no_place_by_itself(home: Path, tmp_path: Path) -> None:
    install.add(TINY)
    other = renamed(tmp_path / "x.nicmodel", "else")
    with pytest.raises(NicError, match=rf"tiny-{SHORT}\.nicmodel is another file of this model; remove it first"):
        install.add(other)
    install.remove("tiny")
    assert install.add(other)[0]["name"] == "else"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions of POSIX, which root passes")
def test_a_folder_that_cannot_be_made_is_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(NicError, match="cannot be made: Permission denied"):
        install.add(TINY)


def test_a_failed_write_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(NicError, match="No space left"):
            install.add(TINY)
    assert list(home.iterdir()) == []
    home.rmdir()
    home.parent.joinpath("models").write_text("a file")
    with pytest.raises(NicError, match="cannot be made"):
        install.add(TINY)


def test_there_may_be_nowhere_to_install_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(parents=True)
    (home / shelf.MANIFEST).write_text('{"models": []}')
    with pytest.raises(NicError, match="manifest"):
        install.add(TINY)
    monkeypatch.setattr(shelf, "homes", list)
    with pytest.raises(NicError, match="NICODEC_MODELS"):
        install.add(TINY)


def test_a_model_is_put_beside_files_once(tmp_path: Path) -> None:
    folder = str(tmp_path / "new" / "archive")
    path = tmp_path / "new" / "archive" / f"tiny-{SHORT}.nicmodel"
    assert install.put(load(TINY), folder, overwrite=False) == str(path)
    assert path.read_bytes() == TINY.read_bytes()
    before = path.stat()
    assert install.put(load(TINY), folder, overwrite=True) is None
    assert path.stat() == before
    path.write_bytes(b"something else")
    with pytest.raises(NicError, match="exists already"):
        install.put(load(TINY), folder, overwrite=False)
    assert install.put(load(TINY), folder, overwrite=True) == str(path)
    assert checkpoint.find_id(load(TINY).id, tmp_path / "new" / "archive" / "a.nic") == path
