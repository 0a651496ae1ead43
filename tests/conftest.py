"""What all tests share: Hypothesis draws the same examples every time; the program run in this process.

No test imports this module: folders of tests have a `conftest` of their own, and its name stands for any of them.
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
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


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a folder one that cannot be listed; for root permissions do not count."""

    def refusing(call: Any, folder: Path) -> Any:
        def refused(path: Any = ".") -> Any:
            if not isinstance(path, int) and os.path.abspath(os.fsdecode(path)) == os.path.abspath(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return call(path)

        return refused

    def close(folder: Path) -> None:
        for name in ("scandir", "listdir"):
            monkeypatch.setattr(os, name, refusing(getattr(os, name), folder))

    return close
