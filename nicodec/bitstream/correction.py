"""The correction of one picture, as whole numbers <-> the bytes of its chunk.

Beside `patches`. `coding.correction` finds these numbers, and makes a filter of them with the basis of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadFile

# The largest exponent of a step; the largest number that is added to the widths of a model.
MAX_STEP, MAX_WIDER = 31, 7
# The ones of a code are fewer than this.
MAX_ONES = 64
# A coefficient is at most 2^-WEAK. Those of pictures are smaller.
WEAK = 2
# The most coefficients, and the largest width, of a model.
MAX_COUNT, MAX_WIDTH = 255, 16

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Correction:
    """The coefficients of a filter, in steps of 2^-step.

    step: 0..31. wider: 0..7, how many bits more than those of the model the low part of each code has. coefficients:
    int64 (n,), from 1 to K of them, each at most 2^step / 4 in magnitude. The others of the model are 0.
    """

    step: int
    wider: int
    coefficients: npt.NDArray[np.int64]


def low_bits(widths: Integers, wider: int) -> npt.NDArray[np.int64]:
    """The number of low bits in the code of each coefficient, (K,). widths: those of the model, (K,)."""
    return np.maximum(widths.astype(np.int64) + wider, 0)


def largest(low: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """The largest magnitude that each coefficient can have, (K,). low: the low bits of each code, (K,)."""
    return np.minimum((MAX_ONES << low) // 2 - 1, 1 << step >> WEAK)


def lengths(coefficients: npt.NDArray[np.int64], low: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The bits that each coefficient takes, (n,). low: the low bits of each code, (n,)."""
    return (_unsigned(coefficients) >> low) + 1 + low


def encode(correction: Correction, widths: Integers) -> bytes:
    """The payload of a chunk. widths: those of the model, int8 (K,).

    It holds the step and `wider` in one byte, the number of coefficients in the next, and their Rice codes
    (R. F. Rice, JPL 79-22, 1979): ones, a zero, and the low bits.
    """
    low = low_bits(widths, correction.wider)
    codes = []
    for value, m in zip(_unsigned(correction.coefficients).tolist(), low.tolist(), strict=False):
        codes.append("1" * (value >> m) + f"{value & (1 << m) - 1:0{m + 1}b}")
    text = "".join(codes)
    text += "0" * (-len(text) % 8)
    head = bytes([correction.step * (MAX_WIDER + 1) + correction.wider, len(codes)])
    return head + int(text, 2).to_bytes(len(text) // 8, "big")


def decode(payload: bytes, widths: Integers) -> Correction:
    """The inverse of `encode`. Raises BadFile for anything malformed."""
    step, wider = divmod(payload[0] if payload else 0, MAX_WIDER + 1)
    low = low_bits(widths, wider)
    count = payload[1] if len(payload) > 1 else 0
    if not 1 <= count <= len(low) or 8 * (len(payload) - 3) > count * (MAX_ONES + int(low.max())):
        raise BadFile("the correction has the wrong size")
    text = "".join(f"{byte:08b}" for byte in payload[2:])
    values, at = [], 0
    for m in low[:count].tolist():
        stop = text.find("0", at, at + MAX_ONES)
        at_next = stop + 1 + m
        if stop < 0 or at_next > len(text):
            raise BadFile("the correction is cut short, or holds an impossible number")
        values.append(stop - at << m | int(text[stop:at_next], 2))
        at = at_next
    coefficients = np.array([value >> 1 ^ -(value & 1) for value in values], np.int64)
    if len(text) - at > 7 or "1" in text[at:] or np.abs(coefficients).max() > 1 << step >> WEAK:
        raise BadFile("the correction does not end where its numbers end, or is too strong")
    return Correction(step, wider, coefficients)


def _unsigned(coefficients: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, -1, 1, -2, 2, ... -> 0, 1, 2, 3, 4, ..."""
    return coefficients << 1 ^ coefficients >> 63
