"""Exact search in blocks: it finds what a search of all pairs finds."""

from collections.abc import Iterator

import numpy as np
import pytest

from nicodec.explore import search, sketch


def first_of(vectors: np.ndarray) -> np.ndarray:
    return vectors[:, 0]


def test_the_nearest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 7)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(100, 12)).astype(np.float16)
    queries = rng.normal(size=(3, 12)).astype(np.float32)
    blocks = ((list(range(i, i + 25)), vectors[i : i + 25]) for i in range(0, 100, 25))
    found = search.nearest(lambda some: search.distances(queries, some).min(axis=0), blocks, 9)
    every = np.linalg.norm(queries[:, None] - vectors[None].astype(np.float32), axis=2).min(axis=0)
    assert [name for _, name in found] == np.argsort(every)[:9].tolist()
    np.testing.assert_allclose([distance for distance, _ in found], np.sort(every)[:9], atol=0.01)


def test_few_pictures_give_few_answers() -> None:
    assert search.nearest(first_of, [], 5) == []
    assert len(search.nearest(first_of, [(["a", "b"], np.zeros((2, 4), np.float16))], 5)) == 2


def test_only_a_block_is_in_memory() -> None:
    """Blocks are taken one after the other; none is kept."""
    import weakref

    alive: list[weakref.ref[np.ndarray]] = []

    def blocks() -> Iterator[tuple[list[int], np.ndarray]]:
        for number in range(6):
            assert sum(ref() is not None for ref in alive) <= 1
            block = np.full((10, 4), number, np.float16)
            alive.append(weakref.ref(block))
            yield list(range(10)), block

    assert len(search.nearest(first_of, blocks(), 3)) == 3


def test_near_vectors_are_all_near_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 8)
    vectors = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float16)
    away = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    expected = {(i, j) for i in range(50) for j in range(i + 1, 50) if away[i, j] <= 0.8}
    found = list(search.near_vectors(vectors, 0.8))
    assert len(expected) > 20
    assert {(i, j) for i, j, _ in found} == expected
    assert len(found) == len(expected)
    assert max(abs(distance - away[i, j]) for i, j, distance in found) < 0.01


def test_near_hashes_say_how_far_and_how_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 3)
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2, (5, sketch.HASH_BITS)).astype(bool)
    changed = bits[3].copy()
    changed[:20] ^= True
    turned = sketch.turned_bits(bits[1:2], True, 3)[0]
    every = np.packbits(np.stack([*bits, changed, turned]), axis=1)
    found = list(search.near_hashes(every, 60))
    assert sorted((i, j, off) for i, j, off, _ in found) == [(1, 6, 0), (3, 5, 20)]
    for i, j, _, turn in found:
        again = sketch.turned_bits(np.unpackbits(every[j]).astype(bool)[None], *turn)[0]
        assert (again != np.unpackbits(every[i]).astype(bool)).sum() == (20 if i == 3 else 0)


def test_empty_pictures_are_not_near_to_each_other() -> None:
    hashes = np.zeros((3, sketch.HASH_BITS // 8), np.uint8)
    hashes[2] = 255
    assert list(search.near_hashes(hashes, 512)) == []
