"""The bridge: what is shipped computes what was trained, its integers exactly, or it is not shipped."""

# ruff: noqa: E402

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import independent_decoder
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models

from nicodec.bitstream import anchors
from nicodec.bitstream.hyper import MAX_HYPER
from nicodec.codec import Codec
from nicodec.errors import BadModel
from nicodec.model import checkpoint, modelfile
from nicodec.model.backends import OnnxNetworks as Networks
from nicodec.nn import layers
from nicodec.nn.model import FAMILIAR
from nicodec.nn.thaw import model_of
from nicodec.train import export, limits
from nicodec.train.export import gradient, proof

TINY = replace(tiny_models.TINY, blocks_a=2, context_blocks=2)
UNSEEN = tiny_models.unseen(TINY)


@pytest.fixture(scope="module")
def network() -> Any:
    return tiny_models.random(TINY)


@pytest.fixture(scope="module")
def made(network: Any, tmp_path_factory: pytest.TempPathFactory) -> checkpoint.Checkpoint:
    return tiny_models.write(network, tmp_path_factory.mktemp("model") / "tiny.nicmodel")


def test_onnx_agrees_with_torch_on_odd_sizes(network: Any, made: checkpoint.Checkpoint) -> None:
    worst = proof.compare(model_of(made), made)
    assert worst["latent"] <= 1e-3
    assert worst["pixel"] <= 1e-2
    assert worst["index"] == 0
    assert 0 < worst["gradient"] <= 1e-3


@pytest.mark.parametrize("colours", [1, 3])
def test_onnx_repairs_as_torch_does(colours: int, tmp_path: Path) -> None:
    """`write` compares the two, and its id is that of a model without this stage."""
    config = replace(TINY, colours=colours, repair=3)
    repairing = tiny_models.write(tiny_models.random(config), tmp_path / "repairing.nicmodel")
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, colours, 64, 64)).astype(np.float32)
    model, given = model_of(repairing), torch.from_numpy(x.transpose(0, 2, 3, 1).copy())
    with torch.no_grad():
        assert float((model.g_a.repair(given) - given).abs().mean()) > 0.01  # it does something
        hat = layers.hats(torch.tensor([50.0]))
        theirs = (model.g_a(given, hat, model.spread) * model.gain(hat)).permute(0, 3, 1, 2).numpy()
    ours = Networks(repairing, threads=1).g_a(x, 50.0)
    assert (np.abs(ours - theirs) <= 1e-3 * np.maximum(1, np.abs(theirs))).all()
    assert repairing.identity == modelfile.identity(replace(config, repair=0), repairing.tensors)


@pytest.mark.parametrize(("kind", "part"), [("LeakyRelu", "g_s_back"), ("Asinh", "context_back")])
def test_a_gradient_that_is_another_is_not_written(
    network: Any, made: checkpoint.Checkpoint, kind: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gradient.BACK, kind, gradient.BACK["Add"])
    data, _ = gradient.build(part, made.config, {name: array.shape for name, array in made.tensors.items()})
    trial = replace(made, tensors=made.tensors | {f"graph.{part}": np.frombuffer(data, np.uint8)})
    with pytest.raises(BadModel, match="disagree: gradient"):
        proof.compare(model_of(made), trial)


def test_a_gradient_may_differ_in_one_picture(made: checkpoint.Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an activation is within an error of floats of zero, either slope is right. Not so in two pictures."""
    calls, whole = list[int](), proof._error_gradients

    def bent(*given: Any) -> Any:
        ours, theirs = whole(*given)
        calls.append(1)
        return (ours * 1.01 if len(calls) in spoilt else ours), theirs

    monkeypatch.setattr(proof, "_error_gradients", bent)
    spoilt = [2]
    proof.compare(model_of(made), made)
    calls.clear()
    spoilt = [2, 3]
    with pytest.raises(BadModel, match="disagree: gradient"):
        proof.compare(model_of(made), made)


def test_gradients_bring_no_weights_of_their_own(made: checkpoint.Checkpoint) -> None:
    """Nor does it matter when or where a graph is written: its bytes are the same."""
    shapes = {name: array.shape for name, array in made.tensors.items()}
    for part, of in (("g_s_back", "g_s"), ("context_back", "context")):
        graph, weights = gradient.build(part, made.config, shapes)
        assert graph == made.tensors[f"graph.{part}"].tobytes()
        forward = made.tensors[f"graph.{of}.weights"].tobytes().decode().split("\n")
        assert set(weights) <= set(forward)
        assert len(graph) < 40_000


def test_the_codec_codes_what_the_network_makes(made: checkpoint.Checkpoint) -> None:
    """Deep channels and linear ones; and the decoder written from the document makes the same picture."""
    rng, q = np.random.default_rng(0), 500
    loud = rng.integers(0, 256, (8, 8, 3)).repeat(16, 0).repeat(16, 1) + rng.normal(0, 20, (128, 128, 3))
    pixels = np.concatenate([loud, rng.normal(128, 3, loud.shape)], axis=1).clip(0, 255).astype(np.uint8)
    codec = Codec(made, threads=1)
    data = codec.encode(pixels, quality=q / 100, lossless=False)
    decoded = independent_decoder.decode(data, independent_decoder.Model(made.path.read_bytes()))
    rounded = model_of(made)
    x = torch.from_numpy(pixels)[None].float() / 255 - 0.5
    with torch.no_grad():
        out = rounded(x, torch.tensor([q]))
        hat = layers.hats(torch.tensor([q / 100]))
        y = rounded.g_a(x, hat, rounded.spread) * rounded.gain(hat)
    theirs = out.r[0].permute(2, 0, 1).numpy()
    agree = decoded.r == theirs
    assert agree.mean() > 0.999
    assert np.abs(decoded.r - theirs).max() <= 1
    # Some that would round to one are zero for being rare, and none that is larger.
    size, rare = y[0, ..., TINY.deep :].abs(), out.r[0, ..., TINY.deep :]
    assert ((size > 0.51) & (rare == 0)).any()
    assert not ((size > 1.01) & (rare == 0)).any()
    assert np.abs(np.asarray(codec.decode(data)).astype(int) - decoded.pixels).max() <= 1


SPOILT = (
    "g_a.shortcut.weight",
    "g_s.blocks.0.depthwise.weight",
    "context.fuse.weight",
    "h_mu.spatial.bias",
    "h_sigma.layers.2.weight",
    "h_a.down2.weight",
    "log_gain",
)


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_computes_something_else_is_not_written(
    network: Any, made: checkpoint.Checkpoint, name: str
) -> None:
    tensors = dict(made.tensors)
    spoilt = tensors[name].astype(np.float64)
    spoilt.flat[:] = np.roll(spoilt.ravel(), 1)
    tensors[name] = spoilt.astype(tensors[name].dtype)
    trial = checkpoint.Checkpoint("tiny", made.path, made.sha256, made.config, tensors)
    with pytest.raises(BadModel, match="disagree"):
        proof.compare(model_of(made), trial)


def test_indices_are_the_same_in_onnx_in_float64_and_in_integers(made: checkpoint.Checkpoint) -> None:
    """h_sigma on any z: ONNX Runtime with one and two threads, torch in float64, and whole-number NumPy."""
    double = model_of(made).double()
    rng = np.random.default_rng(0)
    for q in (0, 49, 3333, 6600, 10000):
        z = rng.integers(-63, 64, (1, TINY.z, 3, 5)).astype(np.int8)
        hats = anchors.integer_hats(q)
        expected = integer_index(z, hats.astype(np.int64), made.tensors)
        for threads in (1, 2):
            assert np.array_equal(Networks(made, threads).h_sigma(z, hats), expected)
        with torch.no_grad():
            nhwc = torch.from_numpy(z.transpose(0, 2, 3, 1)).double()
            ours = double.h_sigma(nhwc, torch.from_numpy(hats).double()).numpy().transpose(0, 3, 1, 2)
        assert np.array_equal(ours, expected)
        assert len(np.unique(expected)) > 3  # not all clipped


def integer_index(z: np.ndarray[Any, Any], hats: np.ndarray[Any, Any], tensors: Any) -> np.ndarray[Any, Any]:
    """h_sigma in int64 from the shipped integers, with shifts in place of scales."""
    a = z[0].astype(np.int64)
    for i, top in enumerate((255, 255, 255, 63)):
        w = tensors[f"h_sigma.layers.{i}.weight"][:, :, 0, 0].astype(np.int64)
        shift = -np.log2(tensors[f"h_sigma.layers.{i}.scale"][0]).astype(np.int64)
        if i == 2:
            _, h, width = a.shape
            padded = np.pad(a, ((0, 0), (1, 1), (1, 1)))
            a = np.concatenate([padded[:, y : y + h, x : x + width] for y in range(3) for x in range(3)])
        bias = (hats @ tensors[f"h_sigma.layers.{i}.bias"].astype(np.int64) + 8) >> 4
        acc = np.tensordot(w, a, 1) + bias[0][:, None, None]
        a = np.clip((acc + (1 << (shift - 1))[:, None, None]) >> shift[:, None, None], 0, top)
        if i < 2:
            c, h, width = a.shape
            a = a.reshape(2, 2, c // 4, h, width).transpose(2, 3, 0, 4, 1).reshape(c // 4, 2 * h, 2 * width)
    return a[None]


def test_a_scale_decoder_that_could_leave_exact_floats_is_refused(network: Any) -> None:
    tensors = export.freeze(network, *UNSEEN)
    assert max(proof.prove_exact(tensors)) < 2**24
    name = "h_sigma.layers.2.bias"
    tensors[name] = np.full_like(tensors[name], 2**20)
    with pytest.raises(BadModel, match="exact"):
        proof.prove_exact(tensors)


def test_the_bound_is_reached_by_the_worst_input_and_not_passed(network: Any) -> None:
    """The proof is tight: feeding each row the signs of its weights comes near the bound from below."""
    tensors = export.freeze(network, *UNSEEN)
    bounds = proof.prove_exact(tensors)
    w = tensors["h_sigma.layers.0.weight"][:, :, 0, 0].astype(np.int64)
    worst = int((np.abs(w).sum(1) * MAX_HYPER).max())
    assert worst <= bounds[0]


def test_a_weight_that_half_precision_cannot_hold_is_refused(network: Any) -> None:
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.g_s.head.weight[0, 0] = 1e6
    with pytest.raises(BadModel, match="float16"):
        export.freeze(broken, *UNSEEN)


def test_nothing_is_left_behind_when_export_fails(network: Any, tmp_path: Path) -> None:
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.g_a.head.weight[0, 0] = float("nan")
    with pytest.raises(BadModel):
        tiny_models.write(broken, tmp_path / "x.nicmodel")
    assert list(tmp_path.iterdir()) == []


def test_the_halos_are_the_smallest_that_make_the_whole(
    network: Any, made: checkpoint.Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than the reach where the last steps of it carry little; all of it where any difference counts."""
    # Blocks on the latent, and half of those at /8.
    reach = [TINY.latent_blocks_a + 1, TINY.latent_blocks_s + 1]
    monkeypatch.setattr(proof, "LATENT_TOLERANCE", 0)
    monkeypatch.setattr(proof, "HALO_TOLERANCE", 0)
    assert proof.measure_halos(made).tolist() == reach
    monkeypatch.undo()
    weak = copy.deepcopy(network)
    with torch.no_grad():
        for name, p in weak.named_parameters():
            if name.startswith(("g_a", "g_s")) and "latent_blocks" in name and "depthwise.weight" in name:
                p[:, :, [0, 2]], p[:, :, :, [0, 2]] = 0, 0
    small = proof.measure_halos(replace(made, tensors=export.freeze(weak, *UNSEEN)))
    assert (small <= 1).all()
    assert made.tensors["halos"].tolist() == proof.measure_halos(made).tolist()


def test_caps_are_measured_on_pictures_and_hold_everything_else(network: Any, tmp_path: Path) -> None:
    """What is computed with them is the same in the model file; the pictures themselves hardly meet them."""
    capped = copy.deepcopy(network)
    pictures = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8))
    q = torch.tensor([5000])
    before = capped(pictures[:1].float() / 255 - 0.5, q)
    limits.measure(capped, pictures, pictures)
    caps = [module.limit for module in capped.modules() if isinstance(module, layers.Cap)]
    assert all((limit > 0).all() and (limit < layers.FIRST_LIMIT).all() for limit in caps)
    assert 0 < float(capped.familiar) < FAMILIAR
    after = capped(pictures[:1].float() / 255 - 0.5, q)
    assert (before.pixels - after.pixels).abs().max() < 0.02
    made = tiny_models.write(capped, tmp_path / "b.nicmodel")  # held against torch
    z = 60 * np.sign(np.random.default_rng(3).normal(size=(1, TINY.z, 4, 4))).astype(np.float32)
    limit = made.tensors["h_mu.cap3.limit"].astype(np.float32)[:, None, None]
    free, _ = Networks(tiny_models.write(network, tmp_path / "a.nicmodel")).h_mu(z, 50)
    held, _ = Networks(made).h_mu(z, 50)
    assert (np.abs(free[0]) > limit).any()
    assert (np.abs(held[0]) <= limit).all()
