"""The threads of torch on a CPU: a function over many pictures, in threads of one core each, or by one thread alone.

Under `coded`, `validate` and `trainer`. A second thread inside a small product gains little, and waits where the
machine is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from nicodec.parallel.threads import in_order

Given = TypeVar("Given")
Made = TypeVar("Made")


def abreast(work: Callable[[Given], Made], items: Iterable[Given], device: torch.device) -> Iterator[Made]:
    """`work` of each item, in their order; few results wait at a time. On a GPU one after the other.

    What torch knows of a thread, such as no_grad and autocast, has to be set by `work`.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(work, items)
        return
    yield from in_order(alone(work), items, threads, ahead=1)


def alone(work: Callable[..., Made]) -> Callable[..., Made]:
    """The same function by one thread: many small loops would wait for a second one, on busy cores for long."""

    def single(*given: object) -> Made:
        with torch_threads(1):
            return work(*given)

    return single


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """torch with `count` threads (None: as before) for the block, in this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
