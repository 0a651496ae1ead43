"""The trainer: repeatable, resumable, and at its end a file that encodes and decodes."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models  # noqa: E402
from tiny_models import TINY  # noqa: E402

import nicodec  # noqa: E402
from nicodec.errors import BadFile, BadImage, BadModel, ModelNotFound, NicError  # noqa: E402
from nicodec.train import data as d  # noqa: E402
from nicodec.train import export, loop, loss, patterns, preview, tables  # noqa: E402
from nicodec.train.model import NETWORKS, Model, ModelConfig, Output  # noqa: E402

OPTIONS = loop.Options(steps=200, batch=2, patch=64, model=TINY)


def picture(seed: int, height: int = 150, width: int = 170) -> np.ndarray[Any, Any]:
    """Shaded shapes on a slope, and a little noise: cheap, but with edges and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * a + y * b for a, b in rng.uniform(-0.6, 0.6, (3, 2))], -1) + 128
    for _ in range(6):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(10, 50)
        pixels[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += rng.uniform(-90, 90, 3)
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for i in range(4):
        Image.fromarray(picture(i)).save(path / f"{i}.png")
    return path


@pytest.fixture(scope="module")
def patches(folder: Path) -> d.Patches:
    return d.Patches([folder], torch.device("cpu"), seed=0)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses(trainer: loop.Trainer, count: int) -> list[float]:
    return [float(trainer.train_step()[0]) for _ in range(count)]


def test_lambda_is_log_linear_in_quality() -> None:
    values = loss.lambda_of(torch.tensor([0, 5000, 10000])).tolist()
    assert values[0] == pytest.approx(loss.LAMBDA_MIN)
    assert values[1] == pytest.approx((loss.LAMBDA_MIN * loss.LAMBDA_MAX) ** 0.5)
    assert values[2] == pytest.approx(loss.LAMBDA_MAX)


def test_folders_files_and_tar_shards_give_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
        junk = tarfile.TarInfo("notes.png")
        junk.size = 5
        tar.addfile(junk, io.BytesIO(b"hello"))
    from_tar = d.Patches([tmp_path], torch.device("cpu"), seed=0)
    from_folder = d.Patches([folder], torch.device("cpu"), seed=0)
    from_files = d.Patches(sorted(folder.iterdir()), torch.device("cpu"), seed=0)
    assert torch.equal(from_tar.store, from_folder.store)
    assert torch.equal(from_files.store, from_folder.store)
    assert from_tar.skipped == ["notes.png"]
    assert len(from_folder.entries) == 8  # each picture as it is and once reduced


def test_patches_depend_on_seed_and_step_alone(patches: d.Patches, folder: Path) -> None:
    x, q = patches.batch(7, 4, 64)
    again, q_again = d.Patches([folder], torch.device("cpu"), seed=0).batch(7, 4, 64)
    other, _ = patches.batch(8, 4, 64)
    assert x.shape == (4, 64, 64, 3)
    assert x.dtype == torch.uint8
    assert torch.equal(x, again)
    assert torch.equal(q, q_again)
    assert not torch.equal(x, other)
    # one quality in each quarter of the range
    assert sorted((q // 2500).clamp(max=3).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", dict.fromkeys(patterns.KINDS), ids=lambda kind: kind.__name__)
def test_drawn_patches_repeat_and_differ(kind: patterns.Draw) -> None:
    photograph = picture(3)[:64, :64]
    made = [
        np.array(kind(np.random.default_rng(seed), photograph), np.uint8) for seed in (0, 0, *range(1, 9))
    ]
    assert made[0].shape == (64, 64, 3)
    assert np.array_equal(made[0], made[1])
    assert len({patch.tobytes() for patch in made[1:]}) > 5


def test_a_few_patches_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "draw", lambda rng, photograph: np.full_like(photograph, 9))
    for share, fewest, most in ((0.0, 0, 0), (0.5, 10, 38), (1.0, 48, 48)):
        mixed = d.Patches([folder], torch.device("cpu"), seed=0, drawn=share)
        drawn = sum(int((mixed.batch(step, 8, 64)[0] == 9).all((1, 2, 3)).sum()) for step in range(6))
        assert fewest <= drawn <= most


def test_busy_patches_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    flat[:, 128:] = np.random.default_rng(0).integers(0, 256, (256, 128, 3))
    Image.fromarray(flat).save(tmp_path / "half.png")
    monkeypatch.setattr(patterns, "draw", lambda rng, photograph: photograph)

    def busy(tries: int) -> float:
        monkeypatch.setattr(d, "TRIES", tries)
        x, _ = d.Patches([tmp_path], torch.device("cpu"), seed=0).batch(0, 200, 64)
        return float((x != 90).float().mean())

    assert 0.4 < busy(1) < 0.6
    assert busy(4) > 0.85


def test_the_running_sum_of_detail_agrees_with_a_plain_one() -> None:
    pixels = picture(1, 256, 250)
    luma = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
    gradient = np.zeros_like(luma)
    gradient[:, 1:] += np.abs(np.diff(luma, axis=1))
    gradient[1:] += np.abs(np.diff(luma, axis=0))
    s = d.running_detail(pixels)
    found = s[128 // 8, 160 // 8] - s[64 // 8, 160 // 8] - s[128 // 8, 96 // 8] + s[64 // 8, 96 // 8]
    assert found == pytest.approx(gradient[64:128, 96:160].sum(), rel=1e-4)


def test_a_patch_lies_in_one_of_eight_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    square = picture(2, 64, 64)
    Image.fromarray(square).save(tmp_path / "square.png")
    monkeypatch.setattr(patterns, "draw", lambda rng, photograph: photograph)
    x, _ = d.Patches([tmp_path], torch.device("cpu"), seed=0).batch(0, 200, 64)
    turned = [np.rot90(square, k) for k in range(4)]
    ways = {w.tobytes() for w in [*turned, *(t[:, ::-1] for t in turned)]}
    assert {patch.tobytes() for patch in x.numpy()} == ways


def test_validation_is_split_by_file(folder: Path, tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(200)]
    held = [n for n in names if d.zlib.crc32(n.encode()) % d.HOLD_OUT == 0]
    assert 1 <= len(held) <= 20
    small = Image.fromarray(picture(0, 70, 70))
    for name in [*held[:2], "a.png", "b.png"]:
        small.save(tmp_path / name)
    found = d.Patches([tmp_path], torch.device("cpu"), seed=0)
    assert len(found.validation) == 2
    assert len(found.entries) == 2  # reduced, 70 pixels are under 64


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"not a picture")
    with pytest.raises(BadImage, match="no picture"):
        d.Patches([tmp_path], torch.device("cpu"), seed=0)
    (tmp_path / "broken.tar").write_bytes(b"x" * 700)
    with pytest.raises(BadImage, match=r"broken\.tar"):
        d.Patches([tmp_path / "broken.tar"], torch.device("cpu"), seed=0)
    with pytest.raises(BadImage, match="missing"):
        d.Patches([tmp_path / "missing.png"], torch.device("cpu"), seed=0)


def test_the_first_hundred_losses_repeat(patches: d.Patches) -> None:
    first = losses(loop.Trainer(OPTIONS, patches), 100)
    assert losses(loop.Trainer(OPTIONS, patches), 100) == first


def test_two_threads_repeat_too_and_each_has_noise_of_its_own(patches: d.Patches) -> None:
    torch.set_num_threads(2)
    options = replace(OPTIONS, batch=8)
    first, second = loop.Trainer(options, patches), loop.Trainer(options, patches)
    assert losses(first, 20) == losses(second, 20)
    assert first.replicas is not None
    one, other = [torch.rand(9, generator=model.noise) for model in first.replicas.models]
    assert not one.equal(other)


def test_replicas_come_to_the_gradients_of_one_network(
    patches: d.Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "perturb", lambda self, x, rounded: x)
    monkeypatch.setattr(loop, "bf16_pays", lambda device: False)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        trainer = loop.Trainer(replace(OPTIONS, batch=14), patches)  # shares of 5, 5 and 4
        assert trainer.replicas is not None
        assert len(trainer.replicas.models) == threads
        loss, _, psnr = trainer.train_step().tolist()
        found.append(([p.grad for p in trainer.model.parameters()], loss, psnr))
    (one, *values), (three, *others) = found
    assert others == pytest.approx(values, rel=1e-5)
    for a, b in zip(one, three, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max()))


@pytest.mark.slow
def test_training_pays(patches: d.Patches) -> None:
    """On a held-out picture rate plus distortion falls by a hundredth; 300 of 400 steps only warm up."""

    def cost(trainer: loop.Trainer) -> float:
        points = trainer.validate(128)
        return float(
            np.mean([np.log(p["bpp"] + p["lambda"] * 255**2 / 10 ** (p["psnr"] / 10)) for p in points])
        )

    trainer = loop.Trainer(replace(OPTIONS, rate=5e-3), patches)
    at_first = cost(trainer)
    losses(trainer, 400)
    assert cost(trainer) < at_first - 0.01


def test_resuming_goes_on_as_if_never_stopped(patches: d.Patches, tmp_path: Path) -> None:
    whole = loop.Trainer(OPTIONS, patches)
    expected = losses(whole, 12)
    trainer = loop.Trainer(OPTIONS, patches)
    assert losses(trainer, 6) == expected[:6]
    trainer.save(tmp_path / "state.safetensors")
    other = loop.Trainer(replace(OPTIONS, seed=0), patches)
    other.load(tmp_path / "state.safetensors")
    assert losses(other, 6) == expected[6:]
    for a, b in zip(whole.ema, other.ema, strict=True):
        assert torch.equal(a, b)


def test_a_new_schedule_starts_from_the_average(patches: d.Patches, tmp_path: Path) -> None:
    trainer = loop.Trainer(OPTIONS, patches)
    losses(trainer, 5)
    trainer.save(tmp_path / "state.safetensors")
    other = loop.Trainer(OPTIONS, patches)
    other.load(tmp_path / "state.safetensors", restart=True)
    assert other.progress() == 0
    assert (other.step, other.pixels) == (5, trainer.pixels)
    for p, average in zip(other.model.parameters(), trainer.ema, strict=True):
        assert torch.equal(p, average)


def test_learning_rate_warms_up_holds_and_falls() -> None:
    assert loop.learning_rate(0, 0.0) == pytest.approx(1 / 300)
    assert loop.learning_rate(299, 0.1) == loop.learning_rate(10_000, 0.5) == 1
    assert loop.learning_rate(10_000, 0.75) == pytest.approx(0.505)
    assert loop.learning_rate(10_000, 1.0) == pytest.approx(0.01)


def test_a_step_that_is_not_finite_changes_nothing(patches: d.Patches) -> None:
    trainer = loop.Trainer(OPTIONS, patches)
    losses(trainer, 2)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    assert trainer.replicas is not None
    good = trainer.replicas.loss
    trainer.replicas.loss = lambda *given: tuple(v * float("nan") for v in good(*given))
    trainer.train_step()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_a_step_whose_loss_jumps_changes_nothing(patches: d.Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = loop.Trainer(replace(OPTIONS, batch=2), patches)
    losses(trainer, 3)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    plain = trainer._gradients

    def jumping(*batch: Any) -> Any:
        total, bpp, mse = plain(*batch)
        return 100 * total, bpp, mse

    monkeypatch.setattr(trainer, "_gradients", jumping)
    losses(trainer, 1)
    assert all(torch.equal(p, b) for p, b in zip(trainer.model.parameters(), before, strict=True))
    # A level that stays becomes the usual one.
    losses(trainer, 120)
    assert not all(torch.equal(p, b) for p, b in zip(trainer.model.parameters(), before, strict=True))


def test_a_patch_that_runs_away_counts_as_its_logarithm() -> None:
    x = torch.zeros(2, 64, 64, 3)
    nothing = torch.zeros(2)
    q = torch.tensor([10000, 10000])

    def total(error: float) -> float:
        pixels = torch.full_like(x, error / 255)
        z = torch.zeros(0)
        return float(loss.rate_distortion(x, q, Output(pixels, nothing, nothing, z, z, z, z)).total)

    scale = loss.LAMBDA_MAX ** (1 - loss.BALANCE)
    assert total(3) == pytest.approx(9 * scale, rel=1e-3)
    assert total(1e6) == pytest.approx(loss.RUNAWAY * (1 + np.log(1e12 * scale / loss.RUNAWAY)), rel=1e-3)


def test_limits_are_measured_half_way_and_kept(patches: d.Patches, tmp_path: Path) -> None:
    trainer = loop.Trainer(replace(OPTIONS, steps=4), patches)
    first = {name: b.clone() for name, b in trainer.model.named_buffers() if name.endswith("limit")}
    seen = []
    trainer.run(tmp_path, lambda step: seen.append(step))
    limits = dict(trainer.model.named_buffers())
    assert sum(not torch.equal(limits[name], b) for name, b in first.items()) > len(first) / 2
    again = loop.Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    for name, b in again.model.named_buffers():
        assert torch.equal(b, limits[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_recorded_step_learns_as_one_that_is_not(folder: Path) -> None:
    on_gpu = d.Patches([folder], torch.device("cuda"), seed=0)
    trainer, plain = (loop.Trainer(replace(OPTIONS, rate=5e-3), on_gpu) for _ in range(2))
    plain._update = plain._one_update
    for n in range(60):
        recorded, not_recorded = trainer.train_step().tolist(), plain.train_step().tolist()
        assert recorded == pytest.approx(not_recorded, rel=0.02), n


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_state_that_is_none_is_refused(patches: d.Patches, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(BadFile, match="state"):
        loop.Trainer(OPTIONS, patches).load(tmp_path / "state")


def test_pictures_too_small_for_the_finish_are_trained_on_to_the_end(patches: d.Patches) -> None:
    trainer = loop.Trainer(replace(OPTIONS, steps=10, patch=128), patches)
    losses(trainer, 10)
    assert trainer.progress() == 1
    assert trainer.pixels == 10 * 2 * 128 * 128


def test_patches_of_the_finish_grow_to_a_largest_size_only(
    patches: d.Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    for largest, at_the_end in ((128, 4 * 128**2), (64, 4 * 4 * 64**2)):
        monkeypatch.setattr(loop, "LARGEST", largest)
        trainer = loop.Trainer(replace(OPTIONS, steps=20, batch=4), patches)
        losses(trainer, 20)
        assert trainer.pixels == 16 * 4 * 64**2 + at_the_end


def test_a_state_of_another_network_is_refused(patches: d.Patches, tmp_path: Path) -> None:
    loop.Trainer(OPTIONS, patches).save(tmp_path / "state")
    wider = replace(OPTIONS, model=replace(TINY, width=24))
    with pytest.raises(BadFile, match="not one of this network"):
        loop.Trainer(wider, patches).load(tmp_path / "state")


def test_ctrl_c_saves_and_returns(patches: d.Patches, tmp_path: Path) -> None:
    trainer = loop.Trainer(replace(OPTIONS, steps=None, minutes=60.0), patches)
    threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
    trainer.run(tmp_path, lambda step: None)
    again = loop.Trainer(OPTIONS, patches)
    again.load(tmp_path / "state.safetensors")
    assert again.step == trainer.step > 0
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == trainer.step
    assert len(last["validation"]) == len(loop.VALIDATION_QUALITIES)


def test_from_pictures_to_a_model_that_codes(patches: d.Patches, tmp_path: Path) -> None:
    """Two steps, export, encode, decode, and a preview; and the released weights train on."""
    trainer = loop.Trainer(OPTIONS, patches)
    losses(trainer, 2)
    with trainer.averaged() as model:
        counts = tables.count(model, patches.squares(2), patches.pictures(2))
        small = preview.fit(model, patches.squares(2))
        made = export.write_model(model, tmp_path / "my.nicmodel", "my", {"steps": 2}, counts, small)
    codec = nicodec.Codec(tmp_path / "my.nicmodel", threads=1)
    original = picture(9, 97, 131)
    sizes = []
    for quality in (0, 50, 100):
        coded = codec.encode(original, quality=quality)
        back = np.asarray(codec.decode(coded))
        sizes.append(len(coded))
        assert back.shape == original.shape
    assert sizes == sorted(sizes)
    assert np.square(back.astype(float) - original).mean() < 150
    assert nicodec.info(coded).model_id == made.sha256[:16]
    reduced = np.asarray(codec.decode(coded).reduce(8)).astype(float)
    assert np.square(np.asarray(codec.decode(coded, scale=1 / 8)) - reduced)[:-1, :-1].mean() < 50

    onward = loop.Trainer(OPTIONS, patches)
    onward.start_from(made)
    refrozen = export.freeze(onward.model.eval(), counts, small)
    for name, array in made.tensors.items():
        # Tables of z are made from priors that are kept in half precision; halos are measured later.
        if not name.startswith(("tables.z", "halos")):
            assert np.array_equal(array, refrozen[name]), name
    with pytest.raises(BadModel, match="widths"):
        loop.Trainer(replace(OPTIONS, model=replace(TINY, width=24)), patches).start_from(made)


@pytest.mark.parametrize("change", [{"odd": 1}, {"latent": "24"}, {"width": None}])
def test_a_start_of_a_strange_config_is_a_bad_model(
    patches: d.Patches, tmp_path: Path, change: dict[str, Any]
) -> None:
    trainer = loop.Trainer(OPTIONS, patches)
    made = tiny_models.write(trainer.model, tmp_path / "my.nicmodel")
    with pytest.raises(BadModel, match="widths"):
        trainer.start_from(replace(made, config=made.config | change))


@pytest.mark.parametrize("name", ["h_mu.cap1.limit", "g_s.head.bias", "h_sigma.layers.1.scale"])
def test_a_start_that_lacks_a_tensor_is_a_bad_model(patches: d.Patches, tmp_path: Path, name: str) -> None:
    trainer = loop.Trainer(OPTIONS, patches)
    made = tiny_models.write(trainer.model, tmp_path / "my.nicmodel")
    tensors = {key: array for key, array in made.tensors.items() if key != name}
    with pytest.raises(BadModel, match=name):
        trainer.start_from(replace(made, tensors=tensors))


def test_a_config_has_all_its_sizes_and_no_others() -> None:
    saved = vars(TINY)
    assert ModelConfig.of(saved) == TINY
    for name in saved:
        with pytest.raises(TypeError, match=name):
            ModelConfig.of({key: value for key, value in saved.items() if key != name})
    with pytest.raises(TypeError, match="odd"):
        ModelConfig.of(saved | {"odd": 1})


def test_the_estimated_rate_is_the_rate_of_the_file(patches: d.Patches, tmp_path: Path) -> None:
    trainer = loop.Trainer(OPTIONS, patches)
    losses(trainer, 30)
    x = picture(3, 128, 192)
    with trainer.averaged() as model, torch.no_grad():
        made = tiny_models.write(model, tmp_path / "my.nicmodel")
        rounded = Model(TINY).eval()
        rounded.load_state_dict(export.thaw(made.tensors, TINY))
        estimate = rounded(torch.from_numpy(x)[None].float() / 255 - 0.5, torch.tensor([6000]))
    coded = nicodec.Codec(tmp_path / "my.nicmodel", threads=1).encode(x, quality=60)
    bits = float(estimate.y_bits + estimate.z_bits)
    assert 8 * len(coded) == pytest.approx(bits, rel=0.02, abs=8 * 100)


def test_training_from_the_command_line_refuses_what_would_be_lost(tmp_path: Path, folder: Path) -> None:
    from nicodec.train.run import train

    def call(out: str, **changes: Any) -> None:
        arguments: dict[str, Any] = {"resume": False, "again": False, "start": None, "force": False}
        train([folder], tmp_path / out, OPTIONS, **(arguments | changes))

    with pytest.raises(NicError, match=r"\.nicmodel"):
        call("model.onnx")
    (tmp_path / "my.nicmodel").write_bytes(b"precious")
    with pytest.raises(NicError, match="exists"):
        call("my.nicmodel")
    with pytest.raises(NicError, match="--again"):
        call("other.nicmodel", again=True)
    with pytest.raises(NicError, match="--from"):
        call("other.nicmodel", resume=True, start="photo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "nicodec.train.run._read", lambda *arguments: pytest.fail("minutes of reading for nothing")
        )
        with pytest.raises(ModelNotFound):
            call("other.nicmodel", start="nothing")
    assert (tmp_path / "my.nicmodel").read_bytes() == b"precious"


def test_the_network_is_the_one_asked_for_or_that_of_the_start(
    patches: d.Patches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.train import run

    small = replace(TINY, width=24)
    trainer = loop.Trainer(replace(OPTIONS, model=small), patches)
    made = tiny_models.write(trainer.model, tmp_path / "small.nicmodel")
    (tmp_path / "my.run").mkdir()
    trainer.save(tmp_path / "my.run" / "state.safetensors")
    monkeypatch.setattr(run, "_read", lambda *arguments: patches)

    def chosen(**changes: Any) -> Any:
        """The config that would be trained."""
        seen: list[loop.Options] = []

        def trainer(options: loop.Options, data: d.Patches) -> None:
            seen.append(options)
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "Trainer", trainer)
        arguments: dict[str, Any] = {"resume": False, "again": False, "start": None, "force": True}
        with pytest.raises(KeyboardInterrupt):
            run.train([], tmp_path / "my.nicmodel", OPTIONS, **(arguments | changes))
        return seen[0].model

    assert chosen() == TINY
    assert chosen(start=str(made.path)) == small
    assert chosen(resume=True) == small
    assert chosen(network="fast").width == 96
    assert chosen(network="full") == NETWORKS["full"]
    with pytest.raises(NicError, match="another network than --network full"):
        chosen(network="full", start=str(made.path))
    for change in ({"latent": 2**14}, {"latent": "24"}, {"odd": 1}, {"linear": 99}, {"blocks_a": 10**9}):
        strange = replace(made, config=made.config | change)
        monkeypatch.setattr(run.checkpoint, "load", lambda path, strange=strange: strange)
        with pytest.raises(BadModel, match="widths"):
            chosen(start=str(made.path))
