"""A picture -> the same picture restored, by a model that has learnt to: what such a model's encoder leaves out.

Beside the steps of `codec`. A faithful encoder compares what it made with its source; here the source is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt
from numpy.typing import DTypeLike

from nicodec.bitstream.container import File, Kind
from nicodec.bitstream.tiles import Box
from nicodec.coding.encoded import Encoded
from nicodec.coding.look import Familiar, Look
from nicodec.coding.targets import Wish
from nicodec.errors import NicError, holding, warn
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Picture, PilImage, Samples, Source
from nicodec.storage.files import shown

# The quality at which pictures are restored, unless told otherwise. It is the best one on held-out pictures (LOG.md).
QUALITY = 100.0


class Blind(Look):
    """A look at nothing: cells that differ from the damaged source are no mistakes, and none is sent as it was."""

    def __init__(
        self, picture: Picture, q: int, familiar: Familiar, *, everywhere: bool = False, threads: int = 1
    ) -> None:
        super().__init__(picture, q, familiar)
        self._strange[:] = False

    @property
    def flats(self) -> None:
        """None: a cell that is flat in the damaged picture need not be."""

    def notice(self, band: Box, latent: npt.NDArray[np.float32]) -> None:
        """Nothing is strange."""


def look_of(model: Checkpoint) -> Callable[..., Look]:
    """The look of an encoder: that of a model that restores sees nothing."""
    return Blind if model.restores else Look


def asked(model: Checkpoint, wish: Wish, effort: int, check: bool) -> Wish:
    """What is asked of an encoder. With a model that restores, a file without loss is made only where it is asked for.

    Raises NicError for what would compare a restored picture with its damaged source.
    """
    if not model.restores or wish.lossless:
        return wish
    against = {"target_psnr": wish.target is not None and not wish.target.size, "effort": effort > 1, "check": check}
    if given := [name for name, is_given in against.items() if is_given]:
        raise NicError(
            f"{shown(model.name)} restores pictures, so its result cannot be compared with the source:"
            f" leave out {', '.join(given)}"
        )
    warn(_said(model))
    return replace(wish, lossless=False)


def opened(model: Checkpoint, file: File) -> File:
    """A file as a model decodes it: one of another model comes out restored, which is said.

    A correction was fitted to the damaged picture, and patches and flat cells hold parts of it, so they are left out.
    """
    if model.decodes and file.of_samples:
        warn("the file holds samples and no latents, so nothing is restored")
    if file.of_samples or file.header.model == model.id or not model.restores_files_of(file.header.model):
        return file
    warn(_said(model))
    of_the_damage = (Kind.CORRECTION, Kind.PATCHES, Kind.FLATS)
    return file._replace(chunks=[chunk for chunk in file.chunks if chunk.kind not in of_the_damage])


def _said(model: Checkpoint) -> str:
    return f"the picture is restored: {shown(model.name)} takes away {shown(model.restores)}, and what looks like it"


class Codec(Protocol):
    """What of a codec restores a picture."""

    @property
    def checkpoint(self) -> Checkpoint: ...
    @property
    def encode(self) -> Callable[..., Encoded]: ...
    @property
    def decode(self) -> Callable[..., Any]: ...


@overload
def restore(
    codec: Codec,
    source: Source | Picture,
    *,
    quality: float | None = None,
    strip: bool = False,
    strip_gps: bool = False,
    max_pixels: int | None = None,
) -> PilImage: ...
@overload
def restore(
    codec: Codec,
    source: Source | Picture,
    *,
    dtype: DTypeLike,
    quality: float | None = None,
    strip: bool = False,
    strip_gps: bool = False,
    max_pixels: int | None = None,
) -> Samples: ...
def restore(
    codec: Codec,
    source: Source | Picture,
    *,
    dtype: DTypeLike = None,
    quality: float | None = None,
    strip: bool = False,
    strip_gps: bool = False,
    max_pixels: int | None = None,
) -> PilImage | Samples:
    """A damaged picture -> the restored one, as a Pillow image with its metadata; no file lies between.

    It is what `decode` makes of what `encode` makes. quality: 0..100; None: QUALITY. dtype: np.uint8 or np.uint16, for
    an array in place of an image. strip, strip_gps, max_pixels: as for `encode`. Raises NicError for a model that has
    not learnt to restore, and as `encode` and `decode`.
    """
    data = coded(codec, source, quality=quality, strip=strip, strip_gps=strip_gps, max_pixels=max_pixels)
    made: PilImage | Samples = codec.decode(data, dtype=dtype, max_pixels=data.width * data.height)
    return made


def coded(codec: Codec, source: Source | Picture, *, quality: float | None = None, **options: Any) -> Encoded:
    """The file between, in memory. Arguments and errors are those of `restore`."""
    check(codec.checkpoint)
    with holding() as told:  # that the picture is restored need not be said here
        data = codec.encode(source, quality=QUALITY if quality is None else quality, **options)
    for text, category in told:
        if text != _said(codec.checkpoint):
            warn(text, category)
    return data


def check(model: Checkpoint) -> None:
    """Raise NicError for a model that has not learnt to restore."""
    if not model.restores:
        raise NicError(
            f"{shown(model.name)} has not learnt to restore pictures; nicodec train --clean-from makes a model that has"
        )
