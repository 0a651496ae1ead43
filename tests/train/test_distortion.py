"""Distortions: each is what it is elsewhere, and is told as the squared error that is worth as many bits."""

# ruff: noqa: E402

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
from tiny_training import picture

from nicodec.nn.model import Output
from nicodec.picture import metrics
from nicodec.train import best, distortion, losses
from nicodec.train.options import DISTORTIONS


def pair(side: int, noise: float = 12) -> tuple[Any, Any]:
    """A picture and a noisy one: uint8, (side, side, 3)."""
    a = picture(5, side, side)
    return a, (a + np.random.default_rng(0).normal(0, noise, a.shape)).clip(0, 255).astype(np.uint8)


def floats(pixels: Any) -> Any:
    return torch.from_numpy(pixels)[None].float() / 255 - 0.5


def test_the_names_are_those_of_the_options() -> None:
    assert tuple(distortion.RAW) == tuple(distortion.EXCHANGE) == DISTORTIONS


def test_ms_ssim_of_five_scales_is_that_of_the_benchmark() -> None:
    a, b = pair(256)
    assert float(distortion.dissimilarity(floats(a), floats(b))) == pytest.approx(1 - metrics.msssim(a, b), abs=1e-4)


@pytest.mark.parametrize(("side", "scales"), [(64, 3), (128, 4), (256, 5)])
def test_a_patch_has_as_many_scales_as_have_room(side: int, scales: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, whole = list[int](), distortion._similarity
    monkeypatch.setattr(distortion, "_similarity", lambda a, b: (calls.append(a.shape[2]), whole(a, b))[1])
    a, b = map(floats, pair(side))
    assert 0 < float(distortion.dissimilarity(a, b)) < 1
    assert calls == [side >> i for i in range(scales)]


def test_cross_entropy_is_over_its_least_value_and_weighs_dark_and_light_errors_more() -> None:
    x, s = torch.full((1, 8, 8, 3), 0.3 - 0.5), torch.full((1, 8, 8, 3), 0.4 - 0.5)
    expected = 0.3 * math.log(0.3 / 0.4) + 0.7 * math.log(0.7 / 0.6)
    assert float(distortion.cross_entropy(x, s)) == pytest.approx(expected, rel=1e-4)
    middle, dark = (
        float(distortion.cross_entropy(torch.full_like(x, v), torch.full_like(x, v + 0.02))) for v in (0.0, -0.49)
    )
    assert dark > 3 * middle > 0


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_a_distortion_is_none_for_the_same_picture_grows_with_noise_and_has_a_slope(kind: str) -> None:
    weight = torch.tensor([0.01])
    a = floats(pair(64)[0])
    found = [float(distortion.error(kind, a, floats(pair(64, noise)[1]), weight)) for noise in (2, 8, 32)]
    assert float(distortion.error(kind, a, a, weight)) == pytest.approx(0, abs=1e-3)
    assert found == sorted(found)
    # Beyond black and white too, where a network may paint.
    loud = (4 * floats(pair(64, 50)[1])).requires_grad_()
    distortion.error(kind, a, loud, weight).sum().backward()
    assert torch.isfinite(loud.grad).all()
    assert (loud.grad != 0).any()


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_all_distortions_are_worth_about_as_many_bits(kind: str) -> None:
    """Errors like those of a codec: noise that falls as lambda rises, as the squared error does."""
    for weight, noise in ((0.0027, 8.6), (0.014, 5.4), (0.075, 3.2)):
        a, b = map(floats, pair(128, noise))
        ours = float(distortion.error(kind, a, b, torch.tensor([weight])))
        assert 0.2 < ours / float(distortion.squared(a, b)) < 8


def test_training_weighs_the_distortion_that_was_asked_for() -> None:
    """Of two pictures with the same squared error, that with few large errors is the better one to absolute error."""
    x, q, nothing, z = torch.zeros(1, 64, 64, 3), torch.tensor([5000]), torch.zeros(1), torch.zeros(0)
    even, few = torch.full_like(x, 0.02), torch.zeros_like(x)
    few[:, ::2, ::2] = 0.04
    totals = {
        kind: [
            float(losses.rate_distortion(x, q, Output(p, nothing, nothing, z, z, z, z), kind).total)
            for p in (even, few)
        ]
        for kind in ("mse", "l1")
    }
    assert totals["mse"][0] == pytest.approx(totals["mse"][1], rel=1e-5)
    assert totals["l1"][1] == pytest.approx(totals["l1"][0] / 2, rel=1e-5)


def test_the_best_state_is_chosen_by_the_distortion_that_was_asked_for() -> None:
    model = tiny_models.random(tiny_models.FUZZED)
    pictures = [picture(1, 64, 64)]
    usual, other = (best.measured(model, pictures, amp=False, kind=kind) for kind in ("mse", "ms-ssim"))
    assert np.array_equal(usual[..., 0], other[..., 0])
    assert not np.allclose(usual[..., 1], other[..., 1])
