"""How many pictures a second: one worker against several, in one process run.

    python bench/batch.py [IMAGES] [-n COUNT]       on an idle machine

Prints pictures and megapixels a second for each number of workers, of one thread each; medians of three.
Where Ray is installed, the same work from files to files follows, by processes and on a Ray cluster of this
machine alone: what that takes more, to begin and for each picture.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import nicodec
from nicodec.bench.photographs import find_images, load, photographs
from nicodec.cli import jobs
from nicodec.cli.plan import Job
from nicodec.parallel.cluster import Cluster
from nicodec.parallel.processes import Local
from nicodec.parallel.threads import cores

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
    if find_spec("ray"):
        with tempfile.TemporaryDirectory() as folder:
            Console().print(beside_ray(codec, pictures, Path(folder)))


def beside_ray(codec: nicodec.Codec, pictures: list[np.ndarray], folder: Path) -> Table:
    """Encoding of all pictures with a worker for each core: by processes of this one, and by Ray Data."""
    todo = []
    for n, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{n}.png", compress_level=1)
        todo.append(Job(str(folder / f"{n}.png"), str(folder / f"{n}.nic")))
    work = jobs.Encode(nicodec.Codec(codec.checkpoint, threads=1), {}, jobs.Writing(force=True))
    table = Table("engine", "until the first", "all", "a picture, after the first")
    for name, engine in (("local", Local()), ("ray", Cluster())):
        start, times = time.perf_counter(), []
        for _ in engine.answers(work, todo):
            times.append(time.perf_counter() - start)
        each = (times[-1] - times[0]) / max(1, len(times) - 1)
        table.add_row(name, f"{times[0]:.1f} s", f"{time.perf_counter() - start:.1f} s", f"{1000 * each:.0f} ms")
    return table


if __name__ == "__main__":
    main()
