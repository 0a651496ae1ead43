"""The `info` of a Pillow image <-> what travels beside a picture, under Pillow's own names.

Under `reader` and `writer`; `pillow` lists a file's metadata with it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import fields, replace
from typing import Any

from PIL import Image

from nicodec.picture import LIMIT, Beside
from nicodec.picture.beside import exif, iptc, raw_profiles, text, tiff
from nicodec.picture.beside.apart import Apart
from nicodec.picture.beside.text import COMMENT, Texts

_INCHES, _CENTIMETRES = 1, 2  # of JFIF
TEXTS = "texts"
"""Where in `info` the texts stand whose names are `PILLOWS`: a dictionary, by their names."""
# Pillow, or its writers, take these from `info` for something else. A text of such a name would be lost, or do harm.
PILLOWS = frozenset(
    {
        TEXTS, text.XMP, "adobe", "append_images", "aspect", "background", "bbox", "blend", "chromaticity",
        "comment", "compression", "default_image", "disposal", "dpi", "duration", "exif", "extension", "gamma",
        "icc_profile", "interlace", "jfif", "loop", "mp", "photoshop", "progression", "progressive", "quality",
        "resolution", "sizes", "srgb", "timestamp", "transparency", "version", "xmp",
    }
)  # fmt: skip
# Strings of these names are no texts: `of` reads them as what they are.
_READ_APART = frozenset({"comment", "icc_profile", "xmp"})
_NAMES = {
    "icc": "the colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "text": "text",
    "density": "the print resolution",
}


def listed(names: list[str]) -> str:
    """Fields of `Beside`, or other names, as notes name them."""
    words = [_NAMES.get(name, name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def complete(image: Image.Image, found: Apart) -> None:
    """Put what was taken out of a file where Pillow would have put it, before the image is loaded."""
    profile = found.beside.icc or raw_profiles.apart(found.texts or (), [])[0].icc
    put(image.info, replace(found.beside, icc=profile))


def of(image: Image.Image, notes: list[str], texts: Texts | None = None, block: bytes | None = None) -> Beside:
    """What an image that is loaded says beside its samples, as it stands there.

    texts: those of its file, if they are known; else those in `info`. block: EXIF, if `info` has none. A line is
    added to `notes` for what is over `LIMIT` or damaged. The colour profile may be one for other channels.
    """
    raw, plain = raw_profiles.apart(_texts(image) if texts is None else texts, notes)
    if comment := _comment(image):
        plain = tuple((dict(plain) | {COMMENT: comment}).items())
    own = image.info.get("exif")
    found = Beside(
        icc=_bytes(image.info.get("icc_profile")),
        exif=(exif.without_prefix(own) if isinstance(own, bytes) else raw.exif) or block,
        xmp=raw_profiles.first_packet(_bytes(image.info.get("xmp")), raw.xmp, notes),
        iptc=_iptc(image) or raw.iptc,
        text=text.pack(plain),
        density=_density(image, notes),
    )
    long = [f.name for f in fields(found) if len(getattr(found, f.name) or b"") > LIMIT]
    if long:
        notes.append(f"{listed(long)} of more than {LIMIT >> 20} MiB: left out")
    return replace(found, **dict.fromkeys(long))


def put(info: MutableMapping[Any, Any], beside: Beside) -> None:
    """The reverse of `of`. Texts of one name become one. Those whose name has another meaning stand under `TEXTS`."""
    texts: dict[str, str] = {}
    for name, value in text.unpack(beside.text):
        texts[name] = f"{texts[name]}\n{value}" if name in texts else value
    info.update((name, value) for name, value in texts.items() if name not in PILLOWS)
    given = {
        "icc_profile": beside.icc,
        "exif": beside.exif and exif.PREFIX + beside.exif,
        "xmp": beside.xmp,
        "photoshop": beside.iptc and {iptc.RESOURCE: beside.iptc},
        "comment": texts.get(COMMENT, "").encode("utf-8", "replace"),
        "dpi": text.unpack_density(beside.density),
        TEXTS: {name: value for name, value in texts.items() if name in PILLOWS},
    }
    info.update((key, value) for key, value in given.items() if value)


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace") or None
    return bytes(value) or None if isinstance(value, bytes | bytearray | memoryview) else None


def _texts(image: Image.Image) -> Texts:
    """The strings in `info`, where Pillow has those of a PNG, and an image of no format those that it came with."""
    if image.format not in (None, "PNG", "NIC"):
        return ()
    info, hidden = image.info, image.info.get(TEXTS)
    others = _READ_APART if image.format else _READ_APART | {"compression"}  # which a copy of a TIFF has too
    if "xmp" in info:
        others |= {text.XMP}  # the same packet, by its name in PNG
    own = [(name, value) for name, value in info.items() if name not in others]
    own += hidden.items() if isinstance(hidden, dict) else ()
    return tuple((n, str(v)) for n, v in own if isinstance(n, str) and isinstance(v, str))[: text.MAX_TEXTS]


def _comment(image: Image.Image) -> str:
    segments = [body for kind, body in getattr(image, "applist", ()) if kind == "COM"]  # Pillow's `info` has the last
    comments: list[object] = [*segments] or [image.info.get("comment")]
    found = (text.decoded(c) if isinstance(c, bytes) else c for c in comments if isinstance(c, bytes | str))
    return "\n".join(c for c in found if c)


def _iptc(image: Image.Image) -> bytes | None:
    if found := tiff.iptc_of(image):
        return found
    resources = image.info.get("photoshop")
    if isinstance(resources, bytes):
        return iptc.of_resources(resources)
    return _bytes(resources.get(iptc.RESOURCE)) if isinstance(resources, dict) else None


def _density(image: Image.Image, notes: list[str]) -> bytes | None:
    info = image.info
    sides, shape = info.get("dpi"), info.get("aspect")
    if image.format in ("JPEG", "MPO") and info.get("jfif_unit") not in (_INCHES, _CENTIMETRES):
        sides, shape = None, info.get("jfif_density")  # Pillow's `dpi` is then that of EXIF, or made up
    if image.format == "TIFF" and not tiff.has_resolution(image):
        sides = None
    if isinstance(sides, tuple | list) and len(sides) == 2:
        return text.pack_density(*sides)
    if isinstance(shape, tuple) and len(set(shape)) == 2:
        notes.append(f"the shape of the pixels, {shape[0]}:{shape[1]}, was left out")
    return None
