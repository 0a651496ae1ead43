"""One function over many items: in processes of this machine, or on a Ray cluster; one interface for both.

Under the command line. `threads` is for the windows of one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from nicodec.parallel.processes import Answer
from nicodec.parallel.threads import Item, Result


class Engine(Protocol):
    """Where work is done."""

    def answers(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[tuple[Item, Answer[Result]]]:
        """Each item once with the answer to it, as answers come. work, items and results have to be picklable."""
