"""The result of an encoder: the bytes of a file, and facts about them.

Last in `codec`. The search for a target makes several `Coded`, and only the best one is packed as `Encoded`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nicodec.bitstream import container
from nicodec.bitstream.container import File
from nicodec.coding.look import Look
from nicodec.picture.metrics import Cell


class Seen(NamedTuple):
    """The worst cell of a drawing in few colours, and its PSNR in dB: as a look at every cell tells."""

    worst: Cell
    psnr: float


class Coded(NamedTuple):
    """A file that is not packed yet, and the encoder's look at its picture; None if it is lossless."""

    file: File
    seen: Look | Seen | None


class Encoded(bytes):
    """The bytes of a .nic file, and facts about them.

    width, height: in pixels. quality: 0..100. lossless: whether all samples come back as they were. drawing:
    whether the file holds few colours and no latents. model_id: first 8 bytes of the id of the model, hexadecimal;
    None for a file that needs no model: a lossless one, or a drawing. worst_cell: the worst cell of 16 x 16 pixels
    that the encoder looked at; None if no cell was strange. psnr: in dB, in 8 bits, over all samples that are not under
    alpha 0; infinite for a lossless file, of others
    None without `check`, but for drawings.
    """

    width: int
    height: int
    quality: float
    lossless: bool
    drawing: bool
    model_id: str | None
    worst_cell: Cell | None
    psnr: float | None

    def __repr__(self) -> str:
        """Short, for notebooks: the bytes themselves would fill pages."""
        kind = "lossless" if self.lossless else f"quality {self.quality:g}"
        return f"<Encoded: {self.width}x{self.height}, {len(self):,} bytes, {kind}>"

    @classmethod
    def of(cls, coded: Coded, *, checked: bool) -> Encoded:
        """Packs the file. checked: whether the encoder looked at every cell."""
        data, header, seen = cls(container.pack(*coded.file)), coded.file.header, coded.seen
        data.width, data.height, data.quality = header.width, header.height, header.quality / 100
        data.lossless, data.drawing = seen is None, isinstance(seen, Seen)
        data.model_id = header.model.hex() if isinstance(seen, Look) else None
        data.worst_cell = None if seen is None else seen.worst
        data.psnr = math.inf if seen is None else seen.psnr if checked or data.drawing else None
        return data
