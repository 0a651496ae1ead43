"""The best state of a run: curves of held-out pictures in, the weights to export out.

Between `trainer`, whose state file holds it, and `loop`, which offers a state now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from nicodec.nn.model import Model
from nicodec.train import validate
from nicodec.train.store import Pixels
from nicodec.train.validate import Curves

# The qualities at which states are compared, in hundredths.
QUALITIES = (0, 2500, 5000, 7500, 10000)
# The most pixels of held-out pictures that are looked at, at each quality, and the sides of their squares.
LOOKED_AT, SIDES = 24 * 256**2, (256, 192, 128, 64)
# No held-out picture may lose more than this, in dB, against the start at the same bits.
WORST = 1.0


def side(pictures: int) -> int:
    """The side of the central squares, so that all pictures together are no more than can be looked at."""
    return next((s for s in SIDES if pictures * s * s <= LOOKED_AT), SIDES[-1])


def looked_at(pictures: list[Pixels]) -> int:
    """The pixels, of all pictures at all qualities, that one check looks at."""
    most = side(len(pictures))
    return len(QUALITIES) * sum(min(most, *p.shape[:2]) ** 2 for p in pictures)


def measured(model: Model, pictures: list[Pixels], *, amp: bool, kind: str = "mse") -> Curves:
    """Curves (P, QUALITIES, 2) of all pictures. kind: the distortion that training weighs against bits."""
    return validate.curves(model, pictures, QUALITIES, side=side(len(pictures)), amp=amp, kind=kind)


def lost(start: Curves, now: Curves) -> float:
    """The most dB, of all pictures and qualities, that `now` lacks against `start` at the same bits.

    Between its qualities the start is interpolated over the logarithm of bits. Below them its first slope goes on;
    above them it stays at its best.
    """
    worst = -math.inf
    bits_before, bits_now = np.log2(start[..., 0]), np.log2(now[..., 0])
    for x, y, at, psnr in zip(bits_before, validate.decibels(start), bits_now, validate.decibels(now), strict=True):
        order = np.argsort(x)
        x, y = x[order], y[order]
        slope = (y[1] - y[0]) / max(x[1] - x[0], 1e-6)
        expected = np.where(at < x[0], y[0] + slope * (at - x[0]), np.interp(at, x, y))
        worst = max(worst, float((expected - psnr).max()))
    return worst


def falling(found: Curves) -> list[int]:
    """The numbers of the pictures whose PSNR does not rise with each quality."""
    return [int(i) for i in np.flatnonzero((np.diff(validate.decibels(found), axis=1) <= 0).any(1))]


@dataclass
class Best:
    """The best state so far. All is empty before the first offer, which is the start.

    start: curves of the start. curves, cost, step: of the best. checks: how many offers since were no better.
    tensors: the averaged weights and the buffers of the network. guarded: the start is a model that was trained, and
    no picture may lose by it.
    """

    guarded: bool = True
    start: Curves | None = None
    curves: Curves | None = None
    cost: float = math.inf
    first_cost: float = math.inf
    step: int = 0
    checks: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, model: Model, found: Curves, step: int) -> str:
        """Take a state if it is better, and harms no picture: "better", "worse", or "harmful"."""
        cost = validate.cost(found, QUALITIES)
        cost = cost if math.isfinite(cost) else math.inf
        if self.start is None:
            self.start, self.first_cost = found, cost
        elif not cost < self.cost or (self.guarded and not lost(self.start, found) <= WORST):
            self.checks += 1
            return "worse" if not cost < self.cost else "harmful"
        self.curves, self.cost, self.step, self.checks = found, cost, step, 0
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return "better"

    def forget(self) -> None:
        """The next state that is offered is the best, whatever the ones before were."""
        self.cost = math.inf

    @property
    def gained(self) -> float:
        """By which share the best is cheaper than the start, in bits + lambda * error."""
        return 1 - math.exp(self.cost - self.first_cost) if math.isfinite(self.first_cost) else 0.0

    def meta(self) -> dict[str, Any]:
        """All but the tensors, for JSON."""
        curves = {name: getattr(self, name) for name in _CURVES}
        lists = {name: None if found is None else found.tolist() for name, found in curves.items()}
        return {**lists, **{name: getattr(self, name) for name in (*_COSTS, *_PLAIN)}}

    @classmethod
    def of(cls, meta: dict[str, Any], tensors: dict[str, Tensor]) -> Best:
        """The inverse of `meta`. Infinite costs are None there."""
        fields: dict[str, Any] = {name: math.inf if meta[name] is None else meta[name] for name in _COSTS}
        fields |= {name: None if meta[name] is None else np.array(meta[name], float) for name in _CURVES}
        return cls(**fields, **{name: meta[name] for name in _PLAIN}, tensors=tensors)


_CURVES, _COSTS, _PLAIN = ("start", "curves"), ("cost", "first_cost"), ("step", "checks", "guarded")
