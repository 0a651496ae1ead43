"""How the learning rate and the patches change over a run.

Under `trainer`: the share of the schedule that is done comes in, factors and sizes go out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nicodec.bitstream.container import CELL

# Steps of warm-up, but at most this share of the schedule: a run of a few minutes has few steps. And the least, because
# the time of a first step, which may compile, does not tell how many there will be.
WARM_UP, WARMEST, LEAST = 300, 0.08, 8
# After this share of the schedule patches have twice the side, up to 256: there z has a neighbourhood.
FINISH, LARGEST = 0.8, 256
# Patches of a side are taken if this share of the pictures has room for them: smaller ones are not learnt from.
ROOMY = 0.75


def learning_rate(step: int, progress: float, steps: float) -> float:
    """Factor on the learning rate: a warm-up, constant to one half, then cosine to 1 %.

    step: those since the run, or its last return to a better state, began. steps: those of the whole schedule.
    """
    warm = min(1.0, (step + 1) / min(WARM_UP, max(LEAST, WARMEST * steps)))
    if progress < 0.5:
        return warm
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (min(progress, 1.0) - 0.5) / 0.5)))


def fitting(side: int, count: int, share: Callable[[int], float]) -> tuple[int, int]:
    """Side and number of the patches of a run: smaller and more of them if few pictures have room for `side`.

    share: of the pictures that have room for a side.
    """
    while side > CELL and share(side) < ROOMY:
        side, count = side // 2, 4 * count
    return side, count


def patch_of(progress: float, side: int, count: int, *, room: bool) -> tuple[int, int]:
    """Side and number of the patches of a step. room: whether pictures are large enough for twice the side."""
    if progress >= FINISH and 2 * side <= LARGEST and room:
        return 2 * side, max(1, count // 4)
    return side, count
