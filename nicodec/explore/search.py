"""Vectors and hashes -> the nearest ones, and all near pairs; exact, in blocks.

Between `index` and the commands. Never is there an array of all pairs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from nicodec.explore import sketch
from nicodec.explore.sketch import TURNS
from nicodec.picture import Array

Name = TypeVar("Name")
Floats: TypeAlias = npt.NDArray[np.float32]
# Rows of a block: a product of two blocks has 16 MB.
BLOCK = 2048
# A hash in which gray hardly ever grows, or hardly ever falls, is that of an empty picture or a plain ramp.
PLAIN = 8


def nearest(
    away: Callable[[Floats], Floats], blocks: Iterable[tuple[list[Name], npt.NDArray[np.float16]]], count: int
) -> list[tuple[float, Name]]:
    """The names of the nearest vectors, each with its distance, the nearest first.

    away: vectors (n, D) -> the distance of each, (n,). blocks: names and their vectors, (n, D), taken one after the
    other. Of equals the first comes first.
    """
    best: list[tuple[float, int, Name]] = []
    number = 0
    for names, vectors in blocks:
        for start in range(0, len(names), BLOCK):
            some = names[start : start + BLOCK]
            found = away(vectors[start : start + BLOCK].astype(np.float32))
            near = np.argsort(found, kind="stable")[:count]
            fresh = [(float(found[i]), number + int(i), some[i]) for i in near]
            best = heapq.nsmallest(count, [*best, *fresh], key=lambda each: each[:2])
            number += len(some)
    return [(distance, name) for distance, _, name in best]


def distances(a: Floats, b: Floats) -> Floats:
    """Euclidean distances, (n, m), of vectors (n, D) and (m, D). Equal vectors may differ by 0.01 from 0."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    result: Floats = np.sqrt(np.maximum(squares, 0))
    return result


def neighbours(vectors: npt.NDArray[np.floating[Any]], count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The `count` nearest others of each vector (N, D), the nearest first, and their distances: both (N, count).

    There are N - 1 at most, so fewer may be given. Of equals the first comes first.
    """
    floats = vectors.astype(np.float32)
    count = max(0, min(count, len(floats) - 1))
    found = np.empty((len(floats), count), np.int64)
    away: Floats = np.empty((len(floats), count), np.float32)
    for start in range(0, len(floats), BLOCK):
        rows = np.s_[start : start + BLOCK]
        every = distances(floats[rows], floats)
        own = np.arange(len(every))
        every[own, start + own] = np.inf
        near = np.argpartition(every, max(0, count - 1), axis=1)[:, :count]
        near.sort(axis=1)
        values = np.take_along_axis(every, near, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        found[rows], away[rows] = (np.take_along_axis(part, order, axis=1) for part in (near, values))
    return found, away


def near_vectors(vectors: npt.NDArray[np.float16], most: float) -> Iterator[tuple[int, int, float]]:
    """The pairs i < j of vectors (N, D) at a distance of at most `most`, in blocks, each block from the nearest."""
    for rows, columns in _blocks(len(vectors)):
        found = distances(vectors[rows].astype(np.float32), vectors[columns].astype(np.float32))
        yield from _pairs(found, rows, columns, most)


def near_hashes(hashes: Array, most: int) -> Iterator[tuple[int, int, int, tuple[bool, int]]]:
    """The pairs i < j of hashes (N, bytes) that differ in at most `most` bits, and the turn of j that does so.

    Pairs come in blocks, each block from the nearest. Hashes that tell nothing are near to no
    other.
    """
    told = np.flatnonzero(telling(hashes))
    bits = np.unpackbits(hashes[told], axis=1).astype(np.bool_)
    for rows, columns in _blocks(len(bits)):
        own, others = _signs(bits[rows]), bits[columns]
        agreed = (own @ _signs(sketch.turned_bits(others, *turn)).T for turn in TURNS)
        found = (bits.shape[1] - reduce(np.maximum, agreed)) / 2
        for i, j, off in _pairs(found, rows, columns, most):
            turns = [np.count_nonzero(sketch.turned_bits(bits[j : j + 1], *turn)[0] ^ bits[i]) for turn in TURNS]
            yield int(told[i]), int(told[j]), round(off), TURNS[int(np.argmin(turns))]


def telling(hashes: Array) -> npt.NDArray[np.bool_]:
    """Whether each hash (N, bytes) is that of a picture with something on it, (N,)."""
    halves = np.unpackbits(hashes, axis=1).reshape(len(hashes), 2, -1).sum(axis=2)
    return np.asarray(((halves >= PLAIN) & (halves <= 4 * hashes.shape[1] - PLAIN)).all(axis=1))


def bits_off(first: Array, second: Array) -> int:
    """The number of bits in which two hashes differ, as they are."""
    return int(np.unpackbits(first ^ second).sum())


def _signs(bits: npt.NDArray[np.bool_]) -> Floats:
    return np.where(bits, np.float32(1), np.float32(-1))


def _blocks(count: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, count, BLOCK):
        for left in range(top, count, BLOCK):
            yield slice(top, min(count, top + BLOCK)), slice(left, min(count, left + BLOCK))


def _pairs(found: Floats, rows: slice, columns: slice, most: float) -> Iterator[tuple[int, int, float]]:
    """i < j of a block of distances, from the nearest."""
    i, j = np.nonzero(found <= most)
    values = found[i, j]
    i, j = i + rows.start, j + columns.start
    order = np.argsort(values, kind="stable")
    for place in order[(i < j)[order]]:
        yield int(i[place]), int(j[place]), float(values[place])
