"""The sketches of an index -> groups of copies: the best first, and why each belongs to its group.

Above `search`; under the command `duplicates`. It changes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nicodec.explore import origin, search, sketch
from nicodec.explore.index import Entry, Index

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


@dataclass(frozen=True)
class Group:
    """Copies of one picture. entries: the best first, as `origin.ranked` says.

    matches: one for each copy but one; by them all files of the group hang together. A copy of a copy belongs to it.
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
    bonds = _Bonds([entry.path for entry in entries])
    bonds.equal([entry.content for entry in entries], "identical bytes")
    bonds.equal([entry.samples for entry in entries], "same pixels")
    # Of files with the same pixels one is enough.
    kept = np.array(list({entry.samples: i for i, entry in reversed(list(enumerate(entries)))}.values())[::-1])
    hashes, vectors = (np.concatenate([part[n] for part in parts])[kept] for n in (1, 2))
    for i, j, bits, turn in search.near_hashes(hashes, HASH):
        if sketch.layout_off(vectors[i], vectors[j], turn) <= PLACES:
            bonds.tie(int(kept[i]), int(kept[j]), partial(Match, why="near hash", bits=bits, turn=said(turn)))
    telling = search.telling(hashes)
    for i, j, away in search.near_vectors(vectors, VECTOR):
        if telling[i] and telling[j] and search.bits_off(hashes[i], hashes[j]) <= LOOSE:
            bonds.tie(int(kept[i]), int(kept[j]), partial(Match, why="near vector", distance=round(away, 3)))
    return sorted(bonds.groups(entries, index.folder), key=lambda group: group.files[0])


def said(turn: tuple[bool, int]) -> str | None:
    """A turn of `sketch.TURNS` in words; None where nothing is turned."""
    mirrored, quarter = turn
    words = ["mirrored"] * mirrored + [f"turned by {90 * quarter} degrees to the left"] * bool(quarter)
    return ", ".join(words) or None


class _Bonds:
    """Files that hang together: a union-find forest, whose edges are matches."""

    def __init__(self, paths: list[str]) -> None:
        self._paths, self._parent = paths, list(range(len(paths)))
        self._matches: list[tuple[int, Match]] = []

    def equal(self, keys: list[bytes], why: str) -> None:
        """Tie files with equal keys to the first of them."""
        first: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            j = first.setdefault(key, i)
            if j != i:
                self.tie(j, i, partial(Match, why=why))

    def tie(self, i: int, j: int, match: Callable[[tuple[str, str]], Match]) -> None:
        """Tie two files, unless they hang together already."""
        a, b = self._root(i), self._root(j)
        if a != b:
            self._parent[max(a, b)] = min(a, b)
            self._matches.append((i, match((self._paths[i], self._paths[j]))))

    def _root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def groups(self, entries: list[Entry], folder: str) -> Iterator[Group]:
        members: dict[int, list[Entry]] = {}
        matches: dict[int, list[Match]] = {}
        for i, match in self._matches:
            matches.setdefault(self._root(i), []).append(match)
        for i, entry in enumerate(entries):
            if self._root(i) in matches:
                members.setdefault(self._root(i), []).append(entry)
        for root, found in members.items():
            yield Group(tuple(origin.ranked(found, folder)), tuple(matches[root]))
