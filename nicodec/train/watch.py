"""Means of the last steps of training, and whether it has gone astray.

Under `loop`. A single step that jumps or is not finite does not matter: the trainer does not take it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nicodec.errors import NicError
from nicodec.train.losses import RUNAWAY

# The means follow over about fifty steps.
FOLLOW = 0.02
# This number of steps in a row without a finite loss is no accident. They change no weights.
ASTRAY = 20
# Losses of photographs lie between 1 and 20, and fall. A network that runs away has a mean loss of this many
# times its best: above 32 the loss grows as a logarithm.
TIMES = 4.0
# For this number of steps in a row. A level to which the loss jumps is usual after about a hundred.
LONG = 500
# The best counts only after this number of steps: a few patches can be far below all others.
SETTLED = 100


class Diverged(NicError):
    """Training does not get better any more, but far worse."""


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
        # A step that jumps moves a mean as a value of TIMES the mean would.
        near = torch.fmin(values, TIMES * self._mean)
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

    def check(self, *, last: bool = False) -> None:
        """Raises Diverged if training has gone astray for long; at the last step, if it is astray."""
        if self._mean is None:
            return
        lost, high = int(self._lost), int(self._high)
        if lost >= ASTRAY or (last and lost == self._steps):
            raise Diverged(f"training diverged: the loss is not finite, {lost} steps in a row")
        if high >= (1 if last else LONG):
            raise Diverged(
                f"training diverged: the mean loss is {float(self._mean[0]):.3g}, over {TIMES:g} times its best"
                f" ({float(self._best):.3g}) for {high} steps"
            )
