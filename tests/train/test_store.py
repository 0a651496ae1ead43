"""Where training pictures lie: a set that is larger than the memory allowed to it trains from a file."""

# ruff: noqa: E402

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_training
from tiny_training import CPU, OPTIONS, losses_of

from nicodec.errors import NicError
from nicodec.train import store
from nicodec.train.store import Store
from nicodec.train.trainer import Trainer


def test_a_set_larger_than_memory_trains_as_one_that_is_not(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    folder = tiny_training.pictures(tmp_path / "pictures")
    inside = tiny_training.patches(folder)
    outside = tiny_training.patches(folder, folder=tmp_path, limit=200_000)
    assert outside.in_file
    assert not inside.in_file
    with tiny_training.one_thread():
        assert losses_of(Trainer(OPTIONS, outside), 3) == losses_of(Trainer(OPTIONS, inside), 3)


@pytest.mark.parametrize("limit", [0, 25, 10**6])
def test_a_store_keeps_samples_in_order_wherever_they_lie(tmp_path: Path, limit: int) -> None:
    chunks = [np.full((2, 5, 1), i, np.uint8) for i in range(5)]
    kept = Store(tmp_path, limit)
    assert [kept.add(chunk) for chunk in chunks] == [0, 10, 20, 30, 40]
    assert kept.in_file == (limit < 50)
    assert kept.tensor(CPU).numpy().tobytes() == b"".join(chunk.tobytes() for chunk in chunks)


def test_a_store_without_a_limit_takes_half_of_the_free_memory_and_no_more_than_a_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:      2 kB\n")
    monkeypatch.setattr(store, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(store, "_GROUP", tmp_path / "none")
    assert Store().limit == 1024
    (tmp_path / "group").write_text("1000\n")
    monkeypatch.setattr(store, "_GROUP", tmp_path / "group")
    assert Store().limit == 500
    (tmp_path / "group").write_text("max\n")
    assert Store().limit == 1024
    (tmp_path / "meminfo").write_text("MemAvailable:      99999999 kB\n")
    assert Store().limit == store.MEMORY
    monkeypatch.setattr(store, "_MEMORY", tmp_path / "none")
    assert Store().limit == store.MEMORY


def test_the_room_on_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, room in ((10**13, store.DISK), (10**9, 5 * 10**8), (100, 10**6)):
        monkeypatch.setattr(store.shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        assert Store(tmp_path, 10**6).room == room


def test_memory_that_was_read_from_a_file_is_given_back(tmp_path: Path) -> None:
    kept = Store(tmp_path, 0)
    kept.add(np.full((5, 5, 3), 7, np.uint8))
    samples = kept.tensor(CPU)
    kept.release()
    assert bool((samples == 7).all())


def test_a_disk_without_room_for_pictures_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.tempfile, "TemporaryFile", lambda dir: open("/dev/full", "wb"))  # noqa: SIM115
    with pytest.raises(NicError, match=r"0\.2 GB fit neither into memory nor onto this disk"):
        Store(tmp_path, 10).add(np.zeros((8000, 8000, 3), np.uint8))
