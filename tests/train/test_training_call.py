"""`nicodec.train.train`: the command in Python, from pictures to a model, with reports; and what it says."""

# ruff: noqa: E402

from __future__ import annotations

import errno
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import picture

import nicodec
import nicodec.cli.train  # before its Options are others
import nicodec.train
from nicodec import progress
from nicodec.cli import app
from nicodec.errors import BadModel, NicError
from nicodec.model import checkpoint
from nicodec.model.card import Card
from nicodec.train import export, finish, loop, options, plan, run
from nicodec.train.reading import middle
from nicodec.train.trainer import Trainer

QUICK: dict[str, Any] = {"steps": 2, "batch": 1, "patch": 64, "threads": 1, "start": "none", "measure": "none"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small network, of which little is counted and nothing measured."""
    monkeypatch.setattr(options, "Options", functools.partial(options.Options, model=TINY))
    for name in ("COUNTED", "COUNTED_Z", "FITTED"):
        monkeypatch.setattr(plan, name, 2)
    monkeypatch.setattr(finish, "LIMITED", 2)
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    with tiny_training.one_thread():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends before its first step."""

    def stop(*_: object) -> None:
        raise NicError("far enough")

    monkeypatch.setattr(loop, "begin", stop)


def test_a_call_trains_a_model_and_reports_every_step(folder: Path, tmp_path: Path) -> None:
    seen: list[loop.Step] = []
    made = nicodec.train.train(folder, tmp_path / "my.nicmodel", report=seen.append, **QUICK)
    assert made == tmp_path / "my.nicmodel"
    assert [(step.number, step.fraction) for step in seen] == [(1, 0.5), (2, 1.0)]
    codec = nicodec.Codec(made, threads=1)
    assert codec.decode(codec.encode(picture(5, 70, 80))).size == (80, 70)
    assert torch.get_num_threads() == 1


def metadata(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    found: dict[str, str] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    return found


def test_a_model_says_what_its_maker_said_and_nothing_of_the_pictures(folder: Path, tmp_path: Path) -> None:
    private = tmp_path / "my secret folder"
    private.mkdir()
    first = tiny_models.write(tiny_models.random(TINY), private / "first.nicmodel").path
    made = nicodec.train.train(
        [folder / "1.png", folder], private / "my birds.nicmodel", validation=folder / "0.png", start=str(first),
        licence="CC0", note="of Iceland", fonts=private,
        **{key: value for key, value in QUICK.items() if key != "start"},
    )  # fmt: skip
    said = metadata(made)
    fields = {"format", "sha256", "id", "name", "licence", "note", "made", "from", "curve", "config", "training"}
    assert said.keys() == fields
    assert (said["name"], said["licence"], said["note"]) == ("my-birds", "CC0", "of Iceland")
    assert said["id"] == checkpoint.load(made).identity
    assert said["from"] == f"first {checkpoint.load(first).identity[:8]}"
    assert said["made"] == datetime.now(timezone.utc).date().isoformat()
    assert [point.quality for point in Card.of(said).curve] == [0, 12.5, 25, 37.5, 50, 62.5, 75, 87.5, 100]
    # The file says which command does the same.
    history = json.loads(said["training"])
    words = "--steps 2 --batch 1 --patch 64 --fonts FONTS --threads 1 --measure none --validation PICTURES --from first"
    assert history["command"] == f"nicodec train PICTURES -o my-birds.nicmodel {words}"
    assert history.keys() == {"command", "options", "steps", "pixels", "seconds", "device", "torch"}
    header = json.dumps(said)
    for word in (folder, folder.name, private, "secret", tmp_path, "0.png", "1.png", os.sep + "tmp"):
        assert str(word) not in header
    # A run that goes on keeps the card, and where it began.
    nicodec.train.train(folder, made, resume=True, again=True, name="terns")
    later = metadata(made)
    assert [later[key] for key in ("name", "licence", "from")] == ["terns", "CC0", said["from"]]


def test_a_call_from_another_thread_trains_too(folder: Path, tmp_path: Path) -> None:
    """Only the main thread may listen to Ctrl-C."""
    trainer = Trainer(tiny_training.OPTIONS, tiny_training.patches(folder))
    trainer.schedule_step = 199
    failed: list[BaseException] = []

    def work() -> None:
        try:
            loop.run(trainer, tmp_path, lambda step: None)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []


def test_importing_training_loads_nothing_heavy() -> None:
    code = "import sys, nicodec.train; print([m for m in ('torch', 'numpy', 'PIL', 'rich') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_command_says_photographs_and_what_is_left_out(
    folder: Path, tmp_path: Path, untrained: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "held"
    held.mkdir()
    Image.fromarray(picture(8)).save(held / "h.png")
    (held / "0.png").write_bytes((folder / "0.png").read_bytes())
    more = tmp_path / "more"
    more.mkdir()
    (more / "broken.png").write_bytes(b"x")
    Image.fromarray(np.zeros((63, 200, 3), np.uint8)).save(more / "narrow.png")
    words = ["nicodec", "train", str(folder), str(folder / "1.png"), str(more), "-o", str(tmp_path / "my.nicmodel")]
    options = ["--patch", "64", "--from", "none", *(f"--validation={held / name}" for name in ("0.png", "h.png"))]
    monkeypatch.setattr(sys, "argv", [*words, *options])
    with pytest.raises(SystemExit) as caught:
        app.main()
    said = capfd.readouterr().err
    assert caught.value.code == 3
    assert "3 photographs, 0.0765 megapixels together, 2 held out" in said
    assert "1 left out, not readable as pictures: broken.png\n" in said
    assert "1 left out, sides under 64 pixels: narrow.png\n" in said
    assert "1 files are named more than once" in said
    assert "1 of the pictures are held out, or nearly the same, and not learnt from" in said


@pytest.mark.parametrize(("narrow", "patch", "batch"), [(8, 64, 32), (3, 64, 32), (2, 128, 8)])
def test_patches_fit_the_pictures_unless_their_side_is_asked_for(
    narrow: int,
    patch: int,
    batch: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Slices of half a head are 90 pixels wide: no option is needed, and pictures without room are told of."""
    for i in range(8):
        Image.fromarray(picture(i, 150, 90 if i < narrow else 170)).save(tmp_path / f"{i}.png")
    seen: list[options.Options] = []

    def begun(trainer: Trainer, folder: Path) -> None:
        seen.append(trainer.options)
        raise NicError("far enough")

    monkeypatch.setattr(loop, "begin", begun)
    held = tmp_path / "held"
    held.mkdir()
    Image.fromarray(picture(20)).save(held / "h.png")
    words: dict[str, Any] = {"steps": 2, "threads": 1, "start": "none", "validation": held}
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train([tmp_path / f"{i}.png" for i in range(8)], tmp_path / "my.nicmodel", **words)
    assert [(o.patch, o.batch) for o in seen] == [(patch, batch)]
    said = "2 of the pictures have sides under 128 pixels, and are not learnt from; --patch 64 needs the least"
    assert (said in capfd.readouterr().err) == (patch == 128)


@pytest.mark.parametrize(
    ("words", "augmented"),
    [
        ({}, options.AUGMENT_FROM),
        ({"augment": 0.75}, 0.75),
        ({"start": "none"}, 1.0),
        ({"start": "none", "augment": 0.0}, 0.0),
        ({"clean_from": "noise:25"}, 1.0),
    ],
)
def test_pictures_are_learnt_from_as_they_are_where_a_model_is_made_for_them(
    words: dict[str, Any], augmented: float, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def read(*arguments: Any, augment: float, **others: Any) -> None:
        seen.append(augment)
        raise NicError("far enough")

    monkeypatch.setattr(run, "Patches", read)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", steps=2, threads=1, **words)
    assert seen == [augmented]


def test_a_validation_set_of_small_pictures_alone_is_bad_input(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(0, 40, 90)).save(tmp_path / "small.png")
    with pytest.raises(NicError, match="hold out"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", validation=tmp_path, **QUICK)


def test_patches_larger_than_every_picture_are_an_error_before_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NicError, match="no training picture has sides of 256"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **QUICK | {"patch": 256})
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_lies_in_a_file_is_said(
    folder: Path, tmp_path: Path, untrained: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nicodec.train.store.free_memory", lambda: 1000)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **QUICK)
    assert "too much for memory" in capfd.readouterr().err


def test_a_run_that_goes_on_keeps_its_settings_and_says_what_differs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.run").mkdir()
    quick = {key: value for key, value in QUICK.items() if key != "start"}
    kept = options.Options(**quick | {"batch": 3, "seed": 4, "rate": 1e-4})
    Trainer(kept, tiny_training.patches(folder)).save(tmp_path / "my.run" / "state.safetensors")
    seen: list[Any] = []

    def stop(trainer: Trainer, *_: object) -> None:
        seen.append(trainer.options)
        raise NicError("far enough")

    monkeypatch.setattr(loop, "begin", stop)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", resume=True, rate=0.5)
    assert (seen[0].batch, seen[0].seed, seen[0].rate, seen[0].steps) == (3, 4, 0.5, 2)
    assert "--rate is 0.5 in place of 0.0001\n" in capfd.readouterr().err


def test_a_run_that_goes_on_remembers_what_it_holds_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --validation again, and with other pictures beside: none of the held-out is learnt from."""
    held = folder / "2.png"
    nicodec.train.train(folder, tmp_path / "my.nicmodel", validation=held, **QUICK)
    more = tmp_path / "more"
    more.mkdir()
    near = np.asarray(Image.open(held).resize((340, 300))) // 2
    Image.fromarray(near).save(more / "near.png")
    Image.fromarray(picture(9)).save(more / "new.png")
    seen: list[Trainer] = []

    def stop(trainer: Trainer, *_: object) -> None:
        seen.append(trainer)
        raise NicError("far enough")

    monkeypatch.setattr(loop, "begin", stop)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train([folder, more], tmp_path / "my.nicmodel", resume=True)
    data = seen[0].data
    assert (data.photographs, data.kept_apart, len(data.validation)) == (4, 2, 1)
    assert np.array_equal(data.validation[0], middle(np.asarray(Image.open(held)), 384))
    # The best state is still that of the same pictures.
    assert seen[0].best.tensors
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", resume=True, validation=folder / "3.png")
    assert seen[1].best.start is None


def test_a_run_that_held_nothing_out_does_not_judge_itself_by_what_it_learnt(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "my.nicmodel"
    nicodec.train.train(folder / "2.png", out, **QUICK)
    monkeypatch.setattr(loop, "begin", far_enough)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder / "2.png", out, resume=True)
    with pytest.raises(NicError, match="began without a picture to hold out") as raised:
        nicodec.train.train(folder, out, resume=True)
    assert "goes on from it" not in str(raised.value)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, out, resume=True, validation=folder / "3.png")


def test_a_model_that_a_run_replaces_stays_under_a_second_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else files that are there already could not be decoded any more."""
    out, file = tmp_path / "my.nicmodel", tmp_path / "a.nic"
    nicodec.train.train(folder, out, **QUICK)
    first = checkpoint.load(out).identity
    file.write_bytes(nicodec.encode(picture(3), model=out))
    nicodec.train.train(folder, out, resume=True)  # all steps are done: the same model is written
    assert [path.name for path in tmp_path.glob("*.nicmodel")] == ["my.nicmodel"]
    more = tiny_training.pictures(tmp_path)  # their tables are others, so the model is another one
    Image.fromarray(picture(9)).save(more / "9.png")
    nicodec.train.train(more, out, resume=True)
    aside = tmp_path / f"my-{first[:8]}.nicmodel"
    assert checkpoint.load(out).identity != checkpoint.load(aside).identity == first
    said = " ".join(capfd.readouterr().err.split())
    assert f"{aside} is the model that was {out} before: files that it has made need it" in said
    assert nicodec.decode(file).size == (170, 150)
    monkeypatch.setenv("NICODEC_MODELS", str(tmp_path))
    assert checkpoint.find("my") == out  # the name is still that of one model
    aside.unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_model", full)
        with pytest.raises(NicError, match="No space"):
            nicodec.train.train(folder, out, resume=True)
    assert [path.name for path in tmp_path.glob("*.nicmodel")] == ["my.nicmodel"]
    nicodec.train.train(folder, out, resume=True, force=True)
    assert [path.name for path in tmp_path.glob("*.nicmodel")] == ["my.nicmodel"]


def test_a_run_that_goes_on_says_what_is_left_of_its_steps(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my.nicmodel"
    nicodec.train.train(folder, out, **QUICK)
    nicodec.train.train(folder, out, resume=True, steps=3)
    assert "It learns for 1 step, and then writes and checks the model." in capfd.readouterr().err


def test_a_decoder_cannot_be_kept_by_a_run_that_has_changed_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "my.nicmodel"
    nicodec.train.train(folder, out, **QUICK)
    with pytest.raises(BadModel, match=r"start\.nicmodel is not there: a run that begins with --freeze decoder"):
        nicodec.train.train(folder, out, resume=True, freeze="decoder")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"steps": 2, "minutes": 1.0}, "--minutes and --steps exclude each other"),
        ({"resume": True}, r"my\.run/state\.safetensors: there is no run to go on with; leave out --resume"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, tmp_path: Path, words: dict[str, Any], why: str) -> None:
    with pytest.raises(NicError, match=why):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **words)


def far_enough(*_: object) -> None:
    raise NicError("far enough")


def test_minutes_hold_for_everything(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule is what reading, export and report leave."""
    lengths: list[float] = []

    def stop(trainer: Trainer, *_: object) -> None:
        lengths.append(trainer.length)
        raise NicError("far enough")

    monkeypatch.setattr(loop, "run", stop)
    monkeypatch.setattr(plan.Plan, "passed", lambda self: 100.0)
    monkeypatch.setattr(plan.Plan, "reserve", lambda self, *_: 50.0)
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", minutes=10, **{**QUICK, "steps": None})
    assert lengths == [450.0]


def test_a_run_without_a_word_starts_from_the_released_small_network(
    folder: Path, tmp_path: Path, untrained: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NicError, match="far enough"):
        nicodec.train.train(folder, tmp_path / "my.nicmodel", threads=1)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "There are 4 pictures, in colour, of 0.025 megapixels."
    assert "starts from photo-fast" in lines[1]
    assert "30 minutes for all: reading, learning, writing, measuring" in lines[2]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("can't allocate memory")])
def test_a_full_disk_or_memory_is_one_line(
    error: Exception, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(loop, "run", full)
    with pytest.raises(NicError, match=r"No space left|not enough memory") as caught:
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **QUICK)
    assert "\n" not in str(caught.value)


def test_a_bar_without_a_terminal_says_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.bar(10) as items, progress.bar(1, share=True) as share, progress.bar(None) as unknown:
        for second in range(150):
            now[0] = second
            items("pictures")
            share("training", second / 200)
            unknown("reading")
    with progress.bar(1, hidden=True) as advance:
        now[0] = 1000.0
        advance("nothing")
    assert capfd.readouterr().err.splitlines() == [
        "61/10 pictures", "30% training", "reading", "121/10 pictures", "60% training", "reading"
    ]  # fmt: skip


def test_work_of_unknown_length_says_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    spoken = threading.Event()
    monkeypatch.setattr(progress, "EVERY", 0.001)
    monkeypatch.setattr(progress, "say", lambda text: (said.append(text), spoken.set()))
    with progress.working("counting"):
        assert spoken.wait(60)
    count = len(said)
    assert said[0].startswith("counting")
    assert len(said) == count
    spoken.clear()
    with progress.working("counting", hidden=True):
        assert not spoken.wait(0.1)
    assert len(said) == count
