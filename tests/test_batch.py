"""Many files: what arguments mean, what is reported, what goes on when one fails."""

import json
import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run, names
from PIL import Image

import nicodec
from nicodec import batch, workers
from nicodec.batch import Job

# Arguments


def is_png(name: str) -> bool:
    return name.endswith(".png")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.png", "in/a.png", "in/z/c.png", "in/notes.txt", "x.png", "y.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("out").mkdir()
    return tmp_path


def planned(*arguments: str, out: str | None = None) -> list[tuple[str, str]]:
    found = batch.plan(list(arguments), out, ".nic", is_input=is_png)
    return [(job.source, job.target) for job in found.jobs]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x.png"], [("x.png", "x.nic")]),
        (["-"], [("-", "-")]),
        (["x.png", "-"], [("x.png", "-")]),
        (["-", "k.nic"], [("-", "k.nic")]),
        (["x.png", "k.nic"], [("x.png", "k.nic")]),
        (["x.png", "k.dat"], [("x.png", "k.dat")]),
        (["x.png", "out"], [("x.png", "out/x.nic")]),
        (["x.png", "new/"], [("x.png", "new/x.nic")]),
        (["none.png"], [("none.png", "none.nic")]),
        (["x.png", "x.png"], [("x.png", "x.png")]),
        (["x.png", "y.png"], [("x.png", "x.nic"), ("y.png", "y.nic")]),
        (["x.png", "typo.png"], [("x.png", "x.nic"), ("typo.png", "typo.nic")]),
        (["x.png", "in/a.png", "out"], [("x.png", "out/x.nic"), ("in/a.png", "out/a.nic")]),
        (["x.png", "in/a.png", "new"], [("x.png", "new/x.nic"), ("in/a.png", "new/a.nic")]),
        (["in"], [("in/a.png", "in/a.nic"), ("in/b.png", "in/b.nic"), ("in/z/c.png", "in/z/c.nic")]),
        (["in", "out"],
         [("in/a.png", "out/a.nic"), ("in/b.png", "out/b.nic"), ("in/z/c.png", "out/z/c.nic")]),
        (["in/", "new"],
         [("in/a.png", "new/a.nic"), ("in/b.png", "new/b.nic"), ("in/z/c.png", "new/z/c.nic")]),
        (["*.png"], [("x.png", "x.nic"), ("y.png", "y.nic")]),
        (["in/**/*.png", "new"],
         [("in/a.png", "new/a.nic"), ("in/b.png", "new/b.nic"), ("in/z/c.png", "new/z/c.nic")]),
        (["q*.png"], [("q*.png", "q*.nic")]),
    ],
)  # fmt: skip
def test_what_arguments_mean(tree: Path, arguments: list[str], expected: list[tuple[str, str]]) -> None:
    native = [(s.replace("/", os.sep), t.replace("/", os.sep)) for s, t in expected]
    found = [(s.replace("/", os.sep), t.replace("/", os.sep)) for s, t in planned(*arguments)]
    assert found == native


def test_out_as_an_option_leaves_no_doubt(tree: Path) -> None:
    assert planned("x.png", out="y.png") == [("x.png", "y.png")]
    assert [t for _, t in planned("x.png", "y.png", "in", out="new")] == [
        os.path.join("new", name) for name in ("x.nic", "y.nic", "a.nic", "b.nic", os.path.join("z", "c.nic"))
    ]


@pytest.mark.parametrize("arguments", [["in", "-"], ["-", "x.png", "out"], ["in", "x.txt"]])
def test_what_cannot_be(tree: Path, arguments: list[str]) -> None:
    Path("x.txt").touch()
    with pytest.raises(nicodec.NicError):
        planned(*arguments)


def test_a_file_whose_name_is_a_pattern_is_that_file(tree: Path) -> None:
    Path("[x].png").touch()
    assert planned("[x].png") == [("[x].png", "[x].nic")]


def test_two_sources_of_one_target_are_noticed() -> None:
    jobs = [Job("a.png", "a.nic"), Job("b.png", "b.nic"), Job("a.jpg", "./a.nic")]
    assert batch.clashes(jobs) == {"a.jpg": jobs[0]}


# Workers


def test_results_come_in_order_though_work_does_not() -> None:
    def work(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n * n

    assert list(workers.in_order(work, range(40), 4)) == [n * n for n in range(40)]


def test_only_so_much_is_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Any:
        for n in range(100):
            taken.append(n)
            yield n

    results = workers.in_order(lambda n: n, items(), 3)
    for n in range(10):
        assert next(results) == n
        assert len(taken) <= n + 6
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("nicodec")]


def test_warnings_belong_to_the_thread_that_gave_them() -> None:
    def work(n: int) -> list[str]:
        warnings.warn(f"note {n}", stacklevel=1)
        time.sleep(0.002)
        return notes.take()

    with batch.notes() as notes:
        assert list(workers.in_order(work, range(20), 4)) == [[f"note {n}"] for n in range(20)]


# The command line


@pytest.fixture
def pictures(here: Path) -> Path:
    with Image.open("a.png") as image:
        Path("in/sub").mkdir(parents=True)
        image.save("in/b.jpg")
        image.convert("CMYK").save("in/sub/c.tif")
        image.convert("L").save("in/sub/d.png")
    Path("a.png").rename("in/a.png")
    return here


def test_a_tree_there_and_back(run: Run, pictures: Path) -> None:
    code, out, said = run("encode", "in", "out", "-q", 70)
    assert (code, out) == (0, b"")
    note, summary = said.splitlines()
    assert note == f"{os.path.join('in', 'sub', 'c.tif')}: CMYK was converted to RGB"
    assert summary.startswith("encoded 4 files, ")
    assert sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*.*")) == [
        "a.nic", "b.nic", "sub/c.nic", "sub/d.nic",
    ]  # fmt: skip
    assert Path("out/a.nic").read_bytes() == nicodec.encode("in/a.png", quality=70)
    assert run("decode", "out", "back", "--format", "ppm")[0] == 0
    with Image.open("back/sub/d.ppm") as image:
        assert image.mode == "L"
        assert np.array_equal(image, nicodec.decode(Path("out/sub/d.nic").read_bytes()))


def test_one_bad_file_never_stops_the_rest(run: Run, pictures: Path) -> None:
    Path("in/bad.png").write_text("no picture")
    with Image.open("in/a.png") as image:
        image.save("in/a.webp")
    code, _, said = run("encode", "in", "out")
    assert code == 5
    assert f"nicodec: {os.path.join('in', 'bad.png')}: not a picture of a known format" in said
    assert f"{os.path.join('in', 'a.webp')}: {os.path.join('out', 'a.nic')} is what" in said
    assert said.splitlines()[-1].endswith("; 2 failed")
    assert len(list(Path("out").rglob("*.nic"))) == 4


def test_a_second_run_goes_on(run: Run, pictures: Path) -> None:
    run("encode", "in", "out", "--quiet")
    Path("out/b.nic").unlink()
    stamp = Path("out/a.nic").stat().st_mtime_ns
    code, _, said = run("encode", "in", "out")
    assert code == 5
    assert "exists already; -f overwrites it" in said
    assert said.splitlines()[-1].endswith("; 3 failed")
    Path("out/b.nic").unlink()
    code, _, said = run("encode", "in", "out", "--skip-existing", "-v")
    assert code == 0
    assert said.splitlines()[-1].startswith("encoded 1 file, ")
    assert said.splitlines()[-1].endswith("; 3 skipped")
    assert Path("out/a.nic").stat().st_mtime_ns == stamp


def test_json_of_many_and_of_one(run: Run, pictures: Path) -> None:
    Path("in/bad.png").write_text("no picture")
    code, out, _ = run("encode", "in", "out", "--json", "--bpp", 1)
    found = json.loads(out)
    assert code == 5
    assert found["total"]["files"] == 4
    assert found["total"]["failed"] == 1
    by_name = {Path(f["source"]).name: f for f in found["files"]}
    assert "not a picture" in by_name["bad.png"]["error"]
    assert by_name["c.tif"]["notes"] == ["CMYK was converted to RGB"]
    one = by_name["a.png"]
    assert 8 * one["bytes_out"] / (one["width"] * one["height"]) == one["bpp"] <= 1
    assert one["bytes_out"] == Path(one["target"]).stat().st_size
    assert json.loads(run("decode", one["target"], "--json")[1])["mode"] == "RGB"


def test_nothing_to_do_is_said(run: Run, here: Path) -> None:
    Path("empty").mkdir()
    code, _, said = run("encode", "empty")
    assert code == 3
    assert "nothing to do" in said


def test_ctrl_c_stops_cleanly(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = nicodec.Codec.encode
    calls: list[int] = []

    def encode(self: nicodec.Codec, *a: Any, **k: Any) -> bytes:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *a, **k)

    monkeypatch.setattr(nicodec.Codec, "encode", encode)
    code, _, said = run("encode", "in", "out", "-j", 1)
    assert code == 130
    assert "--skip-existing goes on" in said
    assert not list(Path("out").rglob("*.tmp"))


def test_sizes_with_units(run: Run, here: Path) -> None:
    for text in ("0.3k", "300", "300B", ".3 kb"):
        assert run("encode", "a.png", "-f", "--quiet", "--size", text)[0] == 0
        assert 291 <= Path("a.nic").stat().st_size <= 300
    assert run("encode", "a.png", "-f", "--quiet", "--size", "0.28125KiB")[0] == 0
    assert Path("a.nic").stat().st_size <= 288


def test_arrays_come_out_as_npy(run: Run, here: Path) -> None:
    run("encode", "a.png")
    assert run("decode", "a.nic", "a.npy")[0] == 0
    assert np.array_equal(np.load("a.npy"), nicodec.decode(Path("a.nic").read_bytes()))
    assert names(here) == ["a.nic", "a.npy", "a.png"]
