"""What is drawn on patches: patterns that repeat by their seed, and differ from seed to seed."""

# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_training import picture

from nicodec.picture import patterns


@pytest.mark.parametrize("kind", dict.fromkeys(patterns.KINDS), ids=lambda kind: kind.__name__)
def test_drawn_patches_repeat_and_differ(kind: patterns.Draw) -> None:
    photograph = picture(3)[:64, :64]
    made = [np.array(kind(np.random.default_rng(seed), photograph), np.uint8) for seed in (0, 0, *range(1, 9))]
    assert made[0].shape == (64, 64, 3)
    assert np.array_equal(made[0], made[1])
    assert len({patch.tobytes() for patch in made[1:]}) > 5
