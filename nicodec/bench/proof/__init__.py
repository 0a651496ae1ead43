"""The proof at the end of a run: held-out pictures and a model -> one page and its numbers.

Beside `comparison`; training calls `prove`. `numbers` measures, `words` says it, `shots` shows pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from nicodec import progress
from nicodec.bench import coders, photographs, run
from nicodec.bench.coders import measure
from nicodec.bench.proof import numbers, page, shots, words
from nicodec.bench.proof.numbers import OWN, PHOTO, Facts, Proof
from nicodec.storage.files import atomic_write

__all__ = ["Facts", "Proof", "prove", "words"]

# The rival whose quality is the measure, and its setting; the second where the first is not there.
AT = (("avif", 60), ("jpeg", 75))
JSON = "proof.json"
# Codecs that only a full report measures.
FULL = {"webp", "jxl"}


def prove(
    pictures: Path,
    model: Path,
    facts: Facts,
    target: Path,
    folder: Path,
    *,
    start: str,
    rivals: Sequence[str],
    qualities: int,
    threads: int,
    seconds: Callable[[], float],
) -> Proof:
    """Measure a model beside its start, `photo` and other codecs; write the page, its numbers, and the benchmark.

    pictures: a folder of those that were held out, or of one training picture if `facts.borrowed`; then no picture is
    shown. target: the page. folder: for proof.json and the files of `bench.run`. start: name or file of the model
    that training started from, or empty. rivals: names of other codecs; those that are not installed are named.
    qualities: settings of each. seconds: that the run took so far, asked at the end.
    Raises as `bench.run`. Each file is written whole or not at all.
    """
    further = list(dict.fromkeys(filter(None, (start, PHOTO.partition(":")[2]))))
    report = run.run(
        [pictures], folder, codecs=[*rivals, OWN], points=qualities, model=str(model), further=further, threads=threads
    )
    rows = {row.name: row for row in coders.coders(str(model), threads)}
    rival, setting = next((rows[name], at) for name, at in AT if not rows[name].missing)
    paths = photographs.find_images([pictures])
    with progress.working("making the page"):
        at = [measure(rival, setting, photographs.load(path)[0], path.name) for path in paths]
        shown = [] if facts.borrowed else shots.taken(paths, rows[OWN], rival)
        start_row = coders.FURTHER + start if start else ""
        unseen = {row.label: "measured by --measure full" for row in rows.values() if row.name in FULL - {*rivals}}
        proof = Proof(
            facts=facts,
            date=datetime.now(timezone.utc).date().isoformat(),
            seconds=seconds(),
            qualities=qualities,
            lines=numbers.lines(report, facts, start_row),
            equal=numbers.equal(report, f"{rival.label} {setting}", at, facts),
            lossless=_lossless(model, paths, threads),
            pictures=numbers.singles(report, start_row),
            shots=tuple(shot for shot, _ in shown),
            missing=unseen | {rows[name].label: rows[name].missing for name in rivals if rows[name].missing},
            start_row=start_row,
        )
        worst = page.worst(proof)
        whole = {number: shots.small(paths[number]) for number in worst}
        text = page.page(proof, [crops for _, crops in shown], whole)
    atomic_write(folder / JSON, (json.dumps(proof.json(), indent=1, allow_nan=False) + "\n").encode(), overwrite=True)
    atomic_write(target, text.encode(), overwrite=True)
    return proof


def _lossless(model: Path, paths: Sequence[Path], threads: int) -> float:
    """Bits per pixel of the pictures without loss, in .nic files."""
    from nicodec import Codec

    codec, bits, pixels = Codec(model, threads=threads), 0, 0
    for path in paths:
        image, _ = photographs.load(path)
        bits += 8 * len(codec.encode(image, lossless=True))
        pixels += image.width * image.height
    return bits / pixels
