"""Effort: never a costlier file than without it, and a clear word where torch is missing."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Run
from PIL import Image

import nicodec
from nicodec import Codec, MissingExtra, NicError, nn
from nicodec.effort import Effort
from nicodec.picture import Picture

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def photograph() -> Any:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:150, 180:280])


def test_the_cheaper_file_is_kept_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refiner is made for the first picture, with all that the effort was given, and kept."""
    made: list[Any] = []

    def refiner(*given: Any) -> Any:
        made.append(given)
        return SimpleNamespace(picture=lambda *of: SimpleNamespace(cost=lambda size, psnr: size - psnr))

    def coded(name: str, psnr: float) -> Any:
        return SimpleNamespace(name=name, file=SimpleNamespace(size=100, psnr=psnr))

    monkeypatch.setattr(nn, "load", lambda name, wish: SimpleNamespace(Refiner=refiner))
    given: Any = ("checkpoint", "networks", "tables", "cpu")
    effort = Effort(*given)
    assert not made
    for psnr, kept in ((1.0, "plain"), (30.0, "refined"), (20.0, "plain")):
        files = {"plain": coded("plain", 20.0), "refined": coded("refined", psnr)}
        code: Any = lambda q, refine, files=files: files["plain" if refine is None else "refined"]  # noqa: E731
        dB: Any = lambda file: file.psnr  # noqa: E731
        found: Any = effort.coder(code, dB, Picture(np.zeros((1, 1, 3), np.uint8)), 2, None)(50)
        assert found.name == kept
    assert made == [given]


@needs_torch
def test_what_is_no_better_is_not_kept(codec: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.nn.refine import Refinement

    def spoil(self: Any, band: Any, y: Any, z: Any) -> None:
        y.view(band.times(4))[...] += 1

    monkeypatch.setattr(Refinement, "__call__", spoil)
    assert codec.encode(photograph, effort=9) == codec.encode(photograph)


@needs_torch
def test_the_command_line_writes_what_python_makes(here: Path, run: Run) -> None:
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
def test_an_impossible_effort_is_refused(codec: Codec, effort: Any) -> None:
    with pytest.raises(NicError, match="effort must be a whole number from 1 to 9"):
        codec.encode(np.zeros((8, 8), np.uint8), effort=effort)


@pytest.mark.parametrize("effort", ["0", "10", "1.5", "most"])
def test_an_impossible_effort_is_refused_on_the_command_line(here: Path, run: Run, effort: str) -> None:
    code, _, said = run("encode", "a.png", "-e", effort)
    assert code == 2
    assert "--effort" in said
    assert not (here / "a.nic").exists()


def test_effort_without_torch_says_what_to_install(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
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


@needs_torch
def test_a_torch_that_cannot_be_loaded_is_told_as_missing(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found when the effort is checked, and gone when the refiner is made."""
    monkeypatch.setattr("nicodec.extras.is_installed", lambda package: True)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nicodec.nn.refine", raising=False)
    with pytest.raises(MissingExtra, match=r"effort=3 needs torch: pip install 'nicodec\[train\]'"):
        Codec(codec.checkpoint, threads=1).encode(np.zeros((8, 8), np.uint8), effort=3)


def test_a_file_without_effort_loads_no_torch() -> None:
    program = (
        "import sys, numpy, nicodec; nicodec.encode(numpy.zeros((8, 8), 'u1'), effort=1);"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
