"""Draws docs/natural.png: python bench/natural.py OUT.png. Crops of photographs as faithful and as natural pictures.

Each is at two rates beside AVIF tuned for SSIM with no more bytes. The whole picture is coded. The photographs come
from scikit-image (astronaut: NASA; rocket: SpaceX; chelsea, gravel: CC0) and scikit-learn (china: danielbuechele, CC
BY 2.0).
"""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path

import numpy as np

import nicodec
from nicodec.bench import photographs
from nicodec.bench.coders import Coder, coders
from nicodec.bench.comparison import best_within
from nicodec.picture import PilImage, metrics
from nicodec.picture.sheet import side_by_side

RATES, SIDE = (0.15, 0.3), 144
# What a crop shows -> the package, its file, and the left top corner.
CROPS = {
    "foliage": ("sklearn", "datasets/images/china.jpg", 400, 280),
    "water": ("sklearn", "datasets/images/china.jpg", 360, 205),
    "sky": ("skimage", "data/rocket.jpg", 440, 70),
    "face, skin": ("skimage", "data/astronaut.png", 162, 72),
    "hair": ("skimage", "data/astronaut.png", 140, 10),
    "lettering": ("skimage", "data/astronaut.png", 120, 340),
    "fur": ("skimage", "data/chelsea.png", 120, 70),
    "stone": ("skimage", "data/gravel.png", 200, 200),
}


def opened(package: str, file: str) -> PilImage:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"needs {package}")
    image, _ = photographs.load(Path(spec.origin).parent / file)  # without metadata, whose bytes would count
    return image


def versions(image: PilImage, bpp: float, codec: nicodec.Codec, avif: Coder) -> list[tuple[str, PilImage]]:
    """AVIF, the faithful and the natural picture of one rate, each with its label."""
    try:
        data = codec.encode(image, target_bpp=bpp, lossless=False)
    except nicodec.TargetMissed:  # of gravel the smallest file is larger
        data = codec.encode(image, quality=0, lossless=False)
    _, other = best_within(partial(avif.encode, avif.given(image)), len(data))
    found = [("AVIF", len(other), avif.back(other, image))]
    found += [(name, len(data), codec.decode(data, natural=n)) for name, n in (("faithful", 0), ("natural", 1))]
    before, size = np.asarray(image), image.size
    return [
        (f"{name}  {metrics.bpp(count, *size):.2f} bpp  {metrics.psnr(before, np.asarray(back)):.1f} dB", back)
        for name, count, back in found
    ]


def main() -> None:
    codec = nicodec.Codec("photo", threads=1)
    (avif,) = (row for row in coders(tunes=("ssim",)) if row.name == "avif-ssim")
    made: dict[str, list[tuple[str, PilImage]]] = {}
    sheet = []
    for name, (package, file, x, y) in CROPS.items():
        image = opened(package, file)
        if file not in made:
            made[file] = [version for bpp in RATES for version in versions(image, bpp, codec, avif)]
            print(file, *(label for label, _ in made[file]), sep="\n  ", flush=True)
        box = (x, y, x + SIDE, y + SIDE)
        sheet.append([(label, back.crop(box).convert("RGB")) for label, back in [(name, image), *made[file]]])
    Path(sys.argv[1]).write_bytes(side_by_side(sheet, panel_width=SIDE))


if __name__ == "__main__":
    main()
