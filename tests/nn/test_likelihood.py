"""The densities that training assumes: whole, with the gradients that they have, and as a library has them."""

# ruff: noqa: E402

from __future__ import annotations

import math
import warnings

import pytest
import speed

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import TINY

from nicodec.nn import layers, likelihood


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


def test_thresholds_fall_as_scales_grow() -> None:
    found = likelihood.thresholds()
    assert (found.diff() <= 1e-5).all()
    assert float(found[0]) == 1.0
    assert 0.5 < float(found[-1]) < 0.51


def test_z_prior_is_a_distribution() -> None:
    z = torch.arange(-200.0, 201.0)[None, None, :, None].expand(1, 1, -1, TINY.z)
    p = likelihood.ZPrior(TINY).likelihood(z, layers.hats(torch.tensor([37.0])))
    assert torch.allclose(p.sum((0, 1, 2)), torch.ones(TINY.z), atol=1e-4)


@pytest.mark.slow
def test_likelihoods_agree_with_compressai() -> None:
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
