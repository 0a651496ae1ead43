"""What both ends know of the symbols: shipped tables, and the exact integer path to their indices.

Between quantisation and the coder. Every number here is an integer on every machine.
"""

from __future__ import annotations

import numpy as np

from nicodec.checkpoint import Checkpoint
from nicodec.entropy import Tables
from nicodec.errors import BadModel

ANCHORS = 11
HAT_ONE = 16


def integer_hats(quality: int) -> np.ndarray:
    """Quality in hundredths -> integer weights (1, 11) in sixteenths of the anchors 0, 10, ..., 100.

    The arithmetic is in whole numbers; the result is float32 because that is what the graph takes.
    """
    near = (max(0, 1000 - abs(quality - 1000 * k)) for k in range(ANCHORS))
    return np.array([[(n * HAT_ONE + 500) // 1000 for n in near]], np.float32)


def hyper_index(quality: int, channels: int) -> np.ndarray:
    """Table of each channel of z (Z,): one set of tables for each anchor, the nearest is used."""
    return (quality + 500) // 1000 * channels + np.arange(channels)


def tables(checkpoint: Checkpoint, name: str, *, escape: bool) -> Tables:
    """The tables `name` ("y" or "z") of a model, checked. Raises BadModel if they are not tables."""
    frequencies, start, low = (
        checkpoint.array(f"tables.{name}.{part}") for part in ("frequencies", "start", "low")
    )
    shapes = frequencies.ndim == start.ndim == low.ndim == 1 and len(start) == len(low) + 1 > 1
    if not shapes or frequencies.dtype != np.uint16 or start.dtype != np.int32 or low.dtype != np.int16:
        raise BadModel(f"{checkpoint.name}: tables.{name} has the wrong shape")
    lengths = np.diff(start)
    sums = np.add.reduceat(frequencies.astype(np.int64), start[:-1]) if (lengths > 0).all() else np.zeros(1)
    if (
        start[0] != 0
        or start[-1] != len(frequencies)
        or (lengths < 2).any()
        or (sums != 1 << 16).any()
        or (frequencies == 0).any()
    ):
        raise BadModel(f"{checkpoint.name}: tables.{name} are not frequency tables")
    return Tables(frequencies, start, low, escape)
