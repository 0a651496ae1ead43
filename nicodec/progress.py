"""Progress bars on stderr, drawn by rich, of one style for files, benchmarks and training.

Under the command line, the benchmark and the trainer. Where stderr is no terminal, a plain line is said at most
once a minute.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# Arguments: the text beside the bar, and the number done; without it, one more item is done.
Advance: TypeAlias = Callable[..., None]

# Seconds between two plain lines.
EVERY = 60.0


@contextmanager
def bar(total: float | None, *, hidden: bool = False, share: bool = False) -> Iterator[Advance]:
    """A bar that lives as long as the block; yields advance(text, done=None).

    total: the number done at the end; None if it is not known. share: show a percentage in place of a count. hidden:
    draw nothing. advance: shows the text, and sets the number done. Without `done` it adds one.
    """
    if hidden or sys.stderr is None:
        yield lambda text, done=None: None
        return
    if not sys.stderr.isatty():
        yield _plain(total, share)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    count = TaskProgressColumn() if share or total is None else MofNCompleteColumn()
    columns = (BarColumn(), count, TextColumn("{task.fields[text]}"), TimeRemainingColumn())
    # rich sends what is printed meanwhile to the terminal of the bar. A result for a file or a pipe has to go there.
    above = sys.stdout is not None and sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=above) as shown:
        task = shown.add_task("", total=total, text="")

        def advance(text: str, done: float | None = None) -> None:
            if done is None:
                shown.update(task, advance=1, text=text)
            else:
                shown.update(task, completed=done, text=text)

        yield advance


def _plain(total: float | None, share: bool) -> Advance:
    """What stands for a bar where none can be drawn."""
    count, said = 0.0, time.monotonic()

    def advance(text: str, done: float | None = None) -> None:
        nonlocal count, said
        count = count + 1 if done is None else done
        if time.monotonic() - said < EVERY:
            return
        said = time.monotonic()
        of = "" if total is None else f"{count / total:.0%} " if share else f"{count:g}/{total:g} "
        say(of + text)

    return advance


@contextmanager
def working(text: str, *, hidden: bool = False) -> Iterator[None]:
    """Shows the text as long as the block takes, whose length is not known."""
    if hidden:
        yield
        return
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(text):
            yield
        return
    over, begun = threading.Event(), time.monotonic()

    def speak() -> None:
        while not over.wait(EVERY):
            say(f"{text}, for {(time.monotonic() - begun) / 60:.0f} minutes")

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()


def say(text: str) -> None:
    """One line on stderr."""
    if sys.stderr is not None:  # a closed one; print would take stdout for it
        print(text, file=sys.stderr, flush=True)
