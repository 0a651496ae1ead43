"""What all tests share: Hypothesis draws the same examples every time; the program run in this process."""

import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

import nicodec  # noqa: F401 - before onnxruntime, as its warning asks

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# A shell without a terminal lets what it starts in the background ignore Ctrl-C, and that is inherited by the
# processes on which tests try it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., tuple[int, bytes, str]]


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
    y, x = np.mgrid[:40, :60]
    planes = [128 + 100 * np.sin((x + 2 * y) / 30 + p) for p in range(3)]
    Image.fromarray(np.stack(planes, -1).astype(np.uint8)).save("a.png")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
