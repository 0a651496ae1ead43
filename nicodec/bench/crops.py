"""A sheet that shows one square of each picture, as each codec decodes it at one rate.

Beside `run`; measures with `coders` and draws with `picture.sheet`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nicodec import progress
from nicodec.bench import coders, photographs
from nicodec.bench.coders import Coder, Point, measure
from nicodec.bench.photographs import find_images, load
from nicodec.bench.run import choose
from nicodec.coding import targets
from nicodec.errors import NicError
from nicodec.picture import PilImage, metrics
from nicodec.picture.sheet import side_by_side
from nicodec.storage.files import atomic_write, shown

# Positions on a ladder, finer than any whole setting.
STEPS = 512


def crops(
    images: Sequence[Path] | None,
    out: Path,
    *,
    target_bpp: float = 0.2,
    side: int = 128,
    codecs: Sequence[str] | None = None,
    model: str = "photo",
    further: Sequence[str] = (),
    show_progress: bool = True,
) -> list[dict[str, Point]]:
    """Write one PNG to `out`: for each picture, one square of the original and of the result of each codec.

    images: as for `run`.
    target_bpp: each codec runs at the setting whose file of the whole picture is closest to this rate, 0..24 bits per
        pixel. The labels state the true rate.
    Transparent pictures are shown over gray squares, and compared where they are not clear.
    side: of the square, in pixels, or less in a smaller picture. The square lies where the picture has most detail.
    codecs: in this order; None for JPEG, AVIF and nicodec. model, further: as for `run`.

    Returns the measurements of each row, by name of the codec. Raises ValueError for an impossible rate or an unknown
    codec. Raises BadImage, MissingExtra as `photographs.photographs`, and NicError if none of the codecs can run here.
    """
    if not 0 < target_bpp <= 24:
        raise ValueError(f"a rate must be above 0 and at most 24 bits per pixel, not {target_bpp:g}")
    if out.parent.exists() and not out.parent.is_dir():
        raise NicError(f"{shown(out.parent)}: not a folder")
    codecs = codecs or ("jpeg", "avif", "nicodec")
    rows, _ = choose(coders.coders(model, further=further), codecs)
    rows.sort(key=lambda row: list(codecs).index(row.codec))
    paths = find_images(images) if images is not None else photographs.photographs()
    sheet: list[list[tuple[str, PilImage]]] = []
    found: list[dict[str, Point]] = []
    with progress.bar(len(paths) * len(rows), hidden=not show_progress) as advance:
        for path in paths:
            original, _ = load(path, alpha=True)
            box = busiest(original, min(side, *original.size))
            sheet.append([(path.stem.replace("_", " "), original.crop(box))])
            found.append({})
            for row in rows:
                setting = nearest_setting(row, original, target_bpp)
                point = found[-1][row.name] = measure(row, setting, original, path.name)
                back = row.back(row.encode(row.given(original), setting), original)
                without = "" if back.mode == original.mode else ", no alpha"
                label = f"{row.label}{without}  {point.bpp:.2f} bpp  {point.psnr:.1f} dB"
                sheet[-1].append((label, back.crop(box)))
                advance(f"{path.name} {row.name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, side_by_side(sheet), overwrite=True)
    return found


def busiest(image: PilImage, side: int) -> tuple[int, int, int, int]:
    """The square with most detail on a grid of half its side: left, top, right, bottom."""
    gray = np.asarray(image.convert("L"), np.float32)
    detail = np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1]
    places = [
        (x, y, x + side, y + side)
        for y in range(0, image.height - side + 1, max(1, side // 2))
        for x in range(0, image.width - side + 1, max(1, side // 2))
    ]
    return max(places, key=lambda box: float(detail[box[1] : box[3] - 1, box[0] : box[2] - 1].sum()))


def nearest_setting(row: Coder, image: PilImage, target_bpp: float) -> float:
    """The setting with the nearest rate, among all that the search tries."""
    tried: dict[float, float] = {}

    def rate(step: int) -> float:
        setting = row.setting(step / STEPS)
        if setting not in tried:
            tried[setting] = math.log(metrics.bpp(len(row.encode(row.given(image), setting)), *image.size) / target_bpp)
        return tried[setting]

    targets.crossing(rate, 0, STEPS)
    return min(tried, key=lambda setting: abs(tried[setting]))
