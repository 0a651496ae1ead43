"""Effort above 1: the file of a refined latent, where it costs less than the plain file.

Between `codec` and `nn.refine`, which needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nicodec import extras, nn
from nicodec.bitstream.container import CELL, File
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.tiles import Box
from nicodec.coding.encoded import Coded
from nicodec.errors import NicError
from nicodec.model.backends import Networks
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture

if TYPE_CHECKING:
    from nicodec.nn.refine import Refiner

# Takes the share done, and the share of the cost that is left.
Progress: TypeAlias = Callable[[float, float], None]


def check(effort: object) -> None:
    """Raise NicError for an impossible effort, and MissingExtra without torch. Loads nothing."""
    whole = isinstance(effort, int | np.integer) and not isinstance(effort, bool)
    if not whole or not 1 <= int(effort) <= 9:  # type: ignore[call-overload]
        raise NicError(f"effort must be a whole number from 1 to 9, not {effort!r}")
    if effort != 1 and not extras.is_installed("torch"):
        raise extras.missing("torch", "train", f"effort={effort}")


class Effort:
    """Refines the pictures of one model. The torch model is made for the first picture, and kept.

    networks, tables: those that code the picture. device: of torch.
    """

    def __init__(self, checkpoint: Checkpoint, networks: Networks, tables: Tables, device: str) -> None:
        self._arguments = checkpoint, networks, tables, device
        self._refiner: Refiner | None = None

    def coder(
        self,
        code: Callable[[int, Callable[..., None] | None], Coded],
        psnr: Callable[[File], float],
        picture: Picture,
        effort: int,
        progress: Progress | None,
    ) -> Callable[[int], Coded]:
        """The function that codes a picture at a quality in hundredths, plainly, or with effort whichever costs less.

        code: codes at a quality, and shows each band of its latent to a function, which may change it. psnr: of a
        file, in dB. progress: as for `Codec.encode`.
        """
        height = picture.pixels.shape[0]

        def told(band: Box, *_: object) -> None:
            if progress is not None:
                progress(min(1.0, band.bottom * CELL / height), 1.0)

        def cheaper(q: int) -> Coded:
            refinement = self._refiner_for(effort).picture(picture, q, effort, progress)
            tried = code(q, None), code(q, refinement)
            return min(tried, key=lambda made: refinement.cost(made.file.size, psnr(made.file)))

        return (lambda q: code(q, told)) if effort == 1 else cheaper

    def _refiner_for(self, effort: int) -> Refiner:
        if self._refiner is None:
            self._refiner = nn.load("refine", f"effort={effort}").Refiner(*self._arguments)
        assert self._refiner is not None
        return self._refiner
