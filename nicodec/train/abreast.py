"""A function over many pictures, in threads of one core each, on a CPU.

Under `coded` and `validate`. A second thread inside a small product gains little, and waits where the machine is busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

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
    with ThreadPoolExecutor(threads, "picture", torch.set_num_threads, (1,)) as pool:
        waiting = deque[Future[Made]]()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
