"""One function over many items, in threads that work ahead: results in order, bounded memory.

Under `processes`, and under the windows of one picture.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

# The most threads or workers that a caller may ask for, more than any machine has cores. Each takes memory.
MOST = 1024
Item = TypeVar("Item")
Result = TypeVar("Result")


def cores(root: Path = Path("/")) -> int:
    """The cores that this process may use: by its affinity, and by the quotas of its control groups (v1 and v2).

    root: where the system's files are, for tests.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([count, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group around this process allows."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    base = root / "sys/fs/cgroup"
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers == "":
            folders, read = [base], _quota_v2
        elif "cpu" in controllers.split(","):
            folders, read = [base / controllers, base / "cpu"], _quota_v1
        else:
            continue
        for folder in folders:
            inside = PurePosixPath(path.lstrip("/"))
            # In a container its own group is often the root that it sees.
            for each in {folder, *(folder / part for part in (inside, *inside.parents))}:
                with suppress(OSError, ValueError, ZeroDivisionError):
                    quota = read(each)
                    if quota > 0:
                        yield quota


def _quota_v2(folder: Path) -> float:
    """ValueError without a limit: the quota is then "max"."""
    quota, period = (folder / "cpu.max").read_text().split()
    return int(quota) / int(period)


def _quota_v1(folder: Path) -> float:
    """Below zero without a limit."""
    quota, period = (int((folder / f"cpu.cfs_{part}_us").read_text()) for part in ("quota", "period"))
    return quota / period


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    ahead: int | None = None,
    stop: Callable[[], None] | None = None,
) -> Generator[Result, None, None]:
    """work(item) for each, in threads, in the order of the items; an error of `work` is raised in its place.

    At most `workers + ahead` items (None: twice the workers) are in work or wait to be yielded. When the caller
    stops, no more work begins; `stop` may end work that has begun, else it is finished.
    """
    most = workers + (workers if ahead is None else ahead)
    pending: deque[Future[Result]] = deque()
    with _pool(workers, stop) as pool:
        for item in items:
            pending.append(_begun(pool, work, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def aside(work: Callable[[], Result], threads: int) -> Callable[[], Result]:
    """Begin work() in a thread of its own: the function that waits for its result, or raises its error.

    threads: those of the caller. With a single one, or if the system gives no more, the work is done when its result is
    first asked for.
    """
    if threads == 1:
        return cache(work)
    found = Future[Result]()
    try:
        threading.Thread(target=partial(_settle, found, work), name="nicodec-aside").start()
    except RuntimeError:  # as Python says that there are too many
        return cache(work)
    return found.result


def _settle(found: Future[Result], work: Callable[[], Result]) -> None:
    """Do the work: its result, or its error, is that of the future."""
    try:
        found.set_result(work())
    except BaseException as error:
        found.set_exception(error)


def _begun(pool: ThreadPoolExecutor, work: Callable[[Item], Result], item: Item) -> Future[Result]:
    """work(item), begun in a thread of the pool; or done here, if the system gives no more threads."""
    try:
        return pool.submit(work, item)
    except RuntimeError:
        found = Future[Result]()
        _settle(found, partial(work, item))
        return found


def as_they_come(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, stop: Callable[[], None] | None = None
) -> Iterator[Result]:
    """As `in_order`, for items that may wait for results: these are given back while the next item is awaited.

    items: taken in a thread of its own, two for each worker ahead.
    """
    pending: deque[Future[Result]] = deque()
    with _pool(workers, stop) as pool, closing(_Feed(iter(items))) as feed:
        coming: Future[Item] | None = feed.next()
        while coming or pending:
            awaited: list[Future[Any]] = [*([coming] if coming else []), *([pending[0]] if pending else [])]
            wait(awaited, return_when=FIRST_COMPLETED)
            if pending and pending[0].done():
                yield pending.popleft().result()
            if coming and coming.done():
                with suppress(_End):
                    pending.append(_begun(pool, work, coming.result()))
                coming = None
            if coming is None and len(pending) < 2 * workers and not feed.ended:
                coming = feed.next()


class _End(Exception):
    """There are no more items."""


class _Feed(Generic[Item]):
    """Takes items from an iterator in a daemon thread, each when it is asked for."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items, self._asked, self.ended = items, SimpleQueue[Future[Item]](), False
        threading.Thread(target=self._serve, name="nicodec-feed", daemon=True).start()

    def next(self) -> Future[Item]:
        """The next item, or what the iterator raises; `_End` after the last."""
        future: Future[Item] = Future()
        self._asked.put(future)
        return future

    def close(self) -> None:
        """Let the thread end, once the iterator gives back control."""
        self.ended = True
        self._asked.put(Future())

    def _serve(self) -> None:
        while True:
            future = self._asked.get()
            if self.ended:
                return
            try:
                future.set_result(next(self._items))
            except BaseException as error:
                self.ended = True
                future.set_exception(_End() if isinstance(error, StopIteration) else error)


@contextmanager
def _pool(workers: int, stop: Callable[[], None] | None) -> Iterator[ThreadPoolExecutor]:
    """Threads that have ended when the block has. stop: called first if the block does not come to its end."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="nicodec")
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        if stop is not None:
            stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
