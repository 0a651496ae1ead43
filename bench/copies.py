"""How well copies are found: python bench/copies.py PICTURES [COUNT], with PICTURES a folder or a tar file.

Of each picture eight copies are made. Printed are the share of copies that `nicodec duplicates` would find, and the
unlike pairs that it would take for copies. For parts of pictures it prints how often `nicodec similar` names the right
one first. docs/EXPLORE.md has the results.
"""

from __future__ import annotations

import io
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from nicodec.api import codec_of
from nicodec.explore import duplicates, query, search, sketch
from nicodec.picture import reader

PARTS = {"70 % of each side": 0.7, "30 % of the area": 0.3**0.5}


def pictures(source: Path, count: int) -> Iterator[Image.Image]:
    """The first pictures of a folder or a tar file."""
    if source.is_dir():
        files: Iterator[object] = iter(sorted(path for path in source.rglob("*.*") if path.is_file()))
    else:
        archive = tarfile.open(source)  # noqa: SIM115 - read until the program ends
        files = (archive.extractfile(member) for member in archive if member.isfile())
    for file, _ in zip(files, range(count), strict=False):
        yield Image.open(file).convert("RGB")  # type: ignore[arg-type]


def copies(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Each kind of copy, by its name."""
    width, height = image.size

    def part(share: float) -> Image.Image:
        w, h = round(share * width), round(share * height)
        left, top = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
        return image.crop((left, top, left + w, top + h))

    coded = io.BytesIO()
    image.save(coded, "JPEG", quality=30)
    yield "JPEG of quality 30", Image.open(coded).convert("RGB")
    yield "half the size", image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    yield "gray", image.convert("L")
    yield "brighter, 1.25 x + 10", image.point(lambda value: min(255, round(1.25 * value + 10)))
    yield "framed, 5 % white", ImageOps.expand(image, round(0.05 * max(image.size)), "white")
    yield "90 % of each side", part(0.9)
    yield "mirrored", ImageOps.mirror(image)
    yield "turned by 90 degrees", image.transpose(Image.Transpose.ROTATE_90)
    for name, share in PARTS.items():
        yield name, part(share)


def main(source: str, count: int = 200) -> None:
    codec, rng, taken = codec_of(sketch.MODEL, 1), np.random.default_rng(1), []
    hashes: dict[str, list[np.ndarray]] = {}
    vectors: dict[str, list[np.ndarray]] = {}
    queries: dict[str, list[query.Query]] = {}
    for image in pictures(Path(source), count):
        for name, copy in (("", image), *copies(image, rng)):
            picture = reader.read(np.asarray(copy))
            began = time.perf_counter()
            found = sketch.of(picture, codec)
            taken.append(time.perf_counter() - began)
            hashes.setdefault(name, []).append(found.hash)
            vectors.setdefault(name, []).append(found.vector)
            if name in PARTS:
                queries.setdefault(name, []).append(query.of(picture, codec))
    number = len(vectors[""])
    own = np.stack(hashes[""]), np.stack(vectors[""])
    print(f"{number} pictures; {1000 * np.median(taken):.0f} ms for a sketch, in the middle")
    unlike, wrong = 0, 0
    for name in hashes:
        alike = near(*own, np.stack(hashes[name]), np.stack(vectors[name]))
        hits = np.diag(alike).sum()
        if name not in PARTS:
            unlike, wrong = unlike + number * (number - 1), wrong + alike.sum() - hits
        print(f"{name or 'itself':24}{hits / number:7.3f}")
    print(f"{wrong} of {unlike:,} unlike pairs taken for copies")
    for name, each in queries.items():
        first = [
            search.nearest(each_one.away, [(range(number), own[1])], 1)[0][1] == n for n, each_one in enumerate(each)
        ]
        print(f"similar, {name}: the right one first {np.mean(first):.3f}")


def near(hashes: np.ndarray, vectors: np.ndarray, others: np.ndarray, their: np.ndarray) -> np.ndarray:
    """Whether `duplicates` ties each picture to each copy, bool (N, N)."""
    a, b = (np.unpackbits(each, axis=1).astype(bool) for each in (hashes, others))
    ones = np.where(a, 1.0, -1.0).astype(np.float32)
    off = [(a.shape[1] - ones @ np.where(sketch.turned_bits(b, *turn), 1.0, -1.0).T) / 2 for turn in sketch.TURNS]
    tied = search.distances(vectors.astype(np.float32), their.astype(np.float32)) <= duplicates.VECTOR
    tied &= off[0] <= duplicates.LOOSE
    turns = np.argmin(off, axis=0)
    for i, j in zip(*np.nonzero(np.min(off, axis=0) <= duplicates.HASH), strict=True):
        tied[i, j] |= sketch.layout_off(vectors[i], their[j], sketch.TURNS[turns[i, j]]) <= duplicates.PLACES
    result: np.ndarray = tied & search.telling(hashes)[:, None] & search.telling(others)
    return result


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
