"""Held-out pictures -> crops of the source, of the model and of a rival at equal bytes, and small whole pictures.

Under the door of this room; `page` shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nicodec.bench import crops
from nicodec.bench.coders import Coder, measure
from nicodec.bench.photographs import load
from nicodec.bench.proof.numbers import Shot
from nicodec.picture import PilImage, reader, web

# Pictures that are shown, and the side of a crop in pixels.
COUNT, SIDE = 6, 128
# Qualities of the model: losses begin to show at the first. The next ones are for pictures so small or plain that the
# smallest file of the rival is more than so much larger.
QUALITIES, NEAR = (25, 45, 65, 85), 1.1
# The longest side of a small whole picture, in pixels.
SMALL = 240


class Crops(NamedTuple):
    """Data URIs of the same square in the source, and as the model and the rival decode it. side: in pixels."""

    source: str
    own: str
    rival: str
    side: int


def taken(paths: Sequence[Path], own: Coder, rival: Coder) -> list[tuple[Shot, Crops]]:
    """The first pictures, not the best: the square with most detail of each, from files of as equal bytes as can be."""
    found = []
    for number, path in enumerate(paths[:COUNT]):
        image, _ = load(path)
        for quality in QUALITIES:
            ours = measure(own, quality, image, path.name)
            setting = crops.nearest_setting(rival, image, ours.bpp)
            theirs = measure(rival, setting, image, path.name)
            if theirs.n_bytes <= NEAR * ours.n_bytes:
                break
        box = crops.busiest(image, min(SIDE, *image.size))
        source, first, second = (
            _embedded(picture.crop(box))
            for picture in (image, _again(own, quality, image), _again(rival, setting, image))
        )
        shot = Shot(number, quality, ours.n_bytes, ours.psnr, rival.label, theirs.n_bytes, theirs.psnr)
        found.append((shot, Crops(source, first, second, box[2] - box[0])))
    return found


def small(path: Path) -> str:
    """A data URI of a whole picture, made small."""
    image, _ = load(path)
    return web.thumbnail(reader.read(image), SMALL)


def _again(coder: Coder, setting: float, image: PilImage) -> PilImage:
    return coder.back(coder.encode(coder.given(image), setting), image)


def _embedded(image: PilImage) -> str:
    return web.embedded(reader.read(image))
