"""What the networks are made of: shuffles as ONNX has them, gradients that lead inside, integers that are integers."""

# ruff: noqa: E402

from __future__ import annotations

import warnings

import numpy as np
import pytest
import speed

torch = pytest.importorskip("torch")

from nicodec.bitstream import anchors
from nicodec.nn import layers


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
    assert torch.allclose(hat @ torch.arange(anchors.ANCHORS, dtype=torch.float32), q / 10)


def test_integer_hats_are_those_of_the_runtime() -> None:
    for q in (0, 1, 31, 32, 499, 500, 501, 3333, 9968, 9969, 10000):
        ours = layers.integer_hats(torch.tensor([q]))
        assert ours.numpy().tolist() == anchors.integer_hats(q).astype(int).tolist()
        assert 15 <= int(ours.sum()) <= 17
        assert int((ours > 0).sum()) <= 2


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
        limit = torch.tensor([0.5, 8.0, 64.0], dtype=torch.bfloat16)
        half = torch.tensor([-1.0, 5.0, 70.0], dtype=torch.bfloat16, requires_grad=True)
        (sign * 1e-9 * layers.bounded(half, -limit, limit)).sum().backward()
        assert (half.grad != 0).tolist() == [bool(sign * s > 0) for s in (-1, sign, 1)]


def test_asinh_is_that_of_torch() -> None:
    x = torch.tensor([-1e4, -20.0, -0.3, -1e-5, 0.0, 1e-5, 0.7, 5.0, 3e6], requires_grad=True)
    y, expected = layers.asinh(x), torch.asinh(x)
    assert torch.allclose(y, expected, rtol=1e-6, atol=2e-7)
    slopes = [torch.autograd.grad(each.sum(), x)[0] for each in (y, expected)]
    assert torch.allclose(*slopes, rtol=1e-6)


def test_a_cap_cuts_off_and_lets_a_gradient_lead_back() -> None:
    cap = layers.Cap(2)
    cap.limit.copy_(torch.tensor([1.0, 3.0]))
    x = torch.tensor([[-2.0, -2.0], [0.5, 5.0]], requires_grad=True)
    y = cap(x)
    assert y.tolist() == [[-1, -2], [0.5, 3]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 1], [1, 1]]


def test_blocks_that_are_still_change_nothing() -> None:
    x = torch.randn((1, 4, 4, 6), generator=torch.Generator().manual_seed(0))
    y = x
    for block in layers.still_blocks(6, 2):
        y = block(y)
    assert torch.equal(x, y)


def test_integer_layers_compute_in_integers() -> None:
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


@pytest.mark.slow
def test_bounds_agree_with_compressai() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = speed.import_compressai()
    if library is None:
        pytest.skip("compressai is not installed")
    bound = library.ops.LowerBound(0.0)
    for sign in (1, -1):
        ours, reference = (torch.tensor([-1.0, 2.0], requires_grad=True) for _ in range(2))
        (sign * layers.bounded(ours, 0.0, torch.inf)).sum().backward()
        (sign * bound(reference)).sum().backward()
        assert torch.equal(ours.grad, reference.grad)
