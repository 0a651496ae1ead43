"""How many pictures a second: one worker against several, in one process run.

    python bench/batch.py [IMAGES] [-n COUNT]       on an idle machine

Prints pictures and megapixels a second for each number of workers, of one thread each; medians of three.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import nicodec
from nicodec.bench.photographs import find_images, load, photographs
from nicodec.workers import cores

REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", type=Path, help="pictures and folders; default: scikit-image's")
    parser.add_argument("-n", type=int, default=48, help="pictures to code")
    arguments = parser.parse_args()
    paths = find_images(arguments.images) if arguments.images else photographs()
    loaded = [np.asarray(load(path)[0]) for path in paths]
    pictures = [loaded[i % len(loaded)] for i in range(arguments.n)]
    megapixels = sum(p.shape[0] * p.shape[1] for p in pictures) / 1e6
    codec = nicodec.Codec()
    files = [f for f in codec.encode_many(pictures) if isinstance(f, bytes)]
    table = Table("workers", "encode", "", "decode", "", "against one")
    first: list[float] = []
    for workers in sorted({1, 2, cores()}):
        times: list[list[float]] = [[], []]
        for _ in range(REPEATS):
            for way, work in enumerate((codec.encode_many, codec.decode_many)):
                start = time.perf_counter()
                for result in work(pictures if way == 0 else files, workers=workers):  # type: ignore[operator]
                    assert not isinstance(result, nicodec.NicError)
                times[way].append(time.perf_counter() - start)
        seconds = [statistics.median(t) for t in times]
        first = first or seconds
        gains = " / ".join(f"{a / b:.2f} ×" for a, b in zip(first, seconds, strict=True))
        cells = [f(s) for s in seconds for f in (lambda s: f"{len(files) / s:.1f} pictures/s",
                                                 lambda s: f"{megapixels / s:.2f} Mpx/s")]  # fmt: skip
        table.add_row(str(workers), *cells, gains)
    Console().print(table)


if __name__ == "__main__":
    main()
