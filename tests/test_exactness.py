"""What must be the same everywhere is: symbols under any threads, precision and treatment of denormals.

On the conformance vectors of the newest model. The scale decoder runs in ONNX Runtime and, as the second
opinion, in torch; a single wrong index would lose the symbols behind it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from nicodec.bitstream import container
from nicodec.bitstream.symbols import Symbols
from nicodec.codec import Codec
from nicodec.coding import prior
from nicodec.errors import NicError
from nicodec.model import checkpoint
from nicodec.picture import reader

FOLDER = Path(__file__).parent / "vectors"
MODEL = checkpoint.load(checkpoint.find("photo"))
# A lossless file has no symbols.
VECTORS = [p.name for p in sorted(FOLDER.glob(f"{MODEL.identity[:8]}-*")) if "-lossless" not in p.name]


@lru_cache
def codec(threads: int) -> Codec:
    return Codec(MODEL, threads=threads)


def expected(name: str) -> tuple[bytes, str]:
    """The file of a vector, and the digest of its symbols."""
    told = json.loads((FOLDER / name / "expect.json").read_text("utf-8"))
    return (FOLDER / name / "file.nic").read_bytes(), told["symbols_sha256"]


def symbols(data: bytes, networks: Any) -> str:
    """The digest of all symbols of a file, with the scale indices of these networks."""
    header, chunks = container.unpack(data)
    ours = codec(1)
    find = partial(prior.tables_of, networks, q=header.quality)
    found = Symbols(header, chunks, find, ours.y_tables, ours.z_tables)
    r = found.whole()  # held against the file's own checksum too
    return hashlib.sha256(found.z.tobytes() + r.astype("<i2").tobytes()).hexdigest()


def within_one(name: str, decoder: Codec) -> bool:
    """Whether a vector decodes to its picture, up to 1 in each sample, or 64 of 16 bits."""
    wanted = reader.read(FOLDER / name / "picture.png", deep=True)
    samples = wanted.pixels if wanted.alpha is None else np.dstack([wanted.pixels, wanted.alpha])
    found = np.atleast_3d(decoder.decode(expected(name)[0], dtype=samples.dtype)).astype(int)
    return bool(np.abs(found - samples).max() <= (1 if samples.dtype == np.uint8 else 64))


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 10


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads(threads: int) -> None:
    for name in VECTORS:
        data, digest = expected(name)
        assert symbols(data, codec(threads).networks) == digest, name
        assert within_one(name, codec(threads)), name
    session = codec(threads).networks._sessions["h_sigma"]._session
    assert session.get_session_options().intra_op_num_threads == threads


@pytest.fixture
def flushing(monkeypatch: pytest.MonkeyPatch) -> Codec:
    """A codec whose sessions take denormals for zero."""

    class Options(ort.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.add_session_config_entry("session.set_denormal_as_zero", "1")

    monkeypatch.setattr(ort, "SessionOptions", Options)
    return Codec(MODEL, threads=1)


def test_denormals_as_zero(flushing: Codec) -> None:
    for name in VECTORS:
        data, digest = expected(name)
        assert symbols(data, flushing.networks) == digest, name
        assert within_one(name, flushing), name
    for graph in ("h_sigma", "h_mu", "context", "g_s"):
        options = flushing.networks._sessions[graph]._session.get_session_options()
        assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"


# torch


class InTorch:
    """The scale decoder as it was trained, in one precision; in place of `Networks`."""

    def __init__(self, double: bool) -> None:
        torch = pytest.importorskip("torch")
        pytest.importorskip("onnx")
        from nicodec.nn import thaw
        from nicodec.nn.model import Model

        model = Model(MODEL.config)
        model.load_state_dict(thaw.thaw(MODEL.tensors, MODEL.config))
        self.torch, self.dtype = torch, torch.float64 if double else torch.float32
        self.module = model.h_sigma.to(self.dtype).eval()

    def h_sigma(self, z: Any, hats: Any) -> Any:
        with self.torch.no_grad():
            nhwc = self.torch.from_numpy(np.ascontiguousarray(z.transpose(0, 2, 3, 1))).to(self.dtype)
            index = self.module(nhwc, self.torch.from_numpy(hats).to(self.dtype))
        return index.numpy().transpose(0, 3, 1, 2).astype(np.uint8)


@pytest.fixture(params=[False, True], ids=["denormals kept", "denormals flushed"])
def flushed(request: pytest.FixtureRequest) -> Iterator[bool]:
    torch = pytest.importorskip("torch")
    if request.param and not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    yield request.param
    torch.set_flush_denormal(False)


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_torch(double: bool, flushed: bool) -> None:
    networks = InTorch(double)
    tiny = networks.torch.tensor([1e-310 if double else 1e-40], dtype=networks.dtype)
    assert bool(tiny * 1 == 0) == flushed
    for name in VECTORS:
        data, digest = expected(name)
        assert symbols(data, networks) == digest, name


def test_one_wrong_index_is_noticed() -> None:
    """The tests above can fail: of all tables one is the next, and the file does not decode any more."""

    class Wrong:
        def h_sigma(self, z: Any, hats: Any) -> Any:
            index = codec(1).networks.h_sigma(z, hats).copy()
            index[0, 0, 0, 0] ^= 1
            return index

    data, _ = expected(f"{MODEL.identity[:8]}-photograph")
    with pytest.raises(NicError):
        symbols(data, Wrong())
