"""What the samples of a file mean where Pillow does not tell: channels that it leaves out, black and white.

Under `reader`, above `tiffs`. A Pillow image that is not loaded yet comes in.
"""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image

from nicodec.errors import BadImage
from nicodec.picture.files import boxes, tiffs
from nicodec.picture.files.tiffs import Samples

DIVIDED = "colours premultiplied with alpha were divided by it"

_PSD_MULTICHANNEL, _PSD_DUOTONE = 7, 8


def of(image: Image.Image, name: str, notes: list[str]) -> Samples:
    """How the samples are to be read. Adds a line to `notes` for each thing that Pillow leaves out.

    Raises BadImage, naming `name`, for samples that have no agreed look, or that Pillow reads wrongly.
    """
    if image.format == "PSD":
        return _of_psd(image, name, notes)
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
