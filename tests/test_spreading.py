"""How tests are spread over processes: as many as there are cores, within bounds, and the slow files first."""

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import spreading


@pytest.mark.parametrize(("cores", "processes", "threads"), [(1, 0, "1"), (2, 2, "1"), (3, 3, "1"), (64, 4, "16")])
def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: str) -> None:
    """One core gets no process beside the first. torch has the share of one process, unless it was told otherwise."""
    monkeypatch.setattr(spreading, "cores", lambda: cores)
    monkeypatch.setattr(os, "environ", {})
    assert spreading.pytest_xdist_auto_num_workers() == processes
    assert os.environ == {"OMP_NUM_THREADS": threads}
    os.environ["OMP_NUM_THREADS"] = "7"
    spreading.pytest_xdist_auto_num_workers()
    assert os.environ == {"OMP_NUM_THREADS": "7"}


def test_files_with_slow_tests_go_first_and_stay_whole() -> None:
    def item(path: str, slow: bool = False) -> Any:
        return SimpleNamespace(path=Path(path), get_closest_marker=lambda name: slow and name == "slow")

    items = [item("a"), item("b"), item("b", slow=True), item("c"), item("d", slow=True), item("d")]
    before = list(items)
    spreading.pytest_collection_modifyitems(items)
    assert [before.index(each) for each in items] == [1, 2, 4, 5, 0, 3]


def test_no_module_imports_a_conftest() -> None:
    """Each folder may have one, and all have the same name: which of them an import finds depends on the order."""
    modules = [path for path in Path(__file__).parent.rglob("*.py") if path != Path(__file__)]
    assert len(modules) > 100
    assert not [path for path in modules if re.search(r"^\s*(from|import) conftest\b", path.read_text(), re.M)]
