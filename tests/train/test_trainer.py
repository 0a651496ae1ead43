"""The trainer: its steps repeat, go on from a state, and are not led astray by a bad batch."""

# ruff: noqa: E402

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import OPTIONS, losses_of

from nicodec.codec import Codec
from nicodec.coding import latents
from nicodec.errors import BadFile, BadModel
from nicodec.nn.thaw import model_of
from nicodec.train import schedule, validate
from nicodec.train.data import Patches
from nicodec.train.options import DISTORTIONS
from nicodec.train.schedule import learning_rate
from nicodec.train.trainer import Trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def patches(folder: Path) -> Patches:
    return tiny_training.patches(folder)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_losses_repeat(patches: Patches) -> None:
    first = losses_of(Trainer(OPTIONS, patches), 12)
    assert losses_of(Trainer(OPTIONS, patches), 12) == first


@pytest.mark.slow
def test_training_pays(patches: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a held-out picture rate plus distortion falls by a hundredth, after a short warm-up."""
    monkeypatch.setattr(schedule, "WARM_UP", 50)

    def cost(trainer: Trainer) -> float:
        with trainer.averaged() as model:
            return validate.cost(validate.curves(model, trainer.data.validation, side=128, amp=trainer.amp))

    trainer = Trainer(replace(OPTIONS, rate=5e-3), patches)
    at_first = cost(trainer)
    assert any(losses_of(trainer, 30) and cost(trainer) < at_first - 0.01 for _ in range(5))


# MS-SSIM looks through windows, and some of them reach over the edge.
@pytest.mark.parametrize("distortion", [kind for kind in DISTORTIONS if kind != "ms-ssim"])
def test_the_loss_counts_no_error_beyond_a_picture(patches: Patches, distortion: str) -> None:
    """And no bits; what is said of bits and error is of what the picture has."""
    trainer = Trainer(replace(OPTIONS, distortion=distortion), patches)
    model, q, x = trainer.model.eval(), torch.tensor([5000]), patches.squares(1)[:, :64, :64]
    other = x.clone()
    other[:, 48:], other[:, :, 32:] = 255 - other[:, 48:], 255 - other[:, :, 32:]
    part, whole = torch.tensor([[48, 32]]), torch.tensor([[64, 64]])

    def loss(wanted: torch.Tensor, visible: torch.Tensor) -> list[float]:
        """Of a network that sees x, and is to make `wanted` of it."""
        with torch.no_grad():
            return [float(v) for v in trainer._loss(model, torch.cat([x, wanted], -1), q, visible)]

    assert loss(x, part) == loss(other, part)
    assert loss(x, whole) != loss(other, whole)
    (_, bpp, mse), (_, wholly, _) = loss(x, part), loss(x, whole)
    assert bpp * 48 * 32 < wholly * 64 * 64
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=trainer.amp):
        made = model(x.float() / 255 - 0.5, q, part).pixels
    inside = (255 * made + 127.5 - x)[:, :48, :32]
    assert mse == pytest.approx(float(inside.square().mean()), rel=1e-3)


def test_resuming_goes_on_as_if_never_stopped(patches: Patches, tmp_path: Path) -> None:
    whole = Trainer(OPTIONS, patches)
    expected = losses_of(whole, 12)
    trainer = Trainer(OPTIONS, patches)
    assert losses_of(trainer, 6) == expected[:6]
    trainer.save(tmp_path / "state.safetensors")
    other = Trainer(replace(OPTIONS, seed=0), patches)
    other.load(tmp_path / "state.safetensors")
    assert losses_of(other, 6) == expected[6:]
    for a, b in zip(whole.ema, other.ema, strict=True):
        assert torch.equal(a, b)


def test_a_new_schedule_starts_from_the_average(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    losses_of(trainer, 5)
    trainer.save(tmp_path / "state.safetensors")
    other = Trainer(OPTIONS, patches, fresh=False)
    other.load(tmp_path / "state.safetensors", restart=True)
    assert other.progress() == 0
    assert (other.step, other.pixels) == (5, trainer.pixels)
    for p, average in zip(other.model.parameters(), trainer.ema, strict=True):
        assert torch.equal(p, average)


def test_a_new_schedule_starts_from_the_best_state_if_there_is_one(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    trainer.look()
    losses_of(trainer, 5)
    trainer.save(tmp_path / "state.safetensors")
    other = Trainer(OPTIONS, patches, fresh=False)
    other.load(tmp_path / "state.safetensors", restart=True)
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, trainer.best.tensors[name])
    assert other.best.meta() == trainer.best.meta()


def test_learning_rate_warms_up_holds_and_falls() -> None:
    assert learning_rate(0, 0.0, math.inf) == pytest.approx(1 / 300)
    assert learning_rate(149, 0.01, 14_900) == pytest.approx(0.5)
    assert learning_rate(299, 0.1, 3_000) == learning_rate(10_000, 0.5, 20_000) == 1
    assert learning_rate(10_000, 0.75, 13_333) == pytest.approx(0.505)
    assert learning_rate(10_000, 1.0, 10_000) == pytest.approx(0.01)


def test_the_warm_up_of_a_short_run_is_a_share_of_it() -> None:
    assert learning_rate(3, 0.04, 100) == pytest.approx(0.5)
    assert learning_rate(7, 0.08, 100) == 1
    assert learning_rate(1, 20 / 600, 60) <= 0.25  # a first step that took 20 of 600 seconds tells of no short run
    assert learning_rate(3, 0.6, 100) < learning_rate(7, 0.6, 100)  # after a return, it is warmed up again


def test_a_step_that_is_not_finite_changes_nothing(patches: Patches) -> None:
    trainer = Trainer(OPTIONS, patches)
    losses_of(trainer, 2)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    assert trainer.replicas is not None
    good = trainer.replicas.loss
    trainer.replicas.loss = lambda *given: tuple(v * float("nan") for v in good(*given))
    trainer.train_step()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def moved(trainer: Trainer, before: list[Any]) -> bool:
    """Whether ten more steps change the weights."""
    losses_of(trainer, 10)
    return not all(torch.equal(p, b) for p, b in zip(trainer.model.parameters(), before, strict=True))


def test_a_step_whose_loss_jumps_changes_nothing(patches: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(replace(OPTIONS, batch=2), patches)
    losses_of(trainer, 3)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    plain = trainer._gradients

    def jumping(*batch: Any) -> Any:
        total, bpp, mse = plain(*batch)
        return 100 * total, bpp, mse

    monkeypatch.setattr(trainer, "_gradients", jumping)
    losses_of(trainer, 1)
    assert all(torch.equal(p, b) for p, b in zip(trainer.model.parameters(), before, strict=True))
    # A level that stays becomes the usual one.
    assert any(moved(trainer, before) for _ in range(12))


def test_a_step_whose_gradient_jumps_changes_nothing(patches: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(replace(OPTIONS, batch=2), patches)
    losses_of(trainer, 3)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *given: 1000 * clip(*given))
    losses_of(trainer, 1)
    assert all(torch.equal(p, b) for p, b in zip(trainer.model.parameters(), before, strict=True))
    assert any(moved(trainer, before) for _ in range(12))


def test_in_the_finish_patches_are_larger_than_pictures_without_their_margin(tmp_path: Path) -> None:
    for i in range(4):
        Image.fromarray(tiny_training.picture(i, 100, 170)).save(tmp_path / f"{i}.png")
    options, sizes = replace(OPTIONS, steps=10, augment=0.5), []
    for margins in (True, False):
        trainer = Trainer(options, tiny_training.patches(tmp_path, augment=0.5, margins=margins))
        losses_of(trainer, 10)
        sizes.append(trainer.pixels)
    assert sizes == [8 * 2 * 64**2 + 2 * 128**2, 10 * 2 * 64**2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_recorded_step_learns_as_one_that_is_not(folder: Path) -> None:
    on_gpu = Patches([folder], torch.device("cuda"), seed=0)
    trainer, plain = (Trainer(replace(OPTIONS, rate=5e-3), on_gpu) for _ in range(2))
    plain._update = plain._one_update
    for n in range(60):
        recorded, not_recorded = trainer.train_step().tolist(), plain.train_step().tolist()
        assert recorded == pytest.approx(not_recorded, rel=0.02), n


def test_pictures_too_small_for_the_finish_are_trained_on_to_the_end(patches: Patches) -> None:
    trainer = Trainer(replace(OPTIONS, steps=10, patch=128), patches)
    losses_of(trainer, 10)
    assert trainer.progress() == 1
    assert trainer.pixels == 10 * 2 * 128 * 128


def test_patches_of_the_finish_grow_to_a_largest_size_only(patches: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    for largest, at_the_end in ((128, 4 * 128**2), (64, 4 * 4 * 64**2)):
        monkeypatch.setattr(schedule, "LARGEST", largest)
        trainer = Trainer(replace(OPTIONS, steps=20, batch=4), patches)
        losses_of(trainer, 20)
        assert trainer.pixels == 16 * 4 * 64**2 + at_the_end


def test_a_state_of_another_network_is_refused(patches: Patches, tmp_path: Path) -> None:
    Trainer(OPTIONS, patches).save(tmp_path / "state")
    wider = replace(OPTIONS, model=replace(TINY, width=24))
    with pytest.raises(BadFile, match="not one of this network"):
        Trainer(wider, patches).load(tmp_path / "state")


def test_a_start_of_other_widths_is_a_bad_model(patches: Patches, tmp_path: Path) -> None:
    trainer = Trainer(OPTIONS, patches)
    made = tiny_models.write(trainer.model, tmp_path / "my.nicmodel")
    with pytest.raises(BadModel, match="widths"):
        trainer.start_from(replace(made, config=replace(TINY, width=24)))


@pytest.mark.parametrize("name", ["h_mu.cap1.limit", "g_s.head.bias", "h_sigma.layers.1.scale"])
def test_a_start_that_lacks_a_tensor_is_a_bad_model(patches: Patches, tmp_path: Path, name: str) -> None:
    trainer = Trainer(OPTIONS, patches)
    made = tiny_models.write(trainer.model, tmp_path / "my.nicmodel")
    tensors = {key: array for key, array in made.tensors.items() if key != name}
    with pytest.raises(BadModel, match=name):
        trainer.start_from(replace(made, tensors=tensors))


def test_a_frozen_encoder_stays_and_all_else_learns(patches: Patches, tmp_path: Path) -> None:
    """So latents stay comparable: the encoder that they come from is the same to the bit, also when a run goes on."""
    start = tiny_models.write(tiny_models.random(TINY), tmp_path / "start.nicmodel")
    trainer = Trainer(replace(OPTIONS, freeze="g_a"), patches, fresh=False)
    trainer.start_from(start)
    losses_of(trainer, 2)
    trainer.save(tmp_path / "state")
    resumed = Trainer(replace(OPTIONS, freeze="g_a"), patches)
    resumed.load(tmp_path / "state")
    losses_of(resumed, 2)
    before = model_of(start).state_dict()
    stayed = {name for name, p in resumed.model.named_parameters() if torch.equal(p, before[name])}
    assert stayed >= {name for name in before if name.startswith("g_a.") and "limit" not in name} | {"log_gain"}
    with resumed.averaged() as model:
        made = tiny_models.write(model, tmp_path / "made.nicmodel")
    encoders = {latents.encoder_of(Codec(found, threads=1)) for found in (start, made)}
    assert len(encoders) == 1
    assert made.identity != start.identity
