"""What all tests share: Hypothesis draws the same examples every time; the program run in this process.

And how `make test` spreads them over processes.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

import nicodec  # before onnxruntime, as its warning asks
from nicodec.parallel.threads import cores

# Processes of tests. Each takes up to a gigabyte, and imports what all of them need.
MOST_PROCESSES = 4

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# A shell without a terminal lets what it starts in the background ignore Ctrl-C, and that is inherited by the
# processes on which tests try it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., tuple[int, bytes, str]]


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is no such hook
def pytest_xdist_auto_num_workers() -> int:
    """A process for each core; on one core, none beside this one. They share the cores, which torch must know."""
    count = min(cores(), MOST_PROCESSES)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores() // count))
    return count if count > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no process is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run the program in this process: arguments and stdin -> exit code, stdout, stderr."""

    def run(*arguments: object, stdin: bytes = b"") -> tuple[int, bytes, str]:
        from nicodec.cli import app

        monkeypatch.setattr(sys, "argv", ["nicodec", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setenv("COLUMNS", "200")
        code: Any = 0
        try:
            app.main()
        except SystemExit as error:
            code = error.code or 0
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        text = err.decode()
        assert "Traceback" not in text
        return code, out, text

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with one picture."""
    monkeypatch.chdir(tmp_path)
    waves().save("a.png")
    return tmp_path


def waves() -> Image.Image:
    y, x = np.mgrid[:40, :60]
    planes = [128 + 100 * np.sin((x + 2 * y) / 30 + p) for p in range(3)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


@cache
def encoded() -> bytes:
    """The picture of `here` as the program encodes it."""
    return bytes(nicodec.encode(waves()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
