"""Many files, and one: what the command makes, what it reports, what goes on when one fails."""

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from program import Run, names

import nicodec
from nicodec.cli import report
from nicodec.parallel import threads


def test_warnings_belong_to_the_thread_that_gave_them() -> None:
    def work(n: int) -> tuple[str, ...]:
        warnings.warn(f"note {n}", stacklevel=1)
        time.sleep(0.002)
        return notes.take()

    with report.notes() as notes:
        assert list(threads.in_order(work, range(20), 4)) == [(f"note {n}",) for n in range(20)]


@pytest.fixture
def pictures(here: Path) -> Path:
    with Image.open("a.png") as image:
        Path("in/sub").mkdir(parents=True)
        image.save("in/b.jpg")
        image.convert("CMYK").save("in/sub/c.tif")
        image.convert("L").save("in/sub/d.png")
    Path("a.png").rename("in/a.png")
    return here


def test_a_tree_of_pictures_is_encoded_and_decoded(run: Run, pictures: Path) -> None:
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


def test_a_bad_file_does_not_stop_the_others(run: Run, pictures: Path) -> None:
    Path("in/bad.png").write_text("no picture")
    code, _, said = run("encode", "in", "out")
    assert code == 5
    assert f"nicodec: {os.path.join('in', 'bad.png')}: not a picture of a known format" in said
    assert said.splitlines()[-1].endswith("; 1 failed")
    assert len(list(Path("out").rglob("*.nic"))) == 4


def test_a_second_run_goes_on(run: Run, pictures: Path) -> None:
    run("encode", "in", "out", "-j", 1, "--quiet")
    Path("out/b.nic").unlink()
    stamp = Path("out/a.nic").stat().st_mtime_ns
    code, _, said = run("encode", "in", "out", "-j", 1)
    assert code == 5
    assert "exists already; -f overwrites it" in said
    assert said.splitlines()[-1].endswith("; 3 failed")
    Path("out/b.nic").unlink()
    code, _, said = run("encode", "in", "out", "-j", 1, "--skip-existing", "-v")
    assert code == 0
    assert said.splitlines()[-1].startswith("encoded 1 file, ")
    assert said.splitlines()[-1].endswith("; 3 skipped")
    assert Path("out/a.nic").stat().st_mtime_ns == stamp


def test_json_tells_of_each_file_and_of_all(run: Run, pictures: Path) -> None:
    Path("in/bad.png").write_text("no picture")
    code, out, _ = run("encode", "in", "out", "-j", 1, "--json", "--bpp", 1)
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
    assert json.loads(run("decode", one["target"], "--json")[1])["files"][0]["mode"] == "RGB"


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


@pytest.mark.parametrize("command", ["encode a.png", "decode a.nic -f", "verify a.nic", "info a.nic"])
def test_ctrl_c_on_one_file_is_said_in_one_word(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    Path("a.nic").write_bytes(nicodec.encode("a.png"))

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for work in ("codec.Codec.encode", "codec.Codec.decode", "api.info"):
        monkeypatch.setattr(f"nicodec.{work}", stop)
    assert run(*command.split(), *(["-o", "b.nic"] if command.startswith("encode") else [])) == (130, b"", "stopped\n")
    assert names(here) == ["a.nic", "a.png"]


def test_a_size_may_have_a_unit(run: Run, here: Path) -> None:
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
