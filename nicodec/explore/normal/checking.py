"""A picture, and what was learnt of good ones -> its score, the numbers of its cells, and boxes around odd parts.

Above `fields` and `normal`; under the command `anomaly check`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nicodec import api
from nicodec.codec import Codec
from nicodec.coding import latents
from nicodec.errors import BadFile, NicError
from nicodec.explore.normal.fields import SCALES, Floats, features, sampled, unlike
from nicodec.explore.normal.normal import Normal, Scale
from nicodec.explore.normal.twins import apart
from nicodec.picture import Array
from nicodec.picture.metrics import CELL_SIDE

# The most boxes of one picture; the strongest are kept.
MOST_BOXES = 64
# A cell of a box is at least HUG as odd as the oddest within REACH cells, the side of a cell of the coarsest scale.
HUG, REACH = 0.6, 4
# A box: x, y, width and height in pixels, and the largest number of its cells.
Box = tuple[int, int, int, int, float]


@dataclass(frozen=True, eq=False)
class Finding:
    """The numbers of the cells of a picture. width, height: in pixels. cells: float32 (rows, columns)."""

    width: int
    height: int
    cells: Floats

    @property
    def score(self) -> float:
        """That of the picture: its oddest cell, in standard deviations of good cells."""
        return float(self.cells.max())

    def boxes(self, threshold: float) -> list[Box]:
        """One box around each group of neighbouring cells above a threshold, the oddest first.

        Coarse cells see a strong defect from afar, so a cell counts only if it is at least `HUG` as odd as the oddest
        within `REACH` cells.
        """
        found: list[Box] = []
        around = np.pad(self.cells, REACH, constant_values=-np.inf)
        peaks = np.lib.stride_tricks.sliding_window_view(around, (2 * REACH + 1,) * 2).max(axis=(2, 3))
        for ys, xs in _groups((self.cells > threshold) & (self.cells >= np.minimum(peaks, HUG * peaks))):
            x, y = CELL_SIDE * int(xs.min()), CELL_SIDE * int(ys.min())
            right = min(CELL_SIDE * (int(xs.max()) + 1), self.width)
            bottom = min(CELL_SIDE * (int(ys.max()) + 1), self.height)
            found.append((x, y, right - x, bottom - y, float(self.cells[ys, xs].max())))
        return sorted(found, key=lambda box: -box[4])[:MOST_BOXES]


def codec_of(normal: Normal, model: str | None = None) -> Codec:
    """The codec whose g_a was learnt with. model: a file or a name to take it from. Raises NicError for another one."""
    codec = api.codec_of(model or normal.model, 1)
    if latents.encoder_of(codec) != normal.encoder:
        raise NicError("was learnt with another encoder, and latents of two do not compare; learn it again")
    if normal.gaussians[0].whitening.shape[1] != codec.checkpoint.config.deep:
        raise BadFile("the .nicnormal file holds what no release wrote")
    return codec


def check(pixels: Array, normal: Normal, codec: Codec, template: Array | None = None) -> Finding:
    """How odd a picture is, uint8 (H, W, 1 or 3), alone or against a template of its size.

    codec: as `codec_of` gives it. Raises NicError for an impossible size.
    """
    height, width = pixels.shape[:2]
    if template is None:
        found = [features(pixels, codec, n) for n in SCALES[: len(normal.gaussians)]]
        return Finding(width, height, normal.map_of(unlike(found, normal.gaussians)))
    values = apart(features(pixels, codec, 1), pixels, template, codec, normal.gaussians[0])
    return Finding(width, height, normal.pairs.numbers(values - normal.pairs.mean))


def light(finding: Finding, scale: Scale, threshold: float, size: tuple[int, int] | None = None) -> Floats:
    """A map of a picture, float32 (height, width), 0 ordinary to 1 odd; a half at the threshold.

    It is one scale for all pictures: a logistic curve, as steep as the scores of good pictures lie near together. size:
    width and height; None means those of the picture.
    """
    width, height = size or (finding.width, finding.height)
    # Places in cells: the last cell of a row may be cut off by the edge.
    rows = (np.arange(height) + 0.5) * finding.height / height / CELL_SIDE - 0.5
    columns = (np.arange(width) + 0.5) * finding.width / width / CELL_SIDE - 0.5
    values = sampled(finding.cells, rows, columns)
    result: Floats = 1 / (1 + np.exp(np.clip((threshold - values) / scale.width, -30, 30)))
    return result.astype(np.float32)


def _groups(marked: npt.NDArray[np.bool_]) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """The rows and columns of each group of marked cells that touch, corners too."""
    left = set(map(tuple, np.argwhere(marked).tolist()))
    found = []
    while left:
        edge = [left.pop()]
        group = list(edge)
        while edge:
            y, x = edge.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
            group += near
        ys, xs = np.array(group).T
        found.append((ys, xs))
    return found
