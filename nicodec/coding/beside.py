"""Alpha, patches, flats and metadata <-> their chunks, exactly.

Between `codec` and `bitstream`. These chunks travel beside the coded colours, last in a file.
"""

from __future__ import annotations

import numpy as np

from nicodec.bitstream import alpha, container, flats, patches
from nicodec.bitstream.container import Chunk, File, Kind
from nicodec.bitstream.flats import Flats
from nicodec.bitstream.patches import Patches
from nicodec.coding.painting import View
from nicodec.picture import Picture, Samples, eight, writer

METADATA = (Kind.ICC, Kind.EXIF, Kind.XMP)


def chunks(picture: Picture, mended: Patches | None, flat: Flats | None, *, strip: bool) -> list[Chunk]:
    """The chunks after the tiles, in the order of the file. mended: patches. strip: leave out the metadata."""
    sent = []
    if picture.alpha is not None:
        sent.append(Chunk(Kind.ALPHA, alpha.encode(picture.alpha)))
    if mended is not None:
        sent.append(Chunk(Kind.PATCHES, patches.encode(mended)))
    if flat is not None:
        sent.append(Chunk(Kind.FLATS, flats.encode(flat)))
    for kind, blob in zip(METADATA, (picture.icc, picture.exif, picture.xmp), strict=True):
        if blob and not strip:
            sent.append(Chunk(kind, container.deflate(blob)))
    return sent


def metadata(file: File) -> tuple[bytes | None, ...]:
    """ICC, EXIF and XMP of a file, each None if it has none. Raises BadFile or LimitExceeded."""
    return tuple(file.metadata(kind) for kind in METADATA)


def picture(file: File, samples: Samples) -> Picture:
    """The decoded array of a file, (H, W) or (H, W, 2 to 4), with its metadata."""
    whole = samples.reshape(*samples.shape[:2], -1)
    colours = file.header.channels
    alpha = np.ascontiguousarray(whole[:, :, -1]) if whole.shape[2] > colours else None
    return Picture(np.ascontiguousarray(whole[:, :, :colours]), alpha, *metadata(file))  # type: ignore[arg-type]


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
