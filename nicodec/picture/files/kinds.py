"""Which kind of file this is, and how it is opened: by Pillow, with an extra, or not at all.

Under `reader`. A file comes in, a Pillow image that is not loaded yet comes out.
"""

from __future__ import annotations

import logging
import os
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from nicodec import extras
from nicodec.errors import BadImage, LimitExceeded, one_line
from nicodec.picture.files import tiffs

# Python prints the lines of a library that has set no handler of its own; each of these ends in an error of ours.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_DRAWINGS = frozenset({"EPS", "WMF"})  # Pillow gives these to another program or to the system

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef", ".mos",
     ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)  # fmt: skip
"""Suffixes of the raw files of cameras."""

# Starts of raw files that are no plain TIFF: Olympus, Panasonic and Leica, Fujifilm, Sigma, Minolta, Canon.
_RAW_STARTS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
# What a file begins with, for the error that it is damaged and not unknown.
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000", b"qoif": "QOI", b"8BPS": "PSD",
}  # fmt: skip


def opened(file: BinaryIO, name: str, notes: list[str]) -> Image.Image:
    """The Pillow image of a file that can seek. Adds a line to `notes` where a raw file was developed.

    Raises BadImage for a file that must not be read, such as a drawing or the reduced copy in front of a picture.
    Raises MissingExtra for a kind that needs an extra which is not installed, and what Pillow raises.
    """
    file.seek(0)
    start = file.read(64)
    if _is_raw(file, start, name):
        return _developed(file, name, notes)
    if start.startswith(tiffs.STARTS) and tiffs.begins_with_a_copy(file):
        raise BadImage(f"{name}: the first picture of this TIFF is a reduced copy of another one in it")
    if start.startswith(_JXL_STARTS):
        extras.load("pillow_jxl", "jxl", f"{name}: reading JPEG XL")  # the plugin registers itself with Pillow
    elif _brands(start) & _HEIF_BRANDS or (_brands(start) & {b"mif1", b"msf1"} and not _brands(start) & _AVIF_BRANDS):
        extras.load("pillow_heif", "heif", f"{name}: reading HEIF").register_heif_opener()
    file.seek(0)
    try:
        image = Image.open(file)
    except UnidentifiedImageError as error:
        raise BadImage(f"{name}: {_why(file, start)}") from error
    if image.format in _DRAWINGS:
        raise BadImage(f"{name}: a drawing, not a picture of pixels")
    return image


def _brands(start: bytes) -> set[bytes]:
    """The kinds that the first box of an ISO file names, as far as they stand in these bytes."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(len(start), int.from_bytes(start[:4], "big"))
    return {start[8:12], *(start[at : at + 4] for at in range(16, end - 3, 4))}


def _is_raw(file: BinaryIO, start: bytes, name: str) -> bool:
    if start.startswith(_RAW_STARTS) or _brands(start) & {b"crx "}:
        return True
    if not start.startswith(tiffs.STARTS):
        return False
    made_for_raw = start[8:12] in (b"CR\2\0", b"IIII", b"RawM")  # Canon, Phase One in either byte order
    return made_for_raw or os.path.splitext(name)[1].lower() in RAW_SUFFIXES or tiffs.is_raw(file)


def _why(file: BinaryIO, start: bytes) -> str:
    """Why Pillow knows nothing of a file."""
    if start.startswith(tiffs.STARTS):
        return f"a TIFF that is damaged or of a kind that is not read ({tiffs.facts(file)})"
    kind = next((kind for known, kind in _STARTS.items() if start.startswith(known)), "")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = "WebP"
    if _brands(start) & _AVIF_BRANDS:
        kind = "AVIF"
    if _brands(start) & (_HEIF_BRANDS | {b"mif1", b"msf1"}):
        kind = kind or "HEIF"
    return f"a damaged {kind} file" if kind else "not a picture of a known format"


def _developed(file: BinaryIO, name: str, notes: list[str]) -> Image.Image:
    """A raw file as an upright 8-bit image in sRGB, by LibRaw."""
    rawpy: Any = extras.load("rawpy", "raw", f"{name}: developing a raw file of a camera")
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            pixels = raw.sizes.width * raw.sizes.height
            if Image.MAX_IMAGE_PIXELS is not None and pixels > 2 * Image.MAX_IMAGE_PIXELS:
                raise LimitExceeded(f"{name}: too many pixels")
            samples = raw.postprocess(use_camera_wb=True, output_bps=8)
    except (rawpy.LibRawError, OSError, ValueError) as error:
        why = error.args[0] if error.args else error
        why = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise BadImage(f"{name}: a raw file that cannot be developed: {one_line(ValueError(why))}") from error
    notes.append("a raw file was developed with the white balance of the camera; its metadata was not kept")
    return Image.fromarray(samples)
