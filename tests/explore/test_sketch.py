"""Sketches of pictures: the same for the same picture, however it is stored; turned as the picture is turned."""

import numpy as np
import pytest

from nicodec.codec import Codec
from nicodec.errors import NicError
from nicodec.explore import sketch
from nicodec.picture import Picture


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(sketch.MODEL, threads=1)


def scene(seed: int = 0, height: int = 200, width: int = 280) -> np.ndarray:
    """Blots of colour over waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([128 + 50 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)], -1)
    for _ in range(25):
        top, left, size = rng.integers(0, height), rng.integers(0, width), rng.integers(8, 60)
        pixels[top : top + size, left : left + size] = rng.integers(0, 256, 3)
    return pixels.clip(0, 255).astype(np.uint8)


def bits_off(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.unpackbits(a ^ b).sum())


def test_a_sketch_has_its_sizes_and_types(codec: Codec) -> None:
    found = sketch.of(Picture(scene()), codec)
    assert (found.width, found.height) == (280, 200)
    assert (found.hash.dtype, found.hash.shape) == (np.uint8, (64,))
    assert (found.vector.dtype, found.vector.shape) == (np.float16, (sketch.length(codec),))
    assert np.isfinite(found.vector).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (17, 33)])
def test_every_size_has_a_sketch(codec: Codec, shape: tuple[int, int]) -> None:
    found = sketch.of(Picture(np.full((*shape, 3), 90, np.uint8)), codec)
    assert np.isfinite(found.vector).all()


def test_gray_16_bits_and_alpha_are_seen_as_they_look(codec: Codec) -> None:
    gray = scene()[:, :, :1]
    plain = sketch.of(Picture(gray), codec)
    assert sketch.of(Picture(np.repeat(gray, 3, axis=2)), codec).samples == plain.samples
    assert sketch.of(Picture(gray.astype(np.uint16) * 257), codec).samples == plain.samples
    clear = Picture(gray, np.zeros(gray.shape[:2], np.uint8))
    white = Picture(np.full_like(gray, 255))
    assert sketch.of(clear, codec).samples == sketch.of(white, codec).samples


def test_hashes_turn_as_pictures_do() -> None:
    square = scene(1, 192, 192)
    bits = np.unpackbits(sketch.hash_of(square)).astype(bool)[None]
    for turn in sketch.TURNS:
        direct = np.unpackbits(sketch.hash_of(sketch.turned(square, *turn))).astype(bool)
        assert (direct != sketch.turned_bits(bits, *turn)[0]).sum() <= 12, turn  # equal neighbours rise neither way


def test_a_frame_of_one_colour_is_left_out(codec: Codec) -> None:
    pixels = scene(2)
    framed = np.pad(pixels, ((12, 9), (20, 7), (0, 0)), constant_values=255)
    np.testing.assert_array_equal(sketch.without_frame(framed), pixels)
    a, b = (sketch.of(Picture(each), codec) for each in (pixels, framed))
    assert bits_off(a.hash, b.hash) == 0
    np.testing.assert_array_equal(a.vector, b.vector)


def test_a_sky_is_no_frame() -> None:
    pixels = scene(3)
    pixels[:60] = 255
    np.testing.assert_array_equal(sketch.without_frame(pixels), pixels)


def test_like_pictures_are_nearer_than_others(codec: Codec) -> None:
    from nicodec.picture import writer

    pictures = [scene(seed, 600, 840) for seed in range(6)]
    vectors = [sketch.of(Picture(each), codec).vector.astype(float) for each in pictures]
    half = sketch.of(Picture(writer.resized(pictures[0], 420, 300)), codec).vector
    away = [float(np.linalg.norm(half - each)) for each in vectors]
    assert np.argmin(away) == 0
    assert away[0] < 0.5 * min(away[1:])


def test_layouts_turn_as_pictures_do(codec: Codec) -> None:
    square = scene(5, 192, 192)
    vector = sketch.vector_of(square, codec)
    for turn in sketch.TURNS:
        there = sketch.vector_of(sketch.turned(square, *turn), codec)
        assert sketch.layout_off(there, vector, turn) < 0.1, turn
    assert sketch.layout_off(vector, vector, (True, 0)) > 1


def test_features_are_those_of_whole_cells(codec: Codec) -> None:
    from nicodec.coding import latents

    found = latents.features(codec, np.zeros((32, 48, 3), np.uint8))
    assert (found.dtype, found.shape) == (np.float32, (codec.checkpoint.config.deep, 2, 3))
    for shape in ((30, 48, 3), (0, 16, 3), (2048, 1024, 3)):
        with pytest.raises(NicError, match="whole cells of 16"):
            latents.features(codec, np.zeros(shape, np.uint8))


def test_an_encoder_has_a_hash_of_its_own(codec: Codec) -> None:
    from nicodec.coding import latents

    own, other = latents.encoder_of(codec), latents.encoder_of(Codec("photo", threads=1))
    assert len(own) == 64
    assert own != other
    assert own == latents.encoder_of(Codec(sketch.MODEL, threads=1))
