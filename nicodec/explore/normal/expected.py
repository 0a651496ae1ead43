"""What a cell of a good picture is expected to be, from all good cells, its own picture, or its place.

Between `learning`, which chooses one of the three, and `checking`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nicodec.explore.normal.fields import Doubles, Floats

# all: the mean of all good cells. own: from the rest of the picture: its median, the row and the column of the cell.
# place: the mean of good pictures at this place, which need one size.
KINDS = ("all", "own", "place")
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


def weights(maps: list[Floats]) -> npt.NDArray[np.float64]:
    """The least-squares weights (4,) of `own` over the cells of good pictures."""
    left, right = np.zeros((4, 4)), np.zeros(4)
    for values in maps:
        known = own(values)
        left += known.T @ known
        right += known.T @ values.reshape(-1)
    found: npt.NDArray[np.float64] = np.linalg.lstsq(left, right, rcond=None)[0]
    return found
