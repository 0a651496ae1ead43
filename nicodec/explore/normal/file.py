"""A `Normal` <-> the bytes of a .nicnormal file, every length and checksum checked.

Under the command `anomaly`. docs/EXPLORE.md says what is in it; nothing in it is ever run or unpickled.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import numpy as np

from nicodec.errors import BadFile, LimitExceeded, UnsupportedVersion
from nicodec.explore.normal.expected import COUNT, KINDS
from nicodec.explore.normal.fields import SCALES, Floats, Gaussian
from nicodec.explore.normal.learning import MOST
from nicodec.explore.normal.normal import Normal, Scale

SUFFIX = ".nicnormal"
# It does not begin as a .nic file does.
MAGIC = b"\x89NORMAL\x1a"
VERSION = 1
# Magic, version, bytes of the text after it. Then arrays of float32, then a CRC-32 of all before.
HEAD, CRC = struct.Struct("<8sHI"), struct.Struct("<I")
# The most bytes of a file and of its text, channels of a model, and cells of a place.
MOST_BYTES, MOST_TEXT, MOST_CHANNELS, MOST_PLACES = 2**26, 2**14, 1024, 2**20
# No number of a file is larger: sums of squares of such numbers are still numbers.
LARGEST = 1e7


def write(normal: Normal) -> bytes:
    """The bytes of a .nicnormal file."""
    place = (0, 0) if normal.place is None else normal.place.shape
    facts = {
        "model": normal.model,
        "encoder": normal.encoder,
        "scales": len(normal.gaussians),
        "channels": normal.gaussians[0].whitening.shape[1],
        "kind": normal.kind,
        "weights": list(normal.weights),
        "place": list(place),
        "scale": _numbers(normal.scale),
        "pairs": _numbers(normal.pairs),
        "templates": normal.templates,
        "false_alarms": normal.false_alarms,
    }
    text = json.dumps(facts).encode()
    arrays: list[Floats] = [array for one in normal.gaussians for array in (one.mean, one.whitening)]
    arrays += [np.zeros(0, np.float32) if normal.place is None else normal.place]
    arrays += [normal.scale.scores, normal.pairs.scores]
    body = HEAD.pack(MAGIC, VERSION, len(text)) + text + b"".join(array.astype("<f4").tobytes() for array in arrays)
    return body + CRC.pack(zlib.crc32(body))


def _numbers(scale: Scale) -> list[float]:
    return [scale.mean, scale.unit, scale.growth, scale.usual, len(scale.scores)]


def read(data: bytes) -> Normal:
    """What a .nicnormal file holds. Raises BadFile, LimitExceeded, or UnsupportedVersion for one of a later release."""
    if len(data) > MOST_BYTES:
        raise LimitExceeded(f"larger than {MOST_BYTES:,} bytes")
    if len(data) < HEAD.size + CRC.size or not data.startswith(MAGIC):
        raise BadFile("not a .nicnormal file")
    _, version, length = HEAD.unpack_from(data)
    if version != VERSION:
        raise UnsupportedVersion(f"a .nicnormal file of version {version}; this release reads {VERSION}")
    (crc,) = CRC.unpack_from(data, len(data) - CRC.size)
    if zlib.crc32(memoryview(data)[: -CRC.size]) != crc:
        raise BadFile("the .nicnormal file is damaged: its checksum differs")
    if length > min(MOST_TEXT, len(data) - HEAD.size - CRC.size):
        raise BadFile("the .nicnormal file is cut short")
    try:
        facts = json.loads(data[HEAD.size : HEAD.size + length])
        return _normal(facts, _Arrays(data, HEAD.size + length))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise BadFile("the .nicnormal file holds what no release wrote") from None


class _Arrays:
    """The arrays of a file, one after the other, up to its checksum. Raises ValueError past the end."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = memoryview(data)[: -CRC.size], start

    def take(self, *shape: int) -> Floats:
        count = math.prod(shape)
        part = self._data[self._at : self._at + 4 * count]
        if len(part) != 4 * count:
            raise ValueError
        self._at += 4 * count
        array = np.frombuffer(part, "<f4").astype(np.float32).reshape(shape)
        if not (np.abs(array) <= LARGEST).all():
            raise ValueError
        return array

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError


def _normal(facts: Any, arrays: _Arrays) -> Normal:
    """Raises ValueError, KeyError, TypeError for what `write` cannot have written."""
    count, channels = _whole(facts["scales"], 1, len(SCALES)), _whole(facts["channels"], 1, MOST_CHANNELS)
    rows, columns = (_whole(side, 0, MOST_PLACES) for side in facts["place"])
    kind, templates = facts["kind"], facts["templates"]
    weights = tuple(_number(weight, -LARGEST, LARGEST) for weight in facts["weights"])
    texts = [facts["model"], facts["encoder"]]
    if not all(isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef") for text in texts):
        raise ValueError
    placed = kind == "place"
    if kind not in KINDS or len(weights) != COUNT or templates not in (True, False) or rows * columns > MOST_PLACES:
        raise ValueError
    if placed != (rows * columns > 0):
        raise ValueError
    gaussians = tuple(Gaussian(arrays.take(2 * channels), arrays.take(2 * channels, channels)) for _ in range(count))
    place = arrays.take(rows, columns)
    scale, pairs = (_scale(facts[name], arrays) for name in ("scale", "pairs"))
    arrays.end()
    share = _number(facts["false_alarms"], 0, 1)
    model, encoder = texts
    kept = place if placed else None
    return Normal(model, encoder, gaussians, kind, weights, kept, scale, pairs, bool(templates), share)


def _scale(facts: Any, arrays: _Arrays) -> Scale:
    mean, unit, growth, usual, count = facts
    scores = arrays.take(_whole(count, 2, MOST))
    if (np.diff(scores) < 0).any():
        raise ValueError
    limits = (-LARGEST, LARGEST), (1e-6, LARGEST), (0, 10), (1, LARGEST)
    numbers = [_number(n, *ends) for n, ends in zip((mean, unit, growth, usual), limits, strict=True)]
    return Scale(numbers[0], numbers[1], numbers[2], numbers[3], scores)


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _number(value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError
    return float(value)
