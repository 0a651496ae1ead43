"""Effort: never a costlier file than without it, a cheaper one for a photograph, and the format as ever."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec import Codec, MissingExtra, NicError, container

Run = Callable[..., tuple[int, bytes, str]]
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def photograph() -> Any:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:150, 180:280])


def cost(codec: Codec, pixels: Any, data: bytes) -> float:
    """Bits and weighed squared error of a file."""
    from nicodec.train.loss import LAMBDA_MAX, LAMBDA_MIN

    q = container.unpack(data)[0].quality
    weight = LAMBDA_MIN * (LAMBDA_MAX / LAMBDA_MIN) ** (q / 10000)
    back = np.asarray(codec.decode(data)).reshape(pixels.shape)
    return float(8 * len(data) + weight * np.square(back - pixels.astype(float)).mean(-1).sum())


@needs_torch
@pytest.mark.parametrize(("quality", "left"), [(10, 0.98), (50, 0.98), (90, 0.99)])
def test_a_photograph_costs_less(codec: Codec, photograph: Any, quality: float, left: float) -> None:
    """So much of the cost is left at most after ten steps, and less after twenty."""
    costs = [
        cost(codec, photograph, codec.encode(photograph, quality=quality, effort=effort))
        for effort in (1, 2, 3)
    ]
    assert costs[1] < left * costs[0]
    assert costs[2] < costs[1]


@needs_torch
def test_the_same_bytes_every_time(codec: Codec, photograph: Any) -> None:
    first = codec.encode(photograph, effort=2)
    assert codec.encode(photograph, effort=2) == first
    assert list(codec.encode_many([photograph], effort=2, workers=1)) == [first]
    assert nicodec.info(first).version == nicodec.info(codec.encode(photograph)).version


@needs_torch
@pytest.mark.parametrize("shape", [(1, 1), (70, 37), (65, 64, 4), (9, 130, 3)])
def test_any_shape(codec: Codec, photograph: Any, shape: tuple[int, ...]) -> None:
    """What is beyond the picture in its last cells does not count; alpha stays exact."""
    tall = np.concatenate([photograph, photograph[:, ::-1]], axis=1)[: shape[0], : shape[1]]
    if len(shape) == 2:
        pixels = tall[:, :, 1]
    elif shape[2] == 4:
        clear = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(*shape[:2], 1) % 251
        pixels = np.concatenate([tall, clear.astype(np.uint8)], axis=2)
    else:
        pixels = tall
    plain, refined = (codec.encode(pixels, effort=effort) for effort in (1, 2))
    back = [np.asarray(codec.decode(data)) for data in (plain, refined)]
    assert back[1].shape == shape
    if shape[-1:] == (4,):
        assert np.array_equal(back[1][:, :, 3], pixels[:, :, 3])
    samples = pixels.reshape(*shape[:2], -1)[:, :, :3].astype(float)
    error = [np.square(b.reshape(*shape[:2], -1)[:, :, :3] - samples).mean(-1).sum() for b in back]
    weight = 0.0005 * 800**0.5
    assert 8 * len(refined) + weight * error[1] <= 8 * len(plain) + weight * error[0]


@needs_torch
def test_many_windows_and_bands(codec: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of one cell, bands and tiles of two, gain nearly what one window gains."""
    from nicodec.train import refine

    pixels = np.tile(photograph, (2, 2, 1))[:200, :190]
    plain, whole = (cost(codec, pixels, codec.encode(pixels, effort=e)) for e in (1, 2))
    monkeypatch.setattr(refine, "WINDOW", 1)
    monkeypatch.setattr("nicodec.codec.TILE", (2, 2))
    seen: list[tuple[float, float]] = []
    data = codec.encode(pixels, effort=2, progress=lambda *shares: seen.append(shares))
    tiled = cost(codec, pixels, codec.encode(pixels))  # more tiles take some bytes of their own
    assert tiled - cost(codec, pixels, data) > 0.7 * (plain - whole)
    done, left = zip(*seen, strict=True)
    assert len(done) == 16 * 10 - 4 * 10
    assert list(done) == sorted(done)
    assert done[-1] == 1
    assert 0.5 < left[-1] < 1
    assert left[0] <= 1


@needs_torch
def test_what_is_no_better_is_not_kept(
    codec: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.train.refine import Refinement

    def spoil(self: Any, band: Any, y: Any, z: Any) -> None:
        y.view(band.times(4))[...] += 1

    monkeypatch.setattr(Refinement, "__call__", spoil)
    assert codec.encode(photograph, effort=9) == codec.encode(photograph)


@needs_torch
def test_targets(codec: Codec, photograph: Any) -> None:
    """The same target is met, at a higher quality."""
    plain, refined = (codec.encode(photograph, target_bytes=1500, effort=effort) for effort in (1, 2))
    assert 1470 <= len(refined) <= 1500
    assert nicodec.info(refined).quality > nicodec.info(plain).quality


@needs_torch
def test_through_torch_as_well(photograph: Any) -> None:
    codec = Codec(device="cpu-torch")
    plain, refined = (codec.encode(photograph, effort=effort) for effort in (1, 2))
    assert cost(codec, photograph, refined) < 0.98 * cost(codec, photograph, plain)


@needs_torch
def test_on_the_command_line(here: Path, run: Run) -> None:
    code, _, said = run("encode", "a.png", "-e", 2)
    assert code == 0
    assert "60x40" in said
    assert (here / "a.nic").read_bytes() == nicodec.encode("a.png", effort=2)


@needs_torch
def test_a_bar_shows_the_cost(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    _, _, said = run("encode", "a.png", "-e", 2)
    assert "cost " in said
    _, _, said = run("encode", "a.png", "b.nic", "-e", 2, "--quiet")
    assert not said


@pytest.mark.parametrize("effort", [0, 10, 2.0, "3", True, None])
def test_impossible_efforts(codec: Codec, effort: Any) -> None:
    with pytest.raises(NicError, match="effort must be a whole number from 1 to 9"):
        codec.encode(np.zeros((8, 8), np.uint8), effort=effort)


@pytest.mark.parametrize("effort", ["0", "10", "1.5", "most"])
def test_impossible_efforts_on_the_command_line(here: Path, run: Run, effort: str) -> None:
    code, _, said = run("encode", "a.png", "-e", effort)
    assert code == 2
    assert "--effort" in said
    assert not (here / "a.nic").exists()


def test_without_torch(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nicodec.train.refine", raising=False)
    with pytest.raises(MissingExtra, match=r"effort=3 needs torch: pip install 'nicodec\[train\]'"):
        Codec().encode(Image.open("a.png"), effort=3)
    code, _, said = run("encode", "a.png", "-e", 3)
    assert code == 4
    assert "effort=3 needs torch" in said
    shutil.copy("a.png", "b.png")
    code, _, said = run("encode", "a.png", "b.png", "out", "-e", 3)  # once, not for each
    assert code == 4
    assert said.count("torch") == 1
    assert not (here / "out").exists()


def test_without_effort_torch_is_not_loaded() -> None:
    program = (
        "import sys, numpy, nicodec; nicodec.encode(numpy.zeros((8, 8), 'u1'), effort=1);"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
