"""How a run ends before its time: errors of disk and memory become one line, which says how to go on.

Under `run`, around all of its work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nicodec.errors import NicError, one_line
from nicodec.storage.files import shown


@contextmanager
def explained(out: Path, state: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Turns an error of the disk or of memory into a NicError of one line, and says what is left of a run.

    state: its state file; where there is one, the run can go on from it. say: called with a line where the run is
    interrupted; the interruption goes on.
    """
    try:
        with _refusals(out):
            yield
    except NicError as error:
        if state.is_file():
            error.args = (f"{error}; {_way(state)}",)
        raise
    except (KeyboardInterrupt, SystemExit):
        if state.is_file():
            say(f"Interrupted; {_way(state)}.")
        raise


def _way(state: Path) -> str:
    return f"{shown(state.parent)} has the state that was saved last; the same command with --resume goes on from it"


@contextmanager
def _refusals(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NicError(f"{shown(error.filename or out)}: {one_line(error)}") from None
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise NicError(f"not enough memory, a smaller --batch or --patch needs less: {one_line(error)}") from None
