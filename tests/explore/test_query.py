"""A picture that is looked for: it is near itself, turned, smaller and as a part, and far from others."""

import numpy as np
import pytest
from test_sketch import scene

from nicodec.codec import Codec
from nicodec.explore import query, sketch
from nicodec.picture import Picture, writer


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(sketch.MODEL, threads=1)


@pytest.fixture(scope="module")
def others(codec: Codec) -> np.ndarray:
    return np.stack([sketch.of(Picture(scene(seed)), codec).vector for seed in range(10)]).astype(np.float32)


def test_a_picture_is_near_itself_in_each_position(codec: Codec, others: np.ndarray) -> None:
    wanted = query.of(Picture(scene(4)), codec)
    for turn in sketch.TURNS:
        there = sketch.of(Picture(sketch.turned(scene(4), *turn)), codec).vector.astype(np.float32)
        away = wanted.away(np.vstack([others, there]))
        extra = query.TURNED**0.5 * (turn != sketch.TURNS[0])
        assert away[-1] < extra + 0.5 < np.delete(away[:-1], 4).min(), turn


@pytest.mark.parametrize("part", [np.s_[20:180, 30:250], np.s_[:130, :180], np.s_[70:, 100:]])
def test_a_part_is_nearest_to_its_whole(codec: Codec, others: np.ndarray, part: tuple[slice, slice]) -> None:
    for seed in range(3):
        cut = np.ascontiguousarray(scene(seed)[part])
        assert query.of(Picture(cut), codec).away(others).argmin() == seed
        assert query.of(Picture(writer.resized(cut, 400, 300)), codec).away(others).argmin() == seed


def test_plain_pictures_have_distances(codec: Codec, others: np.ndarray) -> None:
    plain = Picture(np.full((50, 70, 3), 90, np.uint8))
    wanted = query.of(plain, codec)
    assert np.isfinite(wanted.away(others)).all()
    assert wanted.away(sketch.of(plain, codec).vector.astype(np.float32)[None])[0] < 0.1
    assert wanted.away(others[:0]).shape == (0,)
