"""Effort above 1: the file of a refined latent, where it costs less than the plain file.

Between `codec` and `nn.refine`, which needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nicodec import extras, nn
from nicodec.bitstream.entropy import Tables
from nicodec.errors import NicError
from nicodec.model.backends import Networks
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture

if TYPE_CHECKING:
    from nicodec.nn.refine import Refinement, Refiner

Coded = TypeVar("Coded")


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

    def cheaper(
        self,
        code: Callable[[Refinement | None], Coded],
        measured: Callable[[Coded], tuple[int, float]],
        picture: Picture,
        q: int,
        effort: int,
        progress: Callable[[float, float], None] | None,
    ) -> Coded:
        """Code a picture twice, plainly and refined, and give back the file that costs less.

        code: makes a file with a refinement of its latent, or without. measured: the bytes of a file, and its PSNR
        in dB. q: quality in hundredths. progress: as for `Codec.encode`.
        """
        if self._refiner is None:
            self._refiner = nn.load("refine", f"effort={effort}").Refiner(*self._arguments)
        assert self._refiner is not None
        refinement = self._refiner.picture(picture, q, effort, progress)
        return min((code(None), code(refinement)), key=lambda made: refinement.cost(*measured(made)))
