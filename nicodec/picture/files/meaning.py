"""What the samples of a file mean where Pillow does not tell: channels that it leaves out, black and white, scales.

Under `reader`, above `tiffs`. A Pillow image that is not loaded yet comes in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files import boxes, tiffs
from nicodec.picture.files.tiffs import Samples

DIVIDED = "colours premultiplied with alpha were divided by it"

_PSD_MULTICHANNEL, _PSD_DUOTONE = 7, 8
_CARD, _BLOCK = 80, 2880  # bytes of a line in a FITS header, and of what headers are filled up to


def of(image: Image.Image, name: str, notes: list[str]) -> Samples:
    """How the samples are to be read. Adds a line to `notes` for each thing that Pillow leaves out.

    Raises BadImage, naming `name`, for samples that have no agreed look, or that Pillow reads wrongly.
    """
    if image.format == "PSD":
        return _of_psd(image, name, notes)
    if image.format == "FITS":
        _check_fits(image, name, notes)
    tags = getattr(image, "tag_v2", None)
    if tags:
        _look_for_extra(image, tags, notes)
    return tiffs.samples(tags, name)


def _of_psd(image: Image.Image, name: str, notes: list[str]) -> Samples:
    header = boxes.read(image, 0, 26)
    if len(header) == 26:
        (channels,), (mode,) = struct.unpack_from(">H", header, 12), struct.unpack_from(">H", header, 24)
        if mode == _PSD_MULTICHANNEL:
            raise BadImage(f"{name}: a PSD of multichannel mode, in which no channel is agreed to be a colour")
        if mode == _PSD_DUOTONE:
            notes.append("the inks of a duotone were left out, so it is gray")
        _say_kept(len(image.getbands()), channels, notes)
    return Samples(inverted=image.mode == "1")  # a bitmap: in a PSD 1 is black


def _look_for_extra(image: Image.Image, tags: Any, notes: list[str]) -> None:
    alpha = "A" in image.getbands()
    channels, colours = tiffs.channels(tags)
    _say_kept(colours + alpha, channels, notes)
    if alpha and tiffs.is_premultiplied(tags):
        notes.append(DIVIDED)


def _say_kept(kept: int, channels: int, notes: list[str]) -> None:
    if kept < channels:
        notes.append(f"only {kept} of {channels} channels were coded")


def _check_fits(image: Image.Image, name: str, notes: list[str]) -> None:
    """A sample of FITS is BZERO + BSCALE x what is stored, which is signed if it has 16 bits; Pillow knows neither."""
    cards = dict(_cards(image))
    shift, scale = cards.get(b"BZERO", b"0"), cards.get(b"BSCALE", b"1")
    if _number(shift) != 0 or _number(scale) != 1:
        raise BadImage(f"{name}: a FITS file with BZERO or BSCALE, which are not applied; convert it first")
    if image.mode.startswith("I;16"):
        raise BadImage(f"{name}: signed samples, in which no value is agreed to be white")
    planes = cards.get(b"NAXIS3", b"1")
    if planes != b"1":
        notes.append(f"only the first of {int(planes)} planes was coded")


def _number(value: bytes) -> float:
    return float(value.replace(b"D", b"E"))  # as Fortran writes it


def _cards(image: Image.Image) -> Iterator[tuple[bytes, bytes]]:
    """Word and value of each line in the headers of a FITS file that stand before the samples."""
    tiles = getattr(image, "tile", None)
    for start in range(0, tiles[0].offset if tiles else 0, _BLOCK):
        block = boxes.read(image, start, _BLOCK)
        if not block:
            return
        for card in (block[at : at + _CARD] for at in range(0, len(block), _CARD)):
            if card[8:9] == b"=":
                yield card[:8].strip(), card[9:].split(b"/")[0].strip()
