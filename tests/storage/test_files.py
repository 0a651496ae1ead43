"""Writing a file whole or not at all: what stands under the name at every moment, and what is left over."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from nicodec.errors import NicError
from nicodec.storage.files import Files, atomic_write, shown

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_write_makes_the_file_and_leaves_nothing_else(tmp_path: Path, overwrite: bool) -> None:
    atomic_write(tmp_path / "a.nic", b"\x00\xff data", overwrite=overwrite)
    assert (tmp_path / "a.nic").read_bytes() == b"\x00\xff data"
    assert names(tmp_path) == ["a.nic"]


def test_a_write_replaces_a_file_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.nic"
    path.write_bytes(b"old")
    with pytest.raises(NicError, match=r"a\.nic: exists already"):
        atomic_write(path, b"new", overwrite=False)
    assert path.read_bytes() == b"old"
    atomic_write(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.nic"]


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nic"
    path.write_bytes(b"somebody else's")
    monkeypatch.setattr("nicodec.storage.files._mode", lambda target: None)  # as if it was not there at the first look
    with pytest.raises(NicError, match="exists already"):
        atomic_write(path, b"new", overwrite=False)
    monkeypatch.setattr(os, "link", refuse)  # nor where the file system knows no hard links
    with pytest.raises(NicError, match="exists already"):
        atomic_write(path, b"new", overwrite=False)
    assert path.read_bytes() == b"somebody else's"
    assert names(tmp_path) == ["a.nic"]


def test_a_write_needs_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse)
    atomic_write(tmp_path / "a.nic", b"new", overwrite=False)
    assert (tmp_path / "a.nic").read_bytes() == b"new"
    assert names(tmp_path) == ["a.nic"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*args: object) -> None:
        raise failure

    path = tmp_path / "a.nic"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((NicError, KeyboardInterrupt)) as caught:
        atomic_write(path, b"new", overwrite=True)
    assert isinstance(caught.value, KeyboardInterrupt) or "No space left on device" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.nic"]


def test_a_refusal_says_what_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(NicError, match="it is a folder"):
        atomic_write(tmp_path, b"", overwrite=True)
    with pytest.raises(NicError, match="No such file or directory"):
        atomic_write(tmp_path / "none" / "a.nic", b"", overwrite=True)
    with pytest.raises(NicError, match="null"):
        atomic_write(f"{tmp_path}/a\0b", b"", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(NicError, match=r"Not a directory|No such file"):
        atomic_write(tmp_path / "file" / "a.nic", b"", overwrite=True)
    assert names(tmp_path) == ["file"]


@posix
def test_a_device_is_written_to_and_never_replaced() -> None:
    for overwrite in (False, True):
        atomic_write("/dev/null", b"x", overwrite=overwrite)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not Files().exists("/dev/null")


@posix
def test_a_socket_is_neither_written_to_nor_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(NicError, match="not a regular file"):
            atomic_write("s", b"x", overwrite=True)
        assert stat.S_ISSOCK(os.stat("s").st_mode)


@posix
def test_a_new_file_gets_the_umasks_permissions_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.nic"
    before = os.umask(0o027)
    try:
        atomic_write(path, b"", overwrite=False)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        atomic_write(path, b"new", overwrite=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@posix
def test_a_write_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, real = tmp_path / "link.nic", tmp_path / "there" / "real.nic"
    link.symlink_to(real)
    for data in (b"new", b"newer"):
        atomic_write(link, data, overwrite=data == b"newer")
        assert link.is_symlink()
        assert real.read_bytes() == data


def test_a_write_takes_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".nic")
    atomic_write(path, b"x", overwrite=False)
    assert path.read_bytes() == b"x"


def test_a_path_is_shown_on_one_printable_line() -> None:
    assert shown("bild.é.png") == "bild.é.png"
    assert shown(Path("a b.png")) == "a b.png"
    assert shown("a\nb\x1b[2J") == r"'a\nb\x1b[2J'"
    if sys.platform == "linux":
        assert shown(b"\xff.png") == r"'\udcff.png'"


def refuse(*args: object) -> None:
    raise OSError(95, "Operation not supported")
