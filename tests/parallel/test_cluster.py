"""Many files on a real Ray cluster: a node is killed half-way, Ctrl-C, a damaged file, URLs of files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import fuzz_decode
import numpy as np
import pytest
from drawn_parts import part
from PIL import Image
from program import Run, names

import nicodec
from nicodec.parallel import cluster

MANY = 40
# Seconds until a cluster that does not answer is given up.
PATIENCE = 900
TINY = str(fuzz_decode.TINY)

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None or not sys.platform.startswith("linux"), reason="needs the extra [ray] and Linux"
)


class TwoNodes:
    """The cluster, in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("two_nodes.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            # Workers of Ray step back behind all other processes, unless told otherwise.
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"},
        )  # fmt: skip
        self.address = self._told()

    def _told(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill_second(self) -> None:
        """Kills the second node, once it is at work."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert int(self._told()) > 0


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in `in`, and below it in `in/z`; what they are to become in `expected`."""
    folder = tmp_path_factory.mktemp("cluster")
    codec = nicodec.Codec(TINY, threads=1)
    for n in range(MANY):
        path = folder / "in" / ("z" if n % 3 else ".") / f"{n:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        y, x = np.mgrid[:480, :600]
        planes = [128 + 100 * np.sin((x + n * y) / (30 + n) + p) for p in range(3)]
        Image.fromarray(np.stack(planes, -1).astype(np.uint8)).save(path, compress_level=1)
        made = folder / "expected" / path.relative_to(folder / "in").with_suffix(".nic")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(codec.encode(path, lossless=False))
    return folder


def start(nodes: TwoNodes, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "nicodec", *arguments, "--engine", "ray", "-m", TINY],
        cwd=folder, env={**os.environ, "RAY_ADDRESS": nodes.address},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def files(folder: Path) -> dict[str, Path]:
    """Whole files below a folder; one that is killed may leave a hidden temporary one."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path for path in found}


def inodes(folder: Path) -> dict[str, int]:
    return {name: path.stat().st_ino for name, path in files(folder).items()}


def until_some(process: "subprocess.Popen[str]", folder: Path, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(files(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


@needs_ray
@pytest.mark.slow
def test_a_node_that_is_killed_half_way_costs_no_result(nodes: TwoNodes, folder: Path) -> None:
    process = start(nodes, folder, "encode", "in", "out", "--json", "--no-lossless")
    until_some(process, folder / "out", 5)
    nodes.kill_second()
    before = inodes(folder / "out")
    assert process.poll() is None
    assert 5 <= len(before) < MANY
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < end
        before = {**inodes(folder / "out"), **before}
        time.sleep(0.02)
    out, said = process.communicate()
    assert (process.returncode, "Traceback" in said) == (0, False), said
    made, expected = files(folder / "out"), files(folder / "expected")
    assert {name: path.read_bytes() for name, path in made.items()} == {
        name: path.read_bytes() for name, path in expected.items()
    }
    assert inodes(folder / "out") == {**inodes(folder / "out"), **before}  # none was written again
    told = json.loads(out)
    assert sorted(each["target"] for each in told["files"]) == sorted(os.path.join("out", n) for n in made)
    assert (told["total"]["files"], told["total"]["failed"], told["total"]["skipped"]) == (MANY, 0, 0)
    assert told["total"]["bytes_out"] == sum(path.stat().st_size for path in made.values())


@needs_ray
@pytest.mark.slow
def test_a_run_that_ctrl_c_stopped_goes_on_and_tells_what_is_wrong(nodes: TwoNodes, folder: Path) -> None:
    shutil.copytree(folder / "expected", folder / "nic")
    (folder / "nic/broken.nic").write_bytes((folder / "expected/00.nic").read_bytes()[:-3])
    arguments = ["decode", (folder / "nic").as_uri(), (folder / "back").as_uri(), "--format", "ppm"]
    process = start(nodes, folder, *arguments)
    until_some(process, folder / "back", 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert "--skip-existing goes on from here" in said
    there = inodes(folder / "back")
    assert len(there) < MANY
    process = start(nodes, folder, *arguments, "--skip-existing")
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in said) == (5, False), said
    assert f"decoded {MANY - len(there)} files" in said
    assert f"{len(there)} skipped, 1 failed" in said
    assert "broken.nic: " in said
    assert inodes(folder / "back") == {**inodes(folder / "back"), **there}
    assert len(files(folder / "back")) == MANY
    with Image.open(folder / "back/00.ppm") as image:
        expected = nicodec.decode((folder / "expected/00.nic").read_bytes(), model=TINY)
        assert np.array_equal(np.asarray(image), np.asarray(expected))


STOPPED = """
import sys, threading
import ray
from nicodec.parallel import cluster

def shutdown(**options):
    names = [thread.name for thread in threading.enumerate()]
    print(*(name for name in names if name.startswith(cluster.WORKING)), "END", file=sys.__stdout__)
    really(**options)

really, ray.shutdown = ray.shutdown, shutdown
answers = cluster.Cluster().answers(abs, list(range(-50, 0)))
item, answer = next(answers)
assert answer.get() == -item
working = [t.name for t in threading.enumerate() if t.name.startswith(cluster.WORKING)]
print(len(working) > 0, file=sys.__stdout__)
answers.close()
"""


@needs_ray
@pytest.mark.slow
def test_nothing_of_ray_works_on_when_it_is_left(nodes: TwoNodes) -> None:
    """A thread that asked Ray for anything after its shutdown would end the process with status 1."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], env={**os.environ, "RAY_ADDRESS": nodes.address},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["True", "END"]), done.stderr


EXPLORING = """
import json, sys
import ray
from nicodec.cli import app

ray.init(include_dashboard=False, log_to_driver=False)
for number, arguments in enumerate(json.loads(sys.argv[1])):
    sys.argv = ["nicodec", *arguments, "--engine", "ray"]
    try:
        app.main()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    print(code, file=sys.stderr)
"""


@needs_ray
@pytest.mark.slow
def test_a_cluster_explores_what_one_process_explores(
    nodes: TwoNodes, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    for seed in range(6):
        Image.fromarray(part(seed)[:, :, 0]).save(tmp_path / "parts" / f"{seed}.png")
    (tmp_path / "parts/bad.png").write_bytes(b"no picture")
    commands = [
        ["cost", "parts", "--json", "--map", "costs", "-m", TINY],
        ["anomaly", "learn", "parts", "-o", "p.nicnormal", "--json"],
        ["anomaly", "check", "parts", "-n", "p.nicnormal", "--json", "--maps", "maps"],
        ["index", "parts", "--json", "-o", "i.sqlite", "--export", "i.npz"],
        ["duplicates", "parts", "--json", "-o", "i.sqlite"],
    ]
    told = []
    for engine in ("ray", "local"):
        here = tmp_path / engine
        here.mkdir()
        (here / "parts").symlink_to(tmp_path / "parts")
        if engine == "ray":
            done = subprocess.run(
                [sys.executable, "-c", EXPLORING, json.dumps(commands)],
                cwd=here, env={**os.environ, "RAY_ADDRESS": nodes.address}, capture_output=True, text=True,
            )  # fmt: skip
            codes = [int(line) for line in done.stderr.splitlines() if line.isdecimal()]
            assert codes == [5, 5, 5, 5, 0], done.stderr
            told.append(done.stdout.splitlines())
            continue
        monkeypatch.chdir(here)
        told.append([run(*command, "-j", 1)[1].decode().strip() for command in commands])
    assert [json.loads(line) for line in told[0]] == [json.loads(line) for line in told[1]]
    for folder in ("costs", "maps"):
        made = {path.name: path.read_bytes() for path in (tmp_path / "ray" / folder).iterdir()}
        assert made == {path.name: path.read_bytes() for path in (tmp_path / "local" / folder).iterdir()}
        assert len(made) == 6
    with np.load(tmp_path / "ray/i.npz") as one, np.load(tmp_path / "local/i.npz") as other:
        assert all(np.array_equal(one[name], other[name]) for name in one.files)


def test_without_ray_the_extra_is_named(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, said = run("encode", "a.png", "out/", "--engine", "ray", "-m", TINY)
    assert (code, said) == (4, "nicodec: a cluster needs ray: pip install 'nicodec[ray]'\n")
    assert names(here) == ["a.png"]


def test_streams_cannot_go_to_a_cluster(here: Path, run: Run) -> None:
    for arguments in (["a.png", "-"], ["-", "b.nic"]):
        code, _, said = run("encode", *arguments, "--engine", "ray")
        assert (code, said) == (2, "nicodec: --engine ray: - cannot go to a cluster\n")

    for arguments in (["cost", "-"], ["anomaly", "learn", "-", "-o", "x"]):
        code, _, said = run(*arguments, "--engine", "ray")
        assert (code, said) == (2, "nicodec: --engine ray: - cannot go to a cluster\n")


def test_nothing_to_do_needs_no_cluster() -> None:
    assert list(cluster.Cluster().answers(abs, [])) == []


@needs_ray
def test_a_cluster_that_does_not_answer_is_one_line(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    shutil.copytree(here, "in", ignore=shutil.ignore_patterns("in"))
    code, _, said = run("encode", "in", "out", "--engine", "ray", "-m", TINY)
    assert code == 3
    assert "no Ray cluster answers at 127.0.0.1:1" in said
