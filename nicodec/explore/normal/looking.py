"""A file -> what was found in it, with its map as a file and as pictures of a page.

Between the command `anomaly check`, whose processes run it, and `checking`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nicodec.explore.normal import checking
from nicodec.explore.normal.checking import Finding
from nicodec.explore.normal.learning import Item, pixels_of
from nicodec.explore.normal.normal import Normal
from nicodec.picture import Picture, web, writer

# The longer side of the pictures of a page, in pixels.
SIDE = 360


@dataclass(frozen=True, eq=False)
class Seen:
    """source: the name of the file. picture, map: data URIs for a page, or ""."""

    source: str
    finding: Finding
    picture: str = ""
    map: str = ""


@dataclass(frozen=True)
class Look:
    """A file -> what was found. normal: what was learnt. model: where its model is. pairs: each has its template.

    page: make the pictures of a page. write: keeps the map of an item, a PNG. Raises NicError.
    """

    normal: Normal
    model: str | None
    pairs: bool
    page: bool
    write: Callable[[Any, bytes], None]

    def __call__(self, item: Item) -> Seen:
        normal, codec = self.normal, checking.codec_of(self.normal, self.model)
        pixels = pixels_of(item.source, codec)
        template = pixels_of(item.template, codec) if self.pairs else None
        finding = checking.check(pixels, normal, codec, template)
        scale = normal.pairs if self.pairs else normal.scale
        middle = scale.threshold(normal.false_alarms)
        if item.target:
            light = checking.light(finding, scale, middle)
            gray = np.rint(light * 65535).astype(np.uint16)[:, :, None]
            png = writer.encoded_deep(Picture(np.ascontiguousarray(gray)), "png")
            self.write(item, png)
        if not self.page:
            return Seen(item.source, finding)
        factor = min(1, SIDE / max(finding.width, finding.height))
        size = max(1, round(finding.width * factor)), max(1, round(finding.height * factor))
        light = checking.light(finding, scale, middle, size)
        drawn = web.heat_map(np.rint(light * 255).astype(np.uint8), 255)
        return Seen(item.source, finding, web.thumbnail(Picture(pixels), SIDE), drawn)


def facts_of(seen: Seen, threshold: float) -> dict[str, Any]:
    """For JSON. A box is x, y, width and height in pixels, and its score."""
    boxes = [[*box[:4], round(box[4], 4)] for box in seen.finding.boxes(threshold)]
    score = seen.finding.score
    return {"file": seen.source, "score": score, "threshold": threshold, "flagged": score > threshold, "boxes": boxes}
