"""Places, clusters and odd ones of vectors: the same each time, as many as there are, what lies together together."""

import sys

import numpy as np
import pytest

from nicodec.errors import MissingExtra
from nicodec.explore import clusters, places, search

RNG = np.random.default_rng(0)
# Three heaps of 25 in 20 dimensions, and one that is far from all.
LABEL = np.repeat([0, 1, 2], 25)
HEAPS = (RNG.normal(0, 8, (3, 20))[LABEL] + RNG.normal(0, 1, (75, 20))).astype(np.float32)
ALL = np.vstack([HEAPS, np.full((1, 20), 40, np.float32)])


def map_of(vectors: np.ndarray, method: places.Method = "tsne") -> np.ndarray:
    return places.placed(vectors, method, *search.neighbours(vectors, places.needed(method, len(vectors))))


def test_neighbours_are_those_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 50)
    near, away = search.neighbours(HEAPS, 7)
    every = np.linalg.norm(HEAPS[:, None] - HEAPS[None], axis=2)
    np.fill_diagonal(every, np.inf)
    np.testing.assert_allclose(away, np.sort(every, axis=1)[:, :7], rtol=1e-3)
    assert not (near == np.arange(len(HEAPS))[:, None]).any()
    for count, most in ((0, 0), (1, 0), (2, 1), (4, 3)):
        assert search.neighbours(HEAPS[:count], 7)[0].shape == (count, most)


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_places_are_the_same_each_time_and_keep_heaps_together(method: places.Method) -> None:
    if method == "tsne":
        pytest.importorskip("openTSNE")
    first = map_of(HEAPS, method)
    assert first.shape == (75, 2)
    np.testing.assert_array_equal(first, map_of(HEAPS, method))
    near, _ = search.neighbours(first, 10)
    assert (LABEL[near] == LABEL[:, None]).mean() > 0.99


@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 20])
def test_few_or_equal_pictures_have_places(count: int) -> None:
    pytest.importorskip("openTSNE")
    for vectors in (HEAPS[:count], np.repeat(HEAPS[:1], count, axis=0)):
        assert np.isfinite(map_of(vectors)).all()
        assert map_of(vectors).shape == (count, 2)


@pytest.mark.parametrize(
    ("method", "module", "package"), [("tsne", "openTSNE", "openTSNE"), ("umap", "umap", "umap-learn")]
)
def test_what_is_missing_is_named_with_what_to_install(
    method: places.Method, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"needs {package}: pip install .*--method pca needs nothing"):
        map_of(HEAPS, method)
    assert map_of(HEAPS, "pca").shape == (75, 2)


def test_clusters_are_the_heaps_and_each_has_a_picture_in_its_middle() -> None:
    at = map_of(HEAPS, "pca")
    cluster = clusters.clustered(*search.neighbours(at, clusters.NEAR))
    assert sorted(np.bincount(cluster).tolist()) == [25, 25, 25]
    assert len({(a, b) for a, b in zip(cluster.tolist(), LABEL.tolist(), strict=True)}) == 3
    for number, middle in enumerate(clusters.medoids(HEAPS, cluster)):
        members = HEAPS[cluster == number]
        assert cluster[middle] == number
        away = np.linalg.norm(members - members.mean(axis=0), axis=1)
        assert np.linalg.norm(HEAPS[middle] - members.mean(axis=0)) == pytest.approx(away.min(), rel=1e-3)


def test_few_pictures_are_no_cluster() -> None:
    at = np.array([[0.0, 0], [1, 0], [0, 1]])
    assert clusters.clustered(*search.neighbours(at, clusters.NEAR)).tolist() == [-1, -1, -1]
    assert clusters.clustered(*search.neighbours(at[:1], clusters.NEAR)).tolist() == [-1]
    assert clusters.medoids(at, np.array([-1, -1, -1])) == []


def test_the_one_that_is_far_from_all_is_odd() -> None:
    away, odd = clusters.odd(search.neighbours(ALL, clusters.NEAR)[1])
    assert odd[-1]
    assert away.argmax() == 75
    assert odd.mean() < 0.1
    assert not clusters.odd(np.zeros((1, 0), np.float32))[1].any()
