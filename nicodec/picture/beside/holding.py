"""What each format of files can hold beside a picture: `Beside` -> the options of Pillow's writer.

Under `writer`. What a format cannot hold is left out and named; docs/PYTHON.md has the table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, TypeAlias

from PIL import PngImagePlugin

from nicodec.picture import Beside
from nicodec.picture.beside import exif, iptc, jp2, raw_profiles, text, tiff
from nicodec.picture.beside.pillow_info import listed

Options: TypeAlias = dict[str, Any]
Left: TypeAlias = list[str]  # what a format leaves out: fields of `Beside`, or names

_SEGMENT = 65533  # bytes in a segment of JPEG
_XMP_IN_JPEG = _SEGMENT - 29
_ICC_IN_JPEG = 255 * (_SEGMENT - 14)  # in as many segments as one byte can count
_COMPRESSED = 1 << 10  # a text of a PNG is compressed from this size on
_PLAIN = 1 << 20  # and not above this: Pillow refuses a file for what inflates to more


def options(kind: str, beside: Beside) -> tuple[Options, list[str]]:
    """The options for Pillow's writer of a format, and a line for what that cannot hold."""
    made, left = _WRITERS.get(kind, _nothing)(beside)
    made = {key: value for key, value in made.items() if value}
    return made, [f"{kind} cannot hold {listed(left)}: left out"] if left else []


def finished(kind: str, data: bytes, beside: Beside) -> bytes:
    """The file that Pillow wrote with `options`, with what its writer cannot take."""
    more = {"TIFF": tiff.grafted, "JPEG2000": jp2.boxed}.get(kind)
    return more(data, beside) if more else data


def _jpeg(beside: Beside) -> tuple[Options, Left]:
    left, made, extra = Left(), Options(), b""
    for name, key, most in (("icc", "icc_profile", _ICC_IN_JPEG), ("xmp", "xmp", _XMP_IN_JPEG)):
        _put(made, left, key, name, getattr(beside, name), most)
    _put(made, left, "exif", "exif", beside.exif and exif.PREFIX + beside.exif, _SEGMENT)
    if beside.iptc:
        body = b"Photoshop 3.0\0" + iptc.as_resource(beside.iptc)
        if len(body) > _SEGMENT:
            left.append(_long("IPTC", body, _SEGMENT))
        else:
            extra = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    comment, others = _comment(beside)
    _put(made, left, "comment", "the comment", comment, _SEGMENT)
    left += _named(others)
    sides = text.unpack_density(beside.density)
    if sides and all(0 < round(side) < 1 << 16 for side in sides):
        made["dpi"] = sides
    elif sides:
        left.append("density")
    return made | {"extra": extra}, left


def _png(beside: Beside) -> tuple[Options, Left]:
    chunks, left = PngImagePlugin.PngInfo(), Left()
    texts = list(text.unpack(beside.text))
    if beside.iptc:
        texts.append(raw_profiles.of_iptc(beside.iptc))
    for name, value in texts:
        try:
            key = name.encode("latin-1")
        except UnicodeError:
            key = b""
        if not 0 < len(key) < 80:
            left += _named([name])
        else:
            chunks.add_text(key, value, zip=_COMPRESSED <= len(value) <= _PLAIN)
    if beside.xmp:
        chunks.add_itxt(text.XMP, beside.xmp)
    made = Options(icc_profile=beside.icc, exif=beside.exif, dpi=text.unpack_density(beside.density), pnginfo=chunks)
    return made, left


def _tiff(beside: Beside) -> tuple[Options, Left]:
    made = Options(icc_profile=beside.icc, dpi=text.unpack_density(beside.density))
    return made, _named(tiff.texts_left(beside))


def _webp(beside: Beside) -> tuple[Options, Left]:
    """ICC, EXIF and XMP alone. A resolution goes into EXIF, if there is none yet."""
    left = [name for name in ("iptc",) if beside.iptc] + _named([name for name, _ in text.unpack(beside.text)])
    sides, block = text.unpack_density(beside.density), beside.exif
    if sides and not block:
        block = exif.of_resolution(*sides)
    elif sides and block and not _tells_resolution(block):
        left.append("density")
    return Options(icc_profile=beside.icc, exif=block, xmp=beside.xmp), left


def _avif(beside: Beside) -> tuple[Options, Left]:
    made, left = _webp(beside)
    with suppress(ValueError):  # Pillow takes a block apart that has an orientation, which loses what it does not know
        made["exif"] = made["exif"] and exif.Block(made["exif"]).without_orientation()
    return made, left


def _jpeg2000(beside: Beside) -> tuple[Options, Left]:
    comment, others = _comment(beside)
    made, left = Options(), Left()
    _put(made, left, "comment", "the comment", comment, _SEGMENT - 2)
    return made, left + _named(others)


def _bmp(beside: Beside) -> tuple[Options, Left]:
    sides = text.unpack_density(beside.density)
    return (Options(dpi=sides) if sides else Options()), _nothing(replace(beside, density=None))[1]


def _nothing(beside: Beside) -> tuple[Options, Left]:
    return Options(), [f.name for f in fields(beside) if getattr(beside, f.name)]


_WRITERS: dict[str, Callable[[Beside], tuple[Options, Left]]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "WEBP": _webp,
    "AVIF": _avif,
    "TIFF": _tiff,
    "JPEG2000": _jpeg2000,
    "BMP": _bmp,
}


def _tells_resolution(block: bytes) -> bool:
    with suppress(ValueError):
        return exif.Block(block).tells_resolution
    return False


def _put(made: Options, left: Left, key: str, name: str, blob: bytes | None, most: int) -> None:
    """The blob as an option, or the name of what is too long."""
    if blob and len(blob) > most:
        left.append(_long(listed([name]), blob, most))
    else:
        made[key] = blob


def _long(name: str, blob: bytes, most: int) -> str:
    return f"{name} of {len(blob):,} bytes (at most {most:,})"


def _comment(beside: Beside) -> tuple[bytes, list[str]]:
    """The text without a name of its own, and the names of the others."""
    texts = text.unpack(beside.text)
    comments = [value for name, value in texts if name == text.COMMENT]
    return "\n".join(comments).encode(), [name for name, _ in texts if name != text.COMMENT]


def _named(texts: list[str]) -> Left:
    """Names of texts for a note, the first few."""
    names = [" ".join(name.split())[:40] for name in dict.fromkeys(texts)]
    more = [f"{len(names) - 4} more"] if len(names) > 5 else []
    return [f"the text {', '.join(names[:4] + more if more else names)}"] if names else []
