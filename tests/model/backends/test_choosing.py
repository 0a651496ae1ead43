"""A backend is what the caller names: no other is taken in its place, and symbols never depend on it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import nicodec
from nicodec import Codec, MissingExtra, NicError
from nicodec.cli import options
from nicodec.model import backends
from nicodec.model.backends import providers

PICTURE = (np.arange(3 * 70 * 90).reshape(70, 90, 3) % 251).astype(np.uint8)


def test_names_are_those_of_the_command_line_and_of_the_providers() -> None:
    assert set(providers.KNOWN) == set(backends.PROVIDERS)
    stated = get_args(get_args(get_args(options.Backend)[0])[0])
    assert sorted(stated) == sorted(backends.NAMES)


@pytest.mark.parametrize("name", ["opnvino", "", "CPU", "cuda:1", "x\n\x1b[0m"])
def test_an_unknown_backend_is_an_error_that_names_all(name: str) -> None:
    with pytest.raises(NicError, match=r"there is no backend .*; there are cpu, openvino, coreml, ") as caught:
        Codec(backend=name)
    assert "\n" not in str(caught.value)


def test_the_environment_chooses_if_the_caller_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_BACKEND", "opnvino")
    with pytest.raises(NicError, match=r"there is no backend .*opnvino.* \(NICODEC_BACKEND\)"):
        Codec("photo-fast")
    with pytest.raises(NicError, match="NICODEC_BACKEND"):
        nicodec.encode(PICTURE, model="photo-fast")
    data = nicodec.encode(PICTURE, model="photo-fast", backend="cpu")
    with pytest.raises(NicError, match="NICODEC_BACKEND"):
        nicodec.decode(data)
    nicodec.decode(data, backend="cpu")
    monkeypatch.setenv("NICODEC_BACKEND", "")
    assert Codec("photo-fast").backend == "cpu"


def test_what_needs_no_networks_needs_no_backend(tmp_path: Path) -> None:
    file = tmp_path / "a.nic"
    file.write_bytes(nicodec.encode(PICTURE, model="photo-fast"))
    code = "import os; os.environ['NICODEC_BACKEND'] = 'opnvino'; from nicodec.cli.app import main; main()"
    for arguments in (["--version"], ["models"], ["info", str(file)]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([sys.executable, "-c", code, "decode", str(file)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "opnvino" in done.stderr
    assert not (tmp_path / "a.png").exists()


def test_a_codec_keeps_its_backend_when_it_is_pickled_and_with_one_thread() -> None:
    codec = Codec("photo-fast", threads=2, backend="cpu")
    again = pickle.loads(pickle.dumps(codec))
    assert (again.backend, again.threads) == ("cpu", 2)
    assert (codec.single.backend, codec.single.threads) == ("cpu", 1)


class Fake:
    """A backend that computes what the CPU does, or something else."""

    name = "webgpu"
    opened: list[bytes]

    def __init__(self, change: Any = lambda planes: planes) -> None:
        self.change, self.opened = change, []

    def open(self, graph: bytes, weights: Any) -> Any:
        from nicodec.model.runtime import Session

        session, change = Session(graph, weights, 1), self.change
        self.opened.append(graph)

        class Changed:
            def run(self, inputs: Any) -> Any:
                return [change(planes) for planes in session.run(inputs)]

        return Changed()


def fake(monkeypatch: pytest.MonkeyPatch, made: Fake) -> Codec:
    from nicodec.model.backends import trial

    monkeypatch.setattr(providers, "Place", lambda *_: made)
    monkeypatch.setattr(trial, "_passed", set())
    return Codec("photo-fast", threads=1, backend="webgpu")


def test_pixels_alone_are_computed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    here, made = Codec("photo-fast", threads=1), Fake()
    there = fake(monkeypatch, made)
    data = there.encode(PICTURE, lossless=False)
    assert data == here.encode(PICTURE, lossless=False)
    assert np.array_equal(there.decode(data, dtype=np.uint8), here.decode(data, dtype=np.uint8))
    graphs = [here.checkpoint.array(f"graph.{name}").tobytes() for name in ("g_a", "g_s")]
    assert made.opened == graphs
    assert len(there.encode(PICTURE, effort=2, lossless=False)) > 0  # its gradients are those of the CPU
    assert made.opened == graphs


@pytest.mark.parametrize(
    "change",
    [
        lambda planes: planes + np.float32(0.05 if planes.shape[1] == 3 else 40),
        lambda planes: planes * np.float32(np.nan),
        lambda planes: planes[..., :-1],
    ],
)
def test_a_backend_that_computes_wrongly_is_an_error_before_the_first_picture(
    monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    data = Codec("photo-fast", threads=1).encode(PICTURE, lossless=False)
    there = fake(monkeypatch, Fake(change))
    for work in (lambda: there.decode(data), lambda: there.encode(PICTURE, lossless=False)):
        with pytest.raises(NicError, match=r"the backend webgpu computes g_[as] wrongly here: samples are off by "):
            work()


def test_every_provider_that_is_not_here_says_what_to_install() -> None:
    import onnxruntime

    there = onnxruntime.get_available_providers()
    for name, provider in providers.KNOWN.items():
        if provider.name not in there:
            with pytest.raises(NicError, match=rf"backend='{name}' (needs .*(pip install|package)|finds no device)"):
                Codec("photo-fast", backend=name)


def test_every_provider_that_is_here_makes_the_same_picture() -> None:
    data = Codec("photo-fast", threads=1).encode(PICTURE, lossless=False)
    wanted = Codec("photo-fast", threads=1).decode(data, dtype=np.uint8).astype(int)
    found = []
    for name in providers.KNOWN:
        try:
            there = Codec("photo-fast", backend=name)
        except NicError:
            continue
        found.append(name)
        assert np.abs(there.decode(data, dtype=np.uint8) - wanted).max() <= 2
        there.decode(there.encode(PICTURE, lossless=False))
    if not found:
        pytest.skip("this ONNX Runtime has no provider but the CPU's")


def test_a_provider_that_leaves_the_work_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's is in every package of ONNX Runtime for Linux, and takes no graph of ours."""
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs a provider that takes no graph")
    monkeypatch.setitem(providers.KNOWN, "cuda", providers.Provider("AzureExecutionProvider", "nothing"))
    with pytest.raises(NicError, match="computes not with AzureExecutionProvider but with CPUExecutionProvider"):
        Codec("photo-fast", backend="cuda").encode(PICTURE, lossless=False)


def test_a_provider_on_one_device_gets_threads_and_not_processes() -> None:
    assert [backends.in_processes(name) for name in ("cpu", "openvino", "cuda")] == [True, True, False]


def test_a_plugin_that_cannot_be_loaded_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers.extras, "is_installed", lambda name: True)
    with pytest.raises(NicError, match="onnxruntime_ep_webgpu cannot be loaded"):
        Codec("photo-fast", backend="webgpu")
    monkeypatch.setattr(providers.extras, "is_installed", lambda name: False)
    with pytest.raises(MissingExtra, match="pip install onnxruntime-ep-webgpu"):
        Codec("photo-fast", backend="webgpu")
