"""Ways up: each doubles, and only those with uneven overlap leave a pattern on a flat field."""

# ruff: noqa: E402

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tiny_models import TINY

from nicodec.model.config import SHUFFLE, UPSAMPLES
from nicodec.nn.layers import hats
from nicodec.nn.model import Model
from nicodec.nn.upsampling import Doubling

WAYS = [way for way in UPSAMPLES if way != SHUFFLE]


def doubling(way: str) -> Any:
    torch.manual_seed(0)
    return Doubling(way, 6, 4).eval()


@pytest.mark.parametrize("way", WAYS)
def test_a_doubling_doubles_both_sides(way: str) -> None:
    assert doubling(way)(torch.zeros(2, 3, 5, 6)).shape == (2, 6, 10, 4)


@pytest.mark.parametrize("way", WAYS)
def test_interpolations_leave_a_flat_field_flat_and_the_others_do_not(way: str) -> None:
    with torch.no_grad():
        out = doubling(way)(torch.ones(1, 8, 8, 6))[0, 4:-4, 4:-4]
    spread = float((out - out.mean((0, 1))).abs().max())
    assert (spread < 1e-6) == (way in ("nearest", "bilinear"))


def test_a_bed_of_nails_with_a_convolution_is_a_transposed_convolution_of_three() -> None:
    nails, transposed = doubling("bed-of-nails"), doubling("transposed-3")
    transposed.load_state_dict(nails.state_dict())
    with torch.no_grad():
        transposed.depthwise.weight.copy_(nails.depthwise.weight.flip(2, 3))
        x = torch.randn(1, 5, 7, 6)
        assert torch.allclose(nails(x), transposed(x), atol=1e-6)


def test_a_network_begins_as_its_shortcuts_whatever_its_way_up() -> None:
    patches, x = torch.randn(600, 768), torch.randn(1, 64, 64, 3) / 8
    hat, pixels = hats(torch.tensor([50.0])), []
    for config in (TINY, *(replace(TINY, upsample=way) for way in WAYS), TINY.without_deep()):
        model = Model(config).eval()
        model.init_from_patches(patches, (1.5, 40.0))
        with torch.no_grad():
            pixels.append(model.g_s(model.g_a(x, hat, model.spread), hat, model.spread))
    for other in pixels[1:]:
        assert torch.allclose(other, pixels[0], atol=1e-5)
