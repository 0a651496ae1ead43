"""Which pictures are held out: digests of paths, and looks -> the few that a run is judged by.

Between `reading`, which reads all of them, and `data`. The state keeps the choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.picture import likeness
from nicodec.train.store import Pixels

# The most pictures that are held out. More would not make a measurement better, and would take time.
MOST = 64
# The most pictures of one large group whose near-duplicates are counted: frames of a film come by the thousand.
TRIED = 256


@dataclass(frozen=True)
class Held:
    """Pictures that a run is judged by, and what tells them again.

    pictures: central parts (H, W, 3) uint8. files: SHA-256 of their files, hexadecimal. looks: their difference
    hashes. borrowed: there was no other picture than those that are learnt from.
    """

    pictures: list[Pixels]
    files: list[str] = field(default_factory=list)
    looks: list[bytes] = field(default_factory=list)
    borrowed: bool = False

    def has(self, file: str, look: bytes) -> bool:
        """Whether a picture is one of them, or a near-duplicate of one."""
        return file in self.files or bool(self.looks and likeness.near(look, table(self.looks)).any())

    def meta(self) -> dict[str, Any]:
        """All but the pictures, for JSON."""
        return {"files": self.files, "looks": [look.hex() for look in self.looks], "borrowed": self.borrowed}

    def same(self, meta: dict[str, Any]) -> bool:
        """Whether these are the pictures that `meta` is of."""
        return self.meta() == meta

    @classmethod
    def of(cls, meta: dict[str, Any], pictures: list[Pixels]) -> Held:
        """The inverse of `meta`."""
        return cls(pictures, list(meta["files"]), [bytes.fromhex(look) for look in meta["looks"]], meta["borrowed"])


def table(looks: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Difference hashes (N, 32) uint8."""
    return np.frombuffer(b"".join(looks), np.uint8).reshape(-1, 32)


def wanted(pictures: int) -> int:
    """The number of pictures to hold out: a quarter of a few, 5 of 20, a tenth up to 200, then one in 32.

    A mean over fewer than five says little. A folder of twenty can hardly do without more.
    """
    return max(1, round(max(min(pictures / 4, 5), min(pictures / 10, 20), min(pictures / 32, MOST))))


def choose(paths: Sequence[bytes], looks: Sequence[bytes]) -> list[int]:
    """The numbers of the pictures to hold out: at least one and never all; none if all are alike.

    paths: a digest of the path of each, whose order decides. looks: difference hashes. Near-duplicates, and their
    near-duplicates, are one group. A small group is held out or learnt from as a whole. Of a large one, as the slices
    of a scan or the frames of a film are, single pictures are held out. Then `Held.has` tells which of their neighbours
    must not be learnt from: at most a quarter of all pictures. Where a folder is two such groups of pictures that are
    all alike, a part of one is held out and the rest of it left out: at most half of all.
    """
    all_looks, number = table(looks), wanted(len(paths))
    room = min(max(number, len(paths) // 4), len(paths) - 1)
    # A single picture may take this many from learning. Those that take more wait for the end.
    fair = 2 * room // number + 1
    group_of, dear = dict[int, list[int]](), list[tuple[int, int]]()
    tried, held, apart = Counter[int](), list[int](), set[int]()
    for i in sorted(range(len(paths)), key=lambda i: paths[i]):
        if len(held) >= number:
            break
        if i in apart:
            continue
        if i not in group_of:
            group = _group(i, all_looks)
            group_of |= dict.fromkeys(group, group)
        group = group_of[i]
        if len(group) <= number and len(group) < len(paths):
            if len(apart) + len(group) <= room:
                held += group
                apart |= set(group)
        elif tried[group[0]] < TRIED:
            alike = _alike(i, all_looks)
            tried[group[0]] += 1
            if len(alike) > fair:
                dear.append((len(alike), i))
            elif len(apart.union(alike)) <= room:
                held.append(i)
                apart |= set(alike)
    for _, i in sorted(dear, key=lambda each: each[0]):
        further = apart.union(_alike(i, all_looks))
        if len(held) < number and i not in apart and len(further) <= room:
            held.append(i)
            apart = further
    if not held:
        fitting = [group for group in group_of.values() if 2 * len(group) <= len(paths)]
        held = min(fitting, key=len, default=[])[:MOST]
    return held


def _alike(one: int, looks: npt.NDArray[np.uint8]) -> list[int]:
    """A picture and its near-duplicates."""
    alike: list[int] = np.flatnonzero(likeness.near(looks[one].tobytes(), looks)).tolist()
    return alike


def _group(first: int, looks: npt.NDArray[np.uint8]) -> list[int]:
    """A picture and all that are alike, through others too."""
    group, waiting, rest = [first], [first], np.delete(np.arange(len(looks)), first)
    while waiting and len(rest):
        close = likeness.near(looks[waiting.pop()].tobytes(), looks[rest])
        found = rest[close].tolist()
        group, waiting, rest = group + found, waiting + found, rest[~close]
    return sorted(group)
