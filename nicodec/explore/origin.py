"""Copies of one picture -> the best first: no file ranks above the one that it was made of, as far as files tell.

Between `duplicates` and the files themselves; `evidence` uses it too. Only files of groups are looked into.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from functools import cache, partial

import numpy as np

from nicodec import api
from nicodec.errors import NicError, holding
from nicodec.explore import sketch
from nicodec.explore.index import Entry
from nicodec.explore.reading import opened
from nicodec.picture import Array, reader

# How formats without loss begin. A WebP file has its kind of chunk in its first bytes, after a colour profile at most.
EXACT = (b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"qoif", *(b"P%d" % number for number in range(1, 8)))
HEAD = 1 << 16
# Samples that another machine decodes from a .nic file differ by 1 at most; the PNG may have 16 bits, and be rounded.
ROUNDED = 2
# The sides of the part by which it is known that a file was decoded from a .nic file.
PART = 256


class Kind(Enum):
    """What a file's format says of its past."""

    EXACT = "a format without loss"
    LOSSY = "a format with loss: a camera may have made it"
    NIC = "a .nic file with loss, which is always made of another file"


def kind_of(path: str) -> Kind:
    """The kind of a file; LOSSY if it cannot be read."""
    try:
        if api.is_nic(path):
            return Kind.EXACT if api.info(path).lossless else Kind.NIC
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except (NicError, OSError):
        return Kind.LOSSY
    webp = head.startswith(b"RIFF") and b"VP8L" in head
    return Kind.EXACT if webp or head.startswith(EXACT) else Kind.LOSSY


def ranked(entries: Sequence[Entry], folder: str) -> list[Entry]:
    """The files of a group, the best first.

    The most pixels come first. Of as many, a .nic file with loss comes last: it is always made of another file. Of
    files of one kind the one with the most bytes is better. A file of a format without loss has many bytes whatever it
    holds. So if it holds what a file with loss decodes to, it was decoded from that one, and comes right below it.
    """
    kinds = {entry.path: kind_of(os.path.join(folder, entry.path)) for entry in entries}
    own = {entry.path: _own(entry, kinds[entry.path]) for entry in entries}
    part = cache(partial(_part, folder))

    def place(entry: Entry) -> tuple[object, ...]:
        if kinds[entry.path] is not Kind.EXACT:
            return own[entry.path], False, own[entry.path]
        lossy = [other for other in entries if kinds[other.path] is not Kind.EXACT and _size(other) == _size(entry)]
        sources = [other for other in lossy if other.samples == entry.samples]
        if not sources:
            sources = [other for other in lossy if kinds[other.path] is Kind.NIC and _equal(part(other), part(entry))]
        first = min((own[other.path] for other in sources), default=own[entry.path])
        return first, True, own[entry.path]

    return sorted(entries, key=place)


def _own(entry: Entry, kind: Kind) -> tuple[int, bool, float, str]:
    pixels = entry.width * entry.height
    return -pixels, kind is Kind.NIC, -entry.size / pixels, entry.path


def _size(entry: Entry) -> tuple[int, int]:
    return entry.width, entry.height


def _part(folder: str, entry: Entry) -> Array | None:
    """The middle of a picture, uint8 (H, W, 3); None if it cannot be read.

    By it a decode of a .nic file is known, where another machine made it and rounded otherwise, and where the file is
    so large that its samples are not in the index.
    """
    path = os.path.join(folder, entry.path)
    width, height = min(PART, entry.width), min(PART, entry.height)
    left, top = (entry.width - width) // 2, (entry.height - height) // 2
    try:
        if api.is_nic(path):
            with holding():
                return sketch.shown(reader.read(api.decode(path, region=(left, top, width, height))))
        whole = sketch.shown(opened(path, api.codec_of(sketch.MODEL, 1)))
    except (NicError, OSError):
        return None
    return whole[top : top + height, left : left + width].copy()


def _equal(first: Array | None, second: Array | None) -> bool:
    if first is None or second is None or first.shape != second.shape:
        return False
    return bool(np.abs(first.astype(np.int16) - second).max() <= ROUNDED)
