"""The loop around the steps: it keeps the best, measures limits half-way, goes back, and saves when it is stopped."""

# ruff: noqa: E402

from __future__ import annotations

import json
import re
import signal
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
from nicodec.train import best, loop, state
from nicodec.train.data import Patches
from nicodec.train.state import read_meta
from nicodec.train.trainer import SLOWER, Trainer
from nicodec.train.watch import ASTRAY


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


def test_ctrl_c_saves_and_returns(patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(replace(OPTIONS, steps=None, minutes=60.0), patches)
    step = trainer.train_step

    def interrupted() -> Any:
        signal.raise_signal(signal.SIGINT)
        return step()

    monkeypatch.setattr(trainer, "train_step", interrupted)
    loop.run(trainer, tmp_path, lambda step: None)
    again = Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    assert again.step == trainer.step > 0
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == trainer.step
    assert last["look"] in ("better", "worse", "harmful")
    assert all(torch.equal(again.best.tensors[name], value) for name, value in trainer.best.tensors.items())


def test_a_second_ctrl_c_ends_a_run_at_once(patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(replace(OPTIONS, steps=None, minutes=60.0), patches)
    loop.begin(trainer, tmp_path)
    step = trainer.train_step

    def interrupted() -> Any:
        signal.raise_signal(signal.SIGINT)
        return step()

    def look() -> Any:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the last look goes on")

    monkeypatch.setattr(trainer, "train_step", interrupted)
    monkeypatch.setattr(trainer, "look", look)
    with pytest.raises(KeyboardInterrupt):
        loop.run(trainer, tmp_path, lambda step: None)
    assert read_meta(tmp_path / "state.safetensors")["step"] == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_every_step_is_reported_logged_and_saved_if_there_is_time_for_it(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    trainer = Trainer(replace(OPTIONS, steps=3, save_every=-1.0), patches)
    seen: list[loop.Step] = []
    saved: list[int] = []
    save = trainer.save
    monkeypatch.setattr(trainer, "save", lambda path: (saved.append(trainer.step), save(path)))
    loop.run(trainer, tmp_path / "run", seen.append)
    assert [step.number for step in seen] == [1, 2, 3]
    assert [step.fraction for step in seen] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(step.loss > 0 and step.bpp > 0 and step.psnr > 0 for step in seen)
    assert saved == [0, 1, 2, 3, 3]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines if "loss" in line} == {1, 2, 3}
    assert {line["step"] for line in lines if "look" in line} == {0, 1, 2, 3}


def spoil(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, good: int) -> None:
    """The loss is not a number after so many steps."""
    step = trainer.train_step

    def spoilt() -> Any:
        values = step()
        return values if trainer.step <= good else values * float("nan")

    monkeypatch.setattr(trainer, "train_step", spoilt)


def test_a_run_that_diverges_goes_back_to_its_best_at_half_the_rate_and_then_ends(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    trainer = Trainer(OPTIONS, patches)
    spoil(monkeypatch, trainer, good=3)
    said: list[str] = []
    loop.run(trainer, tmp_path, lambda step: None, said.append)
    assert len(said) == loop.RETURNS + 1
    assert all("the loss is not finite" in line for line in said)
    assert all(re.search(r"back to the best state, of step \d+, at half the rate", line) for line in said[:-1])
    assert "training ends early, with the best state" in said[-1]
    assert trainer.step == 3 + ASTRAY * (loop.RETURNS + 1)
    assert (trainer.returns, trainer.since) == (loop.RETURNS, ASTRAY)
    assert "NaN" not in (tmp_path / "log.jsonl").read_text()
    # What is saved is the best state.
    again = Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, trainer.best.tensors[name])


def test_a_return_halves_the_rate(patches: Patches) -> None:
    trainer = Trainer(OPTIONS, patches)
    trainer.look()
    trainer.train_step()
    before = trainer.optimiser.param_groups[0]["lr"]
    trainer.go_back()
    trainer.train_step()
    assert trainer.optimiser.param_groups[0]["lr"] == pytest.approx(SLOWER * before)


def test_a_rate_that_is_far_too_high_leaves_the_start(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY", -1.0)
    trainer = Trainer(replace(OPTIONS, steps=1000, rate=1e30), patches)
    start = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    said: list[str] = []
    loop.run(trainer, tmp_path, lambda step: None, said.append)
    assert "training ends early" in said[-1]
    trainer.take_best()
    assert all(torch.equal(value, start[name]) for name, value in trainer.model.state_dict().items())


def test_pictures_that_become_worse_end_a_run_with_the_best_state(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network does that learns its few pictures by heart: each look is worse than the one before."""
    trainer = Trainer(replace(OPTIONS, steps=60, origin="photo 32fc19df"), patches)
    looks: list[int] = []

    def worse(*_: object, **__: object) -> Any:
        looks.append(trainer.step)
        base = torch.tensor([[[1.0, 50.0], [2.0, 20.0], [3.0, 10.0], [4.0, 5.0], [5.0, 2.0]]]).numpy()
        return base * (1 if len(looks) == 3 else 1 + 0.01 * len(looks))

    monkeypatch.setattr(best, "measured", worse)
    monkeypatch.setattr(loop, "WARM_UP", 0)
    said: list[str] = []
    loop.run(trainer, tmp_path, lambda step: None, said.append)
    assert trainer.best.step == looks[2]
    assert trainer.step < 60
    assert "held-out pictures were no better in 4 looks: training ends early" in said[-1]


def test_weights_that_are_not_finite_are_not_saved(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    trainer.save(tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    with torch.no_grad():
        trainer.ema[3].fill_(float("inf"))
    with pytest.raises(NicError, match="weights"):
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
    assert trainer.step == 0
    assert {path.name for path in tmp_path.iterdir()} == {"state.safetensors"}
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_log_that_cannot_be_written_is_an_error_and_the_state_is_saved(
    patches: Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", -1.0)
    (tmp_path / "log.jsonl").mkdir()
    trainer = Trainer(OPTIONS, patches)
    trainer.look()
    with pytest.raises(NicError, match="cannot be written"):
        loop.run(trainer, tmp_path, lambda step: None)
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
