"""Effort: never a costlier file than without it, no torch, and a clear word where a model has no gradients."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from program import Run
from sealing import resealed

import nicodec
from nicodec import Codec, NicError
from nicodec.coding import refine
from nicodec.coding.refine import Refinement
from nicodec.effort import Effort
from nicodec.picture import Picture

TINY = Path(__file__).parent / "fuzz" / "tiny.nicmodel"


@pytest.fixture(scope="module")
def tiny() -> Codec:
    return Codec(TINY, threads=1)


@pytest.fixture(scope="module")
def photograph() -> Any:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[40:150, 180:280])


def test_the_cheaper_file_is_kept_whichever_it_is(monkeypatch: pytest.MonkeyPatch, tiny: Codec) -> None:
    def coded(name: str, psnr: float) -> Any:
        return SimpleNamespace(name=name, file=SimpleNamespace(size=100, psnr=psnr))

    monkeypatch.setattr(Refinement, "cost", lambda self, size, psnr: size - psnr)
    effort = Effort(tiny.crew, tiny.y_tables)
    for psnr, kept in ((1.0, "plain"), (30.0, "refined"), (20.0, "plain")):
        files = {"plain": coded("plain", 20.0), "refined": coded("refined", psnr)}
        code: Any = lambda q, refine, files=files: files["plain" if refine is None else "refined"]  # noqa: E731
        dB: Any = lambda file: file.psnr  # noqa: E731
        found: Any = effort.coder(code, dB, Picture(np.zeros((1, 1, 3), np.uint8)), 2, None)(50)
        assert found.name == kept


def test_what_is_no_better_is_not_kept(tiny: Codec, photograph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(self: Any, band: Any, y: Any, z: Any) -> None:
        y.view(band.times(4))[...] -= 1

    monkeypatch.setattr(Refinement, "__call__", spoil)
    kept = dict(nicodec.info(tiny.encode(photograph, effort=9)).chunks)
    kept.pop("CORRECTION", None)  # every effort above 1 fits one
    assert kept == dict(nicodec.info(tiny.encode(photograph)).chunks)


def test_the_command_line_writes_what_python_makes(here: Path, run: Run) -> None:
    code, _, said = run("encode", "a.png", "-e", 2, "-m", TINY, "--no-lossless")
    assert code == 0
    assert "60x40" in said
    assert (here / "a.nic").read_bytes() == nicodec.encode("a.png", effort=2, model=TINY, lossless=False)


def test_a_bar_shows_the_cost(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    _, _, said = run("encode", "a.png", "-e", 2, "-m", TINY)
    assert "cost " in said
    _, _, said = run("encode", "a.png", "b.nic", "-e", 2, "--quiet", "-m", TINY)
    assert not said


@pytest.mark.parametrize("effort", [0, 10, 2.0, "3", True, None])
def test_an_impossible_effort_is_refused(tiny: Codec, effort: Any) -> None:
    with pytest.raises(NicError, match="effort must be a whole number from 1 to 9"):
        tiny.encode(np.zeros((8, 8), np.uint8), effort=effort)


@pytest.mark.parametrize("effort", ["0", "10", "1.5", "most"])
def test_an_impossible_effort_is_refused_on_the_command_line(here: Path, run: Run, effort: str) -> None:
    code, _, said = run("encode", "a.png", "-e", effort)
    assert code == 2
    assert f"-e must be a whole number from 1 to 9, not '{effort}'" in " ".join(said.replace("│", " ").split())
    assert not (here / "a.nic").exists()


def test_a_model_without_gradients_is_told(tiny: Codec, here: Path, run: Run) -> None:
    """Once, not for each picture; effort 1 needs none."""
    (here / "older.nicmodel").write_bytes(resealed(TINY.read_bytes().replace(b'"graph.g_s_back"', b'"graph.g_s_gone"')))
    older = Codec("older.nicmodel", threads=1)
    assert older.checkpoint.identity == tiny.checkpoint.identity
    assert tiny.decode(older.encode("a.png", lossless=False)).size == (60, 40)
    with pytest.raises(NicError, match="the model tiny has no gradients, so effort=3 is not possible"):
        older.encode("a.png", effort=3)
    shutil.copy("a.png", "b.png")
    code, _, said = run("encode", "a.png", "b.png", "out", "-e", 3, "-m", "older.nicmodel")
    assert code == 3
    assert said.count("has no gradients") == 1
    assert not (here / "out").exists()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_does_not_wait_for_the_end_of_a_window(
    tiny: Codec, photograph: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an error, which is raised as it is."""
    monkeypatch.setattr(refine, "WINDOW", 2)
    seen = []

    def progress(done: float, left: float) -> None:
        seen.append(done)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Codec(tiny.checkpoint, threads=threads).encode(photograph, effort=9, lossless=False, progress=progress)
    assert len(seen) < 100


def test_effort_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = sys.modules['safetensors'] = None\n"
        "import numpy, nicodec\n"
        f"codec = nicodec.Codec({str(TINY)!r}, threads=1)\n"
        "waves = 128 + 100 * numpy.sin(numpy.add.outer(numpy.arange(96) * 2, numpy.arange(96)) / 30)\n"
        "files = [codec.encode(waves.astype('u1'), lossless=False, effort=effort) for effort in (1, 2)]\n"
        "assert files[0] != files[1]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
