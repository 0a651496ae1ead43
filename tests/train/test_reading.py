"""Reading is bounded: in pixels of each picture, in room for all, and in time; and names what it leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tiny_training import CPU, picture

from nicodec.train import held, reading
from nicodec.train.data import Patches
from nicodec.train.reading import Library
from nicodec.train.store import Store


def library() -> Library:
    return Library(Store(), 0, lambda name, pixels: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(12):
        Image.fromarray(picture(i, 140 + i, 170)).save(tmp_path / f"{i}.png")
    return tmp_path


def test_a_large_picture_is_cut_to_its_share_and_keeps_its_finest_detail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = picture(0, 600, 900)
    Image.fromarray(large).save(tmp_path / "large.png")
    monkeypatch.setattr(reading, "LEAST_PIXELS", 256**2)
    shelf = library()
    shelf.store.room = 0
    (found,) = shelf.read([tmp_path])
    assert shelf.cut == 1
    assert all(e.height * e.width <= 1.02 * 256**2 for e in found.entries)
    assert found.entries[0].width / found.entries[0].height == pytest.approx(1.5, rel=0.02)
    part = shelf.store.tensor(CPU).numpy()[: found.entries[0].height * found.entries[0].width * 3]
    part = part.reshape(found.entries[0].height, found.entries[0].width, 3)
    h, w = part.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(large[..., 0], (1, 40))[: 600 - h + 1, :, 0]
    assert bool((windows == part[0, :40, 0]).all(-1).any())  # its samples are those of the picture
    assert w < 900


@pytest.mark.parametrize("margins", [False, True])
def test_reading_stops_where_there_is_no_more_room(folder: Path, margins: bool) -> None:
    """A picture of 150 x 170 pixels takes 192 x 192 with its margin."""
    shelf = Library(Store(), 0, lambda name, pixels: None, reduced=not margins, margins=margins)
    shelf.store.room = 420_000
    found = shelf.read([folder])
    assert 200_000 < shelf.store.size <= 420_000
    assert len(found) + shelf.full == 12
    assert shelf.full > 0


def test_reading_stops_when_its_time_is_over_but_reads_two(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(reading.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    shelf = library()
    assert len(shelf.read([folder], 5.5)) == 6
    assert shelf.late == 6
    assert len(library().read([folder], 0)) == 2
    everything = library()
    assert len(everything.read([folder])) == 12
    assert everything.late == everything.full == everything.cut == 0


def test_what_is_left_out_is_left_out_by_chance(folder: Path) -> None:
    """The first files of a folder are often alike: those that are read come from all of it."""
    shelf = library()
    shelf.store.room = 800_000
    read = {p.path for p in shelf.read([folder])}
    first = {reading.digest(f"{i}.png") for i in range(len(read))}
    assert read != first
    assert read == set(sorted(reading.digest(f"{i}.png") for i in range(12))[: len(read)])


def test_held_out_pictures_are_chosen_by_the_whole_path_and_lie_on_one_side(tmp_path: Path) -> None:
    """Every folder names its pictures alike; each of ten has a near-duplicate in another folder."""
    for i in range(10):
        for place in ("a", "b"):
            (tmp_path / place / str(i)).mkdir(parents=True)
            pixels = picture(i, 150, 170)
            Image.fromarray(pixels if place == "a" else pixels // 2).save(tmp_path / place / str(i) / "0.png")
    data = Patches([tmp_path], CPU, seed=0)
    assert not data.held.borrowed
    assert 0 < len(data.validation) < 20
    assert len(data.validation) + data.photographs == 20
    assert data.photographs % 2 == 0
    kept = Patches([tmp_path], CPU, seed=5, kept=data.held)
    assert (kept.held.files, kept.held.looks) == (data.held.files, data.held.looks)
    assert all(np.array_equal(a, b) for a, b in zip(kept.validation, data.validation, strict=True))
    assert kept.photographs == data.photographs
    assert kept.kept_apart == len(data.validation)


def test_a_folder_of_one_picture_is_measured_on_it(tmp_path: Path) -> None:
    Image.fromarray(picture(0)).save(tmp_path / "one.png")
    data = Patches([tmp_path], CPU, seed=0)
    assert data.held.borrowed
    assert (data.photographs, len(data.validation)) == (1, 1)


def test_small_pictures_are_never_held_out(tmp_path: Path) -> None:
    for i in range(30):
        Image.fromarray(picture(i, 40, 90)).save(tmp_path / f"small{i}.png")
    for i in range(8):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    data = Patches([tmp_path], CPU, seed=0)
    assert len(data.validation) == held.wanted(8)
    assert all(min(p.shape[:2]) >= 64 for p in data.validation)
    assert len(data.library.small) == 30


def test_gray_pictures_are_told_from_coloured_ones(tmp_path: Path) -> None:
    Image.fromarray(picture(0)[..., 0]).save(tmp_path / "0.png")
    assert Patches([tmp_path], CPU, seed=0).is_gray
    Image.fromarray(picture(1)).save(tmp_path / "1.png")
    Image.fromarray(picture(2)).save(tmp_path / "2.png")
    assert not Patches([tmp_path], CPU, seed=0).is_gray
