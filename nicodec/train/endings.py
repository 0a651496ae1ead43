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
def explained(out: Path, state: Path, say: Callable[[str], None], *, resume: bool = False) -> Iterator[None]:
    """Turns an error of the disk or of memory into a NicError of one line, and says what is left of a run.

    state: its state file; where this run has saved one, or goes on with one, it can go on from it. resume: it goes on
    with the one that is there; else that is of an earlier run. say: called with a line where the run is interrupted;
    the interruption goes on.
    """
    earlier = None if resume else _stamp(state)
    try:
        with _refusals(out):
            yield
    except NicError as error:
        # Errors of other classes are about what was asked for or given: the same command would meet them again.
        if type(error) is NicError and _stamp(state) != earlier:
            error.args = (f"{error}; {_way(state)}",)
        raise
    except (KeyboardInterrupt, SystemExit):
        if _stamp(state) != earlier:
            say(f"Interrupted; {_way(state)}.")
        raise


def _stamp(state: Path) -> tuple[int, int] | None:
    """What tells one state file from the next; None if there is none."""
    try:
        found = state.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


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
