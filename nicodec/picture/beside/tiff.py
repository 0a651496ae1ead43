"""What a TIFF holds beside its samples, which is its own first directory, <-> EXIF and IPTC.

Under `pillow_info` and `holding`. Pillow reads and writes the samples alone.
"""

from __future__ import annotations

import struct

from PIL import Image, TiffImagePlugin

from nicodec.picture import Beside
from nicodec.picture.beside import exif, ifd, iptc, text

_IPTC_TAG, _XMP_TAG = 33723, 700
_RESOLUTION = 282
# What describes the picture; the other tags of a first directory say how its samples are stored.
_DESCRIBING = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, exif.ORIENTATION, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298}
    | set(range(0x9C9B, 0x9CA0))
)  # fmt: skip
# Texts that have an entry of their own. PNG's names of them.
_TEXT_TAGS = {"Description": 0x010E, "Software": 0x0131, "Author": 0x013B, "Copyright": 0x8298}


def exif_of(image: Image.Image) -> bytes | None:
    """An EXIF block of what describes the picture, of a TIFF that is not loaded yet; None for others."""
    file = getattr(image, "fp", None)
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or file is None:
        return None
    place = file.tell()
    try:
        first, below, order = ifd.read(file, _DESCRIBING)
    except ValueError:
        return None
    finally:
        file.seek(place)
    return ifd.block(first, below, order) if first or any(below.values()) else None


def iptc_of(image: Image.Image) -> bytes | None:
    """IPTC of a TIFF, whose entry may be one of bytes or, by an old mistake, of numbers of four."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    value = image.tag_v2.get(_IPTC_TAG)
    if isinstance(value, int):
        value = (value,)
    if isinstance(value, tuple) and all(isinstance(v, int) and 0 <= v < 1 << 32 for v in value):
        order = "<" if image.tag_v2.prefix == b"II" else ">"
        value = struct.pack(f"{order}{len(value)}I", *value)
    if isinstance(value, bytes) and value:
        return b"".join(s.whole for s in iptc.data_sets(value)) or None
    resources = image.get_photoshop_blocks().get(iptc.RESOURCE, {})
    return resources.get("data") or None


def texts_left(beside: Beside) -> list[str]:
    """The names of the texts that have no entry in a TIFF, or whose entry is taken by EXIF."""
    taken = {value.tag for value in _first(_values(beside.exif, "<"))}
    return [name for name, _ in text.unpack(beside.text) if _TEXT_TAGS.get(name, -1) in taken | {-1}]


def grafted(data: bytes, beside: Beside) -> bytes:
    """A TIFF of one picture, with EXIF, XMP, IPTC and texts in a new first directory at its end.

    Pillow's own writer would drop the directories below the first, and every letter that is not ASCII.
    """
    order = "<" if data.startswith(b"II") else ">"
    directories = _values(beside.exif, order)
    added = _first(directories)
    taken = {value.tag for value in added}
    for name, value in dict(text.unpack(beside.text)).items():
        if (tag := _TEXT_TAGS.get(name)) and tag not in taken:
            raw = value.encode("utf-8", "replace") + b"\0"
            added.append(ifd.Value(tag, 2, len(raw), raw))
    for tag, kind, blob in ((_XMP_TAG, 1, beside.xmp), (_IPTC_TAG, 7, beside.iptc)):
        if blob:
            added.append(ifd.Value(tag, kind, len(blob), blob))
    if not added and not any(directories.values()):
        return data
    file = ifd.Growing(data, order)
    return file.with_first(added, directories, file.first())


def _values(block: bytes | None, order: str) -> dict[int, list[ifd.Value]]:
    try:
        return exif.Block(block).values(order) if block else {}
    except ValueError:
        return {}


def _first(directories: dict[int, list[ifd.Value]]) -> list[ifd.Value]:
    return [value for value in directories.get(0, []) if value.tag in _DESCRIBING]


def has_resolution(image: Image.Image) -> bool:
    """Whether a TIFF tells its resolution; Pillow makes one up where it does not."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and _RESOLUTION in image.tag_v2
