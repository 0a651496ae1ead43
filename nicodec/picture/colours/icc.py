"""Primaries, white point and a transfer curve -> a small ICC profile, and back to the curve of a gray one.

Under `declared` and `profiles`. It builds profiles of version 4 and knows nothing of files of pictures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RGB, GRAY = b"RGB ", b"GRAY"


class Curve(NamedTuple):
    """Sample x, 0 to 1, -> light: (a·x + b)^gamma from d on, and c·x below it. As ICC's parametric curve of type 3."""

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_REC709 = 1.09929682680944, 0.018053968510807  # alpha and beta of ITU-R BT.709 and BT.2020
REC709_CURVE = Curve(1 / 0.45, 1 / _REC709[0], 1 - 1 / _REC709[0], 1 / 4.5, 4.5 * _REC709[1])
SMPTE240_CURVE = Curve(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 4 * 0.0228)

D65 = 0.3127, 0.329
Point = tuple[float, float]


class Gamut(NamedTuple):
    """The points (x, y) of red, green, blue and white in the CIE diagram of 1931."""

    red: Point
    green: Point
    blue: Point
    white: Point = D65


SRGB_GAMUT = Gamut((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


@dataclass(frozen=True)
class Colours:
    """What samples mean: the gamut that they span, and the curve from sample to light."""

    gamut: Gamut = SRGB_GAMUT
    curve: Curve = SRGB_CURVE

    @property
    def is_srgb(self) -> bool:
        """Whether sRGB is meant. A plain gamma of 2.2 is how files without a better word say the curve of sRGB."""
        points = np.abs(np.subtract(self.gamut, SRGB_GAMUT)).max()
        plain = self.curve[1:] == Curve(1)[1:] and abs(self.curve.gamma - 2.2) < 0.03
        return bool(points < 0.002 and (plain or self.curve == SRGB_CURVE))


_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of every profile
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile(colours: Colours, space: bytes, name: str) -> bytes:
    """The profile of these colours. space: `RGB` or `GRAY`, which has no gamut. name: what readers show.

    Raises ValueError if the points of the gamut span no colours.
    """
    return _assembled(space, name, _curve(colours.curve), *_adapted(colours.gamut))


def rgb_from_gray(gray: bytes) -> bytes | None:
    """The RGB profile in which equal samples look as the gray samples do by their profile.

    None if the gray profile has no curve, or is damaged.
    """
    curve = tags(gray).get(b"kTRC")
    if curve is None or curve[:4] not in (b"curv", b"para"):
        return None
    return _assembled(RGB, "gray, as RGB", curve, *_adapted(SRGB_GAMUT))


def space_of(icc: bytes) -> bytes:
    """The colour space that a profile names: `RGB`, `GRAY`, b"CMYK" and so on; b"" if these bytes are no profile."""
    return icc[16:20] if len(icc) >= 132 and icc[36:40] == b"acsp" else b""


def tags(icc: bytes) -> dict[bytes, bytes]:
    """Name and data of the tags of a profile; of a damaged one, those that are whole."""
    found: dict[bytes, bytes] = {}
    if space_of(icc):
        (count,) = struct.unpack_from(">I", icc, 128)
        for entry in range(132, min(132 + 12 * min(count, 100), len(icc) - 11), 12):
            name, start, length = struct.unpack_from(">4sII", icc, entry)
            if start + length <= len(icc):
                found[name] = icc[start : start + length]
    return found


def _xyz(point: Point) -> npt.NDArray[np.float64]:
    x, y = point
    if not (0 < y <= 1 and 0 <= x <= 1 and x + y <= 1.0001):
        raise ValueError(f"no colour has the chromaticity {x}, {y}")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapted(gamut: Gamut) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The colours of red, green and blue, as columns of XYZ under D50, and the matrix that adapts white to D50."""
    white, primaries = _xyz(gamut.white), np.stack([_point(p) for p in gamut[:3]], 1)
    if abs(np.linalg.det(primaries)) < 1e-4:
        raise ValueError("the primaries span no colours")
    cone = np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white))
    adapt = np.linalg.inv(_BRADFORD) @ cone @ _BRADFORD
    columns = adapt @ (primaries * np.linalg.solve(primaries, white))
    if np.abs(columns).max() > 4 or np.abs(adapt).max() > 4:
        raise ValueError("the primaries span no colours")
    return columns, adapt


def _point(point: Point) -> npt.NDArray[np.float64]:
    """A primary, of any luminance; y may be 0, as of wide gamuts that need no real colours."""
    x, y = point
    return np.array([x, y, 1 - x - y])


def _fixed(values: npt.ArrayLike) -> bytes:
    return bytes(np.round(np.asarray(values, np.float64).ravel() * 65536).astype(">i4").tobytes())


def _curve(curve: Curve) -> bytes:
    kind, numbers = (0, curve[:1]) if curve[1:] == Curve(1)[1:] else (3, curve)
    return b"para" + struct.pack(">IHH", 0, kind, 0) + _fixed(numbers)


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(coded), 28) + coded


def _assembled(
    space: bytes, name: str, curve: bytes, columns: npt.NDArray[np.float64], adapt: npt.NDArray[np.float64]
) -> bytes:
    parts = {b"desc": _text(name), b"cprt": _text("no rights reserved"), b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50)}
    parts[b"chad"] = b"sf32\0\0\0\0" + _fixed(adapt)
    if space == RGB:
        parts |= {b"rgb"[i : i + 1] + b"XYZ": b"XYZ \0\0\0\0" + _fixed(columns[:, i]) for i in range(3)}
        parts |= {channel + b"TRC": curve for channel in (b"r", b"g", b"b")}
    else:
        parts[b"kTRC"] = curve
    start, table, body, places = 132 + 12 * len(parts), b"", b"", dict[bytes, int]()
    for tag, data in parts.items():
        if data not in places:  # the three curves are one
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, places[data], len(data))
    head = struct.pack(">I4xI4s4s4s6H4s", start + len(body), 0x04300000, b"mntr", space, b"XYZ ", 2000, 1, 1, 0, 0, 0,
                       b"acsp")  # fmt: skip
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body
