"""How tests are spread over processes: as many as there are cores, within bounds, and the slow files first."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import conftest
import pytest


@pytest.mark.parametrize(("cores", "processes", "threads"), [(1, 0, "1"), (2, 2, "1"), (3, 3, "1"), (64, 4, "16")])
def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: str) -> None:
    """One core gets no process beside the first. torch has the share of one process, unless it was told otherwise."""
    monkeypatch.setattr(conftest, "cores", lambda: cores)
    monkeypatch.setattr(os, "environ", {})
    assert conftest.pytest_xdist_auto_num_workers() == processes
    assert os.environ == {"OMP_NUM_THREADS": threads}
    os.environ["OMP_NUM_THREADS"] = "7"
    conftest.pytest_xdist_auto_num_workers()
    assert os.environ == {"OMP_NUM_THREADS": "7"}


def test_files_with_slow_tests_go_first_and_stay_whole() -> None:
    def item(path: str, slow: bool = False) -> Any:
        return SimpleNamespace(path=Path(path), get_closest_marker=lambda name: slow and name == "slow")

    items = [item("a"), item("b"), item("b", slow=True), item("c"), item("d", slow=True), item("d")]
    before = list(items)
    conftest.pytest_collection_modifyitems(items)
    assert [before.index(each) for each in items] == [1, 2, 4, 5, 0, 3]
