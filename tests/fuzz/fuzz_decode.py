"""Fuzzing of everything that reads: each input gives an error of one printable line, or what its header says.

Beside the tests, which use `survives` and `survives_model` too. With atheris (`pip install atheris`), guided
by coverage, for ever:

    python tests/fuzz/fuzz_decode.py CORPUS_FOLDER -rss_limit_mb=600 -timeout=20

and without it, or with --seconds, one seed after another:

    python tests/fuzz/fuzz_decode.py --seconds 600 --seed 0

A failure leaves its input in the working folder, as crash-... or finding-....
"""

from __future__ import annotations

import argparse
import inspect
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import mutate
import numpy as np

import nicodec
from nicodec import api
from nicodec.bitstream import container, correction
from nicodec.bitstream.correction import Correction
from nicodec.codec import Codec
from nicodec.coding.drawing import Drawing
from nicodec.coding.encoded import Encoded
from nicodec.coding.lossless import Lossless
from nicodec.errors import NicError
from nicodec.model import checkpoint
from nicodec.picture import Picture

HERE = Path(__file__).parent
TINY = HERE / "tiny.nicmodel"
# Seconds of processor time for one input: far above what any takes, far below what a person would wait for.
PATIENCE = 20


@lru_cache(maxsize=1)
def tiny() -> Codec:
    """A codec of four channels, whose files decode in 2 ms."""
    return Codec(TINY, threads=1)


@lru_cache(maxsize=1)
def seeds() -> list[bytes]:
    """Valid files of every feature: those of the tiny model, and the conformance vectors."""
    y, x = np.mgrid[:150, :200]
    planes = [128 + 90 * np.sin(x / 5 + p) * np.cos(y / (4 + p)) for p in range(3)]
    picture = np.stack([*planes, np.where(x > y, 255, 40)], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    files = [
        tiny().encode(pixels, quality=quality, lossless=False)
        for pixels, quality in (
            (picture[:30, :40], 30), (picture[:60, :64, :3], 100), (picture[:64, :65, 0], 0),
            (picture[:1, :1], 50), (noise, 100), (noise[:9, :9, 0], 77.7), (picture, 12),
        )
    ]  # fmt: skip
    header, chunks = container.unpack(files[6])
    sent = correction.encode(Correction(7, 0, np.arange(-9, 10)), tiny().crew.alone.filters.widths)
    files[6] = container.pack(header, [*chunks, container.Chunk(container.Kind.CORRECTION, sent)])
    header, chunks = container.unpack(files[0])
    sound = {0x82: b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\1\0\0\0\0\0\0\0", 0x83: b"<x/>"}
    blobs = [container.Chunk(kind, b"\0" + sound.get(kind, b"some bytes")) for kind in mutate.METADATA]
    files.append(container.pack(header, [*chunks, *blobs]))
    files.append(Encoded.of(Drawing(Lossless(Picture(picture[..., :3]), 1)).at(3000), checked=False))
    vectors = [path.read_bytes() for path in sorted(HERE.parent.glob("vectors/*/file.nic"))]
    return files + [data for data in vectors if len(data) < 1300]


def coder(data: bytes) -> Codec:
    """The codec that a file names: the tiny one, or one that is installed."""
    file = container.unpack(data)
    if file.header.model == tiny().checkpoint.id:
        return tiny()
    return far_sighted(api.codec_for(file, threads=1).checkpoint.identity)


@lru_cache
def far_sighted(model: str) -> Codec:
    """With halos as wide as the networks reach: those of a model are enough for what an encoder makes.

    Latents that no encoder makes reach further, and then a region is not quite the crop (docs/SPEED.md).
    """
    found = checkpoint.load(checkpoint.find(model))
    halos = np.array([found.config.reach_a, found.config.reach_s], np.int32)
    return Codec(replace(found, tensors=found.tensors | {"halos": halos}), threads=1)


def fair(read: Callable[[], Any]) -> Any:
    """What `read` gives, or the NicError that it raises if that is fit to be shown. Other warnings are failures."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Metadata that were changed may not fit a part of the picture.
        warnings.filterwarnings("ignore", ".*may show more than this part")
        try:
            found = read()
        except NicError as error:
            found = error
    if isinstance(found, NicError):
        assert str(found).strip(), "an error without a word"
        assert str(found).isprintable(), repr(found)
    assert time.process_time() - started < PATIENCE, "too slow"
    return found


def survives(data: bytes) -> str:
    """Read hostile bytes in every way. Returns a word for what they are; raises if a promise is broken."""
    found = fair(lambda: coder(data).decode(data))
    told = fair(lambda: nicodec.info(data))
    if isinstance(told, NicError):
        assert isinstance(found, NicError), "decoded what info refuses"
        return type(found).__name__
    header = mutate.apart(data).fields
    width, height = header["width"], header["height"]
    assert (told.width, told.height) == (width, height)
    if not isinstance(found, NicError):
        mode = ("L" if header["samples"] % 16 == 1 else "RGB") + ("A" if "A" in told.mode else "")
        assert (found.size, found.mode, told.mode) == ((width, height), mode, mode)
        found.load()

    small = fair(lambda: coder(data).decode(data, scale=1 / 8))
    if not isinstance(found, NicError):
        assert (small.size, small.mode) == ((-(-width // 8), -(-height // 8)), found.mode), small

    x, y = (sum(data) * n % side for n, side in ((7, width), (13, height)))
    region = x, y, min(70, width - x), min(50, height - y)
    part = fair(lambda: coder(data).decode(data, region=region))
    if not isinstance(found, NicError):
        assert part.size == region[2:], part
        whole = found.crop((x, y, x + region[2], y + region[3]))
        difference = np.abs(np.asarray(part).astype(int) - np.asarray(whole))
        assert difference.max() <= 1, "a region that is not the crop"
    elif not isinstance(part, NicError):
        assert part.size == region[2:]
        return "only a region"
    return "picture" if not isinstance(found, NicError) else type(found).__name__


def repaired(data: bytes) -> bytes | None:
    """The same with the checksum of its symbols right, if these decode: now it is somebody's picture."""
    try:
        symbols = coder(data).symbols_of(container.unpack(data))
        r = symbols.residual(symbols.cells)
    except NicError:
        return None
    parts = mutate.apart(data)
    parts.fields["symbols_crc"] = zlib.crc32(r.astype("<i2").tobytes(), zlib.crc32(symbols.z.tobytes()))
    return mutate.together(parts)


def survives_model(data: bytes, folder: Path) -> str:
    """Load a hostile model, encode and decode with it. Its name is new each time: nothing is kept."""
    path = folder / f"m{os.urandom(8).hex()}.nicmodel"
    path.write_bytes(data)
    try:
        made = fair(lambda: Codec(path, threads=1))
        if isinstance(made, NicError):
            return type(made).__name__
        picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)
        file = fair(lambda: made.encode(picture, quality=40, lossless=False))
        if isinstance(file, NicError):
            return "cannot encode"
        back = fair(lambda: made.decode(file))
        assert isinstance(back, NicError) or back.size == (90, 70)
        small = fair(lambda: made.decode(file, scale=1 / 8))
        assert isinstance(small, NicError) or small.size == (12, 9)
        return "cannot decode" if isinstance(back, NicError) else "picture"
    finally:
        path.unlink()
        checkpoint._load.cache_clear()


def one(seed: int, folder: Path) -> tuple[str, bytes, Callable[[], str]]:
    """The input of a seed, and what to do with it: one in twelve is a model."""
    rng = random.Random(seed)
    if rng.random() < 1 / 12:
        data = mutate.model(TINY.read_bytes(), seed)
        return "model", data, lambda: survives_model(data, folder)
    pool = seeds()[: 8 if rng.random() < 0.9 else None]
    data = mutate.nic(rng.choice(pool), seed, rng.choice(pool))
    if rng.random() < 0.5:
        data = repaired(data) or data
    return "file", data, lambda: survives(data)


def loop(seconds: float, seed: int) -> int:
    """Seed after seed; every finding is kept and told. Returns how many."""
    counts: Counter[str] = Counter()
    size = findings = 0
    end = time.monotonic() + seconds
    started = seed
    told = 0.0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            data = b""
            try:
                kind, data, check = one(seed, Path(folder))
                counts[f"{kind}: {check()}"] += 1
            except (Exception, SystemExit):
                findings += 1
                Path(f"finding-{seed}").write_bytes(data)
                print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)
            size += len(data)
            seed += 1
            if time.monotonic() - told > 60:
                told = time.monotonic()
                report(seed - started, size, findings, counts)
    report(seed - started, size, findings, counts)
    return findings


def report(inputs: int, size: int, findings: int, counts: Counter[str]) -> None:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{inputs:,} inputs, {size:,} bytes, {time.process_time():.0f} s of processor time, {peak} MB,"
          f" {findings} findings; {dict(counts.most_common())}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    options, rest = parser.parse_known_args()
    try:
        import atheris
    except ImportError:
        options.seconds = options.seconds or 600
    if options.seconds:
        sys.exit(loop(options.seconds, options.seed) > 0)

    def custom(data: bytes, most: int, seed: int) -> bytes:
        try:
            made = mutate.nic(data, seed, random.Random(seed).choice(seeds()))
        except Exception:  # not a file any more: begin anew
            made = mutate.nic(random.Random(seed).choice(seeds()), seed)
        return (repaired(made) or made if seed % 2 else made)[:most]

    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "nicodec":
            owners = [module, *(c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == name)]
            for function in (f for owner in owners for f in vars(owner).values() if inspect.isfunction(f)):
                if function.__module__ == name and function.__code__.co_filename == module.__file__:
                    atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], *rest], survives, custom_mutator=custom)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
