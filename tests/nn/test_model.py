"""The whole network in torch: what it starts as, its dead zone, and its training step."""

# ruff: noqa: E402

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import TINY

from nicodec.bitstream import tiles
from nicodec.bitstream.tiles import Box
from nicodec.coding import margin, quantize
from nicodec.nn import layers
from nicodec.nn.likelihood import SCALES
from nicodec.nn.model import Model, beyond


def smooth(count: int, seed: int = 0) -> Any:
    """Patches (count, 768) that look like pictures: low frequencies dominate."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(0, 0.15, (count, 3, 2, 2)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bicubic")
    return fine.permute(0, 2, 3, 1).reshape(count, 768).clamp(-0.5, 0.5)


@pytest.fixture(scope="module")
def tiny() -> Any:
    torch.manual_seed(0)
    model = Model(TINY)
    model.init_from_patches(smooth(2000), (1.5, 40.0))
    return model.eval()


def test_a_network_at_its_start_is_a_block_transform_codec(tiny: Any) -> None:
    """The deep branches add nothing yet, and 24 principal components carry smooth patches."""
    x = smooth(16, seed=1).reshape(16, 16, 16, 3)
    hat = layers.hats(torch.full((16,), 50.0))
    with torch.no_grad():
        y = tiny.g_a(x, hat, tiny.spread)
        back = tiny.g_s(y, hat, tiny.spread)
    basis = tiny.g_a.shortcut.weight
    assert torch.allclose(basis @ basis.T, torch.eye(24), atol=1e-4)
    assert torch.allclose(y, layers.space_to_depth(x, 16) @ basis.T, atol=1e-5)
    energy = (back - x).square().mean() / x.square().mean()
    assert energy < 0.01


# torch warns of what its own compiler does.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_training_step_compiles() -> None:
    """torch.compile traces the whole network as one graph, its blocks too, which a GPU is given compiled."""
    torch.manual_seed(0)
    model = Model(replace(TINY, latent_blocks_a=1, latent_blocks_s=1)).train()
    model.init_from_patches(smooth(2000), (1.5, 40.0))
    x = torch.rand((2, 64, 64, 3), generator=torch.Generator().manual_seed(4)) - 0.5
    q = torch.tensor([700, 8000])

    def cost() -> Any:
        out = model(x, q)
        return (out.y_bits + out.z_bits).sum() + 1e5 * (out.pixels - x).square().sum()

    results = []
    for run in (cost, torch.compile(cost, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(1)
        results.append(run())
    plain, traced = results
    assert torch.allclose(plain, traced, rtol=1e-4)
    names, weights = zip(*((n, p) for n, p in model.named_parameters() if p.requires_grad), strict=True)
    slopes = [torch.autograd.grad(one, weights, allow_unused=True) for one in (plain, traced)]
    for name, one, other in zip(names, *slopes, strict=True):
        if one is not None:
            assert (one - other).norm() <= 1e-3 * one.norm() + 1e-6, name


def test_bits_grow_with_quality_and_distortion_falls(tiny: Any) -> None:
    x = smooth(64, seed=3).reshape(8, 8, 16, 16, 3).permute(0, 2, 1, 3, 4).reshape(1, 128, 128, 3)
    rates, errors = [], []
    with torch.no_grad():
        for q in range(0, 10001, 2500):
            out = tiny(x, torch.tensor([q]))
            rates.append(float(out.y_bits + out.z_bits))
            errors.append(float((out.pixels - x).square().mean()))
    assert rates == sorted(rates)
    assert errors == sorted(errors, reverse=True)


def twins(tiny: Any, values: Any, index: Any, share: float) -> tuple[Any, Any]:
    """Symbols of the network, and of the runtime with the thresholds that this share stands for."""
    thresholds = tiny.thresholds.numpy()
    ours = tiny.symbols(torch.from_numpy(values), torch.from_numpy(index), share).numpy()
    if share == 0:
        return ours, quantize.residual(values)
    return ours, quantize.symbols(values, index, thresholds if share == 1 else quantize.learnt(thresholds))


@pytest.mark.parametrize("share", [0, quantize.LEFT, 1])
def test_symbols_are_those_of_the_runtime(tiny: Any, share: float) -> None:
    """Small values, where the dead zone decides, large ones, and ties."""
    rng = np.random.default_rng(5)
    shape = (1, 16, 20, SCALES)
    index = np.broadcast_to(np.arange(SCALES, dtype=np.uint8), shape).copy()
    for values in (rng.uniform(-1.2, 1.2, shape), rng.normal(0, 100, shape), rng.integers(-9, 10, shape) / 2):
        rng.shuffle(index.reshape(-1))
        ours, theirs = twins(tiny, values.astype(np.float32), index, share)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("share", [quantize.LEFT, 1])
def test_symbols_at_each_threshold_are_those_of_the_runtime(tiny: Any, share: float) -> None:
    """At the threshold itself and beside it, of all 64 tables and either sign."""
    thresholds = tiny.thresholds.numpy()
    at = thresholds if share == 1 else quantize.learnt(thresholds)
    below, above = (np.nextafter(at, np.float32(end)) for end in (0, 2))
    values = np.stack([below, at, above, -below, -at, -above])[None, :, None, :]
    index = np.broadcast_to(np.arange(SCALES, dtype=np.uint8), values.shape).copy()
    ours, theirs = twins(tiny, values, index, share)
    assert np.array_equal(ours, theirs)
    assert not ours[0, [0, 3]].any()
    assert (ours[0, [1, 2]] == 1).all()


@pytest.fixture
def seen() -> tuple[Any, Any, Any]:
    """A network whose means depend on the symbols around, four pictures, and the rows and columns that they have."""
    torch.manual_seed(0)
    model = Model(TINY)
    model.init_from_patches(smooth(2000), (1.5, 40.0))
    for layer in (model.context.mean0, model.context.mean1):
        torch.nn.init.normal_(layer.weight, std=0.3)
    x = smooth(64, seed=1).reshape(4, 4, 4, 16, 16, 3).transpose(2, 3).reshape(4, 64, 64, 3)
    return model, x, torch.tensor([[64, 64], [64, 17], [48, 64], [1, 33]])


@pytest.mark.parametrize("training", [False, True])
def test_no_symbol_lies_beyond_a_picture(seen: tuple[Any, Any, Any], training: bool) -> None:
    model, x, visible = seen
    model.train(training)
    q, outside = torch.full((4,), 9000), beyond(visible, 4, 4, 16)[..., 0]
    boxes = [margin.beyond(Box(0, 0, 4, 4), tiles.positions(width, height)) for height, width in visible.tolist()]
    assert np.array_equal(outside, np.stack(boxes))  # as in an encoder
    whole, part = model(x, q), model(x, q, visible)
    assert not part.r[outside].any()
    assert whole.r[outside].any()
    assert part.r[~outside].any()
    assert torch.equal(part.r[0], whole.r[0])
    assert torch.equal(part.z, whole.z)
    assert part.y_bits[3] < 0.4 * whole.y_bits[3]


def test_nothing_in_a_picture_comes_from_beyond(seen: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the latent is out there, a decoder never sees it: not in a mean, nor in a pixel, nor in the bits."""
    model, x, visible = seen
    model.eval()
    q, outside, latents = torch.full((4,), 9000), beyond(visible, 4, 4, 16), model.latents
    noise = torch.randn(4, 4, 4, TINY.latent) * 20

    def other(*given: Any) -> tuple[Any, Any]:
        y, z = latents(*given)
        return torch.where(outside, y + noise, y), z

    with torch.no_grad():
        one, alone = model(x, q, visible), model(x, q)
        monkeypatch.setattr(model, "latents", other)
        two, together = model(x, q, visible), model(x, q)
    for name in ("r", "y_hat", "pixels", "y_bits", "index"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
        if name != "index":
            assert not torch.equal(getattr(alone, name), getattr(together, name)), name
