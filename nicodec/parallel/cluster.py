"""One function over many items on a Ray cluster: an actor for each of its cores, answers as they come.

Beside `processes`, which does it on this machine. Needs the extra [ray].
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TypeAlias, cast

from nicodec import extras
from nicodec.errors import NicError
from nicodec.parallel.processes import Answer, Apart
from nicodec.parallel.threads import Item, Result
from nicodec.storage.files import shown

Rows: TypeAlias = Generator[dict[str, Any], None, None]

# The beginnings of the names of Ray Data's threads, and the most seconds to wait for one.
WORKING = ("StreamingExecutor", "iter_threaded", "ray-data-")
PATIENCE = 60


class _Actor:
    """Does the work in a further process, as `processes` does here: an item that kills that process fails alone.

    So an actor is lost only with its machine, and Ray may repeat its item without limit. Names of files and
    settings mean the same as in the first process.
    """

    def __init__(self, work: bytes, folder: str, settings: dict[str, str]) -> None:
        with suppress(OSError):  # it is needed for relative names of files alone
            os.chdir(folder)
        os.environ.update(settings)
        self._do: Apart[Any, Any] = Apart(pickle.loads(work))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        answer = Answer.of(self._do, pickle.loads(row["item"]))
        return {"n": row["n"], "answer": pickle.dumps(answer)}


class Cluster:
    """`parallel.Engine` of a Ray cluster: that of RAY_ADDRESS, or one on this machine, or one that begins here.

    workers: actors; None means one for each core of the cluster. Another machine repeats the items of a lost one,
    so an item may be finished twice; its result has to be the same. Raises MissingExtra without Ray, NicError if the
    cluster cannot be reached.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers

    def answers(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[tuple[Item, Answer[Result]]]:
        if not items:
            return
        with _cluster() as ray:
            with _unwarned():
                rows = _answers(ray, pickle.dumps(work), [pickle.dumps(item) for item in items], self._workers)
            with _ended(rows):
                while True:
                    with _unwarned():
                        row = next(rows, None)
                    if row is None:
                        return
                    yield items[row["n"]], pickle.loads(row["answer"])


def _answers(ray: Any, work: bytes, items: list[bytes], workers: int | None) -> Rows:
    ray.data.DataContext.get_current().enable_progress_bars = False
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    settings = {name: value for name, value in os.environ.items() if name.startswith("NICODEC_")}
    rows = [{"n": n, "item": item} for n, item in enumerate(items)]
    # A block is one item, so each is sent, answered and repeated alone. Ray Data restarts actors, and repeats their
    # items, as often as it takes.
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Actor,
        fn_constructor_args=(work, os.getcwd(), settings),
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=min(workers or cores, cores, len(items)), max_size=workers),
    )
    return cast("Rows", iter(answers.iter_rows()))


@contextmanager
def _ended(rows: Rows) -> Iterator[None]:
    """Waits, after the block, until Ray Data has stopped to work on rows, all taken or not.

    If one of its threads asks Ray for anything after `ray.shutdown`, the whole process ends: status 1, no message.
    """
    try:
        yield
    finally:
        rows.close()
        for thread in threading.enumerate():
            if thread.name.startswith(WORKING):
                thread.join(PATIENCE)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Hides the warnings of Ray, which are about its settings. Warnings about pictures come with the answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected and quiet: its logs stay in files, and its prints do not reach our stdout."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        with _unwarned():
            import ray
            import ray.data
    except ImportError as error:
        raise extras.missing(error.name or "ray", "ray", "a cluster") from None
    for handler in logging.getLogger("ray.data").handlers:
        if type(handler).__name__ == "PlainRayHandler":
            handler.setLevel(logging.CRITICAL)
    begun = not ray.is_initialized()
    if begun:
        _reach(os.environ.get("RAY_ADDRESS", ""))
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        try:
            if begun:
                with _unheard():
                    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, RuntimeError, ValueError) as error:
            raise NicError(f"no Ray cluster: {' '.join(str(error).split())}") from error
        try:
            yield ray
        finally:
            if begun:
                ray.shutdown()


def _reach(address: str) -> None:
    """Raises NicError if nobody listens at a host:port; Ray would wait for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise NicError(f"no Ray cluster answers at {shown(address)}: {error}") from None


@contextmanager
def _unheard() -> Iterator[None]:
    """Hides what the C++ half of Ray writes to stderr; its errors are raised too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
