"""Threads over many items: in order, bounded, and as many as the process may really use."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nicodec.parallel.threads import as_they_come, aside, cores, in_order

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, ALL),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, ALL),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "90000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000000000 100000\n"}, ALL),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense"}, ALL),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            ALL,
        ),
    ],
)
def test_cores_are_those_that_quotas_leave(files: dict[str, str], most: int, tmp_path: Path) -> None:
    assert cores(machine(tmp_path, files)) == most


@pytest.mark.parametrize("over", [in_order, as_they_come])
def test_results_come_in_the_order_of_the_items(over) -> None:  # type: ignore[no-untyped-def]
    gates = [threading.Event() for _ in range(3)]

    def work(i: int) -> int:
        if i < 2:
            assert gates[i + 1].wait(60)  # each waits for the next: they end in the other order
        gates[i].set()
        return i

    assert list(over(work, range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("over", [in_order, as_they_come])
def test_an_error_of_the_source_comes_in_its_place(over) -> None:  # type: ignore[no-untyped-def]
    def source() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(over(lambda i: i, source(), 2))


def test_a_source_that_waits_for_results_gets_them() -> None:
    first = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert first.wait(60)
        yield from range(2, 9)

    found = []
    for result in as_they_come(lambda i: i, source(), 2):
        found.append(result)
        first.set()
    assert found == list(range(1, 9))


def test_no_more_items_are_taken_ahead_than_two_for_each_worker() -> None:
    taken, hold = [], threading.Event()

    def source() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    def work(i: int) -> int:
        assert i == 0 or hold.wait(60)
        return i

    results = as_they_come(work, source(), 2)
    assert next(results) == 0
    assert len(taken) <= 1 + 4
    hold.set()
    assert list(results) == list(range(1, 100))


@pytest.mark.parametrize("over", [in_order, as_they_come])
def test_work_that_has_begun_is_stopped_if_the_caller_stops(over) -> None:  # type: ignore[no-untyped-def]
    stopped = threading.Event()

    def work(i: int) -> int:
        assert i == 0 or stopped.wait(60)
        return i

    results = over(work, iter(range(10)), 2, stop=stopped.set)
    assert next(results) == 0
    results.close()  # would wait for ever without `stop`
    assert stopped.is_set()


def test_work_aside_is_done_in_another_thread() -> None:
    meeting = threading.Barrier(2, timeout=20)
    found = aside(lambda: (meeting.wait(), threading.current_thread())[1], 2)
    meeting.wait()  # it has begun before its result is asked for
    assert found() is not threading.current_thread()
    assert found() is found()


def test_one_thread_does_work_aside_itself_when_it_is_asked_for() -> None:
    done: list[threading.Thread] = []
    found = aside(lambda: done.append(threading.current_thread()), 1)
    assert not done
    found()
    found()
    assert done == [threading.current_thread()]


def test_work_aside_is_done_here_if_the_system_gives_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert aside(threading.get_ident, 2)() == threading.get_ident()
    assert list(in_order(lambda n: (n, threading.get_ident()), range(5), 3)) == [
        (n, threading.get_ident()) for n in range(5)
    ]
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda n: 1 // n, [1, 0], 2))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_aside_is_raised_where_the_result_is_asked_for(threads: int) -> None:
    found = aside(lambda: 1 // 0, threads)
    with pytest.raises(ZeroDivisionError):
        found()
