"""`nicodec index`, `similar` and `duplicates`: what they print, make and refuse."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import Run, names

import nicodec
from nicodec.cli import explored
from nicodec.cli.plan import Job


def scene(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = np.zeros((200, 280, 3), np.uint8)
    for _ in range(40):
        top, left, size = rng.integers(0, 200), rng.integers(0, 280), rng.integers(8, 70)
        pixels[top : top + size, left : left + size] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        scene(number).save(folder / f"{number}.png")
    scene(0).resize((140, 100)).save(folder / "small.png")
    return folder


def test_an_index_is_made_and_brought_up_to_date(run: Run, photos: Path) -> None:
    code, out, err = run("index", "photos", "-j", 1)
    assert (code, out) == (0, b"")
    assert "5 pictures; 5 read, 0 gone, 0 cannot be read" in err
    made = f"{os.path.join('photos', '.nicodec-index.sqlite')}: a new index"
    assert made in err
    assert made not in run("index", "photos", "-j", 1)[2]
    (photos / "small.png").unlink()
    code, out, err = run("index", "photos", "--json", "-j", 1)
    facts = json.loads(out)
    assert (facts["pictures"], facts["read"], facts["gone"], facts["failed"]) == (4, 0, 1, {})
    assert os.path.samefile(facts["index"], photos / ".nicodec-index.sqlite")
    code, out, err = run("index", "photos", "--quiet", "-o", "mine.sqlite", "-j", 1)
    assert (code, out, err) == (0, b"", "")
    assert "mine.sqlite" in names(photos.parent)


def test_a_file_that_cannot_be_read_is_named(run: Run, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    code, _, err = run("index", "photos", "-j", 1)
    assert code == 5
    assert err.splitlines()[1] == os.path.join("photos", "bad.jpg") + ": not a picture of a known format"
    assert "1 cannot be read" in err
    code, out, _ = run("index", "photos", "--json", "--quiet", "-j", 1)
    assert json.loads(out)["failed"] == {"bad.jpg": "not a picture of a known format"}
    code, out, err = run("duplicates", "photos", "--json", "-j", 1)
    assert code == 0
    assert len(json.loads(out)) == 1


def test_an_index_of_another_encoder_is_said_to_be_remade(run: Run, photos: Path) -> None:
    run("index", "photos", "-j", 1)
    with sqlite3.connect(photos / ".nicodec-index.sqlite") as file:
        file.execute("UPDATE facts SET value = 'another'")
    file.close()
    code, _, err = run("index", "photos", "-j", 1)
    assert code == 0
    assert "was made by another release; it is made anew" in err
    assert "5 read" in err


def test_an_export_is_written(run: Run, photos: Path) -> None:
    code, _, err = run("index", "photos", "--export", "out.npz", "-j", 1)
    assert code == 0
    assert f"-> out.npz: {Path('out.npz').stat().st_size:,} bytes\n" in err
    with np.load("out.npz", allow_pickle=False) as out:
        assert len(out["path"]) == len(out["vector"]) == 5
    assert run("index", "photos", "--export", "out.npz")[0] == 3
    assert run("index", "photos", "--export", "out.csv")[0] == 2


def test_similar_names_the_nearest_first(run: Run, photos: Path) -> None:
    scene(2).crop((30, 20, 250, 180)).save("query.png")
    code, out, _ = run("similar", "query.png", "photos", "--json", "-j", 1)
    found = json.loads(out)
    assert code == 0
    assert [set(each) for each in found] == [{"file", "distance"}] * 5
    assert found[0]["file"] == os.path.join("photos", "2.png")
    assert [each["distance"] for each in found] == sorted(each["distance"] for each in found)
    code, out, _ = run("similar", "query.png", "photos", "-n", 2, "-j", 1)
    assert code == 0
    assert out.splitlines()[0].endswith(os.path.join("photos", "2.png").encode())
    assert len(out.splitlines()) == 2


def test_similar_takes_nic_files_and_stdin(run: Run, photos: Path) -> None:
    data = nicodec.encode(photos / "3.png", quality=60, model="photo-fast", lossless=False)
    Path("query.nic").write_bytes(data)
    for name, stdin in (("query.nic", b""), ("-", data), ("-", (photos / "3.png").read_bytes())):
        code, out, _ = run("similar", name, "photos", "--json", "-n", 1, "-j", 1, stdin=stdin)
        assert code == 0
        assert json.loads(out)[0]["file"] == os.path.join("photos", "3.png")


def test_a_turned_picture_is_similar(run: Run, photos: Path) -> None:
    scene(1).rotate(90, expand=True).save("query.png")
    _, out, _ = run("similar", "query.png", "photos", "--json", "-n", 1, "-j", 1)
    assert json.loads(out)[0]["file"] == os.path.join("photos", "1.png")


def test_duplicates_are_listed(run: Run, photos: Path) -> None:
    code, out, err = run("duplicates", "photos", "--json", "-j", 1)
    (group,) = json.loads(out)
    files = [os.path.join("photos", name) for name in ("0.png", "small.png")]
    assert code == 0
    assert group["files"] == files
    (match,) = group["matches"]
    assert sorted(match["files"]) == files
    assert match["why"] == "near hash"
    assert match["bits"] <= 120
    code, out, err = run("duplicates", "photos", "-j", 1)
    lines = out.decode().splitlines()
    assert lines[:2] == [files[0], "  " + files[1]]
    assert "of 512 bits differ" in lines[2]
    assert "1 group, 1 copy\n" in err


def test_duplicates_change_nothing_unless_told_to(run: Run, photos: Path) -> None:
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    code, _, err = run("duplicates", "photos", "--page", "copies.html", "-j", 1)
    assert code == 0
    assert f"photos -> copies.html: {Path('copies.html').stat().st_size:,} bytes\n" in err
    after = {path.name: path.read_bytes() for path in photos.iterdir() if not path.name.startswith(".")}
    assert after == before
    assert Path("copies.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("duplicates", "photos", "--page", "copies.html")[0] == 3


def test_json_and_the_page_do_not_share_stdout(run: Run, photos: Path) -> None:
    code, out, err = run("duplicates", "photos", "--json", "--page", "-", "-j", 1)
    assert (code, out) == (2, b"")
    assert "--json and the page cannot both go to stdout" in err
    code, _, err = run("duplicates", "photos", "--move", "-")
    assert (code, err) == (2, "nicodec: --move: a folder is needed, not -\n")


def test_duplicates_are_moved_and_moved_back(run: Run, photos: Path) -> None:
    code, _, err = run("duplicates", "photos", "--move", "away", "-j", 1)
    assert code == 0
    assert "files moved to away: 1;" in err
    assert names(Path("away")) == ["small.png", "undo.py"]
    undone = subprocess.run([sys.executable, "away/undo.py"], stdout=subprocess.PIPE, text=True, check=True)
    assert undone.stdout.splitlines() == ["files moved back: 1"]
    assert (photos / "small.png").exists()
    assert run("duplicates", "photos", "--move", "photos/away")[0] == 3
    assert run("duplicates", "photos", "--move", "x", "--hardlink")[0] == 2


def test_the_source_of_a_coded_picture_is_not_moved(run: Run, photos: Path) -> None:
    for path in photos.iterdir():
        path.unlink()
    rng = np.random.default_rng(5)
    noisy = np.clip(np.asarray(scene(0), float) + rng.normal(0, 8, (200, 280, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(photos / "0.jpg", quality=90)
    Image.fromarray(noisy).convert("L").save(photos / "gray.png")
    (photos / "0.nic").write_bytes(nicodec.encode(photos / "0.jpg", quality=40, model="photo-fast", lossless=False))
    nicodec.decode(photos / "0.nic").save(photos / "0.png")
    code, _, err = run("duplicates", "photos", "--move", "away", "-j", 1)
    assert code == 0
    assert "0.jpg" in names(photos)
    assert f"{os.path.join('photos', '0.jpg')}: stays, because it may be an original" in err


def test_identical_files_become_links(run: Run, photos: Path) -> None:
    (photos / "copy.png").write_bytes((photos / "1.png").read_bytes())
    code, _, err = run("duplicates", "photos", "--hardlink", "-j", 1)
    assert code == 0
    assert "files that became hard links: 1" in err
    assert os.path.samefile(photos / "copy.png", photos / "1.png")
    assert not os.path.samefile(photos / "small.png", photos / "0.png")


def test_a_picture_that_is_too_large_for_memory_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def work(job: Job) -> str:
        if job.source == "large.png":
            raise MemoryError
        return job.source.upper()

    running = explored.Work(work, [Job(name, "") for name in ("a.png", "large.png", "b.png")], 1, quiet=True)
    assert [result for _, result in running] == ["A.PNG", "B.PNG"]
    assert [str(error) for error in running.failed] == ["large.png: not enough memory"]
    assert capsys.readouterr().err == "nicodec: large.png: not enough memory\n"


def test_what_is_no_folder_or_no_index_is_refused(run: Run, photos: Path) -> None:
    for command in (("index", "nothing"), ("duplicates", "nothing"), ("similar", "photos/0.png", "nothing")):
        code, _, err = run(*command)
        assert code == 3
        assert "nothing: is not a folder" in err
    assert run("index", "s3://bucket")[0] == 2
    for place in ("-", "s3://bucket/i.sqlite"):
        code, _, err = run("index", "photos", "-o", place)
        assert code == 2
        assert f"{place}: the index has to be a file of this machine" in err
    assert "-" not in names(photos.parent)
    assert run("similar", "missing.png", "photos")[0] == 3
    assert run("similar", "photos/0.png", "photos", "-n", 0)[0] == 2
    (photos / ".nicodec-index.sqlite").write_bytes(b"no database" * 100)
    code, _, err = run("duplicates", "photos")
    assert code == 3
    assert "not an index, or a damaged one" in err
