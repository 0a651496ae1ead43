"""Options of training: what they may be, what a state brings along, and how they are said."""

from __future__ import annotations

import json
import math
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training

from nicodec.cli import app
from nicodec.errors import BadFile
from nicodec.train import options, reading
from nicodec.train.options import BadOption, Options

BAD = [
    "--minutes 0", "--minutes nan", "--minutes inf", "--minutes -3", "--steps 0", "--batch 0", "--patch 100",
    "--patch 0", "--rate nan", "--rate -1", "--rate 0", "--drawn nan", "--drawn 1.5", "--gray -1", "--fonts gone",
    "--seed -1", "--threads 0", "--device gpu", "--device cuda:99", "--again", "--resume --from photo",
    "--upsample nearest", "--transform linear --from photo",
    "--name photo", "--name a/b", "--name deadbeef", f"--name {41 * 'a'}", f"--licence {101 * 'a'}",
    f"--note {1001 * 'a'}", "--note a\x1b[2Jb", "--licence a\x07b",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of the command, which may read no picture."""
    monkeypatch.setattr(reading, "sources", lambda *_: pytest.fail("pictures were read"))
    monkeypatch.setattr(sys, "argv", ["nicodec", "train", *words])
    with pytest.raises(SystemExit) as caught:
        app.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize("words", BAD)
def test_a_bad_option_is_one_line_before_any_picture_is_read(
    words: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, str(folder), "-o", str(tmp_path / "my.nicmodel"), *words.split()) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert words.split()[0].lstrip("-") in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "out", ["gone/my.nicmodel", "my.onnx", "folder.nicmodel", "taken.nicmodel", "/proc/my.nicmodel"]
)
def test_an_impossible_target_is_one_line_before_any_picture_is_read(
    out: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if out.startswith("/proc") and not sys.platform.startswith("linux"):
        pytest.skip("there is no /proc")
    (tmp_path / "folder.nicmodel").mkdir()
    (tmp_path / "taken.run").write_text("precious")
    assert call(monkeypatch, str(folder), "-f", "-o", str(tmp_path / out)) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert (tmp_path / "taken.run").read_text() == "precious"


@pytest.mark.parametrize("words", [["gone"], ["{folder}", "--validation", "gone"], ["{folder}", "--resume"]])
def test_a_name_that_is_not_there_is_bad_input(
    words: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [word.format(folder=folder) for word in words]
    assert call(monkeypatch, *names, "-o", str(tmp_path / "my.nicmodel")) == 3
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 2.5},
        {"batch": True},
        {"rate": "fast"},
        {"seed": 2**64},
        {"device": 3},
        {"measure": "much"},
        {"steps": 10**12},
    ],
)
def test_options_of_strange_types_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match=next(iter(changes))):
        options.check(replace(Options(), **changes))


def test_a_run_goes_on_with_the_options_of_its_state() -> None:
    saved = asdict(Options(steps=7, batch=3, patch=64, rate=1e-4, drawn=0.5, gray=0.1, fonts="f", seed=9, threads=1))
    same, lines = options.resumed(Options(), [], saved, "the state")
    assert asdict(same) == saved
    assert lines == []


def test_an_option_that_is_said_wins_over_the_state_and_both_are_said() -> None:
    saved = asdict(Options(batch=3, rate=1e-4, seed=9))
    given = Options(rate=0.5, seed=9)
    result, lines = options.resumed(given, ["rate", "seed"], saved, "the state")
    assert (result.batch, result.rate, result.seed) == (3, 0.5, 9)
    assert lines == ["--rate is 0.5 in place of 0.0001"]


def test_minutes_that_are_said_end_a_schedule_of_steps() -> None:
    result, lines = options.resumed(Options(minutes=3), ["minutes"], asdict(Options(steps=7)), "the state")
    assert (result.minutes, result.steps) == (3, None)
    assert lines == ["--minutes 3 in place of --steps 7"]
    _, lines = options.resumed(Options(), ["minutes"], asdict(Options(steps=7)), "the state")
    assert lines == ["--minutes 30 in place of --steps 7"]


@pytest.mark.parametrize("saved", [None, 3, {"batch": "8"}, {"rate": math.nan}, {"patch": 100}, {"note": 3},
    {"origin": "a\n"}, {"name": "a b"}])  # fmt: skip
def test_a_state_with_strange_options_is_a_bad_file(saved: object) -> None:
    with pytest.raises(BadFile, match="not a training state"):
        options.resumed(Options(), [], saved, "state")


def test_the_command_says_what_was_asked_for() -> None:
    said = {"validation": [Path("a b"), Path("c")], "steps": 3, "resume": True, "again": False, "start": None}
    card = {"name": "mine", "licence": "CC0", "note": "of my cat"}
    words = options.command("mine.nicmodel", said | {"start": "/home/me/photo.nicmodel"} | card, "photo 32fc19df")
    # No path, and nothing that the card says already.
    assert shlex.join(words) == (
        "nicodec train PICTURES -o mine.nicmodel --validation PICTURES --steps 3 --resume --from photo"
    )
    assert options.command("mine.nicmodel", {"drawn": 0.0, "seed": 0}, "")[5:] == ["--drawn", "0.0", "--seed", "0"]


def test_the_card_of_a_model_is_that_of_its_state_unless_said() -> None:
    saved = asdict(Options(name="birds", licence="CC0", note="old", origin="photo 32fc19df"))
    result, lines = options.resumed(Options(note="new"), ["note"], saved, "the state")
    assert (result.name, result.licence, result.note, result.origin) == ("birds", "CC0", "new", "photo 32fc19df")
    assert lines == ["--note is new in place of old"]
    assert options.resumed(Options(augment=0.5), [], {"batch": 8}, "the state")[0].augment == 1
    # States of earlier releases say nothing of it.
    assert options.resumed(Options(), [], {"batch": 8}, "the state")[0].origin == ""


def test_json_gets_no_number_that_it_does_not_know() -> None:
    value = {"a": [1, math.nan, (math.inf, "x")], "b": None, "c": True}
    assert json.loads(json.dumps(options.plain(value), allow_nan=False)) == {
        "a": [1, None, [None, "x"]], "b": None, "c": True
    }  # fmt: skip
