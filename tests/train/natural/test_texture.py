"""The distance of textures: it minds lost grain, and not where each grain lies."""

# ruff: noqa: E402

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from nicodec.train.natural import texture


def grain(seed: int, colours: int = 3) -> Tensor:
    """Noise of two sizes, (1, 96, 96, C)."""
    generator = torch.Generator().manual_seed(seed)
    fine, coarse = (torch.randn(1, n, n, colours, generator=generator) for n in (96, 48))
    return 0.08 * fine + 0.08 * coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)


def blurred(x: Tensor) -> Tensor:
    planes = torch.nn.functional.avg_pool2d(x.permute(0, 3, 1, 2), 5, 1, 2, count_include_pad=False)
    return planes.permute(0, 2, 3, 1)


def distance(made: Tensor, source: Tensor) -> float:
    return float(texture.distance(made, source)[0])


def test_a_picture_has_no_distance_to_itself() -> None:
    assert distance(grain(0), grain(0)) == 0


@pytest.mark.parametrize("colours", [1, 3])
def test_grain_that_moved_is_nearer_than_grain_that_is_lost(colours: int) -> None:
    source = grain(0, colours)
    moved, other, smooth = torch.roll(source, (4, 6), (1, 2)), grain(1, colours), blurred(source)
    squared = [float((x - source).square().mean()) for x in (moved, smooth)]
    assert squared[0] > 1.5 * squared[1]  # the squared error thinks otherwise
    assert max(distance(moved, source), distance(other, source)) < 0.4 * distance(smooth, source)


def test_the_distance_grows_with_lost_grain() -> None:
    source = grain(0)
    found = [distance(share * source, source) for share in (1, 0.9, 0.7, 0.4, 0)]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_grain_that_hardly_shows_costs_little() -> None:
    flat = torch.zeros(1, 96, 96, 3)
    assert distance(flat, 0.01 * grain(0)) < 0.01 * distance(flat, grain(0))


def test_chroma_weighs_less_than_luma() -> None:
    flat, gray = torch.zeros(1, 96, 96, 3), grain(0, 1).expand(-1, -1, -1, 3)
    tinted = gray * torch.tensor([0.0, -0.344, 1.772])  # blue and yellow of the same luma, nearly
    assert 0.1 < distance(flat, tinted) / distance(flat, gray) < 0.5


def test_the_gradient_makes_faint_grain_stronger_and_strong_grain_fainter() -> None:
    source = grain(0)
    for share, sign in ((0.5, -1), (1.5, 1)):
        made = (share * grain(1)).requires_grad_()
        texture.distance(made, source).sum().backward()
        assert made.grad is not None
        assert sign * float((made.grad * made.detach()).sum()) > 0


def test_the_filters_are_an_orthonormal_cosine_transform_without_its_mean() -> None:
    filters = texture.cosines().reshape(15, 16)
    assert torch.allclose(filters @ filters.T, torch.eye(15), atol=1e-6)
    assert float(filters.sum(1).abs().max()) < 1e-6
