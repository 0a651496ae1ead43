"""How tests are spread over processes: as many as there are cores, within bounds, and the slow files first.

`conftest` takes the hooks from here, so that they can be tested themselves.
"""

import os

import pytest

from nicodec.parallel.threads import cores

# Processes of tests. Each takes up to a gigabyte, and imports what all of them need.
MOST_PROCESSES = 4


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is no such hook
def pytest_xdist_auto_num_workers() -> int:
    """A process for each core; on one core, none beside this one. They share the cores, which torch must know."""
    count = min(cores(), MOST_PROCESSES)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores() // count))
    return count if count > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no process is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
