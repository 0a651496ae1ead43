"""A checkpoint -> the frequency tables of y and z, checked.

Between `checkpoint` and the range coder in `bitstream.entropy`.
"""

from __future__ import annotations

import numpy as np

from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.entropy import FREQUENCY_BITS, MAX_SYMBOL, Tables
from nicodec.bitstream.hyper import MAX_BOUNDS, MAX_HYPER, HyperTables
from nicodec.errors import BadModel
from nicodec.model.checkpoint import Checkpoint
from nicodec.storage.files import shown


def y_tables(checkpoint: Checkpoint) -> Tables:
    """The tables of y, one for each scale. Raises BadModel."""
    return _tables(checkpoint, "y", MAX_SYMBOL, escape=True)


def z_tables(checkpoint: Checkpoint) -> HyperTables:
    """The tables of z with the bounds of their sets. Raises BadModel if they do not belong together."""
    tables = _tables(checkpoint, "z", MAX_HYPER, escape=False)
    bounds = checkpoint.array("tables.z.bounds")
    if bounds.dtype != np.int16 or bounds.ndim != 2 or not 1 <= bounds.shape[1] <= MAX_BOUNDS:
        raise BadModel(f"{shown(checkpoint.path)}: tables.z.bounds are not bounds")
    sets = bounds.shape[1] + 2
    count = len(tables.low) // sets
    channels = count // ANCHORS
    if (
        channels < 1
        or checkpoint.config.z != channels
        or len(tables.low) != sets * ANCHORS * channels
        or len(bounds) != count
        or any((edge.reshape(sets, -1) != edge[:count]).any() for edge in (tables.low, tables.high))
    ):
        raise BadModel(f"{shown(checkpoint.path)}: the model has tables for another z than its own")
    return HyperTables(tables, bounds, channels)


def _tables(checkpoint: Checkpoint, name: str, largest: int, *, escape: bool) -> Tables:
    """The tables `name` ("y" or "z") of a model, with symbols from -largest to largest at most. Raises BadModel."""
    frequencies, start, low = parts = [
        checkpoint.array(f"tables.{name}.{part}") for part in ("frequencies", "start", "low")
    ]
    result = Tables(frequencies, start, low, escape)
    # Frequencies sum to 2^16. The one frequency of a settled table is 2^16, which wraps to 0.
    if (
        [a.dtype for a in parts] != [np.uint16, np.int32, np.int16]
        or any(a.ndim != 1 for a in parts)
        or len(low) == 0
        or len(start) != len(low) + 1
        or start[0] != 0
        or start[-1] != len(frequencies)
        or np.diff(start.astype(np.int64)).min() < 1
        or not np.array_equal(
            np.add.reduceat(frequencies, start[:-1], dtype=np.int64), np.where(result.settled, 0, 1 << FREQUENCY_BITS)
        )
        or np.count_nonzero(frequencies == 0) != np.count_nonzero(result.settled)
        or low[result.settled].any()
        or low.min() < -largest
        or result.high.max() > largest
    ):
        raise BadModel(f"{shown(checkpoint.path)}: tables.{name} are not frequency tables")
    return result
