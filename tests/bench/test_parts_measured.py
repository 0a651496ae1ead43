"""Parts of the codec for docs/AUTOENCODERS.md: a quick run of all, and the theorem of linear autoencoders."""

# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("bjontegaard")

import numpy as np
import parts
import tiny_training
from PIL import Image

from nicodec.train.options import DISTORTIONS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_training.one_thread():
        yield


def test_a_linear_autoencoder_learns_the_principal_axes() -> None:
    """Baldi and Hornik 1989: from a random start, by gradient, without rate, to less than one degree."""
    rng = torch.Generator().manual_seed(1)
    powers = 0.7 ** torch.arange(256)
    turn = torch.linalg.qr(torch.randn(256, 256, generator=rng)).Q
    patches = torch.randn(300, 256, generator=rng) * powers.sqrt() * 0.3 @ turn.T
    basis, found = parts.axes_of(patches)
    assert torch.all(found[:-1] >= found[1:])
    learnt = parts.learnt_axes(patches, 5, 800)
    assert parts.angle(learnt, basis[:, :5]) < 1
    assert parts.angle(learnt, basis[:, 1:6]) > 80
    # The subspace is the same, the axes in it are not: a gradient does not tell them apart.
    cosine = (torch.nn.functional.normalize(learnt.double(), dim=0).T @ basis[:, :5]).abs().max(0).values
    assert cosine.min() < 0.9


def test_the_angle_between_two_subspaces_is_known() -> None:
    one = torch.eye(4)[:, :2]
    other = one.clone()
    other[:, 1] = torch.tensor([0.0, 3**0.5, 1.0, 0.0])
    assert parts.angle(one, other) == pytest.approx(30, abs=1e-4)
    assert parts.angle(one, one @ torch.randn(2, 2)) == pytest.approx(0, abs=1e-4)


def test_only_interpolation_leaves_no_checkerboard_at_a_random_start() -> None:
    shares = {way: parts.untrained(way)[0] for way in ("shuffle", "nearest", "bilinear", "transposed-3")}
    assert shares["nearest"] < 0.1
    assert shares["bilinear"] < 0.1
    assert shares["shuffle"] > shares["transposed-3"] > 1


def test_bits_at_equal_distortion_are_told_in_per_cent() -> None:
    rows = [[rate, *[1 / rate**2] * len(DISTORTIONS)] for rate in (0.1, 0.3, 0.6, 1.0, 1.5)]
    more = [[1.25 * row[0], *row[1:]] for row in rows]
    assert parts.bits([rows], [more]) == pytest.approx(25, abs=0.1)
    assert parts.bits([rows], [rows], "bce") == pytest.approx(0, abs=1e-6)


def test_a_quick_run_measures_every_part_and_goes_on_where_it_was(tmp_path: Path) -> None:
    said = parts.measure(None, tmp_path, [])
    assert "Largest principal angle of 6 axes" in said
    for way in parts.QUICK_WAYS:
        assert f"\n| {way} |" in said
    assert "linear alone, against deep+linear: " in said
    assert "\n| l1 |" in said
    assert {path.name for path in tmp_path.iterdir()} == {"parts.json", "parts.md", "linear.png", "checkerboard.png"}

    def never() -> None:
        raise AssertionError("it learnt again")

    again = parts.run(["transform"], tmp_path, never, parts.quick_pictures(), quick=True)  # type: ignore[arg-type]
    assert again == said
    assert np.asarray(Image.open(tmp_path / "checkerboard.png")).std() > 0
