"""Alpha, patches, flats and metadata <-> their chunks, exactly.

Between `codec` and `bitstream`. These chunks travel beside the coded colours, last in a file.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from nicodec.bitstream import alpha, container, flats, patches
from nicodec.bitstream.container import Chunk, File, Kind
from nicodec.bitstream.flats import Flats
from nicodec.bitstream.patches import Patches
from nicodec.coding.painting import View
from nicodec.errors import warn
from nicodec.picture import Beside, Picture, Samples, eight, writer
from nicodec.picture.beside import metadata as fitting

METADATA = {Kind[field.name.upper()]: field.name for field in fields(Beside)}
"""The kind of chunk of each field of `Beside`, in the order of a file."""


def chunks(picture: Picture, mended: Patches | None, flat: Flats | None, correction: list[Chunk]) -> list[Chunk]:
    """The chunks after the tiles, in the order of the file. mended: patches. correction: its chunk, if there is one."""
    sent = []
    if picture.alpha is not None:
        sent.append(Chunk(Kind.ALPHA, alpha.encode(picture.alpha)))
    if mended is not None:
        sent.append(Chunk(Kind.PATCHES, patches.encode(mended)))
    if flat is not None:
        sent.append(Chunk(Kind.FLATS, flats.encode(flat)))
    sent.extend(correction)
    for kind, name in METADATA.items():
        if blob := getattr(picture.beside, name):
            sent.append(Chunk(kind, container.deflate(blob)))
    return sent


def metadata(file: File, wanted: View | None = None, *, bare: bool = False) -> Beside:
    """What a file holds beside the samples; for a view that is not the whole, made to fit it.

    bare: nothing is wanted. Warns of what cannot be made to fit and is left out. Raises BadFile or LimitExceeded.
    """
    if bare:
        return Beside()
    found = Beside(**{name: file.metadata(kind) for kind, name in METADATA.items()})
    if wanted is None or wanted.area == (0, 0, file.header.height, file.header.width):
        return found
    notes: list[str] = []
    area = wanted.area
    found = fitting.fitted(found, area.columns, area.rows, cut=wanted.shrink == 1, notes=notes)
    for note in notes:
        warn(note)
    return found


def picture(file: File, samples: Samples, wanted: View) -> Picture:
    """The decoded array of a view of a file, (H, W) or (H, W, 2 to 4), with its metadata."""
    whole = samples.reshape(*samples.shape[:2], -1)
    colours = file.header.channels
    alpha = np.ascontiguousarray(whole[:, :, -1]) if whole.shape[2] > colours else None
    return Picture(np.ascontiguousarray(whole[:, :, :colours]), alpha, metadata(file, wanted))


def clear(file: File, wanted: View) -> Samples | None:
    """Alpha (h, w) of a view, or None; a preview takes means. Raises BadFile."""
    sent = file.extra(Kind.ALPHA)
    if sent is None:
        return None
    plane = alpha.decode(sent, file.header.width, file.header.height)
    if wanted.shrink > 1:
        return writer.reduced(eight(plane), wanted.shrink)
    area = wanted.area
    return plane[area.top : area.bottom, area.left : area.right]
