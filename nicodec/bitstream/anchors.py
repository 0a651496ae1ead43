"""The quality anchors 0, 10, ..., 100: a model stores numbers for them, and interpolates for other qualities.

Under `hyper`, `coding`, `model` and `nn`, which share these rules. Every number is an integer on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ANCHORS = 11
# Weights of anchors are whole multiples of 1 / HAT_ONE.
HAT_ONE = 16


def integer_hats(quality: int) -> npt.NDArray[np.float32]:
    """Quality in hundredths -> weights of the anchors, (1, 11), in whole sixteenths.

    The arithmetic uses whole numbers. The result is float32, because the graph takes float32.
    """
    near = (max(0, 1000 - abs(quality - 1000 * k)) for k in range(ANCHORS))
    return np.array([[(n * HAT_ONE + 500) // 1000 for n in near]], np.float32)


def hyper_index(quality: int, channels: int) -> npt.NDArray[np.integer[Any]]:
    """Quality in hundredths -> the table of each channel of z, (Z,), within one set: that of the nearest anchor."""
    return (quality + 500) // 1000 * channels + np.arange(channels)
