"""The result of an encoder: the bytes of a file, and facts about them.

Last in `codec`. The search for a target makes several `Coded`, and only the best one is packed as `Encoded`.
"""

from __future__ import annotations

from typing import NamedTuple

from nicodec.bitstream import container
from nicodec.bitstream.container import File
from nicodec.coding.look import Look
from nicodec.picture.metrics import Cell


class Coded(NamedTuple):
    """A file that is not packed yet, and the encoder's look at the picture that it decodes to."""

    file: File
    seen: Look


class Encoded(bytes):
    """The bytes of a .nic file, and facts about them.

    width, height: in pixels. quality: 0..100. worst_cell: the worst cell of 16 x 16 pixels that the encoder looked
    at; None if no cell was strange. psnr: in dB, over all samples that are not under alpha 0; None without `check`.
    """

    width: int
    height: int
    quality: float
    worst_cell: Cell | None
    psnr: float | None

    @classmethod
    def of(cls, coded: Coded, *, checked: bool) -> Encoded:
        """Packs the file. checked: whether the encoder looked at every cell."""
        data, header = cls(container.pack(*coded.file)), coded.file.header
        data.width, data.height, data.quality = header.width, header.height, header.quality / 100
        data.worst_cell, data.psnr = coded.seen.worst, coded.seen.psnr if checked else None
        return data
