"""What training minimises: lambda by quality, and a loss in which one patch cannot outshout the others."""

# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from nicodec.coding import quantize
from nicodec.nn.model import Output
from nicodec.train import losses


def test_lambda_is_log_linear_in_quality() -> None:
    values = losses.lambda_of(torch.tensor([0, 5000, 10000])).tolist()
    assert values[0] == pytest.approx(quantize.LAMBDA_MIN)
    assert values[1] == pytest.approx((quantize.LAMBDA_MIN * quantize.LAMBDA_MAX) ** 0.5)
    assert values[2] == pytest.approx(quantize.LAMBDA_MAX)


def test_lambda_is_that_of_the_runtime() -> None:
    """At every seventh hundredth of quality, and at both ends."""
    q = [*range(0, 10001, 7), 10000]
    assert losses.lambda_of(torch.tensor(q)).tolist() == pytest.approx([quantize.lambda_of(n) for n in q], rel=1e-5)


def test_a_patch_that_runs_away_counts_as_its_logarithm() -> None:
    x = torch.zeros(2, 64, 64, 3)
    nothing = torch.zeros(2)
    q = torch.tensor([10000, 10000])

    def total(error: float) -> float:
        pixels = torch.full_like(x, error / 255)
        z = torch.zeros(0)
        return float(losses.rate_distortion(x, q, Output(pixels, nothing, nothing, z, z, z, z)).total)

    scale = quantize.LAMBDA_MAX ** (1 - losses.BALANCE)
    assert total(3) == pytest.approx(9 * scale, rel=1e-3)
    assert total(1e6) == pytest.approx(losses.RUNAWAY * (1 + np.log(1e12 * scale / losses.RUNAWAY)), rel=1e-3)
