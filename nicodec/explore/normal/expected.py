"""What a cell of a good picture is expected to be, from all good cells, its own picture, or its place.

Between `learning`, which chooses one of the three, and `checking`.
"""

from __future__ import annotations

import numpy as np

from nicodec.explore.normal.fields import Doubles, Floats

# all: the mean of all good cells. own: the rest of the picture, in two ways: by its median alone, and by the row and
# the column too. The larger surprise counts, since a crack may fill its column. place: the mean of good pictures at
# this place, which need one size.
KINDS = ("all", "own", "place")
# The numbers of `weights`: one for each part of `own`; two without row and column; what makes the two comparable.
COUNT = 4 + 2 + 1
# Neighbours along a row or a column that do not count, so that a defect does not explain itself.
GAP = 1


def own(values: Floats) -> Doubles:
    """What of a picture predicts its cells, float64 (rows * columns, 4): one, the median, the row, the column."""
    rows, columns = values.shape
    median = float(np.median(values))
    along = others(values.T).T - median
    down = others(values) - median
    parts = [np.ones((rows, columns)), np.full((rows, columns), median), along, down]
    found: Doubles = np.stack([part.reshape(-1) for part in parts], axis=1).astype(np.float64)
    return found


def others(values: Floats) -> Floats:
    """For each cell the mean of its column without itself and its neighbours, float32 (rows, columns)."""
    places = np.arange(len(values))
    far = (np.abs(places[:, None] - places) > GAP).astype(np.float32)
    # A column of three has no others: then the whole counts.
    far[far.sum(axis=1) == 0] = 1
    result: Floats = (far / far.sum(axis=1, keepdims=True)) @ values
    return result


def weights(maps: list[Floats]) -> tuple[float, ...]:
    """Those of `off`, by least squares over the cells of good pictures: COUNT numbers."""
    left, right, square, count = np.zeros((4, 4)), np.zeros(4), 0.0, 0
    for values in maps:
        known, flat = own(values), values.reshape(-1).astype(np.float64)
        left += known.T @ known
        right += known.T @ flat
        square += float(flat @ flat)
        count += flat.size
    found: list[float] = []
    unit = []
    for size in (4, 2):
        best = np.linalg.lstsq(left[:size, :size], right[:size], rcond=None)[0]
        rest = square - 2 * best @ right[:size] + best @ left[:size, :size] @ best
        unit.append(max(float(rest) / count, 1e-6) ** 0.5)
        found += best.tolist()
    return (*found, unit[0] / unit[1])


def off(values: Floats, weights: tuple[float, ...]) -> Floats:
    """The larger surprise of each cell, float32 (rows, columns), in the unit of the surprise by row and column."""
    known = own(values)
    flat = values.reshape(-1)
    near = flat - known @ np.array(weights[:4])
    level = flat - known[:, :2] @ np.array(weights[4:6])
    result: Floats = np.maximum(near, weights[6] * level).reshape(values.shape).astype(np.float32)
    return result
