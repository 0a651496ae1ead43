"""Vectors -> places on a plane, where like ones lie together: PCA, t-SNE or UMAP.

Between `search`, which finds neighbours, and `chart`. The same vectors give the same places.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nicodec.errors import MissingExtra
from nicodec.explore.search import Floats

Plane: TypeAlias = npt.NDArray[np.float64]
Method: TypeAlias = Literal["tsne", "pca", "umap"]
METHODS: tuple[Method, ...] = get_args(Method)
# t-SNE: the number of neighbours that count, about; UMAP: that number.
PERPLEXITY, NEAR = 30, 15
# Fewer pictures have no neighbourhoods: their principal components are all there is.
FEWEST = 8


def needed(method: Method, count: int) -> int:
    """The number of neighbours of each vector that a method asks for."""
    return {"tsne": 3 * PERPLEXITY, "umap": NEAR, "pca": 0}[method] if count >= FEWEST else 0


def placed(vectors: Floats, method: Method, near: npt.NDArray[np.int64], away: Floats) -> Plane:
    """Vectors (N, D) -> places float64 (N, 2), by one method; fewer than `FEWEST`, and equal ones, by PCA.

    near, away: the neighbours of each, (N, at least `needed`), and their distances. Raises MissingExtra.
    """
    start = components(vectors)
    if method == "pca" or len(vectors) < FEWEST or np.ptp(start) == 0:
        return start
    most = needed(method, len(vectors))
    how: Callable[..., Plane] = _tsne if method == "tsne" else _umap
    return how(vectors, start, near[:, :most], away[:, :most])


def components(vectors: Floats) -> Plane:
    """The first two principal components, float64 (N, 2); the largest number of each axis is positive."""
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found = np.zeros((len(vectors), 2))
    projected = centred @ axes[:, :-3:-1]
    found[:, : projected.shape[1]] = projected
    for axis in found.T:
        if axis[np.abs(axis).argmax()] < 0:
            axis *= -1
    return found


def _tsne(vectors: Floats, start: Plane, near: npt.NDArray[np.int64], away: Floats) -> Plane:
    """L. van der Maaten and G. Hinton, "Visualizing Data using t-SNE" (2008), as openTSNE computes it."""
    tsne = _loaded("openTSNE", "t-SNE needs openTSNE: pip install 'nicodec[explore]'")
    # It scales distances by their own spread; those of equal pictures would all be 0.
    known = tsne.nearest_neighbors.PrecomputedNeighbors(near, np.maximum(away, 1e-3).astype(np.float64))
    weights = tsne.affinity.PerplexityBasedNN(knn_index=known, perplexity=min(PERPLEXITY, near.shape[1] / 3))
    # More threads would add in another order, and so make another map.
    begun = tsne.TSNEEmbedding(tsne.initialization.rescale(start), weights, n_jobs=1, random_state=0)
    swollen = begun.optimize(n_iter=250, exaggeration=12, momentum=0.5)
    return np.asarray(swollen.optimize(n_iter=500, momentum=0.8), np.float64)


def _umap(vectors: Floats, start: Plane, near: npt.NDArray[np.int64], away: Floats) -> Plane:
    """L. McInnes, J. Healy and J. Melville, "UMAP" (2018), as umap-learn computes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it lacks TensorFlow
        umap = _loaded("umap", "UMAP needs umap-learn: pip install umap-learn")
    own = np.arange(len(vectors))[:, None]
    # It counts a picture as its own neighbour.
    known = np.hstack([own, near[:, :-1]]), np.hstack([np.zeros_like(own, np.float32), away[:, :-1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it cannot place other pictures later
        made = umap.UMAP(n_neighbors=near.shape[1], precomputed_knn=known, init=_unit(start), random_state=0, n_jobs=1)
        return np.asarray(made.fit_transform(vectors), np.float64)


def _unit(start: Plane) -> npt.NDArray[np.float32]:
    """A start for UMAP, which expects about 10 x 10."""
    scaled: npt.NDArray[np.float32] = (10 * start / max(1e-9, np.abs(start).max())).astype(np.float32)
    return scaled


def _loaded(module: str, missing: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{missing}; --method pca needs nothing") from error
