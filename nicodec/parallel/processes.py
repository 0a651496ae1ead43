"""One function over many items, in processes of this machine: results in order, bounded memory.

Under `many` and the command line, above `threads`. Threads share a picture's windows, processes whole pictures:
NumPy and the range coder hold the interpreter's lock between the networks (docs/SPEED.md).
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic

from nicodec.errors import NicError, warn
from nicodec.parallel.threads import Item, Result, cores, in_order

# Seconds in which a stopped process may remove half-written files.
GRACE = 0.5


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """The answer of another process: a result, or an error with its trace; and the warnings (told)."""

    result: Result | None = None
    error: Exception | None = None
    trace: str | None = None
    told: tuple[tuple[type[Warning], str], ...] = ()

    @classmethod
    def of(cls, work: Callable[[Item], Result], item: Item) -> Answer[Result]:
        """Does the work, in that process. A NicError is the input's fault; any other error has a trace."""
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
        """The result, in this process. Warns and raises here as the work did there."""
        for category, message in self.told:
            warn(message, category)
        if self.error is not None:
            trace = None if self.trace is None else RuntimeError(f"in its worker process:\n{self.trace}")
            raise self.error from trace
        return self.result  # type: ignore[return-value]


class Apart(Generic[Item, Result]):
    """A function that does its work in a process of its own for each thread that calls it.

    work, items and results have to be picklable. Errors and warnings of the work appear here. If its process is
    killed, the call raises NicError, and the next call begins a new process.

    Unlike those of `multiprocessing`, these processes never import the program that started them: it needs
    no `if __name__ == "__main__"`, and may be a notebook or come from stdin.
    """

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work = pickle.dumps(work)
        self._here = threading.local()
        self._all: list[_Process] = []
        self._stopped = False

    def __call__(self, item: Item) -> Result:
        return self.ask(item).get()

    def ask(self, item: Item) -> Answer[Result]:
        """The answer to one item. Raises NicError if the process is killed over it."""
        process: _Process | None = getattr(self._here, "process", None)
        if self._stopped:
            raise NicError("its worker processes were stopped")
        if process is None or process.ended:
            process = self._here.process = _Process(self._work)
            self._all.append(process)
        answer: Answer[Result] = process.ask(item)
        return answer

    def stop(self) -> None:
        """End all processes at once, in the middle of their work; they remove half-written files."""
        self._stopped = True
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.kill_after(GRACE)

    def __enter__(self) -> Apart[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.end()


def can_spawn() -> bool:
    """Whether this program can begin processes of Python: not where it is frozen, or embedded in another program.

    A frozen program is its own `sys.executable`, and would begin itself again and again.
    """
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class Local:
    """`parallel.Engine` of this machine. workers: processes of one thread each; None means all cores.

    One worker alone works in this process. Answers come in the order of the items.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers

    def answers(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[tuple[Item, Answer[Result]]]:
        crew = min(self._workers or cores(), len(items))
        if crew <= 1 or not can_spawn():
            yield from ((item, Answer.of(work, item)) for item in items)
            return
        with Apart(work) as apart:

            def ask(item: Item) -> tuple[Item, Answer[Result]]:
                try:
                    return item, apart.ask(item)
                except NicError as error:
                    return item, Answer(error=error)

            yield from in_order(ask, items, crew, stop=apart.stop)


class _Process:
    """One process, used by one thread at a time. It ends when it is told to, or when this process is gone."""

    def __init__(self, work: bytes) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from nicodec.parallel.processes import serve; serve()"
        # The default buffers are safe: each question is flushed, so no answer is ever stuck.
        self._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
        except BaseException:  # half a question may be left in the pipe
            self.end()
            raise

    def terminate(self) -> None:
        self._process.terminate()

    def kill_after(self, seconds: float) -> None:
        """Kill it after this time: compiled code that runs longer does not notice a signal before its end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()

    def end(self) -> None:
        for pipe in (self._ask, self._answer):
            with suppress(OSError):  # buffered bytes cannot be sent any more
                pipe.close()
        self._process.wait()


def _how(status: int) -> str:
    """How a process ended."""
    if status >= 0:
        return f"ended (status {status})"
    return f"was killed (signal {-status})" + (status == -9) * "; perhaps there was not enough memory"


def _leave(*_: object) -> None:
    """End this process, once: the signal may come again, from `Apart.stop`, while the process ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Where Python cannot raise, as in a callback of a weak reference, it would print a traceback and go on. The
    # process then ends with its questions.
    sys.unraisablehook = lambda _: None
    sys.exit(128 + signal.SIGTERM)


def serve() -> None:
    """The life of such a process: takes the function, then items, and answers each. For `Apart` alone."""
    # Ctrl-C goes to every process of the terminal. The first process decides about the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    work = pickle.load(questions)
    # Not before: an import cannot be interrupted safely, and nothing has to be tidied up yet.
    signal.signal(signal.SIGTERM, _leave)
    while True:
        try:
            item = pickle.load(questions)
        except (EOFError, pickle.UnpicklingError):  # the first process has ended, perhaps within a question
            return
        try:
            pickle.dump(Answer.of(work, item), answers, protocol=5)
            answers.flush()
        except OSError:  # nobody is there any more
            os._exit(1)
