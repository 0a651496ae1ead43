"""The index of a folder: incremental, whole after a crash, shared, and an error where it is none."""

import io
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_sketch import scene

import nicodec
from nicodec.errors import NicError
from nicodec.explore import export, index, reading
from nicodec.explore.index import Index
from nicodec.parallel.processes import Local


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    there = tmp_path / "photos"
    (there / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "deep/c.png")):
        Image.fromarray(scene(number, 120, 160)).save(there / name)
    (there / "notes.txt").write_text("no picture")
    return there


def paths(folder: Path) -> list[str]:
    with Index(str(folder)) as found:
        return [entry.path for entries, _, _ in found.blocks() for entry in entries]


def update(folder: Path, **options: object) -> index.Change:
    with Index(str(folder)) as found:
        return found.update(Local(1), **options)  # type: ignore[arg-type]


def test_a_folder_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert update(folder) == index.Change(3, 0, {}, False)
    assert paths(folder) == ["a.png", "b.jpg", os.path.join("deep", "c.png")]

    def never(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(reading, "sketched", never)
    assert update(folder) == index.Change(0, 0, {}, False)


def test_only_what_changed_is_read(folder: Path) -> None:
    update(folder)
    seen: list[str] = []
    Image.fromarray(scene(7, 100, 100)).save(folder / "d.png")
    Image.fromarray(scene(8, 60, 90)).save(folder / "a.png")
    (folder / "b.jpg").unlink()
    assert update(folder, progress=lambda name, done, of: seen.append(name)) == index.Change(2, 1, {}, False)
    assert seen == ["a.png", "d.png"]
    assert paths(folder) == ["a.png", "d.png", os.path.join("deep", "c.png")]
    with Index(str(folder)) as found:
        assert next(found.blocks())[0][0].width == 90


def test_a_file_that_cannot_be_read_is_named_and_not_tried_again(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    first, again = update(folder), update(folder)
    assert (first.read, again.read) == (4, 0)
    assert list(first.failed) == list(again.failed) == ["bad.png"]
    assert "bad.png" not in paths(folder)
    shutil.copy(folder / "a.png", folder / "bad.png")
    assert update(folder).failed == {}
    assert "bad.png" in paths(folder)


def test_pictures_in_a_folder_that_cannot_be_listed_are_not_gone(folder: Path, closed: Callable[[Path], None]) -> None:
    update(folder)
    (folder / "b.jpg").unlink()
    Image.fromarray(scene(7, 100, 100)).save(folder / "b.jpg")
    closed(folder / "deep")
    assert update(folder) == index.Change(1, 0, {"deep": "Permission denied"}, False)
    closed(folder)
    with pytest.raises(NicError, match="photos: Permission denied"):
        update(folder)
    assert paths(folder) == ["a.png", "b.jpg", os.path.join("deep", "c.png")]


def test_processes_make_what_one_makes(folder: Path) -> None:
    update(folder)
    with Index(str(folder)) as one, Index(str(folder), str(folder.parent / "two.sqlite")) as two:
        two.update(Local(2))
        for (entries, hashes, vectors), (others, other_hashes, other_vectors) in zip(
            one.blocks(), two.blocks(), strict=True
        ):
            assert entries == others
            np.testing.assert_array_equal(hashes, other_hashes)
            np.testing.assert_allclose(vectors, other_vectors, atol=0.01)


def test_a_nic_file_is_like_its_source(folder: Path) -> None:
    (folder / "a.nic").write_bytes(nicodec.encode(folder / "a.png", quality=70, lossless=False))
    update(folder)
    with Index(str(folder)) as found:
        entries, hashes, vectors = next(found.blocks())
    nic, png = ([entry.path for entry in entries].index(name) for name in ("a.nic", "a.png"))
    assert np.unpackbits(hashes[nic] ^ hashes[png]).sum() < 126
    others = [i for i in range(len(entries)) if i not in (nic, png)]
    away = np.linalg.norm(vectors.astype(float) - vectors[nic], axis=1)
    assert away[png] < away[others].min()


def test_a_large_nic_file_is_sketched_from_its_preview(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = folder / "a.png"
    Image.fromarray(scene(0, 120, 160)).resize((1280, 960), Image.Resampling.BICUBIC).save(whole)
    (folder / "a.nic").write_bytes(nicodec.encode(whole, quality=70, model="photo-fast", lossless=False))
    (folder / "lossless.nic").write_bytes(nicodec.encode(whole, lossless=True))
    scales: list[float] = []

    def watched(data: object, scale: float = 1, decode: Callable[..., Image.Image] = nicodec.decode) -> Image.Image:
        scales.append(scale)
        return decode(data, scale=scale)

    monkeypatch.setattr(reading.api, "decode", watched)
    monkeypatch.setattr(reading, "LARGE", 1280 * 960)
    update(folder)
    assert scales == [1 / 8, 1]
    with Index(str(folder)) as found:
        entries, hashes, vectors = next(found.blocks())
    by_name = {entry.path: number for number, entry in enumerate(entries)}
    nic, png, lossless = (by_name[name] for name in ("a.nic", "a.png", "lossless.nic"))
    assert (entries[nic].width, entries[nic].height) == (1280, 960)
    assert entries[nic].samples == entries[nic].content != entries[png].samples == entries[lossless].samples
    assert np.unpackbits(hashes[nic] ^ hashes[png]).sum() < 60
    away = np.linalg.norm(vectors.astype(float) - vectors[nic], axis=1)
    assert away[png] < min(away[i] for i in range(len(entries)) if i not in (nic, png, lossless))


def test_an_index_of_another_encoder_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update(folder)
    own = index.latents.encoder_of
    monkeypatch.setattr(index.latents, "encoder_of", lambda codec: "another")
    assert update(folder) == index.Change(3, 0, {}, True)
    monkeypatch.setattr(index.latents, "encoder_of", own)
    assert update(folder).remade
    with Index(str(folder)) as found:
        assert found.encoder == own(nicodec.Codec("photo-fast", threads=1))


def test_a_crash_loses_at_most_a_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BATCH", 1)

    def crash(name: str, done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update(folder, progress=crash)
    assert len(paths(folder)) == 2
    assert update(folder).read == 1


def test_a_killed_process_leaves_a_sound_index(folder: Path) -> None:
    code = (
        "import os, sys; from nicodec.explore import index; index.BATCH = 1\n"
        "stop = lambda name, done, of: os._exit(9) if done == 2 else None\n"
        "index.Index(sys.argv[1]).update(index.Local(1), progress=stop)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, timeout=120)
    assert killed.returncode == 9
    assert update(folder).read <= 2
    assert len(paths(folder)) == 3


def test_two_processes_do_not_spoil_it(folder: Path) -> None:
    for number in range(8):
        Image.fromarray(scene(20 + number, 64, 64)).save(folder / f"{number}.png")
    code = (
        "import sys; from nicodec.explore import index; index.BATCH = 1\n"
        "index.Index(sys.argv[1]).update(index.Local(1))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert len(paths(folder)) == 11
    assert update(folder).read == 0


def test_a_busy_index_is_an_error_in_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update(folder)
    monkeypatch.setattr(index, "PATIENCE", 0.05)
    other = sqlite3.connect(folder / index.NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(NicError, match="another process"):
        update(folder)
    other.close()
    assert update(folder).read == 0


@pytest.mark.parametrize("damage", ["text", "cut", "foreign", "row", "type", "null", "view"])
def test_what_is_no_index_is_an_error_and_stays(folder: Path, damage: str) -> None:
    update(folder)
    path = folder / index.NAME
    if damage == "text":
        path.write_bytes(b"these are notes, and no database at all" * 100)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "foreign":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (a)")
        other.close()
    else:
        with sqlite3.connect(path) as other:
            other.execute(
                {
                    "row": "UPDATE pictures SET vector = x'00'",
                    "type": "UPDATE pictures SET hash = 'text'",
                    "null": "UPDATE pictures SET width = NULL",
                    "view": "CREATE VIEW v AS WITH RECURSIVE n AS (SELECT 1 x UNION SELECT x + 1 FROM n) SELECT 1",
                }[damage]
            )
        other.close()
    before = path.read_bytes()
    with pytest.raises(NicError, match=r"not an index|cannot be used"):
        paths(folder)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NicError, match="is not a folder"):
        Index(str(tmp_path / "nothing"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_that_are_no_text_are_kept(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "a.png", folder / name)
    update(folder)
    assert name in paths(folder)
    with Index(str(folder)) as found:
        assert export.numpy_file(found)


def test_an_export_needs_no_pickles(folder: Path, tmp_path: Path) -> None:
    update(folder)
    with Index(str(folder)) as found:
        (tmp_path / "out.npz").write_bytes(export.numpy_file(found))
        entries, hashes, vectors = next(found.blocks())
        encoder = found.encoder
    with np.load(tmp_path / "out.npz", allow_pickle=False) as out:
        assert out["path"].tolist() == [entry.path for entry in entries]
        assert out["width"].tolist() == [160] * 3
        assert str(out["encoder"]) == encoder
        np.testing.assert_array_equal(out["hash"], hashes)
        np.testing.assert_array_equal(out["vector"], vectors)


def test_an_export_to_parquet_has_the_same_columns(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    update(folder)
    with Index(str(folder)) as found:
        (tmp_path / "out.parquet").write_bytes(export.parquet_file(found))
        entries, hashes, vectors = next(found.blocks())
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table["path"].to_pylist() == [entry.path for entry in entries]
    np.testing.assert_array_equal(np.array(table["hash"].to_pylist()), hashes)
    np.testing.assert_allclose(np.array(table["vector"].to_pylist()), vectors.astype(np.float32))


def test_an_index_of_an_older_form_is_made_anew(folder: Path) -> None:
    update(folder)
    with sqlite3.connect(folder / index.NAME) as other:
        other.execute("DROP TABLE thumbnails")
        other.execute("PRAGMA user_version = 1")
    other.close()
    assert update(folder) == index.Change(3, 0, {}, True)
    assert update(folder) == index.Change(0, 0, {}, False)


def test_thumbnails_are_the_pictures_small(folder: Path) -> None:
    update(folder)
    (folder / "b.jpg").unlink()
    update(folder)
    with sqlite3.connect(folder / index.NAME) as other:
        assert other.execute("SELECT count(*) FROM thumbnails").fetchone() == (2,)
        other.execute("UPDATE thumbnails SET image = ? WHERE path = ?", (b"x" * 70000, b"a.png"))
    other.close()
    with Index(str(folder)) as found:
        entries = next(found.blocks())[0]
        hostile, small = found.thumbnails(entries)
    assert hostile == b""
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (96, 72)
        own = Image.fromarray(scene(2, 120, 160)).resize((96, 72), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(image, int) - np.asarray(own, int)).mean() < 8
