"""Whatever ends a run before its time: its best state is there, nothing is half-written, and `resume` goes on."""

# ruff: noqa: E402

from __future__ import annotations

import errno
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_models import TINY

import nicodec.train
from nicodec.bench import proof
from nicodec.errors import BadImage, NicError
from nicodec.model import checkpoint
from nicodec.storage.files import atomic_write
from nicodec.train import export, finish, options, plan, trainer
from nicodec.train.endings import explained
from nicodec.train.state import read_meta

QUICK: dict[str, Any] = {"steps": 3, "batch": 1, "patch": 64, "threads": 1, "start": "none"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small network, of which little is counted."""
    monkeypatch.setattr(options, "Options", functools.partial(options.Options, model=TINY))
    for name in ("COUNTED", "COUNTED_Z", "FITTED"):
        monkeypatch.setattr(plan, name, 2)
    monkeypatch.setattr(finish, "LIMITED", 2)
    with tiny_training.one_thread():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name", "error"),
    [
        (trainer.Trainer, "look", KeyboardInterrupt()),  # before the first step
        (trainer.Trainer, "train_step", FULL),
        (export, "write_model", FULL),
        (proof, "prove", SystemExit(143)),
    ],
    ids=["look, Ctrl-C", "step, full disk", "export, full disk", "page, SIGTERM"],
)
def test_an_ending_at_any_time_keeps_the_state_and_says_how_to_go_on(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    where: Any,
    name: str,
    error: BaseException,
) -> None:
    def end(*_: object, **__: object) -> None:
        raise error

    asked: list[Path] = []
    out, state = tmp_path / "my.nicmodel", tmp_path / "my.run" / options.STATE
    with monkeypatch.context() as patch:
        patch.setattr(where, name, end)
        with pytest.raises(NicError if error is FULL else type(error)) as raised:
            nicodec.train.train(folder, out, **QUICK)
    said = str(raised.value) if error is FULL else capfd.readouterr().err
    onward = "my.run has the state that was saved last; the same command with --resume goes on from it"
    assert onward in " ".join(said.split())
    before = {"look": 0, "train_step": 0}.get(name, 3)
    assert read_meta(state)["step"] == before
    assert not list(tmp_path.rglob("*.tmp"))
    assert out.exists() == (where is proof)
    assert not options.page_of(out).exists()
    # It goes on, to the end.
    monkeypatch.setattr(proof, "prove", lambda pictures, model, facts, target, *_, **__: asked.append(target))
    monkeypatch.setattr(finish, "lines", lambda found: [])
    nicodec.train.train(folder, out, resume=True)
    assert read_meta(state)["step"] == 3
    assert checkpoint.load(out).config == TINY
    assert asked == [tmp_path / "my.html"]


def test_an_end_before_the_first_state_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(NicError) as raised, explained(tmp_path / "a", tmp_path / "state", said.append):
        raise FULL
    assert "--resume" not in str(raised.value)
    with pytest.raises(KeyboardInterrupt), explained(tmp_path / "a", tmp_path / "state", said.append):
        raise KeyboardInterrupt
    assert said == []
    # A fault of the program stays one.
    with pytest.raises(RuntimeError, match="shapes"), explained(tmp_path / "a", tmp_path / "state", said.append):
        raise RuntimeError("shapes")
    with pytest.raises(NicError, match="a smaller --batch"), explained(tmp_path / "a", tmp_path / "s", said.append):
        raise RuntimeError("out of memory")


def test_only_what_this_run_has_saved_is_said_to_go_on(tmp_path: Path) -> None:
    """With -f the state that lies there is of an earlier run, until the first is saved."""
    said: list[str] = []
    state = tmp_path / "state"
    state.write_bytes(b"earlier")
    with pytest.raises(KeyboardInterrupt), explained(tmp_path / "a", state, said.append):
        raise KeyboardInterrupt
    assert said == []
    with pytest.raises(KeyboardInterrupt), explained(tmp_path / "a", state, said.append, resume=True):
        raise KeyboardInterrupt
    assert len(said) == 1

    def saves_and_fails() -> None:
        with explained(tmp_path / "a", state, said.append):
            atomic_write(state, b"mine", overwrite=True)
            raise FULL

    with pytest.raises(NicError, match="--resume goes on"):
        saves_and_fails()


def test_what_the_same_command_would_meet_again_is_not_said_to_go_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(b"mine")
    with pytest.raises(BadImage) as raised, explained(tmp_path / "a", state, print, resume=True):
        raise BadImage("all pictures are held out")
    assert str(raised.value) == "all pictures are held out"


def test_a_page_of_somebody_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "my.html"
    page.write_text("precious")
    with pytest.raises(NicError, match=r"my\.html exists already, and would be the page of this model; -f overwrites"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **QUICK)
    assert page.read_text() == "precious"
    # Without a report there is no page.
    nicodec.train.train(folder, tmp_path / "my.nicmodel", measure="none", **QUICK)
    assert page.read_text() == "precious"


def test_a_run_without_a_state_is_not_said_to_go_on(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "my.run").mkdir()
    with pytest.raises(NicError, match="its run exists already; -f starts anew"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **QUICK)
