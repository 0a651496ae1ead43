"""The sketches of an index -> groups of copies: the best first, and why each belongs to its group.

Above `search`; under the command `duplicates`. It changes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.explore import origin, search, sketch
from nicodec.explore.index import Entry, Index
from nicodec.picture import Array

# Two pictures are copies if, in one of eight positions, their hashes differ in at most HASH of 512 bits and their
# layouts by PLACES; or if, as they are, their vectors are at most VECTOR apart and their hashes LOOSE bits: half of 512
# is chance. All were chosen on photographs (docs/EXPLORE.md).
HASH, PLACES = 120, 1.0
VECTOR, LOOSE = 3.5, 220


@dataclass(frozen=True)
class Match:
    """Why two files are copies. files: their paths. why: the kind of match, in words.

    bits: of 512, in which the hashes differ; turn: what turns the second into the first. distance: of the vectors. Each
    is None where the match is of another kind.
    """

    files: tuple[str, str]
    why: str
    bits: int | None = None
    turn: str | None = None
    distance: float | None = None

    def __str__(self) -> str:
        turn = f", {self.turn}" if self.turn else ""
        bits = "" if self.bits is None else f", {self.bits} of 512 bits differ"
        return self.why + bits + turn + ("" if self.distance is None else f", distance {self.distance:.2f}")


# A match of two files that are yet to be named.
Making: TypeAlias = Callable[[tuple[str, str]], Match]


@dataclass(frozen=True)
class Group:
    """Copies of one picture. entries: the best first, as `origin.ranked` says.

    matches: one for each file but the best, and with the best where the two alone are copies. By them all files of the
    group hang together: a copy of a copy belongs to it.
    """

    entries: tuple[Entry, ...]
    matches: tuple[Match, ...]

    @property
    def files(self) -> list[str]:
        return [entry.path for entry in self.entries]


def find(index: Index) -> list[Group]:
    """The groups of an index, by the path of the best file.

    Pictures that are empty, or a plain ramp, are copies only if their bytes or samples are the same.
    """
    parts = list(index.blocks())
    entries = [entry for part in parts for entry in part[0]]
    if not entries:
        return []
    hashes, vectors = (np.concatenate([part[n] for part in parts]) for n in (1, 2))
    bonds = _Bonds()
    for why, keys in (("identical bytes", [e.content for e in entries]), ("same pixels", [e.samples for e in entries])):
        for i, j in _equal(keys):
            bonds.tie(i, j, partial(Match, why=why))
    # Of files with the same pixels one is enough.
    kept = np.array(list({entry.samples: i for i, entry in reversed(list(enumerate(entries)))}.values())[::-1])
    for i, j, match in _near(hashes[kept], vectors[kept]):
        bonds.tie(int(kept[i]), int(kept[j]), match)
    groups = []
    numbers = {entry.path: i for i, entry in enumerate(entries)}
    for members, ties in bonds.groups():
        ranked = origin.ranked([entries[i] for i in members], index.folder)
        first, *others = (numbers[entry.path] for entry in ranked)
        # What ties a file to the best one says more than what ties it to another copy.
        tree = _Bonds()
        for other in others:
            direct = _match(entries, hashes, vectors, first, other)
            if direct is not None:
                tree.tie(first, other, direct)
        for tie in ties:
            tree.tie(*tie)
        matches = tuple(match((entries[i].path, entries[j].path)) for i, j, match in tree.ties)
        groups.append(Group(tuple(ranked), matches))
    return sorted(groups, key=lambda group: group.files[0])


def _equal(keys: list[bytes]) -> Iterator[tuple[int, int]]:
    """Each that is equal to an earlier one, after the first of these."""
    first: dict[bytes, int] = {}
    for i, key in enumerate(keys):
        j = first.setdefault(key, i)
        if j != i:
            yield j, i


def _near(hashes: Array, vectors: npt.NDArray[np.float16]) -> Iterator[tuple[int, int, Making]]:
    """The pairs i < j of pictures whose sketches are near, and why."""
    for i, j, bits, turn in search.near_hashes(hashes, HASH):
        if sketch.layout_off(vectors[i], vectors[j], turn) <= PLACES:
            yield i, j, partial(Match, why="near hash", bits=bits, turn=said(turn))
    telling = search.telling(hashes)
    for i, j, away in search.near_vectors(vectors, VECTOR):
        if telling[i] and telling[j] and search.bits_off(hashes[i], hashes[j]) <= LOOSE:
            yield i, j, partial(Match, why="near vector", distance=round(away, 3))


def _match(
    entries: list[Entry], hashes: Array, vectors: npt.NDArray[np.float16], first: int, second: int
) -> Making | None:
    """Why the second file is a copy of the first; None if that is not seen of these two alone."""
    a, b = entries[first], entries[second]
    if a.content == b.content:
        return partial(Match, why="identical bytes")
    if a.samples == b.samples:
        return partial(Match, why="same pixels")
    pair = [first, second]
    return next((match for _, _, match in _near(hashes[pair], vectors[pair])), None)


def counted(groups: Sequence[Group]) -> str:
    """How many there are, in words: 1 group, 2 copies."""
    copies = sum(len(group.entries) - 1 for group in groups)
    return f"{len(groups)} group{'s' * (len(groups) != 1)}, {copies} cop{'y' if copies == 1 else 'ies'}"


def said(turn: tuple[bool, int]) -> str | None:
    """A turn of `sketch.TURNS` in words; None where nothing is turned."""
    mirrored, quarter = turn
    words = ["mirrored"] * mirrored + [f"turned by {90 * quarter} degrees to the left"] * bool(quarter)
    return ", ".join(words) or None


class _Bonds:
    """Files that hang together, by their numbers: a union-find forest. ties: its edges."""

    def __init__(self) -> None:
        self.ties: list[tuple[int, int, Making]] = []
        self._parent: dict[int, int] = {}

    def tie(self, i: int, j: int, match: Making) -> None:
        """Tie two files, unless they hang together already."""
        a, b = self._root(i), self._root(j)
        if a != b:
            self._parent[max(a, b)] = min(a, b)
            self.ties.append((i, j, match))

    def _root(self, i: int) -> int:
        parent = self._parent
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def groups(self) -> Iterator[tuple[list[int], list[tuple[int, int, Making]]]]:
        """The files of each group, and what ties them."""
        members: dict[int, list[int]] = {}
        ties: dict[int, list[tuple[int, int, Making]]] = {}
        for i in sorted(self._parent):
            members.setdefault(self._root(i), []).append(i)
        for tie in self.ties:
            ties.setdefault(self._root(tie[0]), []).append(tie)
        for root, found in members.items():
            if len(found) > 1:
                yield found, ties[root]
