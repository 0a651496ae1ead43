"""Hostile files with what the Python decoder makes of each, for the decoder of browsers to be held against.

    python tests/fuzz/fuzz_web.py CASES [COUNT [SEED]]

CASES is written; `node web/test/fuzz.mjs CASES` reads it. A case is a line of JSON, then the bytes that it counts:
the file, then the samples of its picture, of its preview and of its natural picture with the seed of the case, 8 bits,
if they decode. One in twelve is a model.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import fuzz_decode
import mutate
import numpy as np

from nicodec.errors import NicError


def case(seed: int) -> tuple[dict[str, Any], list[bytes]]:
    """One case: its facts, and its bytes."""
    rng = random.Random(seed)
    if rng.random() < 1 / 12:
        return {"kind": "model"}, [mutate.model(fuzz_decode.TINY.read_bytes(), seed)]
    pool = fuzz_decode.seeds()[: 9 if rng.random() < 0.9 else None]
    data = mutate.nic(rng.choice(pool), seed, rng.choice(pool))
    if rng.random() < 0.5:
        data = fuzz_decode.repaired(data) or data
    facts: dict[str, Any] = {"kind": "file"}
    parts = [data]
    views: dict[str, dict[str, Any]] = {
        "picture": {},
        "preview": {"scale": 1 / 8},
        "natural": {"natural": 1, "seed": seed},
    }
    for name, options in views.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = np.atleast_3d(fuzz_decode.coder(data).decode(data, **options, dtype=np.uint8))
            except NicError as error:
                facts[name] = type(error).__name__
                continue
        facts[name] = found.shape
        parts.append(found.tobytes())
    return facts, parts


def main() -> None:
    target, count, first = Path(sys.argv[1]), *(int(text) for text in [*sys.argv[2:], "300", "0"][:2])
    if len(sys.argv) == 3:
        first = 0
    with open(target, "wb") as cases:
        for seed in range(first, first + count):
            facts, parts = case(seed)
            line = {"seed": seed, **facts, "sizes": [len(part) for part in parts]}
            cases.write(json.dumps(line).encode() + b"\n" + b"".join(parts))


if __name__ == "__main__":
    main()
