"""What holds the networks: whatever the latent, what is painted is bounded, and stays where it belongs."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.codec import Codec

Planes = npt.NDArray[np.float32]
SIDE = 20


@pytest.fixture(scope="module", params=["photo", "photo-fast"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec(request.param, threads=1)


def unit(codec: Codec, quality: int) -> Planes:
    """Quantiser steps in the spread of each channel (L, 1, 1)."""
    tensors = codec.checkpoint.tensors
    hats = np.maximum(0, 1 - np.abs(quality / 10 - np.arange(11)))
    return (np.exp(hats @ tensors["log_gain"]) * tensors["spread"]).astype(np.float32)[:, None, None]


def latent(codec: Codec, quality: int, seed: int, size: float, sparse: float) -> Planes:
    """A latent that no picture has: any channels at any place, `size` times their spread."""
    rng = np.random.default_rng(seed)
    shape = (len(codec.checkpoint.tensors["spread"]), SIDE, SIDE)
    y = rng.normal(0, size, shape) * (rng.random(shape) < sparse)
    return np.rint(y * unit(codec, quality)).astype(np.float32)[None]


@settings(max_examples=12)
@given(
    quality=st.sampled_from([0, 45, 75, 100]),
    seed=st.integers(0, 10**6),
    size=st.floats(1, 1000),
    sparse=st.sampled_from([0.01, 0.3, 1]),
)
def test_what_is_painted_grows_no_faster_than_the_latent(
    codec: Codec, quality: int, seed: int, size: float, sparse: float
) -> None:
    """Samples lie in [-1/2, 1/2]. A network that runs away multiplies a latent by thousands."""
    y = latent(codec, quality, seed, size, sparse)
    largest = float(np.abs(y / unit(codec, quality)).max())
    assert np.abs(codec.networks.g_s(y, quality)).max() < GROWTH * (LEVEL + largest)


@settings(max_examples=6)
@given(quality=st.sampled_from([0, 50, 100]), seed=st.integers(0, 10**6), size=st.floats(1, 300))
def test_what_one_cell_changes_stays_within_its_halo(codec: Codec, quality: int, seed: int, size: float) -> None:
    y = latent(codec, quality, seed, size, 0.3)
    other = y.copy()
    other[:, :, 8:12, 8:12] = latent(codec, quality, seed + 1, size, 1)[:, :, 8:12, 8:12]
    changed = np.abs(codec.networks.g_s(y, quality) - codec.networks.g_s(other, quality)).max((0, 1))
    reach = codec.checkpoint.config.reach_s
    near = slice(16 * (8 - reach), 16 * (12 + reach))
    assert changed[near, near].max() > 0
    changed[near, near] = 0
    # Sums in another order differ in their last bits.
    assert changed.max() < 1e-5 * (1 + size)


# The linear layers add up hundreds of channels; what the deep ones add is bounded by their caps.
GROWTH, LEVEL = 1.0, 400.0
