"""One function over many items: processes or threads that work ahead, results in order, bounded memory.

Under `codec` and `console`. Threads share a picture's windows, processes whole pictures: what NumPy and the
range coder do between the networks holds the interpreter's lock (docs/DESIGN.md).
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from nicodec.errors import NicError

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, ahead: int | None = None
) -> Iterator[Result]:
    """work(item) for each, in threads, in the order of the items; what `work` raises is raised in its place.

    At most one item for each worker and `ahead` more (None: as many) are taken and not yet given back. When
    the caller stops, what has begun is finished and nothing more is begun.
    """
    most = workers + (workers if ahead is None else ahead)
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="nicodec")
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """What work came to in another process: its result, or what it raised and where; what it warned of."""

    result: Result | None = None
    error: Exception | None = None
    trace: str | None = None
    told: tuple[tuple[type[Warning], str], ...] = ()

    @classmethod
    def of(cls, work: Callable[[Item], Result], item: Item) -> Answer[Result]:
        """Does the work, in that process. NicError is the input's fault, anything else has a trace."""
        result = trace = None
        error: Exception | None = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = work(item)
            except NicError as found:
                error = found
            except Exception as found:
                error, trace = found, traceback.format_exc()
        return cls(result, error, trace, tuple((w.category, str(w.message)) for w in caught))

    def get(self) -> Result:
        """The result, in this process: raised and warned of is here what was so there."""
        for category, message in self.told:
            warnings.warn(message, category, stacklevel=2)
        if self.error is not None:
            trace = None if self.trace is None else RuntimeError(f"in its worker process:\n{self.trace}")
            raise self.error from trace
        return self.result  # type: ignore[return-value]


class Apart(Generic[Item, Result]):
    """A function that does its work in a process of its own for each thread that calls it.

    work: and its items and results, have to be picklable. What it raises is raised here, what it warns of is
    warned of here; if its process is killed, that is a NicError, and the next call begins a new one.

    Unlike those of `multiprocessing`, these processes never import the program that started them: it needs
    no `if __name__ == "__main__"`, and may as well be a notebook or come from stdin.
    """

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work = pickle.dumps(work)
        self._here = threading.local()
        self._all: list[_Process] = []

    def __call__(self, item: Item) -> Result:
        process: _Process | None = getattr(self._here, "process", None)
        if process is None or process.ended:
            process = self._here.process = _Process(self._work)
            self._all.append(process)
        answer: Answer[Result] = process.ask(item)
        return answer.get()

    def __enter__(self) -> Apart[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.end()


class _Process:
    """One process, used by one thread at a time. It ends when it is told to, or when this process is gone."""

    def __init__(self, work: bytes) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from nicodec.workers import serve; serve()"
        # Nothing of it is buffered but what `pickle` writes at once, so that no answer is ever stuck.
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ask, self._answer = self._process.stdin, self._process.stdout
        self._work: bytes | None = work

    @property
    def ended(self) -> bool:
        return self._ask.closed

    def ask(self, item: object) -> Any:
        """The answer to one item."""
        try:
            if self._work is not None:
                self._ask.write(self._work)
                self._work = None
            pickle.dump(item, self._ask, protocol=5)
            self._ask.flush()
            return pickle.load(self._answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.end()
            raise NicError(f"its worker process {_how(self._process.returncode)}") from None
        except BaseException:  # the half of a question is left in the pipe
            self.end()
            raise

    def end(self) -> None:
        for pipe in (self._ask, self._answer):
            with suppress(OSError):  # what was buffered cannot be told any more
                pipe.close()
        self._process.wait()


def _how(status: int) -> str:
    """How a process ended."""
    if status >= 0:
        return f"ended (status {status})"
    return f"was killed (signal {-status})" + (status == -9) * "; perhaps there was not enough memory"


def serve() -> None:
    """The life of such a process: takes the function, then items, and answers each. For `Apart` alone."""
    # Ctrl-C goes to every process of the terminal. It is for the first to say what becomes of the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    work = pickle.load(questions)
    # Not before: what it is loading cannot be interrupted from Python, and nothing has to be tidied up yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    while True:
        try:
            item = pickle.load(questions)
        except EOFError:
            return
        try:
            pickle.dump(Answer.of(work, item), answers, protocol=5)
            answers.flush()
        except OSError:  # nobody is there any more
            os._exit(1)


def attempts(
    work: Callable[[Ready], Result],
    ready: Callable[[Item], Ready],
    items: Iterable[Item],
    crew: int,
    apart: bool,
    progress: Callable[[int], None],
) -> Iterator[Result | NicError]:
    """work(ready(item)) for each, in order, in processes or in threads; a NicError is a result.

    ready: made of an item here, before it goes into a process. crew: how many at once; apart: in processes of
    their own. progress: called with the number that is done.
    """
    with Apart(work) if apart else nullcontext(work) as do:

        def attempt(item: Item) -> Result | NicError:
            try:
                return do(ready(item))
            except NicError as error:
                return error

        for done, result in enumerate(in_order(attempt, items, crew), 1):
            progress(done)
            yield result
