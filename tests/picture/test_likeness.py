"""Near-duplicates: a picture is near itself in other sizes, files and lights, and far from strangers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nicodec.picture import likeness


def picture(seed: int, height: int = 150, width: int = 210) -> np.ndarray:
    """Shapes on a slope, smooth enough to be told again in other sizes."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def distance(a: np.ndarray, b: np.ndarray) -> int:
    one, other = likeness.difference_hash(a), likeness.difference_hash(b)
    return int(likeness.distances(one, np.frombuffer(other, np.uint8)[None])[0])


def near(a: np.ndarray, b: np.ndarray) -> bool:
    one, other = likeness.difference_hash(a), likeness.difference_hash(b)
    return bool(likeness.near(one, np.frombuffer(other, np.uint8)[None])[0])


def test_the_bits_are_comparisons_of_neighbours_row_by_row() -> None:
    ramp = np.tile(np.arange(17, dtype=np.uint8) * 9, (16, 1))
    assert likeness.difference_hash(ramp) == b"\xff" * 32
    assert likeness.difference_hash(ramp[:, ::-1]) == bytes(32)
    ramp[3, 5:] = 0
    bits = np.unpackbits(np.frombuffer(likeness.difference_hash(ramp), np.uint8)).reshape(16, 16)
    assert bits[3].tolist() == [1] * 4 + [0] * 12
    assert bits.sum() == 15 * 16 + 4


@pytest.mark.parametrize("seed", range(5))
def test_what_looks_the_same_is_near(seed: int) -> None:
    pixels = picture(seed)
    darker = (pixels * 0.6).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(pixels).resize((97, 64)))
    for other in (jpeg(pixels, 20), darker, smaller, pixels[2:, 1:], pixels[:, ::-1]):
        assert near(pixels, other)
    assert distance(pixels, pixels) == 0


def test_strangers_are_far() -> None:
    for seed in range(20):
        assert distance(picture(seed), picture(seed + 1)) > 2 * likeness.NEAR
        assert not near(picture(seed), picture(seed + 1))


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3, 3), (40, 40, 1)])
def test_pictures_of_any_shape_have_32_bytes(shape: tuple[int, ...]) -> None:
    assert len(likeness.difference_hash(np.zeros(shape, np.uint8))) == 32


def test_gray_has_the_bits_of_the_same_in_three_channels() -> None:
    gray = picture(0)[..., 0]
    assert distance(gray, np.repeat(gray[..., None], 3, axis=2)) == 0


def test_a_mirrored_hash_is_that_of_the_mirrored_picture() -> None:
    pixels = picture(7, 160, 170)
    assert likeness.mirrored(likeness.difference_hash(pixels)) == likeness.difference_hash(pixels[:, ::-1])
