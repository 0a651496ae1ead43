"""ONNX Runtime keeps to its work: it reports to nobody, a forked process ends and works, its threads are counted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nicodec.codec import Codec
from nicodec.model.backends import OnnxNetworks
from nicodec.model.runtime import Session, fast_products

WORK = """
import nicodec, numpy as np
codec = nicodec.Codec("photo-fast")
pictures = [np.zeros((70, 70, 3), np.uint8)] * 3
files = list(codec.encode_many(pictures, workers=2))
assert all(isinstance(file, bytes) for file in files), files
nicodec.decode(codec.encode(pictures[0]))
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """That of a machine of somebody else: no CI, no wish about telemetry, another home."""
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    return kept | {"HOME": str(home)} | more


def test_nothing_is_written_to_the_users_home(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WORK], env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.rglob("*")) == []


def test_a_home_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", WORK], env=environment(nowhere), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_no_process_asks_the_network_for_anything(tmp_path: Path) -> None:
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto", "-o", str(log), sys.executable, "-c", WORK]
    done = subprocess.run(trace, env=environment(tmp_path / "home"), capture_output=True, text=True)
    if "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    asked = [line for line in log.read_text().splitlines() if "AF_INET" in line or "AF_NETLINK" in line]
    assert asked == []


@pytest.mark.parametrize("first", ["onnxruntime", "nicodec"])
def test_a_program_that_imports_the_runtime_first_is_warned_once(first: str, tmp_path: Path) -> None:
    other = {"onnxruntime": "nicodec", "nicodec": "onnxruntime"}[first]
    code = f"import {first}\nimport {other}\nimport nicodec.codec\nimport nicodec.api"
    done = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ORT_DISABLE_TELEMETRY=1") == (first == "onnxruntime")


def test_a_wish_of_the_user_about_telemetry_is_left(tmp_path: Path) -> None:
    code = "import nicodec, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    made = environment(tmp_path, ORT_DISABLE_TELEMETRY="0")
    assert subprocess.run([sys.executable, "-c", code], env=made, capture_output=True, text=True).stdout == "0\n"


FORK = """
import os, sys, threading, numpy as np, nicodec
picture = np.arange(3 * 80 * 90).reshape(80, 90, 3).astype(np.uint8)
codec = nicodec.Codec("photo-fast", threads=2)
data = codec.encode(picture)
child = os.fork()
if child == 0:
    {work}
    sys.exit(7)
_, status = os.waitpid(child, 0)
assert codec.encode(picture) == data
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "work", ["pass", "assert codec.encode(picture) == data", "assert len(list(codec.decode_many([data] * 3))) == 3"]
)
def test_a_forked_process_works_and_ends(work: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK.format(work=work)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


def test_the_number_of_threads_is_always_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to itself, ONNX Runtime takes the processors of the machine, not those of the process."""
    stated = []
    made = Session.__init__

    def noted(self: Session, graph: bytes, weights: Any, threads: int, **options: Any) -> None:
        stated.append(threads)
        made(self, graph, weights, threads, **options)

    monkeypatch.setattr(Session, "__init__", noted)
    for threads in (None, 1, 3):
        networks = OnnxNetworks(Codec("photo-fast").checkpoint, threads)
        networks.g_a(np.zeros((1, 3, 64, 64), np.float32), 50)
        assert stated.pop() == threads if threads else stated.pop() >= 1


def test_only_pixels_are_computed_in_bfloat16_and_only_on_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fast_products("linux", "aarch64") == ["mlas.enable_gemm_fastmath_arm64_bfloat16"]
    for system, machine in (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "ARM64")):
        assert fast_products(system, machine) == []
    exact = {}
    made = Session.__init__

    def noted(self: Session, graph: bytes, *arguments: Any, **options: Any) -> None:
        exact[graph] = options["exact"]
        made(self, graph, *arguments, **options)

    monkeypatch.setattr(Session, "__init__", noted)
    codec = Codec("photo-fast", threads=1)
    codec.decode(codec.encode(np.zeros((64, 64, 3), np.uint8), lossless=False))
    names = {codec.checkpoint.array(f"graph.{name}").tobytes(): name for name in ("g_a", "h_a", "h_sigma", "g_s")}
    assert {names[graph]: value for graph, value in exact.items() if graph in names} == {
        "g_a": False, "h_a": True, "h_sigma": True, "g_s": False,
    }  # fmt: skip
    assert all(value for graph, value in exact.items() if graph not in names)
