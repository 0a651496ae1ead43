"""OpenVINO computes pixels: the same symbols, pictures within 2, no report to anybody, threads as they were asked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nicodec import BadModel, Codec, MissingExtra, NicError
from nicodec.bitstream import container
from nicodec.model.backends import openvino, precision, weights
from nicodec.model.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def here() -> Codec:
    return Codec("photo-fast", threads=1)


@pytest.fixture(scope="module")
def there() -> Codec:
    return Codec("photo-fast", threads=1, backend="openvino")


@pytest.fixture(scope="module")
def picture() -> Any:
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:130, :200]
    planes = [128 + 80 * np.sin(x / (7 + p)) * np.cos(y / 13) for p in range(3)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 4, (130, 200, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_each_backend_decodes_what_the_other_wrote(here: Codec, there: Codec, picture: Any, quality: float) -> None:
    files = [codec.encode(picture, quality=quality, lossless=False) for codec in (here, there)]
    assert abs(len(files[0]) - len(files[1])) < 0.01 * len(files[0])
    for data in files:
        pictures = [codec.decode(data, dtype=np.uint8).astype(int) for codec in (here, there)]
        assert np.abs(pictures[0] - pictures[1]).max() <= 2
        lost = [np.square(p - picture).mean() for p in pictures]
        assert 10 * np.log10(lost[1] / lost[0]) < 0.06
        symbols = [codec.symbols_of(container.unpack(data)).whole() for codec in (here, there)]
        assert np.array_equal(*symbols)


def test_an_encoder_that_repairs_stays_on_the_cpu(tmp_path: Path) -> None:
    """OpenVINO does not open its graph; the decoder is computed there all the same."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    import tiny_models

    made = tiny_models.write(tiny_models.random(replace(tiny_models.TINY, repair=2)), tmp_path / "repairing.nicmodel")
    one, other = Codec(made, threads=1), Codec(made, threads=1, backend="openvino")
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3, 64, 128)).astype(np.float32)
    assert np.array_equal(one.networks.g_a(x, 50.0), other.networks.g_a(x, 50.0))
    assert isinstance(other.networks.session("g_s"), openvino.Compiled)


def test_a_region_previews_and_pictures_of_several_windows_are_the_same(here: Codec, there: Codec) -> None:
    wide = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (2, 800, 3))
    data = here.encode(wide, lossless=False)
    for options in ({}, {"region": (300, 100, 200, 150)}, {"scale": 1 / 8}):
        one, other = (codec.decode(data, dtype=np.uint8, **options).astype(int) for codec in (here, there))
        assert np.abs(one - other).max() <= 2


@pytest.mark.parametrize(("threads", "at_once"), [(1, 1), (2, 1), (1, 2)])
def test_threads_are_as_many_as_were_asked(here: Codec, threads: int, at_once: int) -> None:
    made = openvino.Place("openvino", threads, at_once).open(*graph(here.checkpoint, "g_s"))
    compiled = made._made
    assert compiled.get_property("INFERENCE_NUM_THREADS") == threads * at_once
    assert compiled.get_property("NUM_STREAMS") == at_once


def graph(model: Checkpoint, name: str) -> tuple[bytes, dict[str, Any]]:
    names = model.array(f"graph.{name}.weights").tobytes().decode().split("\n")
    return model.array(f"graph.{name}").tobytes(), {n: model.array(n).astype(np.float32) for n in names}


@pytest.mark.parametrize(("name", "source"), [("g_s", "y"), ("g_a", "x")])
def test_shortcuts_and_the_sums_beside_them_stay_in_float32(here: Codec, name: str, source: str) -> None:
    model = openvino._core().read_model(weights.held(*graph(here.checkpoint, name)))
    kept = precision.exact(model, {source})
    products = [op for op in model.get_ordered_ops() if op.get_type_name() in precision.PRODUCTS]
    exact = [op for op in products if op.get_friendly_name() in kept]
    assert len(exact) == 2 < len(products) / 4
    last = model.get_results()[0].input(0).get_source_output().get_node()
    assert last.get_friendly_name() in kept
    xml, _ = precision.marked(model, kept)
    assert xml.count(b"DisablePrecisionConversion") > 10


def test_an_openvino_that_knows_no_marks_is_an_error(
    here: Codec, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not openvino._has_bfloat16():
        pytest.skip("needs a processor with bfloat16")
    monkeypatch.setattr(precision, "MARK", "")
    with pytest.raises(NicError, match=r"other than it was asked to; pip install -U 'nicodec\[openvino\]'"):
        Codec("photo-fast", threads=1, backend="openvino").encode(picture, lossless=False)


def test_a_processor_without_bfloat16_computes_in_float32_and_says_so(
    here: Codec, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Core:
        def get_property(self, *_: Any) -> list[str]:
            return ["FP32"]

    openvino._has_bfloat16.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "_core", Core)
        with pytest.warns(UserWarning, match="no bfloat16, so OpenVINO computes in float32"):
            place = openvino.Place("openvino", 1, 1)
    openvino._has_bfloat16.cache_clear()
    made = place.open(*graph(here.checkpoint, "g_s"))
    assert made._made.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    y = here.networks.g_a(np.zeros((1, 3, 64, 64), np.float32), 50)
    found = made.run({"y": y, "q": np.array([[50]], np.float32)})[0]
    assert np.abs(found - here.networks.g_s(y, 50)).max() < 1e-4


def test_a_codec_without_openvino_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino._core.cache_clear()
    openvino._has_bfloat16.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"backend='openvino' needs openvino: pip install 'nicodec\[openvino\]'"):
        Codec("photo-fast", backend="openvino")


def test_many_pictures_go_through_processes_of_the_same_backend(there: Codec, here: Codec, picture: Any) -> None:
    small = picture[:64, :80]
    files = list(there.encode_many([small] * 3, workers=2, lossless=False))
    assert files == [there.encode(small, lossless=False)] * 3
    wanted = np.asarray(here.decode(files[0])).astype(int)
    for found in there.decode_many(files, workers=2):
        assert np.abs(np.asarray(found).astype(int) - wanted).max() <= 2


def test_a_damaged_graph_is_a_bad_model(here: Codec, picture: Any) -> None:
    model = here.checkpoint
    data = here.encode(picture[:64, :64], lossless=False)
    stored = model.array("graph.g_s")
    lacking = b"\x2a\x00".join([stored.tobytes()])
    for wrong in (stored[:-9], np.zeros(40, np.uint8), stored[:0], np.frombuffer(lacking[::-1], np.uint8)):
        strange = replace(model, tensors=model.tensors | {"graph.g_s": wrong})
        with pytest.raises(BadModel, match="the graph g_s fails"):
            Codec(strange, threads=1, backend="openvino").decode(data)


CHILD = """
import os, sys, numpy as np, nicodec
codec = nicodec.Codec("photo-fast", threads=1, backend="openvino")
picture = np.zeros((70, 70, 3), np.uint8)
data = codec.encode(picture, lossless=False)
child = os.fork()
if child == 0:
    assert codec.encode(picture, lossless=False) == data
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert "openvino_telemetry" not in sys.modules
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_forked_process_works_and_ends_and_nothing_is_reported() -> None:
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
