"""What both ends know of the symbols: shipped tables, and the exact integer path to their indices.

Between quantisation and the coder. Every number here is an integer on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.checkpoint import Checkpoint
from nicodec.entropy import FREQUENCY_BITS, Tables
from nicodec.errors import BadModel
from nicodec.files import shown

ANCHORS = 11
HAT_ONE = 16


def integer_hats(quality: int) -> npt.NDArray[np.float32]:
    """Quality in hundredths -> integer weights (1, 11) in sixteenths of the anchors 0, 10, ..., 100.

    The arithmetic is in whole numbers; the result is float32 because that is what the graph takes.
    """
    near = (max(0, 1000 - abs(quality - 1000 * k)) for k in range(ANCHORS))
    return np.array([[(n * HAT_ONE + 500) // 1000 for n in near]], np.float32)


def hyper_index(quality: int, channels: int) -> npt.NDArray[np.integer[Any]]:
    """Table of each channel of z (Z,): one set of tables for each anchor, the nearest is used."""
    return (quality + 500) // 1000 * channels + np.arange(channels)


def tables(checkpoint: Checkpoint, name: str, largest: int, *, escape: bool) -> Tables:
    """The tables `name` ("y" or "z") of a model, for symbols from -largest to largest at most.

    Raises BadModel if they are not such tables.
    """
    frequencies, start, low = parts = [
        checkpoint.array(f"tables.{name}.{part}") for part in ("frequencies", "start", "low")
    ]
    result = Tables(frequencies, start, low, escape)
    # The sums of tables that leave a choice are whole, and of the others 2^16 wraps to 0.
    if (
        [a.dtype for a in parts] != [np.uint16, np.int32, np.int16]
        or any(a.ndim != 1 for a in parts)
        or len(low) == 0
        or len(start) != len(low) + 1
        or start[0] != 0
        or start[-1] != len(frequencies)
        or np.diff(start.astype(np.int64)).min() < 1
        or not np.array_equal(
            np.add.reduceat(frequencies, start[:-1], dtype=np.int64),
            np.where(result.settled, 0, 1 << FREQUENCY_BITS),
        )
        or np.count_nonzero(frequencies == 0) != np.count_nonzero(result.settled)
        or low[result.settled].any()
        or low.min() < -largest
        or result.high.max() > largest
    ):
        raise BadModel(f"{shown(checkpoint.path)}: tables.{name} are not frequency tables")
    return result
