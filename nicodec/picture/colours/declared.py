"""What a file says about its colours beside an ICC profile: chunks of PNG, boxes of AVIF, HEIF and JPEG 2000, tags.

Under `reader`. A Pillow image that is not loaded yet comes in; `profiles` makes a profile of what comes out.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.colours.icc import D65, REC709_CURVE, SMPTE240_CURVE, SRGB_CURVE, SRGB_GAMUT, Colours, Curve, Gamut
from nicodec.picture.files import boxes


class Declared(NamedTuple):
    """colours: or None, where the file says none. wins: over an ICC profile. icc: a profile that Pillow passes over."""

    colours: Colours | None = None
    wins: bool = False
    icc: bytes | None = None


# Code points of ITU-T H.273, which PNG, AVIF and HEIF share. 2 means that nothing is said.
_GAMUTS = {
    1: SRGB_GAMUT, 2: SRGB_GAMUT,
    4: Gamut((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: Gamut((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Gamut((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: Gamut((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    8: Gamut((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)),
    9: Gamut((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    10: Gamut((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: Gamut((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Gamut((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: Gamut((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}  # fmt: skip
_CURVES = {
    1: REC709_CURVE, 2: SRGB_CURVE, 4: Curve(2.2), 5: Curve(2.8), 6: REC709_CURVE, 7: SMPTE240_CURVE, 8: Curve(1.0),
    11: REC709_CURVE, 12: REC709_CURVE, 13: SRGB_CURVE, 14: REC709_CURVE, 15: REC709_CURVE, 17: Curve(2.6),
}  # fmt: skip
_NO_CURVES = {9: "logarithmic", 10: "logarithmic", 16: "HDR (PQ)", 18: "HDR (HLG)"}


def declared(image: Image.Image, name: str, notes: list[str]) -> Declared:
    """What the file of an image says. A line is added to `notes` where that cannot be understood.

    Raises BadImage, naming `name`, for samples that no profile describes, such as HDR.
    """
    try:
        if image.format in ("AVIF", "HEIF"):
            return _coded(_nclx(image), name, notes)
        if image.format == "JPEG2000":
            return _of_jpeg2000(image, name, notes)
        if image.format == "BMP":
            return _of_bmp(image)
        if image.format == "TIFF":
            return _of_tiff(getattr(image, "tag_v2", {}))
        return _of_png(image, name, notes)
    except BadImage:
        raise
    except Exception:  # whatever such bytes can do to a parser
        notes.append("a damaged description of the colours was left out")
        return Declared()


def _coded(codes: tuple[int, int] | None, name: str, notes: list[str], *, wins: bool = False) -> Declared:
    """Of two code points: primaries and transfer."""
    if codes is None or codes == (2, 2):
        return Declared()
    primaries, transfer = codes
    if transfer in _NO_CURVES:
        raise BadImage(f"{name}: its samples are {_NO_CURVES[transfer]}, which are not coded yet; convert it first")
    if primaries not in _GAMUTS or transfer not in _CURVES:
        notes.append(f"colours of the unknown kind {primaries}/{transfer} were taken as sRGB")
        return Declared(wins=wins)
    return Declared(Colours(_GAMUTS[primaries], _CURVES[transfer]), wins)


def _of_png(image: Image.Image, name: str, notes: list[str]) -> Declared:
    """cICP wins over a profile, sRGB over gAMA and cHRM. A copy of a PNG image in memory keeps the last three."""
    code = _png_chunk(image, b"cICP") if image.format == "PNG" else None
    if code is not None:
        primaries, transfer, matrix, full = struct.unpack("4B", code)
        if matrix == 0 and full == 1:
            return _coded((primaries, transfer), name, notes, wins=(primaries, transfer) != (2, 2))
        if matrix == 0 and full == 0:
            raise BadImage(f"{name}: its samples do not use the full range from 0 to 255; convert it first")
        raise ValueError("no RGB samples")
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or (gamma is None and points is None):
        return Declared()
    gamut, curve = SRGB_GAMUT, SRGB_CURVE
    if points is not None:
        x = [(float(points[i]), float(points[i + 1])) for i in range(0, 8, 2)]
        gamut = Gamut(x[1], x[2], x[3], x[0])
    if gamma is not None:
        if not 0.1 <= gamma <= 10:
            raise ValueError("no curve")
        curve = Curve(1 / gamma)
    return Declared(Colours(gamut, curve))


def _of_tiff(tags: Any) -> Declared:
    """PrimaryChromaticities and WhitePoint. Without a curve of its own the standard assumes a gamma of 2.2."""
    points, white, curve = tags.get(319), tags.get(318, D65), tags.get(301)
    if points is None:
        return Declared()
    if curve is not None:
        raise ValueError("a curve of points is not read")
    x = [float(value) for value in (*points, *white)]
    return Declared(Colours(Gamut((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (x[6], x[7])), Curve(2.2)))


def _of_bmp(image: Image.Image) -> Declared:
    """The fourth header has primaries and gamma, the fifth may have a profile."""
    start = boxes.read(image, 0, 138)
    (size,) = struct.unpack_from("<I", start, 14)
    kind = start[70:74]
    if size >= 124 and kind == b"DEBM":
        place, length = struct.unpack_from("<II", start, 126)
        return Declared(icc=boxes.read(image, 14 + place, min(length, boxes.MOST_BYTES)))
    if size < 108 or kind != bytes(4) or not any(start[74:110]):
        return Declared()
    points = []
    xyz = [value / 2**30 for value in struct.unpack_from("<9i", start, 74)]
    white = [sum(xyz[i::3]) for i in range(3)]
    for x, y, z in (xyz[:3], xyz[3:6], xyz[6:], white):
        points.append((x / (x + y + z), y / (x + y + z)))
    gamma = struct.unpack_from("<I", start, 110)[0] / 2**16
    return Declared(Colours(Gamut(*points), Curve(gamma if 0.1 <= gamma <= 10 else 2.2)))


def _of_jpeg2000(image: Image.Image, name: str, notes: list[str]) -> Declared:
    for kind, header in boxes.outermost(image, b"jp2h"):
        if kind == b"jp2h":
            for part, colour in boxes.inside(header):
                if part == b"colr" and colour[0] in (2, 3):
                    return Declared(icc=colour[3:])
                if part == b"colr" and colour[0] == 5:
                    return _coded(struct.unpack_from(">HH", colour, 3), name, notes)
    return Declared()


def _nclx(image: Image.Image) -> tuple[int, int] | None:
    """The code points of the primary item of an AVIF or HEIF file."""
    for name, colour in boxes.properties(image):
        if name == b"colr" and colour[:4] == b"nclx":
            codes: tuple[int, int] = struct.unpack_from(">HH", colour, 4)
            return codes
    return None


def _png_chunk(image: Image.Image, wanted: bytes) -> bytes | None:
    """The contents of a chunk before the samples."""
    at = 8
    for _ in range(boxes.MOST_PARTS):
        head = boxes.read(image, at, 8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return None
        if head[4:] == wanted:
            return boxes.read(image, at + 8, min(int.from_bytes(head[:4], "big"), boxes.MOST_BYTES))
        at += 12 + int.from_bytes(head[:4], "big")
    return None
