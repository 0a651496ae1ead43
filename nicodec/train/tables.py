"""Frequency tables: the trained densities, corrected by counts of real symbols.

Called by `run`, which counts, and `export`. Tables are data: made once, here, shipped, and never recomputed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nicodec.bitstream import hyper
from nicodec.bitstream.anchors import ANCHORS
from nicodec.bitstream.hyper import MAX_HYPER as Z_MAX
from nicodec.nn.likelihood import SCALE_MIN, SCALE_STEP, SCALES, gaussian_likelihood
from nicodec.nn.model import Model
from nicodec.train import coded

Array: TypeAlias = npt.NDArray[Any]

# The largest magnitude of a symbol of y in counts and tables.
WIDTH = 1500
# Tables end where less than this mass is left on a side; beyond that an escape is cheaper.
TAIL = 2.0**-17
# If a smaller share of the symbols of a scale is not zero, all become zero. They cost about as many bits as they
# save in error, and a quarter to three quarters of all symbols then need no coder (docs/LOG.md).
SETTLED = 2.0**-11
# The weight of the trained density, in symbols, beside the counts of y and of z; and of the table of all z beside
# the counts of one set. The counts of y are in the millions; those of z are few for each channel and quality.
Y_FAITH, Z_FAITH, SET_FAITH = 1000.0, 200.0, 20.0
# Where neighbourhoods of z are told apart, in standard deviations of their means.
BOUNDS = np.linspace(-1.6, 1.6, 8)


@dataclass(frozen=True)
class Counts:
    """Symbols of real pictures: y (SCALES, 2 WIDTH + 1) by scale index; z (sets, ANCHORS * Z, 2 Z_MAX + 1).

    bounds: int16 (ANCHORS * Z, K), what tells the sets of z apart (`bitstream.hyper`).
    """

    y: Array
    z: Array
    bounds: Array


def count(model: Model, pictures: Tensor, many: Iterable[Tensor], *, amp: bool = False) -> Counts:
    """Symbols of uint8 pictures (N, H, W, C), sides multiples of 64, at every anchor quality.

    many: more pictures (H, W, C) for z, which has few symbols in each. Residuals have heavier tails than the
    Gaussians of training (docs/LOG.md).
    """
    y = np.zeros((SCALES, 2 * WIDTH + 1))
    for _, out in coded.each(model, pictures, amp=amp):
        r = out.r.long().clamp(-WIDTH, WIDTH) + WIDTH
        cell = out.index.long() * (2 * WIDTH + 1) + r
        y += torch.bincount(cell.flatten(), minlength=y.size).cpu().numpy().reshape(y.shape)
    return Counts(y, *_count_z([z.reshape(-1, *z.shape[2:]) for z in coded.hyper(model, many, amp=amp)]))


def _count_z(found: list[npt.NDArray[np.int8]]) -> tuple[Array, Array]:
    """Counts and bounds of z as in `Counts`. found: z (ANCHORS * Z, R, S) of each picture."""
    first: list[Array] = []
    later: list[Array] = []
    means: list[Array] = []
    for z in found:
        for cells, around in hyper.phases(*z.shape[1:]):
            (later if around else first).append(z[:, cells])
            if around:
                means.append(hyper.neighbourhood(z, cells, around))
    mean = np.concatenate(means, axis=1)
    bounds = np.zeros((len(mean), len(BOUNDS)), np.int16)
    if mean.size:  # pictures of one cell have no neighbours
        spread = mean.std(axis=1, keepdims=True)
        bounds = np.ceil(mean.mean(axis=1, keepdims=True) + spread * BOUNDS).astype(np.int16)
    counts = np.zeros((len(BOUNDS) + 2, len(mean), 2 * Z_MAX + 1))
    rows = np.arange(len(mean))[:, None]
    np.add.at(counts, (hyper.sets_of(mean, bounds), rows, np.concatenate(later, axis=1) + Z_MAX), 1)
    np.add.at(counts[0], (rows, np.concatenate(first, axis=1) + Z_MAX), 1)
    return counts, bounds


def frequencies(probabilities: Array) -> Array:
    """Probabilities -> integer frequencies of at least 1 that sum to 2^16, nearest in code length."""
    total = 1 << 16
    p = probabilities / probabilities.sum()
    f = np.maximum(1, np.floor(p * total)).astype(np.int64)
    while f.sum() != total:  # give to, or take from, where it changes the expected length least
        step = 1 if f.sum() < total else -1
        movable = f + step >= 1
        gain = np.where(movable, p * np.abs(np.log2(np.maximum(f + step, 1) / f)) * step, -np.inf)
        f[int(gain.argmax())] += step
    result: Array = f.astype(np.uint16)
    return result


def y_tables(counts: Counts) -> dict[str, Array]:
    """One symmetric table for each of the 64 scales, its last entry the escape.

    Those of the smallest scales have one entry and leave no choice.
    """
    values = torch.arange(-WIDTH, WIDTH + 1, dtype=torch.float64)
    tables, low = [], []
    for t in range(SCALES):
        sigma = torch.tensor(SCALE_MIN * np.exp(SCALE_STEP * t), dtype=torch.float64)
        p = gaussian_likelihood(values, sigma).numpy()
        p = Y_FAITH * p + (counts.y[t] + counts.y[t, ::-1]) / 2
        p = p / p.sum()
        if 1 - p[WIDTH] < SETTLED:
            tables.append(np.zeros(1, np.uint16))
            low.append(0)
            continue
        # Mass further out than v, on one side, for v = 0, 1, ...
        outside = p[WIDTH:].sum() - np.cumsum(p[WIDTH:])
        reach = max(1, int(np.flatnonzero(outside < TAIL)[0]))
        inside = p[WIDTH - reach : WIDTH + reach + 1]
        tables.append(frequencies(np.append(inside, max(1 - inside.sum(), 2.0**-20))))
        low.append(-reach)
    return _joined("y", tables, low)


def z_tables(model: Model, counts: Counts) -> dict[str, Array]:
    """One table for each set, anchor quality and channel, over the values with nearly all of the mass.

    The first tables are of all z. `tables.z.bounds` tells the sets apart.
    """
    values = torch.arange(-Z_MAX, Z_MAX + 1, dtype=torch.float64)
    grid = values[None, None, :, None].expand(ANCHORS, 1, -1, model.config.z)
    prior = copy.deepcopy(model.z_prior).cpu().double()
    p = prior.likelihood(grid, torch.eye(ANCHORS, dtype=torch.float64))[:, 0].detach().numpy()
    p = p.transpose(0, 2, 1).reshape(-1, len(values))
    p = Z_FAITH * p + counts.z.sum(0)
    p = p / p.sum(1, keepdims=True)
    sets = [p, *(SET_FAITH * p + counts.z[1:])]
    ranges = []
    for pmf in p:  # what is coded has to be in whichever table its neighbours ask for
        kept = np.flatnonzero(pmf > 2.0**-16)
        ranges.append((min(kept[0], len(values) - 2), max(kept[-1], kept[0] + 1) + 1))
    tables = [frequencies(pmf[slice(*kept)]) for p in sets for pmf, kept in zip(p, ranges, strict=True)]
    made = _joined("z", tables, [int(first) - Z_MAX for first, _ in ranges] * len(sets))
    return made | {"tables.z.bounds": counts.bounds}


def _joined(name: str, tables: list[Array], low: list[int]) -> dict[str, Array]:
    starts = np.cumsum([0] + [len(t) for t in tables])
    return {
        f"tables.{name}.frequencies": np.concatenate(tables),
        f"tables.{name}.start": starts.astype(np.int32),
        f"tables.{name}.low": np.array(low, np.int16),
    }
