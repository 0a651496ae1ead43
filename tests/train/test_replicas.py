"""Replicas of the network: together they do what one does, and do it again the same way."""

# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_training import OPTIONS, losses_of

from nicodec.nn.model import Model
from nicodec.train import trainer as training
from nicodec.train.data import Patches
from nicodec.train.trainer import Trainer


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    return tiny_training.patches(tiny_training.pictures(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_two_threads_repeat_too_and_each_has_noise_of_its_own(patches: Patches) -> None:
    torch.set_num_threads(2)
    options = replace(OPTIONS, batch=8)
    first, second = Trainer(options, patches), Trainer(options, patches)
    assert losses_of(first, 8) == losses_of(second, 8)
    assert first.replicas is not None
    one, other = [torch.rand(9, generator=model.noise) for model in first.replicas.models]
    assert not one.equal(other)


def test_replicas_come_to_the_gradients_of_one_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where patches show more or less of a picture."""
    patches = tiny_training.patches(tiny_training.pictures(tmp_path), augment=0, margins=True)
    assert len(patches.batch(0, 14, 64)[2].unique(dim=0)) > 2
    monkeypatch.setattr(Model, "perturb", lambda self, x, rounded: x)
    monkeypatch.setattr(training, "bf16_pays", lambda device: False)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        trainer = Trainer(replace(OPTIONS, batch=14), patches)  # shares of 5, 5 and 4
        assert trainer.replicas is not None
        assert len(trainer.replicas.models) == threads
        loss, _, psnr = trainer.train_step().tolist()
        found.append(([p.grad for p in trainer.model.parameters()], loss, psnr))
    (one, *values), (three, *others) = found
    assert others == pytest.approx(values, rel=1e-5)
    for a, b in zip(one, three, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max()))
