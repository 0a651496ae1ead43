"""An index -> a map of its pictures: places, clusters, neighbours; as one HTML page, offline, or as CSV.

Above `places` and `clusters`; under the command `map`.
"""

from __future__ import annotations

import csv
import html
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec import __version__, api
from nicodec.errors import LimitExceeded, NicError
from nicodec.explore import clusters, places, search
from nicodec.explore.index import Entry, Index
from nicodec.explore.places import Method, Plane
from nicodec.explore.search import Floats
from nicodec.picture import atlas, web
from nicodec.storage import is_nic
from nicodec.storage.files import shown

# The most pictures of a map, and the neighbours of each that the page shows.
MOST, NEAREST = 50_000, 8
SAID = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA, two of all dimensions"}
# The grid of places in the page.
GRID = 65535


@dataclass(frozen=True, eq=False)
class Chart:
    """A map of N pictures. The same pictures give the same map.

    entries: by path. method: that made the places. at: float64 (N, 2), without a unit. cluster: int64 (N,), 0 is the
    largest, -1 is none. medoids: for each cluster the picture in its middle. near, distance: up to `NEAREST` neighbours
    of each by their vectors, the nearest first, and how far they are, (N, n). away: float32 (N,), the mean distance of
    more of them. odd: bool (N,), whether that is unusual.
    """

    entries: list[Entry]
    method: Method
    at: Plane
    cluster: npt.NDArray[np.int64]
    medoids: list[int]
    near: npt.NDArray[np.int64]
    distance: Floats
    away: Floats
    odd: npt.NDArray[np.bool_]


def of(index: Index, method: Method = "tsne") -> Chart:
    """The map of an index. Raises LimitExceeded over `MOST` pictures, MissingExtra, and as `Index.blocks`."""
    if len(index) > MOST:
        raise LimitExceeded(f"{shown(index.folder)}: {len(index):,} pictures; a map has {MOST:,} at most")
    parts = list(index.blocks())
    entries = [entry for part in parts for entry in part[0]]
    if not entries:
        raise NicError(f"{shown(index.folder)}: no picture is there")
    return made(entries, np.concatenate([part[2] for part in parts]).astype(np.float32), method)


def made(entries: list[Entry], vectors: Floats, method: Method = "tsne") -> Chart:
    """The map of pictures and their vectors, float32 (N, D), at least one. Raises MissingExtra, NicError."""
    if not np.isfinite(vectors).all():
        raise NicError("the index is damaged: a vector is not finite; remove it and it is made anew")
    near, distance = search.neighbours(vectors, max(places.needed(method, len(entries)), clusters.NEAR))
    at = places.placed(vectors, method, near, distance)
    cluster = clusters.clustered(*search.neighbours(at, clusters.NEAR))
    away, odd = clusters.odd(distance[:, : clusters.NEAR])
    shown_near = near[:, :NEAREST], distance[:, :NEAREST]
    return Chart(entries, method, at, cluster, clusters.medoids(vectors, cluster), *shown_near, away, odd)


def scores_of(data: bytes, folder: str, entries: Sequence[Entry]) -> list[float | None]:
    """The anomaly score of each picture, from what `nicodec anomaly check --json` printed; None where there is none.

    Paths are as seen from here. Raises NicError for other JSON, and if no file of it is on the map.
    """
    try:
        known = {os.path.abspath(str(found["file"])): float(found["score"]) for found in json.loads(data)}
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        raise NicError("the scores are no JSON list of objects with file and score") from None
    found = [known.get(os.path.abspath(os.path.join(folder, entry.path))) for entry in entries]
    found = [None if score is None or not np.isfinite(score) else score for score in found]
    if all(score is None for score in found):
        raise NicError("the scores are of other files: none of them is on the map")
    return found


def qualities(folder: str, entries: Sequence[Entry]) -> list[float | None]:
    """The quality of each .nic file with loss; None for all others, and where it cannot be read now."""
    return [_quality(os.path.join(folder, entry.path)) if is_nic(entry.path) else None for entry in entries]


def _quality(path: str) -> float | None:
    try:
        about = api.info(path)
    except NicError:
        return None
    return None if about.lossless else about.quality


def rows(chart: Chart, scores: Sequence[float | None] | None = None) -> list[dict[str, Any]]:
    """A dict for each picture: file, x, y, cluster (from 1; None is none), medoid, distance, odd; score where given.

    file: below the folder. distance: the mean one of the nearest pictures.
    """
    middle = set(chart.medoids)
    return [
        {
            "file": entry.path,
            "x": float(f"{chart.at[i][0]:.6g}"),
            "y": float(f"{chart.at[i][1]:.6g}"),
            "cluster": None if chart.cluster[i] < 0 else int(chart.cluster[i]) + 1,
            "medoid": i in middle,
            "distance": round(float(chart.away[i]), 4),
            "odd": bool(chart.odd[i]),
        }
        | ({} if scores is None else {"score": scores[i]})
        for i, entry in enumerate(chart.entries)
    ]


def table(chart: Chart, scores: Sequence[float | None] | None = None) -> str:
    """The rows of a map as CSV, with a head; what is None is empty, and yes and no are 1 and 0."""
    buffer, found = io.StringIO(), rows(chart, scores)
    writer = csv.DictWriter(buffer, list(found[0]), lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow(row | {"file": shown(row["file"]), "medoid": int(row["medoid"]), "odd": int(row["odd"])})
    return buffer.getvalue()


def page(
    chart: Chart,
    thumbnails: Sequence[bytes],
    title: str,
    *,
    base: str | None = None,
    quality: Sequence[float | None] | None = None,
    scores: Sequence[float | None] | None = None,
) -> str:
    """The page of a map. It holds all its content, and its security policy forbids the network.

    thumbnails: as `Index.thumbnails` gives them. title: any text. base: the folder of the pictures as seen from the
    page, a quoted relative URL that ends in "/"; None leaves out links to the files. quality, scores: of each
    picture, for its colour; None, or all None, leaves them out.
    """
    tile = atlas.tile_of(len(chart.entries))
    low, span = chart.at.min(axis=0), max(1e-9, float(np.ptp(chart.at, axis=0).max()))
    x, y = np.rint((chart.at - low) / span * GRID).astype(np.int64).T
    odd = [int(i) for i in np.argsort(-chart.away, kind="stable") if chart.odd[i]]
    data: dict[str, Any] = {
        "tile": tile,
        "base": base,
        "names": [shown(entry.path.replace(os.sep, "/")) for entry in chart.entries],
        "x": x.tolist(),
        "y": (int(y.max()) - y).tolist(),  # up is positive, as in a figure
        "width": [entry.width for entry in chart.entries],
        "height": [entry.height for entry in chart.entries],
        "bytes": [entry.size for entry in chart.entries],
        "quality": _known(quality),
        "score": _known(scores),
        "cluster": chart.cluster.tolist(),
        "sizes": np.bincount(chart.cluster[chart.cluster >= 0], minlength=len(chart.medoids)).tolist(),
        "medoids": chart.medoids,
        "nearest": chart.near.shape[1],
        "near": chart.near.reshape(-1).tolist(),
        "far": [round(float(d), 2) for d in chart.distance.reshape(-1)],
        "away": [round(float(d), 2) for d in chart.away],
        "odd": odd,
    }
    sheets = (f'<img class="sheet" alt="" hidden src="{uri}">' for uri in atlas.sheets(thumbnails, tile))
    count = len(chart.entries)
    notes = (
        "Like pictures lie together, by texture, shape and colour; what they mean is not known. "
        "Distances between far places, and the axes, mean nothing. "
        "Odd ones are further from their neighbours than is usual here. Clusters are dense places of the map. "
    )
    return web.filled(
        resources.files("nicodec.explore").joinpath("map.html").read_text(encoding="utf-8"),
        title=html.escape(title),
        intro=f"{count:,} picture{'s' * (count != 1)}, {SAID[chart.method]}",
        notes=f"{notes}Made by nicodec {html.escape(__version__)}.",
        sheets="\n".join(sheets),
        # A name cannot end the element that holds it.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        version=html.escape(__version__),
    )


def _known(values: Sequence[float | None] | None) -> list[float | None] | None:
    known = values is not None and any(value is not None for value in values)
    return list(values) if known and values is not None else None
