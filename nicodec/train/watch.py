"""Means of the last steps of training, and whether it has gone astray.

Under `loop`, which goes back to the best state then, and `trainer`, which does not take a single step that jumps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nicodec.train.losses import RUNAWAY

# The means follow over about fifty steps.
FOLLOW = 0.02
# This number of steps in a row without a finite loss is no accident. They change no weights.
ASTRAY = 20
# Losses of photographs lie between 1 and 20, and fall. A network that runs away has a mean loss of this many
# times its best. The mean of fifty steps varies by about a tenth.
TIMES = 1.5
# For this number of steps in a row. A level to which the loss jumps is usual after about a hundred.
LONG = 200
# The trainer does not take a step whose loss, or whose gradient, is over this many times the usual one.
JUMP = 4.0
# The best counts only after this number of steps: a few patches can be far below all others.
SETTLED = 100


class Watch:
    """Takes (loss, bpp, psnr) of each step, where they were computed, without waiting for them."""

    def __init__(self) -> None:
        self._mean: Tensor | None = None
        self._steps = 0

    def add(self, values: Tensor) -> None:
        """One more step."""
        if self._mean is None:
            self._mean = torch.full_like(values, torch.nan)
            self._best = torch.full_like(values[0], RUNAWAY)
            self._lost = torch.zeros_like(values[0])
            self._high = torch.zeros_like(values[0])
        self._steps += 1
        finite = torch.isfinite(values)
        self._lost = torch.where(finite[0], 0, self._lost + 1)
        # A step that jumps moves a mean as a value of JUMP times the mean would.
        near = torch.fmin(values, JUMP * self._mean)
        followed = torch.where(torch.isnan(self._mean), values, self._mean.lerp(near, FOLLOW))
        self._mean = torch.where(finite, followed, self._mean)
        if self._steps > SETTLED:
            self._best = torch.fmin(self._best, self._mean[0])
        self._high = torch.where(self._mean[0] > TIMES * self._best, self._high + 1, 0)

    def means(self) -> tuple[float, float, float]:
        """Mean loss, bits for each pixel and PSNR in dB, of steps that were finite; nan if none was."""
        if self._mean is None:
            return torch.nan, torch.nan, torch.nan
        loss, bpp, psnr = self._mean.tolist()
        return loss, bpp, psnr

    def well(self) -> bool:
        """Whether the last step is one to save a state after."""
        return self._mean is None or not (self._lost > 0 or self._high > 0)

    def fault(self) -> str:
        """What is wrong if training has gone astray for long, else an empty text."""
        if self._mean is None:
            return ""
        lost, high = int(self._lost), int(self._high)
        if lost >= ASTRAY:
            return f"the loss is not finite, {lost} steps in a row"
        if high >= LONG:
            return (
                f"the mean loss is {float(self._mean[0]):.3g}, over {TIMES:g} times its best ({float(self._best):.3g})"
                f" for {high} steps"
            )
        return ""


def jumps(value: Tensor, usual: Tensor) -> Tensor:
    """Whether a loss or a norm is over JUMP times the usual one; it moves the usual one as JUMP times would.

    usual: a mean of about fifty steps, 0 at first; it is changed in place.
    """
    known = usual > 0
    near = torch.where(known, torch.fmin(value, JUMP * usual), value.nan_to_num(0, 0))
    usual.copy_(torch.where(known, usual.lerp(near, FOLLOW), near))
    return known & (value > JUMP * usual)
