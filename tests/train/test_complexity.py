"""What a network costs: the counts that a manifest holds are those of its layers."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_models import TINY

from nicodec.model.config import NETWORKS
from nicodec.nn.model import Model
from nicodec.train import complexity


def test_complexity_is_counted_from_the_layers() -> None:
    """By hand for the decoder's blocks, embedding and shortcut."""
    c = TINY
    block = (5 * c.width**2 + 9 * c.width) / 64
    on_latent = c.latent_blocks_s * (5 * c.deep**2 + 9 * c.deep) / 256
    by_hand = on_latent + c.deep * 4 * c.width / 256 + block * c.blocks_s + c.width * 192 / 64 + c.latent * 768 / 256
    # quality modulation is a product too, once for the whole picture
    assert complexity.kmac_per_pixel(Model(c))["g_s"] == pytest.approx(by_hand / 1000, abs=2e-3)


def test_the_full_network_decodes_with_under_20_kmac_for_each_pixel() -> None:
    assert complexity.kmac_per_pixel(Model(NETWORKS["full"]))["decode"] < 20
