"""The codec through torch: the same files, the same pictures, the same errors."""

# ruff: noqa: E402

import inspect
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nicodec
from nicodec import Codec, MissingExtra
from nicodec.bitstream import container
from nicodec.model.backends import Networks, OnnxNetworks
from nicodec.nn.networks import Together, TorchNetworks

VECTORS = Path(__file__).parents[1] / "vectors"
PROMISED = [name for name, kept in vars(Networks).items() if not name.startswith("_") and inspect.isfunction(kept)]


@pytest.fixture(scope="module")
def ours() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def theirs() -> Codec:
    return Codec(device="cpu-torch")


@pytest.fixture(scope="module")
def picture() -> Any:
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:130, :200]
    planes = [128 + 80 * np.sin(x / (7 + p)) * np.cos(y / 13) for p in range(3)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 4, (130, 200, 3)), 0, 255).astype(np.uint8)


def test_the_protocol_names_every_network() -> None:
    assert PROMISED == ["g_a", "h_a", "h_sigma", "h_mu", "context", "g_s", "preview"]


@pytest.mark.parametrize("name", PROMISED)
@pytest.mark.parametrize("backend", [OnnxNetworks, TorchNetworks])
def test_a_backend_has_every_network_with_the_same_parameters(backend: type, name: str) -> None:
    promised, kept = (inspect.signature(getattr(owner, name)) for owner in (Networks, backend))
    assert list(kept.parameters) == list(promised.parameters)
    assert kept == promised


def test_a_backend_tells_its_threads(ours: Codec, theirs: Codec) -> None:
    assert (ours.networks.threads, theirs.networks.threads) == (1, None)


def test_each_backend_decodes_what_the_other_wrote(ours: Codec, theirs: Codec, picture: Any) -> None:
    for writer, reader in ((ours, theirs), (theirs, ours)):
        for quality in (0, 50, 100):
            data = writer.encode(picture, quality=quality)
            pictures = [np.asarray(c.decode(data)).astype(int) for c in (writer, reader)]
            assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_the_symbols_are_the_same(ours: Codec, theirs: Codec, picture: Any) -> None:
    """But for a rare coefficient on the border between two steps; scale indices exactly."""
    files = [c.encode(picture, quality=70) for c in (ours, theirs)]
    first, second = (ours.symbols_of(container.unpack(data)) for data in files)
    assert (first.z != second.z).mean() < 1e-2
    assert (first.whole() != second.whole()).mean() < 1e-3


def test_conformance_vectors_decode(theirs: Codec) -> None:
    found = sorted(VECTORS.glob("*/file.nic"))
    mine = [p for p in found if container.unpack(p.read_bytes())[0].model == theirs.checkpoint.id]
    assert len(mine) >= 10
    for path in mine:
        theirs.decode(path.read_bytes())  # every symbol is held against the checksum


def test_previews_and_many_pictures_are_the_same(ours: Codec, theirs: Codec, picture: Any) -> None:
    data = ours.encode(picture)
    one, other = (np.asarray(c.decode(data, scale=1 / 8)).astype(int) for c in (ours, theirs))
    assert np.abs(one - other).max() <= 1
    many = list(theirs.encode_many([picture] * 3, workers=3))
    first = np.asarray(ours.decode(data)).astype(int)
    for made in many:
        assert isinstance(made, bytes)
        assert np.abs(np.asarray(ours.decode(made)) - first).mean() < 0.1


def test_calls_that_wait_become_one_batch_if_they_are_of_one_size(theirs: Codec) -> None:
    networks: Any = theirs.networks
    rng = np.random.default_rng(3)
    x = rng.normal(0, 0.2, (5, 1, 3, 64, 128)).astype(np.float32)
    other = x[0][..., :64]
    alone = [networks.g_a(part, 50) for part in x]
    sizes: list[int] = []
    real = networks._model.g_a.forward

    def counted(x: Any, *arguments: Any) -> Any:
        sizes.append(len(x))
        return real(x, *arguments)

    with ThreadPoolExecutor(7) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks._model.g_a, "forward", counted)
        with networks._together.running:
            work = [pool.submit(networks.g_a, part, 50) for part in x]
            work += [pool.submit(networks.g_a, other, 50), pool.submit(networks.g_a, x[0], 60)]
            while len(networks._together.waiting) < 7:
                time.sleep(0.01)
        made = [w.result() for w in work]
    assert sorted(sizes) == [1, 1, 5]
    for one, batched in zip(alone, made, strict=False):
        assert np.abs(one - batched).max() < 1e-3
    assert np.abs(networks.g_a(other, 50) - made[5]).max() < 1e-3
    assert np.abs(networks.g_a(x[0], 60) - made[6]).max() < 1e-3


def test_an_error_is_that_of_each_in_the_batch() -> None:
    together = Together()

    def fails(planes: Any) -> Any:
        raise MemoryError(len(planes[0]))

    with ThreadPoolExecutor(3) as pool:
        with together.running:
            work = [pool.submit(together, "key", (np.zeros((1, 2)),), fails) for _ in range(3)]
            while len(together.waiting) < 3:
                time.sleep(0.01)
        assert [w.exception().args for w in work] == [(3,)] * 3  # type: ignore[union-attr]
    assert together("key", (np.ones((1, 2)),), list)[0].tolist() == [[1, 1]]


def test_a_codec_refuses_a_device_that_is_not_there_and_a_model_that_is_none(ours: Codec) -> None:
    with pytest.raises(nicodec.NicError, match="cannot be used"):
        Codec(device="nothing")
    strange = replace(ours.checkpoint, config=replace(ours.checkpoint.config, width=8))
    with pytest.raises(nicodec.BadModel, match="not a network"):
        Codec(strange, device="cpu-torch")


def test_a_device_without_torch_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nicodec.nn.networks")
    with pytest.raises(MissingExtra, match=r"device='cuda' needs torch: pip install 'nicodec\[train\]'"):
        Codec(device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_makes_the_same_picture(ours: Codec, picture: Any) -> None:
    theirs = Codec(device="cuda")
    data = theirs.encode(picture)
    one, other = (np.asarray(c.decode(data)).astype(int) for c in (ours, theirs))
    assert np.abs(one - other).max() <= 1
