"""The checksum of all symbols: CRC-32 over z and r, though r comes in groups of rows.

Under `symbols`, which checks it, and `coding.bands`, which writes it. It turns a mismatch into an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Residual: TypeAlias = npt.NDArray[np.int16]


class SymbolsCrc:
    """CRC-32 over z as int8 and then r as little-endian int16, both in channel, row, column order.

    r comes in groups of rows, but the checksum takes all rows of one channel before the next channel. So each
    channel has its own CRC, and they are joined at the end as in zlib's crc32_combine. The CRC of a + b is
    that of a, times x^(8 len(b)), plus that of b. A picture of one group has its bytes in order already, and the CRC
    of all at once takes an eighth of the time.
    """

    def __init__(self) -> None:
        self._channels: list[int] = []
        self._length = 0
        self._alone: Residual | None = None

    def add(self, band: Residual) -> None:
        """Take the next rows of r, (1, L, rows, columns), which stay as they are until the next call."""
        if self._alone is None and not self._channels:
            self._alone = band
            return
        for rows in (self._alone, band):
            if rows is not None:
                self._join(rows)
        self._alone = None

    def _join(self, band: Residual) -> None:
        channels = [np.ascontiguousarray(channel, "<i2") for channel in band[0]]
        shifted = _times(_power(channels[0].nbytes))
        self._channels = [
            shifted(crc) ^ zlib.crc32(channel.data)
            for crc, channel in zip(self._channels or [0] * len(channels), channels, strict=True)
        ]
        self._length += channels[0].nbytes

    def value(self, z: npt.NDArray[np.int8]) -> int:
        """The CRC of z, (1, Z, R, S), and of the rows so far."""
        total = zlib.crc32(z.tobytes())
        if self._alone is not None:
            return zlib.crc32(np.ascontiguousarray(self._alone, "<i2").data, total)
        shifted = _times(_power(self._length))
        for crc in self._channels:
            total = shifted(total) ^ crc
        return total


# Polynomials over GF(2) modulo the polynomial of CRC-32, in its bit order: the highest bit is the coefficient of 1.
_POLYNOMIAL, _ONE = 0xEDB88320, 1 << 31


def _multiples(a: int) -> list[int]:
    """a, a x, a x^2, ... a x^31."""
    result = []
    for _ in range(32):
        result.append(a)
        a = a >> 1 ^ (_POLYNOMIAL if a & 1 else 0)
    return result


def _product(a: int, b: int) -> int:
    result = 0
    for i, multiple in enumerate(_multiples(a)):
        if b & _ONE >> i:
            result ^= multiple
    return result


def _times(a: int) -> Callable[[int], int]:
    """The function b -> a times b. Each a is multiplied by hundreds of b, so tables for each byte of b pay."""
    tables, columns = [], _multiples(a)[::-1]
    for byte in range(4):
        table = [0]
        for column in columns[8 * byte : 8 * byte + 8]:
            table += [column ^ entry for entry in table]
        tables.append(table)
    t0, t1, t2, t3 = tables
    return lambda b: t0[b & 255] ^ t1[b >> 8 & 255] ^ t2[b >> 16 & 255] ^ t3[b >> 24]


def _power(length: int) -> int:
    """x^(8 length), the factor of a CRC when `length` bytes follow."""
    result, square = _ONE, _ONE >> 8
    while length:
        if length & 1:
            result = _product(square, result)
        square = _product(square, square)
        length >>= 1
    return result
