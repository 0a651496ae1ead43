"""The stage that repairs pixels before g_a: nothing at first, and a picture whatever it has learnt."""

# ruff: noqa: E402

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tiny_models import TINY

from nicodec.nn.layers import hats
from nicodec.nn.model import Model
from nicodec.nn.repair import Repair


def pixels(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3)) - 0.5


@pytest.mark.parametrize("colours", [1, 3])
def test_a_new_stage_changes_nothing(colours: int) -> None:
    x = pixels(2, 64, 128, colours)
    assert torch.equal(Repair(replace(TINY, colours=colours, repair=3))(x), x)


def test_what_it_makes_is_a_picture_whatever_its_weights_are() -> None:
    stage = Repair(replace(TINY, repair=3))
    with torch.no_grad():
        for p in stage.parameters():
            p.normal_(std=5)
    made = stage(pixels(1, 64, 64, 3))
    assert made.shape == (1, 64, 64, 3)
    assert float(made.detach().abs().max()) == 0.5


def test_both_branches_of_the_encoder_see_repaired_pixels() -> None:
    """The linear one too, which would carry damage past the network."""
    torch.manual_seed(0)
    model, x, hat = Model(replace(TINY, repair=2)).eval(), pixels(1, 64, 64, 3), hats(torch.tensor([50.0]))
    with torch.no_grad():
        model.g_a.repair.layers[-1].bias.fill_(0.1)
        assert model.g_a.repair is not None
        repaired = model.g_a.repair(x)
        given = model.g_a(x, hat, model.spread)
        model.g_a.repair = None
        assert torch.equal(given, model.g_a(repaired, hat, model.spread))
    assert torch.equal(repaired, (x + 0.1).clamp(-0.5, 0.5))
