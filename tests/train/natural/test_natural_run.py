"""Layers for the natural picture: a run adds them to a model, changes nothing else, and may be stopped anywhere."""

# ruff: noqa: E402

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
import tiny_training

from nicodec.coding.natural import Draw
from nicodec.errors import BadFile, BadImage, BadModel, NicError
from nicodec.model import checkpoint, modelfile
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.thaw import natural_of
from nicodec.train.data import Patches
from nicodec.train.export import natural as export
from nicodec.train.natural import __main__ as command
from nicodec.train.natural import learner, pool
from nicodec.train.natural.learner import Learner, Options
from nicodec.train.options import BadOption
from nicodec.train.parts import network

STEPS = ["--batch", "2", "--seed", "3"]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Few squares, and few looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SQUARES": 3, "LOOKED_AT": 1, "QUALITIES": (1000, 5000), "LIMITED": 1}.items():
            patch.setattr(learner, name, value)
        patch.setattr(pool, "LOST", np.inf)  # random networks know nothing
        yield


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def patches(pictures: Path) -> Patches:
    return tiny_training.patches(pictures)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A model of random weights, whose tables say that much is missing."""
    network = tiny_models.random(tiny_models.TINY)
    counts, small = tiny_models.unseen(tiny_models.TINY)
    zero = counts.y.shape[1] // 2
    counts.y[:, zero - 1 : zero + 2] = 1000, 8000, 1000
    path = tmp_path_factory.mktemp("start") / "tiny.nicmodel"
    return tiny_models.export.write_model(network, path, "tiny", {"steps": 7}, counts, small)


@pytest.fixture(scope="module")
def made(start: Checkpoint, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What four steps make of it."""
    return run(pictures, tmp_path_factory.mktemp("made") / "out.nicmodel", start, 4)


def run(pictures: Path, out: Path, start: Checkpoint, steps: int, *more: str) -> Checkpoint:
    with tiny_training.one_thread():
        command.main([str(pictures), "-o", str(out), "--from", str(start.path), "--steps", str(steps), *STEPS, *more])
    return checkpoint.load(out)


def test_the_other_tensors_the_id_and_the_card_stay(start: Checkpoint, made: Checkpoint) -> None:
    assert made.identity == start.identity
    assert made.sha256 != start.sha256
    added = set(made.tensors) - set(start.tensors)
    assert {name for name in added if not name.startswith("natural.")} == {
        "graph.g_s_natural", "graph.g_s_natural.weights"
    }  # fmt: skip
    for name, array in start.tensors.items():
        assert array.dtype == made.tensors[name].dtype
        assert array.tobytes() == made.tensors[name].tobytes() or name == "halos", name
    # That of g_s was measured on other layers.
    assert made.tensors["halos"].tolist() == [start.tensors["halos"][0], start.config.reach_s]
    before, after = modelfile.head(start.path), modelfile.head(made.path)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"sha256", "training"}
    history = json.loads(after["training"])
    assert history["steps"] == 7
    assert history["natural"][0]["layers"] == "g_s"
    assert str(start.path.parent) not in after["training"]


def test_the_graph_computes_what_torch_computes(start: Checkpoint, made: Checkpoint) -> None:
    assert 0 < export.compare(made) < 1e-2
    with pytest.raises(BadModel, match="no layers"):
        export.compare(start)


def test_a_graph_that_computes_something_else_is_not_written(
    start: Checkpoint, made: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, pixels = natural_of(made), export.graphs.pixels
    assert layers is not None
    torch.nn.init.constant_(layers.head.bias, 0.3)

    def faithful(g: Any, c: Any, hat: str, y: str, rare: str, last: str, noise: str) -> str:
        return pixels(g, c, hat, y, rare)

    monkeypatch.setattr(export.graphs, "pixels", faithful)
    with pytest.raises(BadModel, match="ONNX and torch disagree"):
        export.add(modelfile.head(start.path), start, layers, tmp_path / "out.nicmodel", {})
    assert not list(tmp_path.iterdir())


def test_layers_of_the_start_go_on_and_history_grows(made: Checkpoint, pictures: Path, tmp_path: Path) -> None:
    again = run(pictures, tmp_path / "again.nicmodel", made, 1)
    assert again.identity == made.identity
    history = json.loads(modelfile.head(again.path)["training"])["natural"]
    assert [entry["layers"] for entry in history] == ["g_s", "natural"]
    name = "natural.head.weight"
    assert 0 < np.abs(again.tensors[name].astype(float) - made.tensors[name]).max() < 0.01


def test_a_resumed_run_is_an_unbroken_one(start: Checkpoint, patches: Patches, tmp_path: Path) -> None:
    options = Options(steps=6, batch=2)
    whole, first = Learner(options, start, patches), Learner(options, start, patches)
    for one in (whole, first):
        one.look()
    losses = [whole.train_step() for _ in range(5)]
    for _ in range(3):
        first.train_step()
    first.save(tmp_path / "state.safetensors")
    second = Learner(options, start, patches)
    second.load(tmp_path / "state.safetensors")
    assert [second.train_step() for _ in range(2)] == losses[3:]
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name
    assert (second.best_loss, second.best_step) == (whole.best_loss, whole.best_step)


def test_a_run_that_is_interrupted_keeps_its_state_and_goes_on(
    start: Checkpoint, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Learner.train_step

    def interrupted(self: Learner) -> tuple[float, float, float]:
        found = step(self)
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(Learner, "train_step", interrupted)
    out = tmp_path / "out.nicmodel"
    run(pictures, out, start, 4)
    assert json.loads(modelfile.head(out)["training"])["natural"][0]["steps"] == 2
    monkeypatch.undo()
    with pytest.raises(NicError, match="exists already"):
        run(pictures, out, start, 4)
    run(pictures, out, start, 4, "--resume")
    assert json.loads(modelfile.head(out)["training"])["natural"][0]["steps"] == 4


def test_learning_makes_the_loss_smaller(start: Checkpoint, patches: Patches) -> None:
    one = Learner(Options(steps=30, batch=2, rate=5e-3), start, patches)
    before = one.look()
    for _ in range(30):
        one.train_step()
    after = one.look()
    assert after.loss < 0.95 * before.loss
    assert (one.best_loss, one.best_step) == (after.loss, 30)


def test_limits_are_those_of_drawn_latents(start: Checkpoint, patches: Patches, made: Checkpoint) -> None:
    one = Learner(Options(steps=4, batch=2), start, patches)
    before = {name: value.clone() for name, value in one.layers.named_buffers()}
    one.measure_limits()
    for name, value in one.layers.named_buffers():
        assert not torch.equal(value, before[name]), name
        assert torch.equal(value, one.average.get_buffer(name))
    assert (made.tensors["natural.blocks.0.project_cap.limit"] != start.tensors["g_s.blocks.0.project_cap.limit"]).any()


def test_draws_are_those_of_the_decoder(start: Checkpoint, patches: Patches) -> None:
    one = Learner(Options(batch=2), start, patches)
    square, _ = pool.code(one.model, patches.validation[0][:128, :128], 1000, amp=False)
    drawn = one.draws.latent(square, (5, 6)) - square.y
    assert np.abs(drawn).max() > 0.1
    assert not drawn[square.r != 0].any()
    part = square.part(4, 4, 64)
    cell = one.draws.latent(part, (5, 6)) - part.y
    whole = Draw(one.draws.widths, 1.0, (5, 6), 1000)
    expected = whole.of(pool.Box(0, 0, 1, 1), part.r[None], part.index[None])[0]
    assert np.abs(cell - expected).max() < 1e-4


def test_a_square_is_learnt_from_at_many_places_and_with_other_draws(start: Checkpoint, patches: Patches) -> None:
    one = Learner(Options(batch=4), start, patches)
    first, second = one.pool.batch(0, 4), one.pool.batch(1, 4)
    assert not torch.equal(first.y, second.y)
    again = Learner(Options(batch=4), start, patches).pool.batch(1, 4)
    assert torch.equal(second.y, again.y)
    assert torch.equal(second.pixels, again.pixels)


def test_a_part_is_painted_twice_with_other_draws_and_noise(start: Checkpoint, patches: Patches) -> None:
    one = Learner(Options(batch=3), start, patches)
    batch = one.pool.batch(0, 3)
    assert len(batch.pixels) == 6
    assert torch.equal(batch.pixels[::2], batch.pixels[1::2])
    assert not torch.equal(batch.y[0], batch.y[1])
    with torch.no_grad():
        pixels = one.painted(one.layers, batch, 0)
    assert len(one.errors(pixels, batch).loss) == 3
    squared = 255**2 * (pixels - batch.pixels).square().mean((1, 2, 3))
    assert torch.allclose(one.errors(pixels, batch).squared, (squared[::2] + squared[1::2]) / 2, rtol=1e-3)


def test_an_error_that_varies_costs_less_than_one_that_stays(start: Checkpoint, patches: Patches) -> None:
    one = Learner(Options(batch=1, texture=0), start, patches)
    batch = one.pool.batch(0, 1)
    error = 0.02 * torch.randn(batch.pixels.shape[1:], generator=torch.Generator().manual_seed(0))
    stays, varies = (one.errors(batch.pixels + torch.stack([error, sign * error]), batch) for sign in (1, -1))
    assert torch.allclose(stays.squared[0], 255**2 * error.square().mean(), rtol=1e-4)
    assert float(varies.loss) < float(stays.loss)
    assert float(varies.squared) == pytest.approx(float(stays.squared), rel=1e-3)


def test_squares_on_which_the_codec_loses_its_way_are_left_out(
    start: Checkpoint, patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LOST", 2500.0)
    one = Learner(Options(batch=1), start, patches)
    square, _ = pool.code(one.model, patches.validation[0][:128, :128], 1000, amp=False)
    faithful = torch.from_numpy(square.pixels)[None] / 255 - 0.5
    assert not pool.is_lost(square, faithful)
    faithful[0, 70, 70:] += 0.4  # a line in a cell hardly counts
    assert not pool.is_lost(square, faithful)
    for wrong in (0.4, float("nan")):
        lost = faithful.clone()
        lost[0, 64:, 64:] += wrong
        assert pool.is_lost(square, lost)
    verdicts = iter([True, True, False])
    monkeypatch.setattr(pool, "is_lost", lambda square, faithful: next(verdicts))
    one.pool.size = 1
    one.pool.batch(0, 1)
    assert next(verdicts, None) is None
    monkeypatch.setattr(pool, "is_lost", lambda square, faithful: True)
    with pytest.raises(NicError, match="cannot code these pictures"):
        Learner(Options(batch=1), start, patches).pool.batch(0, 1)


@pytest.mark.parametrize(("upsample", "transform"), [("nearest", None), (None, "linear")])
def test_models_of_other_parts_are_refused(
    upsample: str | None, transform: str | None, pictures: Path, tmp_path: Path
) -> None:
    config = network(tiny_models.TINY, upsample, transform)
    other = tiny_models.write(tiny_models.random(config), tmp_path / "other.nicmodel")
    with pytest.raises(BadModel, match="usual transform and upsampling"):
        run(pictures, tmp_path / "out.nicmodel", other, 1)
    assert not (tmp_path / "out.run").exists()


def test_a_folder_without_pictures_is_named_as_such(start: Checkpoint, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadImage, match="no picture"):
        run(empty, tmp_path / "out.nicmodel", start, 1)
    with pytest.raises(BadImage, match="no such file"):
        run(tmp_path / "absent", tmp_path / "out.nicmodel", start, 1)


@pytest.mark.parametrize("option", [["--rate", "nan"], ["--steps", "0"], ["--batch", "0"], ["--texture", "-1"]])
def test_options_out_of_range_are_refused(option: list[str], start: Checkpoint, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=option[0]):
        run(pictures, tmp_path / "out.nicmodel", start, 1, *option)


def test_the_state_of_another_model_is_refused(start: Checkpoint, patches: Patches, tmp_path: Path) -> None:
    one = Learner(Options(batch=2), start, patches)
    one.identity = "0" * 64
    one.save(tmp_path / "state.safetensors")
    with pytest.raises(BadFile, match="another model"):
        Learner(Options(batch=2), start, patches).load(tmp_path / "state.safetensors")
