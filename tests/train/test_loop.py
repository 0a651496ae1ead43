"""The loop around the steps: it measures limits half-way, and saves when it is stopped."""

# ruff: noqa: E402

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_training import OPTIONS

from nicodec.errors import NicError
from nicodec.train import loop, state, validate
from nicodec.train.data import Patches
from nicodec.train.trainer import Trainer
from nicodec.train.watch import ASTRAY, Diverged


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    return tiny_training.patches(tiny_training.pictures(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_limits_are_measured_half_way_and_kept(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(replace(OPTIONS, steps=4), patches)
    first = {name: b.clone() for name, b in trainer.model.named_buffers() if name.endswith("limit")}
    loop.run(trainer, tmp_path, lambda step: None)
    limits = dict(trainer.model.named_buffers())
    assert sum(not torch.equal(limits[name], b) for name, b in first.items()) > len(first) / 2
    again = Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    for name, b in again.model.named_buffers():
        assert torch.equal(b, limits[name])


def test_ctrl_c_saves_and_returns(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(replace(OPTIONS, steps=None, minutes=60.0), patches)
    threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
    loop.run(trainer, tmp_path, lambda step: None)
    again = Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    assert again.step == trainer.step > 0
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == trainer.step
    assert len(last["validation"]) == len(validate.VALIDATION_QUALITIES)


def test_every_step_is_reported_logged_and_saved_if_there_is_time_for_it(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    trainer = Trainer(replace(OPTIONS, steps=3, save_every=-1.0, validate_every=-1.0), patches)
    seen: list[loop.Step] = []
    saved: list[int] = []
    save = trainer.save
    monkeypatch.setattr(trainer, "save", lambda path: (saved.append(trainer.step), save(path)))
    loop.run(trainer, tmp_path / "run", seen.append)
    assert [step.number for step in seen] == [1, 2, 3]
    assert [step.fraction for step in seen] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(step.loss > 0 and step.bpp > 0 and step.psnr > 0 for step in seen)
    assert saved == [1, 2, 3, 3]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], "validation" in line) for line in lines] == [
        (1, False), (1, True), (2, False), (2, True), (3, False), (3, True), (3, True)
    ]  # fmt: skip


def spoil(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, good: int) -> None:
    """The loss is not a number after so many steps."""
    step = trainer.train_step

    def spoilt() -> Any:
        values = step()
        return values if trainer.step <= good else values * float("nan")

    monkeypatch.setattr(trainer, "train_step", spoilt)


def test_a_run_that_diverges_stops_and_keeps_the_state_before(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    trainer = Trainer(replace(OPTIONS, save_every=-1.0), patches)
    spoil(monkeypatch, trainer, good=3)
    with pytest.raises(Diverged, match=r"not finite, .* the state of step 3 is kept, and --resume goes on"):
        loop.run(trainer, tmp_path, lambda step: None)
    assert trainer.step == 3 + ASTRAY
    assert state.read_meta(tmp_path / "state.safetensors")["step"] == 3
    assert "NaN" not in (tmp_path / "log.jsonl").read_text()


def test_a_run_that_is_astray_from_its_first_step_saves_and_logs_no_nan(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    trainer = Trainer(replace(OPTIONS, steps=3), patches)
    spoil(monkeypatch, trainer, good=0)
    with pytest.raises(Diverged, match="no state was saved yet"):
        loop.run(trainer, tmp_path, lambda step: None)
    assert not (tmp_path / "state.safetensors").exists()
    text = (tmp_path / "log.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert [line["loss"] for line in lines] == [None, None, None]


def test_a_rate_that_is_far_too_high_is_divergence(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    with pytest.raises(Diverged, match="diverged"):
        loop.run(Trainer(replace(OPTIONS, steps=1000, rate=1e30), patches), tmp_path, lambda step: None)


def test_weights_that_are_not_finite_are_not_saved(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    trainer.save(tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    with torch.no_grad():
        trainer.ema[3].fill_(float("inf"))
    with pytest.raises(Diverged, match="weights"):
        trainer.save(tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), state.SafetensorError("I/O error: full")])
def test_a_disk_that_is_full_ends_a_run_and_keeps_the_state_before(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    trainer = Trainer(replace(OPTIONS, save_every=-1.0), patches)
    trainer.save(tmp_path / "state.safetensors")
    before = (tmp_path / "state.safetensors").read_bytes()

    def full(tensors: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(NicError, match=r"state\.safetensors: the state cannot be written .* the state before is kept"):
        loop.run(trainer, tmp_path, lambda step: None)
    assert trainer.step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_log_that_cannot_be_written_is_an_error_and_the_state_is_saved(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(NicError, match="cannot be written"):
        loop.run(Trainer(OPTIONS, patches), tmp_path, lambda step: None)
    assert state.read_meta(tmp_path / "state.safetensors")["step"] == 1


def test_a_report_that_fails_ends_a_run_whose_state_is_saved(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)

    def fail(step: loop.Step) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop.run(Trainer(OPTIONS, patches), tmp_path, fail)
    assert state.read_meta(tmp_path / "state.safetensors")["step"] == 1
