"""The transforms in torch: the two phases of the mean are those of the runtime."""

# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_models
from tiny_models import TINY

from nicodec.coding import prior
from nicodec.model.backends import OnnxNetworks
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn import transforms
from nicodec.nn.layers import hats
from nicodec.nn.thaw import model_of


def test_phases_are_those_of_the_runtime() -> None:
    y = torch.zeros(1, 5, 7, 6)
    assert np.array_equal(transforms.phase0(y).numpy().transpose(0, 3, 1, 2), prior.phase0((1, 6, 5, 7)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_models.write(tiny_models.random(TINY), tmp_path_factory.mktemp("model") / "tiny.nicmodel")


@pytest.mark.parametrize("q", [0, 3333, 10000])
def test_the_mean_is_that_of_the_runtime(made: Checkpoint, q: int) -> None:
    """From one decoded latent, whose positions of phase 1 do not count."""
    model, hat = model_of(made), hats(torch.tensor([q / 100]))
    rng = np.random.default_rng(q)
    z = rng.integers(-20, 21, (1, TINY.z, 2, 3)).astype(np.int8)
    given: list[np.ndarray] = []
    with torch.no_grad():
        features = model.h_mu(torch.from_numpy(z).permute(0, 2, 3, 1).float(), hat)
        unit = (model.gain(hat) * model.spread)[..., : TINY.deep]
        mu0 = model.context.mean0(features) * unit
        y0 = mu0 + unit * torch.from_numpy(rng.normal(size=mu0.shape).astype(np.float32))
        ours = model.context.mean(mu0, y0, features, unit).permute(0, 3, 1, 2).numpy()
        elsewhere = model.context.mean(mu0, torch.where(transforms.phase0(y0), y0, 99), features, unit)

    def decoded(mean: np.ndarray) -> np.ndarray:
        given.append(mean)
        return np.ascontiguousarray(y0.permute(0, 3, 1, 2).numpy())

    first = prior.phase0(ours.shape)
    networks = OnnxNetworks(made, threads=1)
    theirs = prior.mean(networks, networks.h_mu(z, q / 100), q, decoded)
    assert theirs.shape == ours.shape
    assert (np.abs(theirs - ours) <= 1e-3 * np.maximum(1, np.abs(ours))).all()
    assert np.array_equal(theirs[first], given[-1][first])
    assert not np.allclose(ours[~first], given[-1][~first], atol=1e-3)
    assert np.array_equal(elsewhere.permute(0, 3, 1, 2).numpy(), ours)
