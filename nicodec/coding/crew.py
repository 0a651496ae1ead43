"""The crew that computes the windows of a picture: one at a time with all threads, or several at once.

Between `codec` and `windows`. Threads that share a layer wait for each other at its end. So several windows with one
thread each are quicker, but each takes about 50 MB.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cached_property, wraps
from typing import ParamSpec, TypeVar

from nicodec.coding.windows import Windows
from nicodec.model import backends
from nicodec.model.backends import OnnxNetworks
from nicodec.model.checkpoint import Checkpoint
from nicodec.parallel.threads import cores

# The most windows at once. If there are more threads, several share a window.
CREW = 8

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Turns:
    """Turns for pictures: the process works on at most one for each core, because each takes memory."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Make all turns free: at the start, and in a forked process, where nobody gives back the taken ones."""
        self.free = threading.BoundedSemaphore(cores())


_turns = _Turns()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.begin)


def in_turn(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same function, but each call first waits for a turn."""

    @wraps(work)
    def waiting(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with _turns.free:
            return work(*args, **kwargs)

    return waiting


class Crew:
    """The `Windows` of one model. threads: those of each call; None means all cores.

    networks: those for a single window, with all threads. Several windows at once get networks of fewer threads, of the
    same backend. Raises BadModel as `Windows`.
    """

    def __init__(self, checkpoint: Checkpoint, networks: OnnxNetworks, threads: int | None) -> None:
        self._checkpoint, self._threads = checkpoint, threads
        self.alone = Windows(checkpoint, networks)

    def of(self, count: int) -> Windows:
        """The `Windows` to compute this number of windows with."""
        return self.alone if count == 1 else self._several

    @cached_property
    def _several(self) -> Windows:
        threads = self._threads or cores()
        crew = min(threads, CREW)
        if crew == 1:
            return self.alone
        networks = backends.load(self._checkpoint, threads // crew, self.alone.networks.backend, crew)
        return Windows(self._checkpoint, networks, crew)
