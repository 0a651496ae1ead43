"""Names of pictures become their bytes, each once; what cannot be read is left out and counted."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import tiny_training

from nicodec.errors import BadImage
from nicodec.train.plan import look
from nicodec.train.sources import Left, listed, sources

NAMES = [f"{i}.png" for i in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tiny_training.pictures(tmp_path / "pictures")


def read(*paths: Path) -> tuple[list[str], Left]:
    left = Left()
    return sorted(name for name, _ in sources(listed(list(paths)), left)), left


@pytest.mark.parametrize(("suffix", "mode"), [("tar.gz", "gz"), ("tgz", "gz"), ("tar.xz", "xz"), ("tar.bz2", "bz2")])
def test_a_compressed_tar_gives_its_pictures(folder: Path, suffix: str, mode: str) -> None:
    shard = folder.parent / f"shard.{suffix}"
    with tarfile.open(shard, f"w:{mode}") as tar:  # type: ignore[call-overload]
        tar.add(folder, "inside")
    assert sorted(dict(sources(listed([shard]))).values()) == sorted(p.read_bytes() for p in folder.iterdir())
    assert len(read(folder.parent)[0]) == 8


def test_a_tar_that_this_python_cannot_unpack_is_an_error_in_one_line(folder: Path) -> None:
    (folder / "shard.tar.zst").write_bytes(b"x")
    with pytest.raises(BadImage, match=r"shard\.tar\.zst: .*") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("again", ["folder", "file", "link", "hard link", "folder with the name of a picture"])
def test_a_file_that_is_named_twice_is_read_once(folder: Path, again: str) -> None:
    other = folder.parent / "other.png"
    if again == "link":
        other.symlink_to(folder / "2.png")
    elif again == "hard link":
        os.link(folder / "2.png", other)
    elif again == "folder with the name of a picture":
        shutil.move(folder, other)
        assert read(other.parent)[0] == [f"other.png/{name}" for name in NAMES]
        return
    names, left = read(folder, {"folder": folder, "file": folder / "2.png"}.get(again, other))
    assert {Path(name).name for name in names} <= {*NAMES, "other.png"}
    assert len(names) == 4
    assert left.repeated == (4 if again == "folder" else 1)


def test_a_dangling_link_is_left_out_and_counted(folder: Path) -> None:
    (folder / "gone.png").symlink_to("nowhere")
    assert read(folder)[0] == NAMES
    assert read(folder)[1].skipped == ["gone.png"]
    assert read(folder / "gone.png", folder / "1.png")[0] == ["1.png"]


def test_a_folder_that_cannot_be_listed_is_left_out_and_counted(folder: Path, closed: Callable[[Path], None]) -> None:
    (folder / "in").mkdir()
    shutil.copy(folder / "1.png", folder / "in")
    closed(folder / "in")
    assert read(folder)[0] == NAMES
    assert read(folder)[1].skipped == ["in"]
    assert look([folder]).files == len(NAMES)
    closed(folder)
    with pytest.raises(BadImage, match="pictures: Permission denied"):
        read(folder)


def test_a_pipe_in_a_folder_is_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    assert read(folder)[0] == NAMES


def test_thumbnails_of_file_managers_are_no_pictures_and_linked_folders_are_walked(
    folder: Path, tmp_path: Path
) -> None:
    """As everywhere in nicodec: what `encode` takes of a folder is learnt from."""
    for place in ("@eaDir/1.png", ".thumbnails/1.png", "__MACOSX/1.png", "._2.png"):
        (folder / place).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "1.png", folder / place)
    other = tmp_path / "other"
    other.mkdir()
    (folder / "3.png").rename(other / "3.png")
    (folder / "linked").symlink_to(other)
    (other / "back").symlink_to(folder)
    assert read(folder)[0] == ["0.png", "1.png", "2.png", "linked/3.png"]
    shard = tmp_path / "all.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(folder.rglob("*.png")):
            tar.add(path, path.relative_to(folder))
    assert read(shard)[0] == [f"all.tar/{name}" for name in NAMES[:3]]


def test_members_that_cannot_be_read_are_left_out_and_counted(folder: Path) -> None:
    shard = folder.parent / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(folder / "1.png", "in/1.png")
        for name, target in (("in/dangling.png", "nowhere.png"), ("in/good.png", "1.png")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        pipe = tarfile.TarInfo("in/pipe.png")
        pipe.type = tarfile.FIFOTYPE
        tar.addfile(pipe)
    names, left = read(shard)
    assert names == ["shard.tar/in/1.png"]
    assert sorted(left.skipped) == ["in/dangling.png", "in/pipe.png"]
    assert left.repeated == 1


@pytest.mark.parametrize("mode", ["", "gz"])
def test_a_tar_that_is_cut_off_gives_what_came_before(folder: Path, mode: str) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode=f"w:{mode}") as tar:  # type: ignore[call-overload]
        for name in NAMES:
            tar.add(folder / name, name)
    shard = folder.parent / "shard.tar"
    shard.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    names, left = read(shard)
    assert 0 < len(names) < 4
    assert left.skipped


@pytest.mark.parametrize("content", ["nothing", "no members", "a text"])
def test_a_tar_without_pictures_is_an_error_in_one_line(tmp_path: Path, content: str) -> None:
    shard = tmp_path / "shard.tar"
    shard.touch()
    if content != "nothing":
        with tarfile.open(shard, "w") as tar:
            if content == "a text":
                tar.addfile(tarfile.TarInfo("read.me"))
    with pytest.raises(BadImage, match=r"shard\.tar: .*tar file") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
