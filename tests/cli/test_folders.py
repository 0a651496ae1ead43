"""Folders and batches: each picture once, names that clash, what is left, what is newer, what is kept of a source."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import fuzz_decode
import numpy as np
import pytest
from PIL import Image
from program import Run

import nicodec

TINY = ("-j", 1, "-m", str(fuzz_decode.TINY))
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, pipes and links")


@pytest.fixture
def folder(here: Path) -> Path:
    """in/ with p.png and sub/q.png."""
    Path("in/sub").mkdir(parents=True)
    for name in ("in/p.png", "in/sub/q.png"):
        Path(name).write_bytes(Path("a.png").read_bytes())
    return here


def made(folder: str = ".") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.nic"))


def age(name: str, seconds: int) -> None:
    os.utime(name, (1_000_000_000 + seconds,) * 2)


# Each file once


@pytest.mark.parametrize(
    "names",
    [
        ("in/p.png", "in", "./in/p.png"),
        ("in", "in/p.png"),
        ("in", "./in", "in/p.png"),
        ("in/sub", "in", "in/p.png"),
        ("in", "in/**/*.png"),
    ],
    ids=" ".join,
)
def test_a_file_that_is_named_twice_is_encoded_once(run: Run, folder: Path, names: tuple[str, ...]) -> None:
    code, _, said = run("encode", *names, *TINY)
    assert (code, said.startswith("encoded 2 files"), said.count("\n")) == (0, True, 1), said
    assert made() == ["in/p.nic", "in/sub/q.nic"]


def test_a_folder_that_cannot_be_listed_fails_and_the_others_are_encoded(
    run: Run, folder: Path, closed: Callable[[Path], None]
) -> None:
    """An archive that lacks a part of the tree says so."""
    closed(Path("in/sub"))
    code, _, said = run("encode", "in", "out", *TINY)
    assert (code, made()) == (5, ["out/p.nic"])
    assert "nicodec: in/sub/: Permission denied" in said
    # Not even where names are alike, and results are there.
    Path("in/sub.png").write_bytes(Path("a.png").read_bytes())
    Path("out/sub.nic").write_bytes(Path("out/p.nic").read_bytes())
    code, _, said = run("encode", "in", "out", *TINY, "--skip-existing")
    assert (code, "nicodec: in/sub/: Permission denied" in said, made()) == (5, True, ["out/p.nic", "out/sub.nic"])
    Path("out/sub.nic").unlink()
    code, _, said = run("encode", "in/sub", "out", *TINY)
    assert (code, "nicodec: in/sub/: Permission denied" in said, made()) == (5, True, ["out/p.nic"])


def test_a_file_that_is_named_twice_is_verified_once(run: Run, folder: Path) -> None:
    run("encode", "in", *TINY)
    code, out, _ = run(
        "verify", "in/p.nic", "./in/p.nic", "-", "-", "-m", TINY[-1], stdin=Path("in/p.nic").read_bytes()
    )
    assert (code, out) == (0, b"in/p.nic: ok\nstdin: ok\n")


def test_sources_of_one_name_keep_their_suffixes(run: Run, folder: Path) -> None:
    Image.new("RGB", (60, 40), "red").save("in/p.jpg")
    code, _, said = run("encode", "in", "out", *TINY)
    assert code == 0, said
    assert made("out") == ["p.jpg.nic", "p.png.nic", "sub/q.nic"]
    code, _, said = run("decode", "out", "back", *TINY)
    assert code == 0, said
    red, waves = (np.asarray(Image.open(f"back/{name}.png")).astype(float) for name in ("p.jpg", "p.png"))
    assert np.abs(red - (254, 0, 0)).mean() < 10
    assert np.abs(waves - np.asarray(Image.open("a.png"))).mean() < 10
    code, _, said = run("encode", "in", "out", *TINY, "--skip-existing", "-v")
    assert (code, said.splitlines()[-1]) == (0, "encoded no files; 3 skipped")


def test_sources_of_one_name_and_one_suffix_are_still_refused(run: Run, folder: Path) -> None:
    Path("in/q.png").write_bytes(Path("a.png").read_bytes())
    code, _, said = run("encode", "in/q.png", "in/sub/q.png", "out", *TINY)
    assert (code, made("out")) == (5, ["q.nic"])
    assert "is what" in said


# What is left


def test_files_of_other_kinds_are_counted(run: Run, folder: Path) -> None:
    for name in ("a.mov", "b.MOV", "sub/c.mov", "d.txt", "e.txt", "notes", "old.nic", ".hidden", "._p.png"):
        Path("in", name).touch()
    code, _, said = run("encode", "in", "out", *TINY)
    assert code == 0
    assert said.splitlines()[0] == "6 files of other kinds were left: 3 .mov, 2 .txt, 1 without suffix"
    assert made("out") == ["p.nic", "sub/q.nic"]
    assert "other kinds" not in run("encode", "in", "more", *TINY, "--quiet")[2]
    Path("more/a.xmp").touch()
    assert run("decode", "more", *TINY)[2].splitlines()[0] == "1 file of another kind was left: 1 .xmp"


@posix
def test_pipes_and_loops_do_not_stop_a_folder(run: Run, folder: Path) -> None:
    os.mkfifo("in/pipe.png")
    Path("in/loop").symlink_to(folder / "in")
    Path("in/linked").symlink_to(folder / "elsewhere")
    Path("elsewhere").mkdir()
    Path("elsewhere/r.png").write_bytes(Path("a.png").read_bytes())
    assert run("encode", "in", "out", *TINY)[0] == 0
    assert made("out") == ["linked/r.nic", "p.nic", "sub/q.nic"]


# Newer than before


def test_an_update_encodes_again_what_is_newer(run: Run, folder: Path) -> None:
    run("encode", "in", "out", *TINY)
    for name, seconds in (("in/p.png", 0), ("out/p.nic", 1), ("in/sub/q.png", 2), ("out/sub/q.nic", 1)):
        age(name, seconds)
    Image.new("L", (8, 8)).save("in/new.png")
    code, _, said = run("encode", "in", "out", *TINY, "--update")
    assert (code, said.startswith("encoded 2 files"), said.endswith("; 1 skipped\n")) == (0, True, True), said
    assert Path("out/p.nic").stat().st_mtime == 1_000_000_001
    assert Path("out/sub/q.nic").stat().st_mtime > 1_000_000_002
    age("out/p.nic", 5)
    assert run("decode", "out/p.nic", "in/p.png", *TINY, "--update")[0] == 0
    with Image.open("in/p.png") as picture:
        assert picture.tobytes() == nicodec.decode("out/p.nic", model=TINY[-1]).tobytes()


@pytest.mark.parametrize("command", [("encode", "in"), ("decode", "in", "out")])
def test_a_second_run_that_has_nothing_to_do_says_so(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    run("encode", "in", *TINY)
    run(*command, *TINY)
    verb = f"{command[0]}d"
    Path("in/notes.txt").touch()
    left = "1 file of another kind was left: 1 .txt" if verb == "encoded" else ""
    for option in ("--skip-existing", "--update"):
        code, out, said = run(*command, *TINY, option)
        assert (code, out, said.splitlines()[-1]) == (0, b"", f"{verb} no files; 2 skipped")
        assert left in said
        assert run(*command, *TINY, option, "--quiet") == (0, b"", "")
        assert json.loads(run(*command, *TINY, option, "--json")[1])["total"]["skipped"] == 2


def test_one_file_that_is_skipped_is_said(run: Run, folder: Path) -> None:
    run("encode", "in/p.png", *TINY)
    for option in ("--skip-existing", "--update"):
        said = f"{os.path.join('in', 'p.png')} -> {os.path.join('in', 'p.nic')}: is there already, skipped\n"
        assert run("encode", os.path.join("in", "p.png"), *TINY, option) == (0, b"", said)
        assert run("encode", "in/p.png", *TINY, option, "--quiet") == (0, b"", "")


def test_where_several_files_are_there_both_ways_to_go_on_are_named(run: Run, folder: Path) -> None:
    run("encode", "in", *TINY)
    code, _, said = run("encode", "in", *TINY)
    assert (code, said.count(": exists already; -f overwrites it, --skip-existing leaves it\n")) == (5, 2)


@pytest.mark.parametrize("options", [("-f", "--update"), ("--skip-existing", "--update")])
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_ways_to_treat_files_that_are_there_exclude_each_other(
    run: Run, here: Path, command: str, options: tuple[str, ...]
) -> None:
    code, _, said = run(command, "a.png", "x.nic", *options)
    assert (code, "exclude each other" in said) == (2, True)


@posix
def test_time_and_permissions_are_preserved_when_asked(run: Run, folder: Path) -> None:
    age("in/p.png", 7)
    Path("in/p.png").chmod(0o640)
    assert run("encode", "in", "out", *TINY, "--preserve")[0] == 0
    assert run("decode", "out/p.nic", "back.png", *TINY, "--preserve")[0] == 0
    for name in ("out/p.nic", "back.png"):
        found = os.stat(name)
        assert (found.st_mtime_ns, stat.S_IMODE(found.st_mode)) == (1_000_000_007 * 10**9, 0o640)
    assert run("encode", "in", "out", *TINY, "--update", "--preserve")[2] == "encoded no files; 2 skipped\n"
    assert run("encode", "in/p.png", "-", *TINY, "--preserve")[0] == 2


# JSON


def test_json_of_one_file_and_of_many_has_one_shape(run: Run, folder: Path) -> None:
    one = json.loads(run("encode", "in/p.png", *TINY, "--json")[1])
    many = json.loads(run("encode", "in", "out", *TINY, "--json")[1])
    skipped = json.loads(run("encode", "in/p.png", *TINY, "--json", "--update")[1])
    assert one.keys() == many.keys() == skipped.keys() == {"files", "total"}
    assert one["files"][0].keys() == many["files"][0].keys()
    assert one["total"].keys() == many["total"].keys()
    Path("in/bad.png").write_text("no picture")
    code, out, said = run("encode", "in/bad.png", *TINY, "--json")
    failed = json.loads(out)
    assert (code, failed["total"]["failed"], f"nicodec: {failed['files'][0]['error']}\n") == (3, 1, said)
    assert failed.keys() == one.keys()
    assert (one["total"]["files"], skipped["total"]["skipped"], skipped["files"][0]["skipped"]) == (1, 1, True)


def test_json_of_verify_says_what_is_wrong(run: Run, folder: Path) -> None:
    run("encode", "in", "out", *TINY)
    Path("out/bad.nic").write_bytes(Path("out/p.nic").read_bytes()[:-1])
    code, out, _ = run("verify", "out", "-m", TINY[-1], "--json")
    found = json.loads(out)
    assert (code, found["total"]) == (5, {"files": 2, "failed": 1})
    assert [(Path(f["source"]).name, f["ok"]) for f in found["files"]] == [
        ("bad.nic", False), ("p.nic", True), ("q.nic", True),
    ]  # fmt: skip
    assert "cut short" in found["files"][0]["error"]
