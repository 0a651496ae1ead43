"""A run that learns to clean: what it sees, what stays as it was, and what its model may do."""

# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training
from tiny_models import TINY
from tiny_training import OPTIONS, losses_of, picture

import nicodec
import nicodec.train
from nicodec.codec import Codec
from nicodec.errors import BadFile, BadModel, ModelNotFound, NicError
from nicodec.model import checkpoint
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.modelfile import DECODER
from nicodec.nn.layers import space_to_depth
from nicodec.nn.model import Model
from nicodec.nn.thaw import model_of
from nicodec.train import restoring, validate
from nicodec.train.damage import Damage
from nicodec.train.data import Patches
from nicodec.train.options import BadOption, Options, resumed
from nicodec.train.trainer import Trainer

REPAIRING = replace(TINY, repair=restoring.LAYERS)
QUICK: dict[str, Any] = {"steps": 2, "batch": 1, "patch": 64, "threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def patches(folder: Path) -> Patches:
    return tiny_training.patches(folder)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_models.write(tiny_models.random(TINY), tmp_path_factory.mktemp("start") / "first.nicmodel")


@pytest.fixture(scope="module")
def cleaner(folder: Path, start: Checkpoint) -> Path:
    """A model whose encoder has learnt to clean for two steps."""
    return nicodec.train.train(
        folder, start.path.with_name("cleaner.nicmodel"), start=str(start.path), clean_from="noise:25", **QUICK
    )


@pytest.fixture(scope="module")
def restorer(folder: Path, start: Checkpoint) -> Path:
    """A model whose decoder has learnt to clean for two steps."""
    out = start.path.with_name("restorer.nicmodel")
    return nicodec.train.train(folder, out, start=str(start.path), clean_from="noise:25", decoder_only=True, **QUICK)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_the_loss_compares_with_the_clean_picture(patches: Patches) -> None:
    """The network sees the first half, the second is wanted; the looks at held-out pictures do the same."""
    trainer = Trainer(replace(OPTIONS, clean_from="noise:25"), patches)
    model, q = trainer.model.eval(), torch.tensor([10000])
    clean = patches.squares(1)
    pair = restoring.pairs(trainer.damage, clean, 0, 0)
    noisy = pair[..., :3]
    assert torch.equal(pair[..., 3:], clean)
    assert not torch.equal(noisy, clean)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=trainer.amp):
        made = model(noisy.float() / 255 - 0.5, q).pixels
    expected = (255 * made + 127.5 - clean).square().mean()
    whole = torch.tensor([clean.shape[1:3]])
    assert float(trainer._loss(model, pair, q, whole)[2]) == pytest.approx(float(expected), rel=1e-3)
    (found,) = validate.curves(model, [pair[0].numpy()], (10000,), amp=trainer.amp)
    assert found[0, 1] == pytest.approx(float(expected), rel=0.02)  # of whole levels


def test_a_cleaner_is_judged_by_its_cost_alone(patches: Patches, start: Checkpoint) -> None:
    """What the start made of noise costs many bits for little, so a loss against it at equal bits says nothing."""
    options = replace(OPTIONS, origin="first 01234567")
    assert Trainer(options, patches, fresh=False).best.guarded
    assert not Trainer(replace(options, clean_from="noise:25"), patches, fresh=False).best.guarded


def test_without_a_stage_that_repairs_the_linear_start_keeps_less_noise(patches: Patches, start: Checkpoint) -> None:
    """And it is the best linear map: of the damaged picture it makes more nearly what it made of the clean one."""
    trainer = Trainer(replace(OPTIONS, clean_from="noise:25"), patches, fresh=False)
    trainer.start_from(start)
    before, now = model_of(start).g_a.shortcut, trainer.model.g_a.shortcut
    noisy, clean = restoring.pairs(trainer.damage, patches.squares(2), 5, 5).float().div(255).sub(0.5).split(3, -1)

    def blocks(x: Any) -> Any:
        return space_to_depth(x, 16)

    with torch.no_grad():
        wanted = before(blocks(clean))
        was, is_now = ((layer(blocks(noisy)) - wanted).square().mean() for layer in (before, now))
    assert float(is_now) < 0.7 * float(was)


def test_with_a_frozen_encoder_the_linear_start_is_that_of_the_decoder(patches: Patches, start: Checkpoint) -> None:
    options = replace(OPTIONS, clean_from="noise:25", freeze="encoder")
    trainer = Trainer(options, patches, fresh=False)
    trainer.start_from(start)
    before, now = model_of(start), trainer.model
    assert torch.equal(now.g_a.shortcut.weight, before.g_a.shortcut.weight)
    after, first = (model.g_s.shortcut.weight.detach().norm() for model in (now, before))
    assert float(after) < float(first)
    whole = Trainer(replace(options, clean_from="holes"), patches, fresh=False)
    whole.start_from(start)
    assert torch.equal(whole.model.g_s.shortcut.weight, before.g_s.shortcut.weight)


@pytest.mark.parametrize(
    ("change", "layers"),
    [
        ({"clean_from": "salt:5%"}, restoring.LAYERS),
        ({"clean_from": "lines"}, restoring.LAYERS),
        ({"clean_from": "salt:5%", "model": replace(TINY, repair=2)}, 2),
        ({"clean_from": "salt:5%", "model": TINY.without_deep()}, 0),
        ({"clean_from": "salt:5%", "freeze": "encoder"}, 0),
        ({"clean_from": "noise:25"}, 0),
        ({"clean_from": "holes"}, 0),
        ({}, 0),
    ],
    ids=str,
)
def test_an_encoder_gets_a_stage_that_repairs_for_damage_of_few_pixels(change: dict[str, Any], layers: int) -> None:
    """Where the decoder alone learns, or the codec is linear, there is none. One that is there stays."""
    options = replace(OPTIONS, **change)
    assert restoring.network(options) == replace(options.model, repair=layers)


def test_a_shortcut_behind_a_stage_that_repairs_stays(patches: Patches, start: Checkpoint) -> None:
    trainer = Trainer(replace(OPTIONS, clean_from="salt:5%", model=REPAIRING), patches, fresh=False)
    trainer.start_from(start)
    assert torch.equal(trainer.model.g_a.shortcut.weight, model_of(start).g_a.shortcut.weight)
    x, q = torch.rand(1, 64, 64, 3) - 0.5, torch.tensor([5000])
    with torch.no_grad():
        assert torch.equal(trainer.model.eval()(x, q).pixels, model_of(start)(x, q).pixels)


def test_the_stage_learns_alone_and_then_all_of_the_encoder_does(
    patches: Patches, start: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "ALONE", {"salt": (3, 0.8)})
    trainer = Trainer(replace(OPTIONS, clean_from="salt:5%", model=REPAIRING, freeze="decoder"), patches, fresh=False)
    trainer.start_from(start)

    def learnt() -> set[str]:
        """Beginnings of the names of what changed since the last look."""
        now = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
        changed = {name for name, p in now.items() if not torch.equal(p, before[name])}
        before.update(now)
        return {"g_a.repair" if "repair" in name else name.split(".")[0] for name in changed}

    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    losses_of(trainer, 3)
    assert learnt() == {"g_a.repair"}
    losses_of(trainer, 2)
    assert learnt() == {"g_a.repair", "g_a", "h_a"}
    assert trainer.since == 2  # the rate has warmed up anew


def test_the_stage_learns_alone_for_a_share_of_a_short_run(patches: Patches) -> None:
    options = replace(OPTIONS, clean_from="salt:5%", model=REPAIRING)
    assert restoring.repairs_alone(options, 5, 0.1)
    most, share = restoring.ALONE["salt"]
    assert not restoring.repairs_alone(options, 5, share)
    assert not restoring.repairs_alone(options, most, 0.1)
    assert not restoring.repairs_alone(replace(options, freeze="encoder"), 5, 0.1)
    assert not restoring.repairs_alone(replace(options, clean_from="noise:25"), 5, 0.1)
    assert not restoring.repairs_alone(replace(options, clean_from=""), 5, 0.1)
    assert not restoring.repairs_alone(replace(options, model=TINY), 5, 0.1)


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_run_stopped_before_or_after_the_stage_learnt_alone_goes_on(
    patches: Patches, start: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stop: int
) -> None:
    monkeypatch.setattr(restoring, "ALONE", {"salt": (3, 0.8)})
    options = replace(OPTIONS, clean_from="salt:5%", model=REPAIRING)
    whole = Trainer(options, patches, fresh=False)
    whole.start_from(start)
    expected = losses_of(whole, stop)
    whole.save(tmp_path / "state")
    other = Trainer(options, patches, fresh=False)
    other.load(tmp_path / "state")
    assert losses_of(other, 3) == losses_of(whole, 3)
    assert len(expected) == stop


def test_the_stage_learns_to_repair(patches: Patches, start: Checkpoint) -> None:
    """The error of the pixels that g_a sees falls, before anything is coded."""
    trainer = Trainer(replace(OPTIONS, clean_from="salt:5%", model=REPAIRING), patches, fresh=False)
    trainer.start_from(start)
    losses = losses_of(trainer, 60)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_start_that_restores_already_keeps_its_shortcut(patches: Patches, start: Checkpoint) -> None:
    trainer = Trainer(replace(OPTIONS, clean_from="noise:25"), patches, fresh=False)
    trainer.start_from(replace(start, restores="noise:25"))
    assert torch.equal(trainer.model.g_a.shortcut.weight, model_of(start).g_a.shortcut.weight)


def test_the_encoder_alone_learns_and_the_id_stays(start: Checkpoint, cleaner: Path) -> None:
    made = checkpoint.load(cleaner)
    assert made.identity == start.identity
    assert (made.restores, made.decodes) == ("noise:25", "")
    assert made.sha256 != start.sha256
    changed = {name for name, array in start.tensors.items() if not np.array_equal(array, made.tensors[name])}
    assert changed
    assert not any(name.startswith(DECODER) for name in changed)
    assert {name.split(".")[0] for name in changed} == {"g_a", "h_a", "familiar"}


def test_the_decoder_alone_learns_and_the_symbols_stay(start: Checkpoint, restorer: Path) -> None:
    made = checkpoint.load(restorer)
    assert made.decodes == start.identity != made.identity
    changed = {name for name, array in start.tensors.items() if not np.array_equal(array, made.tensors[name])}
    assert {name.split(".")[0] for name in changed} == {"g_s"}


def test_files_of_the_cleaner_decode_with_the_start(start: Checkpoint, cleaner: Path) -> None:
    with pytest.warns(UserWarning, match="the picture is restored: cleaner takes away noise:25"):
        data = Codec(cleaner, threads=1).encode(picture(5, 70, 80), lossless=False)
    assert nicodec.decode(data, model=start.path).size == (80, 70)


def test_the_restorer_decodes_files_of_the_start_and_of_itself_alone(
    start: Checkpoint, restorer: Path, tmp_path: Path
) -> None:
    data = Codec(start, threads=1).encode(picture(5, 70, 80), lossless=False)
    faithful = np.asarray(nicodec.decode(data, model=start.path))
    with pytest.warns(UserWarning, match="the picture is restored: restorer takes away noise:25"):
        restored = np.asarray(nicodec.decode(data, model=restorer))
    assert restored.shape == faithful.shape
    assert not np.array_equal(restored, faithful)
    other = tiny_models.random(TINY)
    with torch.no_grad():
        other.log_gain.add_(0.01)
    stranger = tiny_models.write(other, tmp_path / "other.nicmodel")
    strange = Codec(stranger, threads=1).encode(picture(5, 70, 80), lossless=False)
    (tmp_path / "strange.nic").write_bytes(strange)  # beside its own model, which would be found
    with pytest.raises(ModelNotFound, match="not with restorer"):
        nicodec.decode(tmp_path / "strange.nic", model=restorer)


def test_a_run_that_cleans_goes_on_without_its_start(folder: Path, start: Checkpoint, tmp_path: Path) -> None:
    first, out = tmp_path / "first.nicmodel", tmp_path / "my.nicmodel"
    first.write_bytes(start.path.read_bytes())
    nicodec.train.train(folder, out, start=str(first), clean_from="salt:5%", **QUICK)
    first.unlink()
    nicodec.train.train(folder, out, resume=True, again=True)
    made = checkpoint.load(out)
    assert (made.identity, made.restores, made.config) == (start.identity, "salt:5%", REPAIRING)
    changed = {name for name, array in start.tensors.items() if not np.array_equal(array, made.tensors[name])}
    assert {name for name in changed if name.startswith("graph.")} == {"graph.g_a", "graph.g_a.weights"}
    (tmp_path / "my.run" / restoring.START).unlink()
    with pytest.raises(BadModel, match=r"start\.nicmodel"):
        nicodec.train.train(folder, out, resume=True, again=True)


def test_skips_pass_by_the_latent_and_make_no_file(
    patches: Patches, folder: Path, start: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(replace(OPTIONS, skips=True), patches, fresh=False)
    trainer.start_from(start)
    plain = Model(TINY)
    plain.load_state_dict(trainer.model.state_dict(), strict=False)
    x, q = torch.rand(1, 64, 64, 3) - 0.5, torch.tensor([5000])
    assert torch.equal(trainer.model.eval()(x, q).pixels, plain.eval()(x, q).pixels)  # at the start they do nothing
    losses_of(trainer, 2)
    assert float(trainer.model.skip.weight.detach().abs().sum()) > 0
    out = tmp_path / "my.nicmodel"
    nicodec.train.train(folder, out, start=str(start.path), clean_from="noise:25", skips=True, **QUICK)
    assert "No model is written" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"clean_from": "rain"}, "--clean-from takes"),
        ({"decoder_only": True}, "--decoder-only goes with --clean-from"),
        ({"decoder_only": True, "freeze": "g_a", "clean_from": "noise"}, "--freeze g_a"),
        ({"clean_from": "noise", "measure": "quick"}, "leave out --measure"),
        ({"clean_from": "noise", "start": "none"}, "need a model to start from"),
        ({"freeze": "decoder", "colour": "gray"}, "would change the decoder"),
        ({"clean_from": "noise", "freeze": "g_a"}, "is --decoder-only"),
        ({"clean_from": "holes:8-32"}, "their largest side alone"),
        ({"skips": True, "freeze": "g_a"}, "leave out --freeze"),
        ({"skips": True, "transform": "linear", "start": "none"}, "--transform linear has none"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    folder: Path, start: Checkpoint, tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(NicError, match=why) as caught:
        nicodec.train.train(folder, tmp_path / "my.nicmodel", **{"start": str(start.path)} | QUICK | options)
    assert caught.value.exit_code == BadOption.exit_code
    assert not list(tmp_path.iterdir())


def test_held_out_pictures_are_told_with_and_without_damage() -> None:
    def run(damage: Damage | None, *, skips: bool = False, borrowed: bool = False) -> Any:
        held = restoring.held(damage, [np.full((64, 64, 3), 128, np.uint8)])
        data = SimpleNamespace(held=SimpleNamespace(borrowed=borrowed))
        return SimpleNamespace(damage=damage, held=held, data=data, options=replace(OPTIONS, skips=skips))

    curve = [restoring.Point(50, 0.5, 33.0)]
    (line,) = restoring.lines(run(Damage.of("noise:25")), curve)
    assert line.startswith("Held-out pictures have 20.")
    assert "33.00 dB at quality 50 (0.50 bpp)" in line
    (line,) = restoring.lines(run(Damage.of("noise:25"), borrowed=True), curve)
    assert line.startswith("A training picture has 20.")
    (line,) = restoring.lines(run(None, skips=True), curve)
    assert line == "Held-out pictures have, as estimated: 33.00 dB at quality 50 (0.50 bpp)."
    assert restoring.lines(run(None), curve) == []


def test_the_start_in_the_folder_of_a_run_is_that_of_this_run(start: Checkpoint, tmp_path: Path) -> None:
    run = tmp_path / "a.run"
    restoring.keep(run, checkpoint.load(checkpoint.find("photo-fast")))
    restoring.keep(run, start)
    assert checkpoint.load(run / restoring.START).identity == start.identity
    restoring.keep(run, checkpoint.load(run / restoring.START))
    assert checkpoint.load(run / restoring.START).identity == start.identity
    # A run that changes the decoder has no start that could go on with.
    restoring.keep(run, None)
    assert not (run / restoring.START).exists()


@pytest.mark.parametrize("change", [{"clean_from": "noise:50"}, {"distortion": "l1"}, {"skips": True}])
def test_what_chose_the_best_state_cannot_change_on_the_way(change: dict[str, Any]) -> None:
    saved = asdict(replace(Options(), clean_from="noise:5"))
    with pytest.raises(BadOption, match="needs a new run"):
        resumed(replace(Options(), **change), {*change}, saved, "state")
    assert resumed(Options(), set(), saved, "state")[0].clean_from == "noise:5"


@pytest.mark.parametrize("wrong", [{"clean_from": 5}, {"clean_from": "rain"}, {"skips": "no"}])
def test_a_state_whose_options_are_none_is_no_state(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadFile, match="not a training state"):
        resumed(Options(), set(), asdict(Options()) | wrong, "state")


def test_layers_for_natural_pictures_stay_beside_the_g_s_that_they_were_taught_with() -> None:
    start = checkpoint.load(checkpoint.find("photo"))
    natural = {name for name in start.tensors if name.startswith("natural.")}
    assert natural
    assert natural <= restoring.kept(start, "decoder").keys()
    assert not natural & restoring.kept(start, "encoder").keys()
