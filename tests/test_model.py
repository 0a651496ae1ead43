"""The networks as torch modules: what they start as, and that their integers are integers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import speed

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import TINY  # noqa: E402

from nicodec import prior, quantize  # noqa: E402
from nicodec.train import layers, likelihood  # noqa: E402
from nicodec.train import model as m  # noqa: E402


def smooth(count: int, seed: int = 0) -> Any:
    """Patches (count, 768) that look like pictures: low frequencies dominate."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(0, 0.15, (count, 3, 2, 2)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bicubic")
    return fine.permute(0, 2, 3, 1).reshape(count, 768).clamp(-0.5, 0.5)


@pytest.fixture(scope="module")
def tiny() -> Any:
    torch.manual_seed(0)
    model = m.Model(TINY)
    model.init_from_patches(smooth(2000), (1.5, 40.0))
    return model.eval()


def test_depth_and_space_are_inverse_and_in_onnx_order() -> None:
    x = torch.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = layers.space_to_depth(x, 2)
    assert y.shape == (2, 2, 3, 12)
    assert torch.equal(layers.depth_to_space(y, 2), x)
    assert torch.equal(y[0, 1, 2], torch.cat([x[0, 2, 4], x[0, 2, 5], x[0, 3, 4], x[0, 3, 5]]))


def test_hats_interpolate_between_anchors() -> None:
    q = torch.tensor([0.0, 4.0, 10.0, 99.0, 100.0])
    hat = layers.hats(q)
    assert torch.allclose(hat.sum(1), torch.ones(5))
    assert torch.allclose(hat @ torch.arange(m.ANCHORS, dtype=torch.float32), q / 10)


def test_integer_hats_are_those_of_the_runtime() -> None:
    for q in (0, 1, 31, 32, 499, 500, 501, 3333, 9968, 9969, 10000):
        ours = layers.integer_hats(torch.tensor([q]))
        assert ours.numpy().tolist() == prior.integer_hats(q).astype(int).tolist()
        assert 15 <= int(ours.sum()) <= 17
        assert int((ours > 0).sum()) <= 2


def test_phases_are_those_of_the_runtime() -> None:
    y = torch.zeros(1, 5, 7, 6)
    assert np.array_equal(m.phase0(y).numpy().transpose(0, 3, 1, 2), quantize.phase0((1, 6, 5, 7)))


def test_at_the_start_it_is_a_block_transform_codec(tiny: Any) -> None:
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


def test_rounding_passes_gradients_and_bounds_stop_those_that_lead_out() -> None:
    x = torch.tensor([-2.0, -0.5, 0.49, 0.5, 3.0], requires_grad=True)
    y = layers.round_ste(x)
    assert y.tolist() == [-2, 0, 0, 1, 3]
    y.sum().backward()
    assert x.grad.tolist() == [1] * 5

    for sign, expected in ((1, [0, 1, 1]), (-1, [-1, -1, 0])):
        x = torch.tensor([-1.0, 5.0, 70.0], requires_grad=True)
        (sign * layers.bounded(x, 0, 63)).sum().backward()
        assert x.grad.tolist() == expected


def test_asinh_is_that_of_torch() -> None:
    x = torch.tensor([-1e4, -20.0, -0.3, -1e-5, 0.0, 1e-5, 0.7, 5.0, 3e6], requires_grad=True)
    y, expected = layers.asinh(x), torch.asinh(x)
    assert torch.allclose(y, expected, rtol=1e-6, atol=2e-7)
    slopes = [torch.autograd.grad(each.sum(), x)[0] for each in (y, expected)]
    assert torch.allclose(*slopes, rtol=1e-6)


def test_bits_and_their_gradients_are_those_of_autograd() -> None:
    """At every scale, for symbols and between them, at zero and far beyond what a table holds."""
    generator = torch.Generator().manual_seed(3)
    index = 63 * torch.rand((3, 4, 5, 24), generator=generator, dtype=torch.float64)
    sigma = torch.exp(math.log(likelihood.SCALE_MIN) + likelihood.SCALE_STEP * index)
    v = 2 * sigma * torch.randn(index.shape, generator=generator, dtype=torch.float64)
    v[0, 0], v[0, 1], v[0, 2] = 0, v[0, 1].round(), 60 * v[0, 2]
    weight = torch.tensor([1.0, 0.3, 2.0])
    v.requires_grad_(), index.requires_grad_()
    sigma = torch.exp(math.log(likelihood.SCALE_MIN) + likelihood.SCALE_STEP * index)
    expected = likelihood.bits(likelihood.gaussian_likelihood(v, sigma)).sum((1, 2, 3))
    slopes = torch.autograd.grad((weight * expected).sum(), (v, index))
    total = likelihood.gaussian_bits(v, index)
    assert torch.allclose(total, expected)
    both = torch.autograd.grad((weight * total).sum(), (v, index))
    for slope, one in zip(slopes, both, strict=True):
        assert torch.allclose(slope, one, atol=1e-6)
    # Each is the same where the other is not asked for.
    for wanted in range(2):
        inputs = [x if n == wanted else x.detach() for n, x in enumerate((v, index))]
        alone = torch.autograd.grad((weight * likelihood.gaussian_bits(*inputs)).sum(), inputs[wanted])
        assert torch.equal(alone[0], both[wanted])


# torch warns of what its own compiler does.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_training_step_compiles() -> None:
    """torch.compile traces the whole network as one graph, its blocks too, which a GPU is given compiled."""
    torch.manual_seed(0)
    model = m.Model(TINY).train()
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


def test_scale_decoder_computes_in_integers(tiny: Any) -> None:
    """float32, float64 and int64 arithmetic give the same indices for any z and quality."""
    rng = np.random.default_rng(0)
    torch.manual_seed(1)
    chain = torch.nn.ModuleList(
        [
            layers.IntegerLayer(8, 32, in_bits=0),
            layers.IntegerLayer(8, 8, kernel=3),
            layers.IntegerLayer(8, 24, out_bits=0, top=63),
        ]
    ).eval()
    for layer in chain:
        torch.nn.init.normal_(layer.bias, std=2.0)
    for q in (0, 777, 5000, 10000):
        hat = layers.integer_hats(torch.tensor([q])).float()
        a = torch.from_numpy(rng.integers(-63, 64, (1, 3, 4, 8))).float()
        for layer in chain:
            layer.float()
            single = layer(a, hat)
            assert torch.equal(single, layer.double()(a.double(), hat.double()).float())
            w, b, shift = (t.detach().numpy().astype(np.int64) for t in layer.integers())
            assert np.abs(w).max() <= layers.WEIGHT_MAX
            k = layer.kernel
            ints = a.numpy().astype(np.int64)
            padded = np.pad(ints, ((0, 0), (k // 2,) * 2, (k // 2,) * 2, (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))
            bias = (hat.numpy().astype(np.int64) @ b + 8) >> 4
            acc = np.einsum("bhwiyx,oiyx->bhwo", windows, w) + bias[0]
            out = (acc + (1 << (shift - 1))) >> shift
            assert np.array_equal(single.detach().numpy(), np.clip(out, 0, layer.top))
            a = single.detach()
            if layer.top == layers.ACT_MAX and a.shape[-1] == 32:
                a = layers.depth_to_space(a, 2)


def test_z_prior_is_a_distribution(tiny: Any) -> None:
    z = torch.arange(-200.0, 201.0)[None, None, :, None].expand(1, 1, -1, TINY.z)
    p = tiny.z_prior.likelihood(z, layers.hats(torch.tensor([37.0])))
    assert torch.allclose(p.sum((0, 1, 2)), torch.ones(TINY.z), atol=1e-4)


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


@pytest.mark.slow
def test_likelihoods_and_bounds_agree_with_compressai() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = speed.import_compressai()
    if library is None:
        pytest.skip("compressai is not installed")
    generator = torch.Generator().manual_seed(0)
    sigma = torch.exp(torch.rand(4, 3, 5, 5, generator=generator) * 6 - 2)
    values = torch.round(torch.randn(4, 3, 5, 5, generator=generator) * sigma)
    theirs = library.entropy_models.GaussianConditional(None, scale_bound=0.11)
    expected = theirs._likelihood(values, sigma)
    assert torch.allclose(likelihood.gaussian_likelihood(values, sigma), expected, atol=1e-6)

    bound = library.ops.LowerBound(0.0)
    for sign in (1, -1):
        ours, reference = (torch.tensor([-1.0, 2.0], requires_grad=True) for _ in range(2))
        (sign * layers.bounded(ours, 0.0, torch.inf)).sum().backward()
        (sign * bound(reference)).sum().backward()
        assert torch.equal(ours.grad, reference.grad)
