"""Real processes that are killed, raced, or robbed of their disk or input: what stands under the name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import fuzz_decode
import numpy as np
import pytest
from PIL import Image
from program import Run

from nicodec.model import shelf
from nicodec.picture import writer
from nicodec.train import sources

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, limits and mounts of POSIX")

TINY = str(fuzz_decode.TINY)
# Its alpha plane takes 15 kB either way.
NOISE = np.random.default_rng(0).integers(0, 256, (100, 150, 4)).astype(np.uint8)
OLD = b"what stood there before"
# Both ways: the arguments without OUT, and OUT.
WAYS = [("encode", "a.png", "out.nic"), ("decode", "a.nic", "out.png")]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working folder with a picture, and the same as .nic."""
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "a.nic").write_bytes(wanted("encode"))
    return tmp_path


@lru_cache
def wanted(way: str) -> bytes:
    """What the command writes when nothing goes wrong."""
    data = fuzz_decode.tiny().encode(NOISE, lossless=False)
    if way == "encode":
        return data
    return writer.encoded(fuzz_decode.tiny().decode(data), "png")


def whole(file: Path, way: str) -> bool:
    """Whether a file is what the command writes. To tell where bytes differ would take pytest minutes."""
    return file.read_bytes() == wanted(way)


def options(command: str) -> list[str]:
    lossy = ["--no-lossless"] if command == "encode" else []  # noise would be tried in few colours
    return [*lossy, "-m", TINY, "-j", "1", "--quiet"]


def program(*arguments: str, before: str = "") -> list[str]:
    """The command line of a real process. before: Python that it runs first."""
    code = f"import os, resource, signal, sys, time\n{before}\nfrom nicodec.cli.app import main\nmain()"
    return [sys.executable, "-c", code, *arguments, *options(arguments[0])]


def apart(folder: Path, *arguments: str, before: str = "") -> tuple[int, str]:
    """Exit code (negative: the signal) and what was said; never a traceback."""
    done = subprocess.run(program(*arguments, before=before), cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"a.png", "a.nic"}


# Killed


# The limit of a file's size kills the process when part of the temporary file is written.
WITHIN_A_WRITE = """
import builtins
real = open
def limited(path, mode="r", *a, **k):
    if mode == "xb":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    return real(path, mode, *a, **k)
builtins.open = limited
"""
# It kills itself before it gives the file its name, and after.
BEFORE_THE_NAME = "os.replace = os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
AFTER_THE_NAME = (
    "replace, link, end = os.replace, os.link, lambda: os.kill(os.getpid(), signal.SIGKILL);"
    "os.replace = lambda *a: (replace(*a), end()); os.link = lambda *a: (link(*a), end())"
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
@pytest.mark.parametrize("moment", [WITHIN_A_WRITE, BEFORE_THE_NAME, AFTER_THE_NAME], ids=["write", "before", "after"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "over"])
def test_a_kill_leaves_the_old_file_or_the_whole_new_one(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch, way: tuple[str, ...], moment: str, old: bool
) -> None:
    """Nor does what is left stand in the way of the next run."""
    out = here / way[2]
    if old:
        out.write_bytes(OLD)
    code, said = apart(here, *way, *(["-f"] if old else []), before=moment)
    assert code in (-signal.SIGKILL, -signal.SIGXFSZ)
    assert said == ""
    if moment == AFTER_THE_NAME:
        assert whole(out, way[0])
    else:
        assert (out.read_bytes() if out.exists() else None) == (OLD if old else None)
    left = names(here) - {way[2]}
    assert len(left) == (0 if moment == AFTER_THE_NAME and old else 1)  # a link has the temporary beside it
    assert all(name.startswith(".") and name.endswith(".nic.tmp") for name in left)
    monkeypatch.chdir(here)
    assert run(*way, "-f", *options(way[0])) == (0, b"", "")
    assert whole(out, way[0])


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_kill_at_any_time_leaves_a_whole_file(here: Path, way: tuple[str, ...]) -> None:
    """By the clock: wherever it strikes, in start-up, network, write or at the end."""
    out = here / way[2]
    out.write_bytes(OLD)
    started = time.monotonic()
    assert apart(here, *way, "-f")[0] == 0
    seconds = time.monotonic() - started
    for step in range(5):
        out.write_bytes(OLD)
        process = subprocess.Popen(program(*way, "-f"), cwd=here, stderr=subprocess.PIPE)
        time.sleep(seconds * (0.3 + 0.15 * step))
        process.kill()
        process.communicate()
        assert out.read_bytes() == OLD or whole(out, way[0])


def test_what_a_kill_leaves_is_taken_for_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a model nor for a picture."""
    apart(here, "encode", "a.png", "out.nic", before=BEFORE_THE_NAME)
    (left,) = names(here)
    assert shelf.stock(here).models == []
    assert left not in {file.path.name for file in sources.listed([here])}


# One handler serves both commands, so each signal is tried on one of them.
@pytest.mark.parametrize(
    ("way", "sent", "code"),
    [(WAYS[0], signal.SIGTERM, 128 + signal.SIGTERM), (WAYS[1], signal.SIGINT, 130)],
    ids=["encode, SIGTERM", "decode, SIGINT"],
)
def test_what_is_asked_to_stop_removes_what_it_began(
    here: Path, way: tuple[str, ...], sent: signal.Signals, code: int
) -> None:
    """It is asked while the temporary file is there."""
    wait = "os.replace = os.link = lambda *_: (print('ready', flush=True), time.sleep(60))"
    process = subprocess.Popen(
        program(*way, before=wait), cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert len(names(here)) == 1
    process.send_signal(sent)
    _, said = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in said
    assert names(here) == set()


# As a library of compiled code does whose loading is interrupted.
INTERRUPTED_IMPORT = """
class Finder:
    def find_spec(self, name, *_):
        if name == "onnxruntime":
            try:
                os.kill(os.getpid(), signal.{sent})
                time.sleep(60)
            except BaseException as error:
                raise ImportError("initialization failed") from error
sys.meta_path.insert(0, Finder())"""


@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGTERM, 128 + signal.SIGTERM, ""), (signal.SIGINT, 130, "stopped\n")]
)
def test_what_is_asked_to_stop_while_it_loads_says_no_more(
    here: Path, sent: signal.Signals, code: int, said: str
) -> None:
    before = INTERRUPTED_IMPORT.format(sent=sent.name)
    assert apart(here, "encode", "a.png", "out.nic", before=before) == (code, said)
    assert names(here) == set()


def test_who_had_sigterm_ignored_keeps_it_so(here: Path) -> None:
    ignoring = "signal.signal(signal.SIGTERM, signal.SIG_IGN); replace = os.link;"
    ignoring += "os.link = lambda *a: (os.kill(os.getpid(), signal.SIGTERM), replace(*a))"
    assert apart(here, "encode", "a.png", "out.nic", before=ignoring) == (0, "")
    assert names(here) == {"out.nic"}


# No room, no right


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_file_that_may_not_grow_is_one_line_and_nothing_is_left(here: Path, way: tuple[str, ...]) -> None:
    (here / way[2]).write_bytes(OLD)
    code, said = apart(here, *way, "-f", before="resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))")
    assert (code, said) == (3, f"nicodec: {way[2]}: cannot be written: File too large\n")
    assert (here / way[2]).read_bytes() == OLD
    assert names(here) == {way[2]}


@lru_cache(maxsize=1)
def mounts() -> bool:
    """Whether a process may mount in a name space of its own, which goes with it."""
    if not shutil.which("unshare"):
        return False
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def on_a_disk(folder: Path, script: str, *arguments: str) -> tuple[int, list[str]]:
    """Run in a name space where `script` mounts on disk/: exit code; what was said, then what disk/ holds."""
    if not mounts():
        pytest.skip("needs name spaces for mounts (unshare -rm)")
    (folder / "disk").mkdir()
    shell = f'{script}\n"$@" 2>&1; code=$?; ls -A disk; cat disk/*; exit $code'
    command = ["unshare", "-rm", "sh", "-ec", shell.replace('"$@" 2>&1;', 'set +e; "$@" 2>&1;'), "sh"]
    done = subprocess.run([*command, *program(*arguments)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_full_disk_is_one_line_and_nothing_is_left(here: Path, way: tuple[str, ...]) -> None:
    """Two pages are free beside the old file's: less than the result takes."""
    out = f"disk/{way[2]}"
    script = f"mount -t tmpfs -o size=12k none disk; printf '{OLD.decode()}' > {out}"
    assert len(wanted(way[0])) > 8192
    code, said = on_a_disk(here, script, *way[:2], out, "-f")
    assert code == 3
    assert said == [f"nicodec: {out}: cannot be written: No space left on device", way[2], OLD.decode()]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_a_read_only_disk_is_one_line(here: Path, way: tuple[str, ...]) -> None:
    out = f"disk/{way[2]}"
    script = f"mount -t tmpfs none disk; printf '{OLD.decode()}' > {out}; mount -o remount,ro disk"
    code, said = on_a_disk(here, script, *way[:2], out, "-f")
    assert code == 3
    assert said == [f"nicodec: {out}: cannot be written: Read-only file system", way[2], OLD.decode()]


@pytest.mark.skipif(os.name != "posix" or shutil.which("setpriv") is None, reason="needs setpriv")
def test_a_folder_without_the_right_to_write_is_one_line(here: Path) -> None:
    """Root may write everywhere, so it gives that up first."""
    (here / "shut").mkdir()
    (here / "shut").chmod(0o555)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*drop, *program("encode", "a.png", "shut/out.nic")]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    if done.stderr.startswith("setpriv"):
        pytest.skip(done.stderr)
    assert done.stderr == "nicodec: shut/out.nic: cannot be written: Permission denied\n"
    assert done.returncode == 3
    assert list((here / "shut").iterdir()) == []


# Raced


@pytest.mark.parametrize("force", [False, True], ids=["once", "over"])
def test_many_that_write_one_name_at_once(here: Path, force: bool) -> None:
    """All get as far as the name, then go together: one whole file results, and without -f one winner."""
    gate = "links = os.link, os.replace; go = lambda f: lambda *a: (print('ready', flush=True), input(), f(*a));"
    gate += "os.link, os.replace = map(go, links)"
    qualities = ("0", "50", "90")
    processes: list[subprocess.Popen[str]] = [
        subprocess.Popen(
            program("encode", "a.png", "out.nic", "-q", q, *(["-f"] if force else []), before=gate),
            cwd=here, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for q in qualities
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[1] for process in processes]
    codes = [process.returncode for process in processes]
    with Image.open(here / "a.png") as picture:
        files = [fuzz_decode.tiny().encode(picture, quality=float(q), lossless=False) for q in qualities]
    assert names(here) == {"out.nic"}
    found = files.index((here / "out.nic").read_bytes())
    if force:
        assert codes == [0] * 3
    else:
        assert codes == [0 if i == found else 3 for i in range(3)]
        assert {text for text in said if text} == {"nicodec: out.nic: exists already and was left as it is\n"}


# Inputs that change underfoot


def after_opening(source: str, then: str) -> str:
    """Python that does something to the file right after it was opened to be read, which follows a look at its kind."""
    return (
        "import builtins; real = open; times = []\n"
        "def opened(path, *a, **k):\n"
        "    file = real(path, *a, **k)\n"
        f"    times.append(path == {source!r})\n"
        f"    if times[-1] and sum(times) == 2: {then}\n"
        "    return file\n"
        "builtins.open = opened"
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
@pytest.mark.parametrize("size", [0, 60, 2000])  # empty, in the header, in the samples
def test_an_input_cut_short_once_it_is_open(here: Path, way: tuple[str, ...], size: int) -> None:
    code, said = apart(here, *way, before=after_opening(way[1], f"os.truncate(path, {size})"))
    assert code == 3
    assert said.startswith(f"nicodec: {way[1]}: ")
    assert said.count("\n") == 1
    assert names(here) == set()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_an_input_that_vanishes(here: Path, way: tuple[str, ...]) -> None:
    """Once it is open it stays readable; before, it is one line."""
    assert apart(here, *way, before=after_opening(way[1], "os.unlink(path)")) == (0, "")
    assert whole(here / way[2], way[0])
    (here / way[2]).unlink()
    code, said = apart(here, *way)
    assert (code, said.count("\n")) == (3, 1)
    assert said.startswith(f"nicodec: {way[1]}: ")
    assert "No such file" in said
    assert names(here) == set()


# Nobody listens


@pytest.mark.parametrize("arguments", [("encode", "a.png", "-"), ("decode", "a.nic", "-")], ids=" ".join)
def test_a_pipe_that_is_closed_early(here: Path, arguments: tuple[str, ...]) -> None:
    """As in `| head -c 1`: quietly, but not as a success."""
    process = subprocess.Popen(program(*arguments), cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (1, b"")


def test_a_pipe_that_is_closed_early_on_text(here: Path) -> None:
    command = [sys.executable, "-m", "nicodec", "info", "a.nic"]
    process: subprocess.Popen[Any] = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() != 0
    assert said == b""
