"""Effort above 1: the file of a refined latent, where it costs less than the plain file.

Between `codec` and `coding.refine`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nicodec.bitstream.container import CELL, File
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.tiles import Box
from nicodec.coding.crew import Crew
from nicodec.coding.encoded import Coded
from nicodec.coding.rates import Rates
from nicodec.coding.refine import Refinement
from nicodec.errors import NicError
from nicodec.model.backends import BACKWARDS
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture
from nicodec.storage.files import shown

# Steps by effort. Effort 1 is the plain forward pass.
STEPS = {1: 0, 2: 10, 3: 20, 4: 40, 5: 80, 6: 160, 7: 320, 8: 640, 9: 1280}

# Takes the share done, and the share of the cost that is left.
Progress: TypeAlias = Callable[[float, float], None]


def check(effort: object, checkpoint: Checkpoint) -> None:
    """Raise NicError for an impossible effort, or for one above 1 with a model that has no gradients."""
    whole = isinstance(effort, int | np.integer) and not isinstance(effort, bool)
    if not whole or int(effort) not in STEPS:  # type: ignore[call-overload]
        raise NicError(f"effort must be a whole number from 1 to 9, not {effort!r}")
    if effort != 1 and not checkpoint.tensors.keys() >= {f"graph.{name}" for name in BACKWARDS}:
        raise NicError(f"the model {shown(checkpoint.name)} has no gradients, so effort={effort} is not possible")


class Effort:
    """Refines the pictures of one model. crew: whose gradients are of the CPU. tables: those that code the symbols."""

    def __init__(self, crew: Crew, tables: Tables) -> None:
        self._crew, self._tables = crew, tables

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
            refinement = Refinement(self._crew, Rates(self._tables), picture, q, STEPS[effort], progress)
            tried = code(q, None), code(q, refinement)
            return min(tried, key=lambda made: refinement.cost(made.file.size, psnr(made.file)))

        return (lambda q: code(q, told)) if effort == 1 else cheaper
