"""What the names of a command mean: which is OUT, one job for each file, what is warned of, what is refused."""

import os
from pathlib import Path

import pytest
from PIL import Image
from program import Run, encoded, names

from nicodec.cli import plan
from nicodec.cli.plan import BadUsage, Job, Plan
from nicodec.picture import writer
from nicodec.storage import is_nic

# Jobs


def is_png(name: str) -> bool:
    return name.endswith(".png")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a tree of empty files, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.png", "in/a.png", "in/z/c.png", "in/notes.txt", "x.png", "y.png", "old.nic", "k.dat"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("out").mkdir()
    return tmp_path


def planned(*arguments: str, out: str | None = None, by_suffix: bool = False) -> Plan:
    return plan.plan(list(arguments), out, (".nic",), is_input=is_png, reads=is_png, by_suffix=by_suffix)


def jobs(*arguments: str, out: str | None = None) -> list[tuple[str, str]]:
    return [(job.source, job.target) for job in planned(*arguments, out=out).jobs]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x.png"], [("x.png", "x.nic")]),
        (["-"], [("-", "-")]),
        (["-", "-"], [("-", "-")]),
        (["x.png", "-"], [("x.png", "-")]),
        (["-", "k.nic"], [("-", "k.nic")]),
        (["x.png", "k.nic"], [("x.png", "k.nic")]),
        (["x.png", "old.nic"], [("x.png", "old.nic")]),
        (["x.png", "k.dat"], [("x.png", "k.dat")]),
        (["x.png", "typo.png"], [("x.png", "typo.png")]),
        (["x.png", "out"], [("x.png", "out/x.nic")]),
        (["x.png", "new/"], [("x.png", "new/x.nic")]),
        (["none.png"], [("none.png", "none.nic")]),
        (["x.png", "y.png", "x.png"], [("x.png", "x.nic"), ("y.png", "y.nic")]),
        (["x.png", "y.png"], [("x.png", "x.nic"), ("y.png", "y.nic")]),
        (["x.png", "in/a.png", "out"], [("x.png", "out/x.nic"), ("in/a.png", "out/a.nic")]),
        (["x.png", "in/a.png", "new"], [("x.png", "new/x.nic"), ("in/a.png", "new/a.nic")]),
        (["in"], [("in/a.png", "in/a.nic"), ("in/b.png", "in/b.nic"), ("in/z/c.png", "in/z/c.nic")]),
        (["in", "out"],
         [("in/a.png", "out/a.nic"), ("in/b.png", "out/b.nic"), ("in/z/c.png", "out/z/c.nic")]),
        (["in/", "new"],
         [("in/a.png", "new/a.nic"), ("in/b.png", "new/b.nic"), ("in/z/c.png", "new/z/c.nic")]),
        (["*.png"], [("x.png", "x.nic"), ("y.png", "y.nic")]),
        (["x.png", "in/*.png"], [("x.png", "x.nic"), ("in/a.png", "in/a.nic"), ("in/b.png", "in/b.nic")]),
        (["x.png", "*.nic"], [("x.png", "*.nic")]),
        (["in/**/*.png", "new"],
         [("in/a.png", "new/a.nic"), ("in/b.png", "new/b.nic"), ("in/z/c.png", "new/z/c.nic")]),
        (["q*.png"], [("q*.png", "q*.nic")]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)  # fmt: skip
def test_names_mean_jobs(tree: Path, arguments: list[str], expected: list[tuple[str, str]]) -> None:
    native = [(s.replace("/", os.sep), t.replace("/", os.sep)) for s, t in expected]
    found = [(s.replace("/", os.sep), t.replace("/", os.sep)) for s, t in jobs(*arguments)]
    assert found == native


def test_out_as_an_option_leaves_no_doubt(tree: Path) -> None:
    assert jobs("x.png", out="y.png") == [("x.png", "y.png")]
    assert [target for _, target in jobs("x.png", "y.png", "in", out="new")] == [
        os.path.join("new", name) for name in ("x.nic", "y.nic", "a.nic", "b.nic", os.path.join("z", "c.nic"))
    ]


@pytest.mark.parametrize(
    "arguments",
    [["in", "-"], ["-", "x.png", "out"], ["in", "k.dat"], ["x.png", "y.png", "old.nic"], ["x.png", "./x.png"]],
    ids=" ".join,
)
def test_names_that_do_not_go_together_are_bad_usage(tree: Path, arguments: list[str]) -> None:
    with pytest.raises(BadUsage):
        planned(*arguments)


def test_a_file_whose_name_is_a_pattern_is_that_file(tree: Path) -> None:
    Path("[x].png").touch()
    assert jobs("[x].png") == [("[x].png", "[x].nic")]


def test_two_sources_of_one_target_are_noticed() -> None:
    jobs = [Job("a.png", "a.nic"), Job("b.png", "b.nic"), Job("a.jpg", "./a.nic")]
    assert plan.clashes(jobs) == {"a.jpg": jobs[0]}


@pytest.mark.parametrize(
    ("arguments", "out", "note"),
    [
        (["x.png", "new.nic"], None, None),
        (["x.png", "new.NIC"], None, None),
        (["x.png", "new"], None, None),
        (["x.png", "-"], None, None),
        (["x.png"], "out", None),
        (["x.png", "new.jpg"], None, "new.jpg: becomes a .nic file, though its name says .jpg"),
        (["x.png", "typo.png"], None, "typo.png: becomes a .nic file, though its name says .png"),
        (["in", "new"], None, None),
        (["in", "new.d"], None, None),
        (["in"], "out", None),
        (["x.png", "y.png"], "o.nic", "o.nic: becomes a folder, since there are several results"),
        (["x.png", "y.png", "typo.png"], None, "typo.png: becomes a folder, since there are several results"),
    ],
)
def test_an_out_that_is_not_what_its_name_says_is_warned_of(
    tree: Path, arguments: list[str], out: str | None, note: str | None
) -> None:
    assert planned(*arguments, out=out).notes == (() if note is None else (note,))


def test_a_suffix_that_says_the_format_has_to_be_that_of_one(tree: Path) -> None:
    assert planned("x.png", "new.nic", by_suffix=True).jobs == [Job("x.png", "new.nic")]
    with pytest.raises(BadUsage, match=r"new\.xyz: no format has this suffix, only \.nic"):
        planned("x.png", "new.xyz", by_suffix=True)


# OUT in each command: the same rule, and what the command makes of it


def read_by_encode(name: str) -> bool:
    return not is_nic(name)


def read_by_compare(name: str) -> bool:
    return is_nic(name) or writer.is_picture(name)


@pytest.mark.parametrize(
    ("arguments", "encode", "decode", "compare"),
    [
        (["x.png"], None, None, None),
        (["-", "-"], "-", "-", "-"),
        (["x.png", "-"], "-", "-", "-"),
        (["x.png", "y.png"], None, "y.png", None),
        (["x.png", "old.nic"], "old.nic", None, None),
        (["x.png", "k.dat"], None, "k.dat", "k.dat"),
        (["x.png", "new.nic"], "new.nic", "new.nic", "new.nic"),
        (["x.png", "new.png"], "new.png", "new.png", "new.png"),
        (["x.png", "out"], "out", "out", "out"),
        (["in", "new"], "new", "new", "new"),
        (["x.png", "y.png", "new/"], "new/", "new/", "new/"),
        (["x.png", "*.png"], None, "*.png", None),
        (["x.png", "*.nic"], "*.nic", None, None),
        (["x.png", "none*"], "none*", "none*", "none*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_last_name_is_out_unless_it_is_a_file_that_the_command_reads(
    tree: Path, arguments: list[str], encode: str | None, decode: str | None, compare: str | None
) -> None:
    for reads, out in ((read_by_encode, encode), (is_nic, decode), (read_by_compare, compare)):
        sources = arguments if out is None else arguments[:-1]
        assert plan.split(arguments, None, reads) == (sources, out)
        assert plan.split(arguments, "o", reads) == (arguments, "o")


@pytest.fixture
def files(here: Path) -> Path:
    """Two pictures and their .nic files, the same in folders, and a file that is neither."""
    Path("p").mkdir()
    Path("n").mkdir()
    for name in ("a.png", "b.png", "p/a.png", "p/b.png"):
        with Image.open("a.png") as image:
            image.copy().save(name)
    for name in ("a.nic", "b.nic", "n/a.nic", "n/b.nic"):
        Path(name).write_bytes(encoded())
    return here


@pytest.mark.parametrize(
    ("command", "made", "warned"),
    [
        ("encode a.png new.nic", ["new.nic"], None),
        ("encode p new", ["new/a.nic", "new/b.nic"], None),
        ("encode a.png b.png new/", ["new/a.nic", "new/b.nic"], None),
        ("encode p/a.png p/b.png", ["p/a.nic", "p/b.nic"], None),
        ("encode a.png new.jpg", ["new.jpg"], "new.jpg: becomes a .nic file, though its name says .jpg"),
        ("encode a.png b.png -o o.nic", ["o.nic/a.nic", "o.nic/b.nic"], "o.nic: becomes a folder"),
        ("decode a.nic new.png", ["new.png"], None),
        ("decode n new", ["new/a.png", "new/b.png"], None),
        ("decode a.nic b.nic new/", ["new/a.png", "new/b.png"], None),
        ("decode n/a.nic n/b.nic", ["n/a.png", "n/b.png"], None),
        ("decode a.nic new.jpg --format ppm", ["new.jpg"], "new.jpg: becomes a .ppm file, though its name says .jpg"),
        ("decode a.nic b.nic -o o.png", ["o.png/a.png", "o.png/b.png"], "o.png: becomes a folder"),
        ("compare a.png a.nic new.html", ["new.html"], None),
        ("compare a.png a.nic", ["a.compare.html"], None),
        ("compare a.png b.png a.nic new/", ["new/a.compare.html"], None),
        ("compare a.png a.nic -o new/", ["new/a.compare.html"], None),
        ("compare a.png a.nic n", ["n/a.compare.html"], None),
        ("compare a.png a.nic new.jpg", ["new.jpg"], "new.jpg: becomes a .html file, though its name says .jpg"),
    ],
    ids=lambda value: value if isinstance(value, str) and " -> " not in value else "",
)
def test_each_command_writes_where_out_says(
    run: Run, files: Path, command: str, made: list[str], warned: str | None
) -> None:
    before = set(files.rglob("*"))
    code, out, said = run(*command.split(), "-j", 1)
    assert (code, out) == (0, b""), said
    assert (
        sorted(path.relative_to(files).as_posix() for path in set(files.rglob("*")) - before if path.is_file()) == made
    )
    first = said.splitlines()[0]
    assert first.startswith(warned) if warned else "becomes" not in said


@pytest.mark.parametrize("command", ["encode a.png new.jpg", "encode p -o o.nic", "compare a.png a.nic new.jpg"])
def test_a_quiet_command_warns_of_nothing(run: Run, files: Path, command: str) -> None:
    assert run(*command.split(), "-j", 1, "--quiet") == (0, b"", "")


@pytest.mark.parametrize("command", ["encode", "decode", "compare"])
def test_each_command_goes_from_stdin_to_stdout(run: Run, files: Path, command: str) -> None:
    before = names(files)
    data = Path("a.nic" if command == "decode" else "a.png").read_bytes()
    code, out, said = run(command, "-", "-", "-j", 1, stdin=data)
    assert code == 0
    assert out.startswith(
        {"encode": Path("a.nic").read_bytes()[:4], "decode": b"\x89PNG", "compare": b"<!DOC"}[command]
    )
    assert said.startswith("stdin -> stdout: ")
    assert names(files) == before


@pytest.mark.parametrize(("command", "shown"), [
    ("encode", "IN... [OUT]"), ("decode", "IN... [OUT]"), ("compare", "ORIGINAL [CANDIDATE...] [OUT]")
])  # fmt: skip
def test_help_shows_where_out_stands(run: Run, command: str, shown: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert shown in out.decode()
