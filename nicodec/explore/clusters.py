"""Places on a plane -> clusters, the picture in the middle of each, and odd ones.

Between `places` and `chart`. Nothing is drawn at random.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nicodec.explore.search import Floats

Whole = npt.NDArray[np.int64]
# Neighbours by which density is measured, and by which odd ones are.
NEAR = 15
# Two peaks of density are one cluster where the valley between them has more than this share of the lower peak's.
VALLEY = 0.5
# Smaller clusters are left out: their pictures belong to none.
FEWEST = 5


def clustered(near: Whole, away: Floats) -> Whole:
    """The cluster of each of N places, int64 (N,): 0 is the largest; -1 where there is none.

    near, away: the neighbours of each place, (N, k), and their distances. Each place climbs to its densest neighbour,
    and peaks with a shallow valley between them are joined. Source: F. Chazal and others, "Persistence-Based Clustering
    in Riemannian Manifolds" (2013).
    """
    if not near.shape[1]:
        return np.full(len(near), -1)
    # In two dimensions the density falls with the square of the distance; a logarithm makes shares differences.
    density = -2 * np.log(np.maximum(away.mean(axis=1, dtype=np.float64), 1e-9))
    order = np.argsort(-density, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    around: list[set[int]] = [set(row) for row in near.tolist()]
    for i, row in enumerate(near.tolist()):
        for j in row:
            around[j].add(i)
    parent = list(range(len(near)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i in map(int, order):
        higher = sorted((int(rank[j]), j) for j in around[i] if rank[j] < rank[i])
        for _, j in higher[:1]:
            parent[i] = root(j)
        for _, j in higher[1:]:
            low, high = sorted((root(i), root(j)), key=lambda peak: (density[peak], -peak))
            if low != high and density[low] - density[i] < -np.log(VALLEY):
                parent[low] = high
    return _numbered(np.array([root(i) for i in range(len(near))]))


def _numbered(roots: Whole) -> Whole:
    """Clusters by size; small ones are none."""
    _, first, inverse, sizes = np.unique(roots, return_index=True, return_inverse=True, return_counts=True)
    number = np.full(len(sizes), -1)
    kept = [i for i in np.lexsort((first, -sizes)) if sizes[i] >= FEWEST]
    number[kept] = np.arange(len(kept))
    return number[inverse]


def medoids(vectors: Floats, cluster: Whole) -> list[int]:
    """For each cluster the picture that is nearest to its mean: one that exists, in place of a mean that does not."""
    found = []
    for number in range(int(cluster.max(initial=-1)) + 1):
        members = np.flatnonzero(cluster == number)
        own = vectors[members].astype(np.float64)
        found.append(int(members[np.square(own - own.mean(axis=0)).sum(axis=1).argmin()]))
    return found


def odd(away: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """How far each vector is from its neighbours, float32 (N,), and whether that is unusual, (N,).

    away: distances of neighbours, (N, k). Unusual is what lies above the third quartile by 1.5 times the distance of
    the quartiles: J. Tukey's rule (1977).
    """
    if not away.shape[1]:
        return np.zeros(len(away), np.float32), np.zeros(len(away), np.bool_)
    mean: Floats = away.mean(axis=1)
    low, high = np.percentile(mean, (25, 75))
    return mean, np.asarray(mean > high + 1.5 * (high - low))
