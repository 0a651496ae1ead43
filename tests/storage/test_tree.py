"""The files of a folder: which are found, in which order, and what a strange tree cannot do."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nicodec.errors import BadFile
from nicodec.storage import store_of, tree
from nicodec.storage.files import Files, read_bytes

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and links")


def found(folder: Path, name: str = ".") -> list[str]:
    """The files of a folder, as the commands take them."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return [below for _, below in store_of(name).found(name, lambda name: True)]
    finally:
        os.chdir(before)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_litter_of_file_managers_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "._a.png", "z/b.png", ".hidden.png", "Thumbs.db", ".DS_Store", "desktop.ini")
    for folder in ("__MACOSX", "@eaDir", ".thumbnails", ".Trashes", "$RECYCLE.BIN", ".git", ".anything"):
        put(tmp_path, f"{folder}/l.png", f"z/{folder}/l.png")
    kept = [".hidden.png", "a.png", os.path.join("z", "b.png")]
    assert found(tmp_path) == kept
    assert found(tmp_path, "**/*.png") == kept[1:]


def test_a_folder_that_is_named_may_be_hidden(tmp_path: Path) -> None:
    put(tmp_path, ".cache/a.png", ".cache/in/b.png")
    assert found(tmp_path, ".cache") == ["a.png", os.path.join("in", "b.png")]
    assert found(tmp_path / ".cache" / "in", os.path.join("..", "*.png")) == ["a.png"]


@posix
def test_a_pipe_in_a_folder_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert found(tmp_path) == ["a.png"]


@posix
def test_a_linked_folder_is_walked_once_and_a_loop_never(tmp_path: Path) -> None:
    put(tmp_path, "in/a.png", "in/z/b.png", "else/c.png")
    (tmp_path / "in/again").symlink_to(tmp_path / "in/z")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    for link in ("one", "two"):
        (tmp_path / "in" / link).symlink_to(tmp_path / "else")
    (tmp_path / "else/back").symlink_to(tmp_path / "in")
    assert found(tmp_path, "in") == ["a.png", os.path.join("z", "b.png"), os.path.join("one", "c.png")]


@posix
def test_a_link_to_a_file_is_a_file_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "latest.png").symlink_to("a.png")
    assert found(tmp_path) == ["a.png", "latest.png"]
    files = store_of("a.png")
    assert files.place(str(tmp_path / "a.png")) != files.place(str(tmp_path / "latest.png"))
    assert files.key(str(tmp_path / "a.png")) == files.key(str(tmp_path / "latest.png"))


@pytest.mark.parametrize(
    ("path", "litter"),
    [("a.png", False), ("../a.png", False), (".git/a.png", True), ("x/@eaDir/a.png", True), ("x/._a.png", True)],
)
def test_a_path_leads_to_litter_by_any_of_its_parts(path: str, litter: bool) -> None:
    assert tree.in_litter(path.split("/")) == litter


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path: Path, closed: Callable[[Path], None]) -> None:
    put(tmp_path, "in/a.png", "in/locked/b.png", "in/z/c.png")
    closed(tmp_path / "in" / "locked")
    folder = str(tmp_path / "in")
    locked = os.path.join(folder, "locked", "")
    assert list(tree.walk(folder)) == [os.path.join(folder, "a.png"), os.path.join(folder, "z", "c.png"), locked]
    assert [path for path, _ in Files().found(folder, lambda name: name.endswith("a.png"))] == [
        os.path.join(folder, "a.png"),
        locked,
    ]
    for reading in (read_bytes, Files().start):
        with pytest.raises(BadFile, match="Permission denied"):
            reading(locked)
