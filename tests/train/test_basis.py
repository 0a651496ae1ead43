"""The basis of corrections: a transform of the best filters of training pictures, fit for any picture."""

# ruff: noqa: E402

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
from tiny_training import picture

from nicodec.coding import correction
from nicodec.coding.correction import REACH, Filters, features, rounding
from nicodec.train import correction as training
from nicodec.train import export


@pytest.fixture(scope="module")
def network() -> Any:
    return tiny_models.random(tiny_models.FUZZED)


def squares(count: int, gray: bool = False) -> Any:
    made = np.stack([picture(i, 64, 64) for i in range(count)])
    return torch.from_numpy(made[..., :1].repeat(3, -1) if gray else made)


def test_the_basis_is_complete_and_orthonormal_for_the_features_of_training_pictures(network: Any) -> None:
    pictures = squares(2)
    basis = training.fit(network, pictures)["correction.basis"].astype(np.float64)
    assert basis.shape == (3 * features(3), 3, features(3))
    total = rounding(3)
    for source in pictures:
        for quality in (1000, 3000, 5000, 7000, 9000):
            with torch.no_grad():
                out = network(source[None].float() / 255 - 0.5, torch.tensor([quality]))
            x = np.pad(out.pixels[0].permute(2, 0, 1).numpy(), ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
            sums = correction.products(x, source.numpy(), np.ones((64, 64), np.bool_))
            total += sums[: features(3), : features(3)] / 64**2 / 10
    flat = basis.reshape(len(basis), -1)
    assert np.abs((basis @ total).reshape(flat.shape) @ flat.T - np.eye(len(flat))).max() < 1e-2


@pytest.mark.parametrize("gray", [False, True])
def test_one_picture_makes_a_basis_too(network: Any, tmp_path: Path, gray: bool) -> None:
    """A model file takes it, and an encoder reads it from there."""
    counts, small = tiny_models.unseen(tiny_models.FUZZED)
    fitted = small | training.fit(network, squares(1, gray))
    made = export.write_model(network, tmp_path / "my.nicmodel", "my", {}, counts, fitted)
    assert np.array_equal(Filters(made).basis, fitted["correction.basis"])
    assert np.array_equal(Filters(made).widths, fitted["correction.widths"])
    assert (fitted["correction.widths"] >= -4).all()


def test_a_correction_is_part_of_the_id_of_a_model(network: Any, tmp_path: Path) -> None:
    counts, small = tiny_models.unseen(tiny_models.FUZZED)
    one = export.write_model(network, tmp_path / "one.nicmodel", "my", {}, counts, small)
    small["correction.widths"] = small["correction.widths"] + np.int8(1)
    two = export.write_model(network, tmp_path / "two.nicmodel", "my", {}, counts, small)
    assert one.identity != two.identity
