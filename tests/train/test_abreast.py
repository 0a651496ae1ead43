"""Work in threads: results keep the order of the items, and threads their own count of cores."""

# ruff: noqa: E402

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from nicodec.train.abreast import abreast, alone

CPU = torch.device("cpu")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_each_thread_has_one_core(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:

        def work(n: int) -> tuple[int, int]:
            time.sleep(0.01 * (n % 3 == 0))
            return n, torch.get_num_threads()

        assert list(abreast(work, range(20), CPU)) == [(n, 1) for n in range(20)]
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_an_error_of_one_is_the_error_of_all() -> None:
    with pytest.raises(ZeroDivisionError):
        list(abreast(lambda n: 1 // n, [2, 1, 0], CPU))


def test_few_results_wait() -> None:
    taken: list[int] = []
    results = abreast(lambda n: n, (taken.append(n) or n for n in range(100)), CPU)
    next(results)
    assert len(taken) <= torch.get_num_threads() + 1


def test_a_function_alone_runs_in_one_thread_and_leaves_the_others_to_the_rest() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert alone(lambda n: (n, torch.get_num_threads()))(7) == (7, 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
