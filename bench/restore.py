"""How well models restore damaged pictures, beside the usual filters: PSNR against the clean pictures, in one run.

    python bench/restore.py noise:25 MODEL.nicmodel PICTURES... -o OUT
    python bench/restore.py holes:32 MODEL.nicmodel PICTURES... -o OUT --first 12
    python bench/restore.py noise:25 MODEL.nicmodel chelsea.png@150,60 -o OUT --sheet SHEET.jpg

OUT gets `DAMAGE.json` and `DAMAGE.txt`. A sheet shows crops: clean, damaged, filtered, restored; NAME@X,Y says where.
Damage has a fixed seed for each picture, and is rounded and clipped to 8 bits. Rates are of real files. PSNR is of RGB
in 8 bits, for each picture, then the mean. Inside of holes and lines is their own PSNR. Filters that need to know where
the damage is are told; models are not. Needs scikit-image.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from skimage import restoration

from nicodec import progress
from nicodec.codec import Codec
from nicodec.errors import NicError
from nicodec.picture.sheet import side_by_side
from nicodec.train.damage import Damage

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

QUALITIES = (50, 75, 90, 100)
# A model that does not restore is at its best where it can afford no noise.
FAITHFUL = (10, 20, 30)
# Holes are squares, about one in each block of this side; lines are stripes of up to so many rows.
BLOCK, THICK, GRAY = 112, 4, 128
# The side of a crop of a sheet.
CROP = 208


def damaged(damage: Damage, clean: Pixels, seed: int) -> tuple[Pixels, Mask]:
    """The damaged picture, and where it is damaged (H, W)."""
    rng = np.random.default_rng([2026, seed])
    height, width, _ = clean.shape
    made, where = clean.copy(), np.zeros((height, width), np.bool_)
    if damage.kind == "noise":
        noisy = np.rint(clean + rng.normal(0, damage.high, clean.shape))
        return np.clip(noisy, 0, 255).astype(np.uint8), ~where
    if damage.kind == "salt":
        draw = rng.random((height, width))
        where = draw < damage.high
        made[where] = np.where(draw[where] < damage.high / 2, 0, 255)[:, None]
    elif damage.kind == "lines":
        for _ in range(round(damage.high * height / ((1 + THICK) / 2))):
            top, thick = int(rng.integers(height)), int(rng.integers(1, THICK + 1))
            where[top : top + thick] = True
            made[top : top + thick] = int(rng.integers(256))
    else:
        side = int(damage.high)
        for top in range(0, height - BLOCK + 1, BLOCK):
            for left in range(0, width - BLOCK + 1, BLOCK):
                y, x = top + int(rng.integers(BLOCK - side)), left + int(rng.integers(BLOCK - side))
                where[y : y + side, x : x + side] = True
        made[where] = GRAY
    return made, where


def interpolated(picture: Pixels, where: Mask) -> Pixels:
    """Damaged rows from the nearest good ones above and below, linearly."""
    rows, made = np.arange(len(picture)), picture.astype(float)
    good = ~where.all(1)
    for x in range(picture.shape[1]):
        for c in range(3):
            made[:, x, c] = np.interp(rows, rows[good], picture[good, x, c])
    return np.rint(made).astype(np.uint8)


def filters(damage: Damage) -> dict[str, Callable[[Pixels, Mask], Pixels]]:
    """The usual filters for a kind of damage."""

    def means(picture: Pixels, _: Mask) -> Pixels:
        sigma = damage.high / 255
        found = restoration.denoise_nl_means(
            picture / 255, h=0.6 * sigma, sigma=sigma, patch_size=5, patch_distance=6, fast_mode=True, channel_axis=-1
        )
        return np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)

    def median(picture: Pixels, _: Mask) -> Pixels:
        return ndimage.median_filter(picture, (3, 3, 1))

    def biharmonic(picture: Pixels, where: Mask) -> Pixels:
        found = restoration.inpaint_biharmonic(picture / 255, where, split_into_regions=True, channel_axis=-1)
        return np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)

    return {
        "noise": {"non-local means": means},
        "salt": {"median 3x3": median},
        "lines": {"interpolation": interpolated},
        "holes": {"biharmonic": biharmonic},
    }[damage.kind]


def psnr(clean: Pixels, other: Pixels, where: Mask) -> float:
    """PSNR in dB over the pixels of a mask."""
    error = np.square(clean[where].astype(float) - other[where]).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def measure(damage: Damage, model: Codec, faithful: Codec | None, paths: list[Path]) -> dict[str, Any]:
    """Figures of all pictures: name -> PSNR of each, over all pixels and inside of the damage; rates of each."""
    whole: dict[str, list[float]] = {}
    inside: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}

    def note(name: str, clean: Pixels, other: Pixels, where: Mask, bpp: float | None = None) -> None:
        whole.setdefault(name, []).append(psnr(clean, other, np.ones_like(where)))
        inside.setdefault(name, []).append(psnr(clean, other, where))
        if bpp is not None:
            rates.setdefault(name, []).append(bpp)

    def back(codec: Codec, data: bytes) -> Pixels:
        made: Pixels = codec.decode(data, dtype=np.uint8)
        return made

    for number, path in enumerate(paths):
        progress.say(f"{path.name} ({number + 1} of {len(paths)})")
        clean = np.asarray(Image.open(path).convert("RGB"))
        bad, where = damaged(damage, clean, number)
        pixels = clean.shape[0] * clean.shape[1]
        note("damaged", clean, bad, where)
        for name, apply in filters(damage).items():
            note(name, clean, apply(bad, where), where)
        for quality in QUALITIES:
            data = model.encode(bad, quality=quality)
            note(f"restored, quality {quality}", clean, back(model, data), where, 8 * len(data) / pixels)
        data = model.encode(bad, target_bpp=1)
        note("restored, at most 1 bpp", clean, back(model, data), where, 8 * len(data) / pixels)
        for quality in () if faithful is None else FAITHFUL:
            data = faithful.encode(bad, quality=quality, lossless=False)
            note(f"{faithful.checkpoint.name}, quality {quality}", clean, back(faithful, data), where,
                 8 * len(data) / pixels)  # fmt: skip
    return {"whole": whole, "inside": inside, "bpp": rates}


def lines(word: str, found: dict[str, Any], names: list[str]) -> list[str]:
    """A table for people."""
    rows = [f"{word}, {len(names)} pictures: means", f"{'':34}{'PSNR, dB':>10}{'inside, dB':>12}{'bpp':>9}"]
    for name, values in found["whole"].items():
        bpp = found["bpp"].get(name)
        rate = "" if bpp is None else f"{np.mean(bpp):9.3f}"
        rows.append(f"{name:34}{np.mean(values):10.2f}{np.mean(found['inside'][name]):12.2f}{rate}")
    return rows


def sheet(damage: Damage, model: Codec, paths: list[Path], corners: list[tuple[int, int]]) -> bytes:
    """PNG: a row of crops for each picture, with the PSNR of the crop."""
    rows = []
    for number, (path, (x, y)) in enumerate(zip(paths, corners, strict=True)):
        clean = np.asarray(Image.open(path).convert("RGB"))
        bad, where = damaged(damage, clean, number)
        named = {"clean": clean, "damaged": bad}
        named |= {name: apply(bad, where) for name, apply in filters(damage).items()}
        named["restored"] = model.restore(bad, dtype=np.uint8)
        crop = (slice(y, y + CROP), slice(x, x + CROP))
        everywhere = np.ones((CROP, CROP), np.bool_)
        row = []
        for name, pixels in named.items():
            part = np.ascontiguousarray(pixels[crop])
            said = "" if name == "clean" else f"  {psnr(clean[crop], part, everywhere):.1f} dB"
            row.append((name + said, Image.fromarray(part)))
        rows.append(row)
    return side_by_side(rows, panel_width=CROP)


def corner(name: str) -> tuple[Path, tuple[int, int]]:
    """A picture, and the left top corner of its crop: NAME or NAME@X,Y."""
    path, _, place = name.partition("@")
    x, y = map(int, place.split(",")) if place else (0, 0)
    return Path(path), (x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("damage")
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--sheet", type=Path, help="draw crops, and measure nothing")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--first", type=int)
    parser.add_argument("--faithful", metavar="MODEL", help="a model that does not restore, for comparison")
    args = parser.parse_args()
    damage, begun = Damage.of(args.damage), time.process_time()
    model = Codec(args.model, threads=1)
    faithful = Codec(args.faithful, threads=1) if args.faithful else None
    given = [corner(name) for name in args.pictures]
    if args.sheet:
        drawn = sheet(damage, model, *map(list, zip(*given, strict=True)))
        Image.open(io.BytesIO(drawn)).save(args.sheet, quality=90)  # in the format of its suffix
        return
    paths = [p for each, _ in given for p in (sorted(each.iterdir()) if each.is_dir() else [each])]
    paths = paths[: args.first]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that pictures are restored
        found = measure(damage, model, faithful, paths)
    names = [path.name for path in paths]
    conditions = {
        "damage": args.damage,
        "model": model.checkpoint.identity[:16],
        "seal": model.checkpoint.sha256[:16],
        "restores": model.checkpoint.restores,
        "pictures": names,
        "seconds of processor time": round(time.process_time() - begun),
        "machine": platform.machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    stem, text = args.damage.replace(":", "-").replace("%", ""), lines(args.damage, found, names)
    (args.out / f"{stem}.json").write_text(json.dumps({"conditions": conditions, **found}, indent=1))
    (args.out / f"{stem}.txt").write_text("\n".join(text) + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    try:
        main()
    except NicError as error:
        sys.exit(str(error))
