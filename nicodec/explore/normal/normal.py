"""What was learnt of good pictures: Gaussians of cells, what to expect, the scores of good pictures, a threshold.

Between `learning`, `checking` and `file`, which keeps it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nicodec.errors import NicError
from nicodec.explore.normal import expected
from nicodec.explore.normal.fields import Floats, Gaussian, together

# The least width of a `Scale`: below it a map would be black but for the oddest cell.
NARROW = 0.25


@dataclass(frozen=True, eq=False)
class Scale:
    """Values of cells as numbers that compare: (value - what is expected) / unit - growth * log(cells / usual).

    mean, unit: of good cells. growth, usual: more cells have a larger maximum by chance, so this is taken off; cells is
    the number of a picture, and usual that of good pictures. scores: float32 (n,), ascending: the largest number of a
    cell for each good picture, by Gaussians that were made without it.
    """

    mean: float
    unit: float
    growth: float
    usual: float
    scores: Floats

    def numbers(self, off: Floats) -> Floats:
        """Values less what is expected, (rows, columns) -> numbers, float32."""
        result: Floats = (off / self.unit - self.growth * math.log(off.size / self.usual)).astype(np.float32)
        return result

    @property
    def spread(self) -> float:
        """How far eight of ten scores lie apart, as a standard deviation; a few odd pictures do not count."""
        low, high = np.quantile(self.scores, (0.1, 0.9))
        return float(high - low) / 2.56

    @property
    def width(self) -> float:
        """How far the scores of good pictures lie apart: one step of the light of a map."""
        return max(self.spread, NARROW)

    def threshold(self, false_alarms: float) -> float:
        """The score that another good picture passes with at most this probability, 0..1.

        It is the ceil((1 - share)(n + 1))-th smallest of n, or the largest if they are too few: see `least`. It holds
        if good pictures come in any order alike. Sources: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a
        Random World" (2005); for folds, R. F. Barber et al., "Predictive inference with the jackknife+" (2021).
        """
        rank = math.ceil((1 - false_alarms) * (len(self.scores) + 1) - 1e-9)
        return float(self.scores[min(max(rank, 1), len(self.scores)) - 1])

    @property
    def least(self) -> float:
        """The least share of false alarms that so many good pictures can promise."""
        return 1 / (len(self.scores) + 1)


@dataclass(frozen=True, eq=False)
class Normal:
    """What good pictures look like.

    model: the id of the model, 64 hexadecimal digits. encoder: the hash of its g_a, as `latents.encoder_of`. gaussians:
    for the first of `fields.SCALES`. kind: one of `expected.KINDS`. weights: those of `expected.off`; 0 for other
    kinds. place: float32 (rows, columns), the mean at each place, for kind "place" alone. scale: of a picture by
    itself. pairs: of a picture against a template. templates: whether `pairs` comes of good pictures against theirs; if
    not, of good pictures by themselves at scale 1, which is more than a good picture differs from its twin.
    false_alarms: the share that was asked for, 0..1.
    """

    model: str
    encoder: str
    gaussians: tuple[Gaussian, ...]
    kind: str
    weights: tuple[float, ...]
    place: Floats | None
    scale: Scale
    pairs: Scale
    templates: bool
    false_alarms: float

    def map_of(self, unlike: list[Floats]) -> Floats:
        """The numbers of all cells from those of `fields.unlike`, float32 (rows, columns).

        Raises NicError for a picture of another size where places count.
        """
        return self.scale.numbers(self._off(together(unlike)))

    def _off(self, values: Floats) -> Floats:
        """Values less what is expected."""
        if self.kind == "place" and self.place is not None:
            if self.place.shape != values.shape:
                sizes = [f"{16 * columns}x{16 * rows}" for rows, columns in (values.shape, self.place.shape)]
                raise NicError(f"its size is about {sizes[0]}, and that of the good pictures {sizes[1]}: places count")
            return values - self.place
        if self.kind == "own":
            return expected.off(values, self.weights)
        return values - np.float32(self.scale.mean)
