"""Speed as ratios of processor time within one run, so that a slow or a busy machine changes nothing.

The limits lie well above what was measured (docs/DESIGN.md) and below what a step gone wrong would cost.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import features

import nicodec
from nicodec import entropy
from nicodec.bench.coders import coders
from nicodec.bench.photographs import load, photographs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF to compare with"),
]


def seconds(*works: Callable[[], Any]) -> list[float]:
    """The least processor time of each in three rounds, one after the other, once all are warm."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(4):
        for work, mine in zip(works, times, strict=True):
            start = time.process_time()
            work()
            if turn:
                mine.append(time.process_time() - start)
    return [min(mine) for mine in times]


@pytest.mark.parametrize(("model", "most"), [("photo", (1.2, 1.0)), ("photo-fast", (0.45, 0.45))])
def test_beside_avif_and_the_share_of_range_coding(
    model: str, most: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    picture = load(next(path for path in photographs() if "astronaut" in path.stem))[0]
    avif = next(c for c in coders(threads=1) if c.name == "avif")
    codec = nicodec.Codec(model, threads=1)
    data = codec.encode(picture, quality=50)
    spent = {"encode": 0.0, "decode": 0.0}

    def timed(way: str) -> Callable[..., Any]:
        real = getattr(entropy, way)

        def work(*arguments: Any) -> Any:
            start = time.process_time()
            result = real(*arguments)
            spent[way] = time.process_time() - start
            return result

        return work

    for way in spent:
        monkeypatch.setattr(entropy, way, timed(way))
    encode, decode, other = seconds(
        lambda: codec.encode(picture, quality=50),
        lambda: codec.decode(data),
        lambda: avif.encode(picture, 60),
    )
    print(f"encode {encode / other:.2f}, decode {decode / other:.2f} of AVIF's encode; range coding", end=" ")
    print(f"{spent['encode'] / encode:.3f}, {spent['decode'] / decode:.3f}")
    assert encode < most[0] * other
    assert decode < most[1] * other
    assert spent["encode"] < 0.2 * encode
    assert spent["decode"] < 0.2 * decode
