"""What all tests share: Hypothesis draws the same examples every time; the program run in this process.

No test imports this module: folders of tests have a `conftest` of their own, and its name stands for any of them.
"""

import io
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from program import Run, waves
from spreading import pytest_collection_modifyitems, pytest_xdist_auto_num_workers

__all__ = ["pytest_collection_modifyitems", "pytest_xdist_auto_num_workers"]  # hooks, which pytest finds here

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# A shell without a terminal lets what it starts in the background ignore Ctrl-C, and that is inherited by the
# processes on which tests try it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
