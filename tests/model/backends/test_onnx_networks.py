"""The graphs run by ONNX Runtime: lazily, with weights that last, and a BadModel for whatever fails."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.bitstream import anchors
from nicodec.errors import BadModel, NicError
from nicodec.model import checkpoint
from nicodec.model.backends import OnnxNetworks
from nicodec.model.checkpoint import Checkpoint

Planes = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return checkpoint.load(checkpoint.find("photo"))


def noise(*shape: int) -> Planes:
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)


def test_shapes_and_types(model: Checkpoint) -> None:
    networks = OnnxNetworks(model, 1)
    y = networks.g_a(noise(1, 3, 64, 192), 50)
    latent, deep = y.shape[1], model.config.deep
    z = networks.h_a(y, 50)
    index = networks.h_sigma(np.rint(z).astype(np.int8), anchors.integer_hats(5000))
    features, mu0 = networks.h_mu(np.rint(z).astype(np.int8), 50)
    mu1 = networks.context(np.zeros_like(mu0), features, 50)
    x = networks.g_s(y, 50)
    assert y.shape == index.shape == (1, latent, 4, 12)
    assert mu0.shape == mu1.shape == (1, deep, 4, 12)
    assert z.shape[2:] == (1, 3)
    assert x.shape == (1, 3, 64, 192)
    assert index.dtype == np.uint8
    assert {a.dtype for a in (y, z, features, mu0, mu1, x)} == {np.dtype(np.float32)}


def test_a_graph_is_opened_when_it_is_first_run(model: Checkpoint) -> None:
    networks = OnnxNetworks(model, 1)
    assert networks._sessions == {}
    networks.g_s(noise(1, model.array("log_gain").shape[1], 4, 4), 10)
    assert list(networks._sessions) == ["g_s"]


def test_quality_changes_every_graph_between_the_anchors_too(model: Checkpoint) -> None:
    networks = OnnxNetworks(model, 1)
    x = noise(1, 3, 64, 64)
    steps = [np.abs(networks.g_a(x, q)).mean() for q in (0, 5, 10, 55, 100)]
    assert steps == sorted(set(steps))


def test_threads_change_nothing(model: Checkpoint) -> None:
    x = noise(1, 3, 128, 192)
    one, two = (OnnxNetworks(model, threads) for threads in (1, 2))
    assert np.array_equal(one.g_a(x, 50), two.g_a(x, 50))
    used = [n._sessions["g_a"]._session.get_session_options().intra_op_num_threads for n in (one, two)]
    assert used == [1, 2]


def test_many_threads_may_share_it(model: Checkpoint) -> None:
    networks = OnnxNetworks(model, 1)
    x = noise(1, 3, 64, 64)
    results: list[Planes] = []
    workers = [threading.Thread(target=lambda: results.append(networks.g_a(x, 50))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 6
    assert all(np.array_equal(results[0], result) for result in results)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_senseless_number_of_threads_is_refused(model: Checkpoint, threads: int) -> None:
    with pytest.raises(NicError, match="threads"):
        OnnxNetworks(model, threads)


def broken(model: Checkpoint, **tensors: Any) -> OnnxNetworks:
    changed = {name.replace("__", "."): np.asarray(value) for name, value in tensors.items()}
    return OnnxNetworks(replace(model, tensors=model.tensors | changed), 1)


def test_damaged_graphs_are_bad_models(model: Checkpoint) -> None:
    x = noise(1, 3, 64, 64)
    graph = model.array("graph.g_a")
    names = model.array("graph.g_a.weights")
    for wrong in (
        {"graph__g_a": graph[:-9]},
        {"graph__g_a": np.zeros(40, np.uint8)},
        {"graph__g_a": graph[:0]},
        {"graph__g_a": model.array("graph.g_s")},
        {"graph__g_a__weights": names[:0]},
        {"graph__g_a__weights": names[: len(names) // 2]},
        {"graph__g_a__weights": np.array([0xFF, 0xFE], np.uint8)},
        {"log_gain": np.zeros((3, 3), np.float32)},
    ):
        with pytest.raises(BadModel, match=r"\.nicmodel: .*g_a|\.nicmodel: the model lacks"):
            broken(model, **wrong).g_a(x, 50)


def test_what_a_graph_gives_is_checked(model: Checkpoint) -> None:
    """Numbers that cannot be cast to symbols or samples, and arrays of another shape than the codec's."""
    x = noise(1, 3, 64, 64)
    for gain in (np.nan, 100.0):  # exp(100) is beyond float32
        with pytest.raises(BadModel, match="g_a fails: it gives numbers beyond all bounds"):
            broken(model, log_gain=np.full_like(model.array("log_gain"), gain)).g_a(x, 50)
    other = OnnxNetworks(replace(model, config=replace(model.config, latent=3, linear=0, z=5)), 1)
    y = OnnxNetworks(model, 1).g_a(x, 50)
    z = np.zeros((1, model.config.z, 1, 1), np.int8)
    for call in (
        lambda: other.g_a(x, 50),
        lambda: other.h_a(y, 50),
        lambda: other.h_sigma(z, anchors.integer_hats(50)),
        lambda: other.h_mu(z, 50),
    ):
        with pytest.raises(BadModel, match=r"fails: it gives \(1, .* where \(1, [35], .* belongs"):
            call()


def test_missing_parts_are_named(model: Checkpoint) -> None:
    for lacking in ("graph.g_a", "graph.g_a.weights", "log_gain"):
        tensors = {name: array for name, array in model.tensors.items() if name != lacking}
        with pytest.raises(BadModel, match=f"the model lacks {lacking}"):
            OnnxNetworks(replace(model, tensors=tensors), 1).g_a(noise(1, 3, 64, 64), 50)
    z, deep = np.zeros((1, model.config.z, 1, 1), np.int8), model.config.deep
    for lacking in ("h_mu.cap1.limit", "graph.preview", "preview.weight", "preview.bias"):
        tensors = {name: array for name, array in model.tensors.items() if name != lacking}
        networks = OnnxNetworks(replace(model, tensors=tensors), 1)
        with pytest.raises(BadModel, match=f"the model lacks {lacking}"):
            networks.h_mu(z, 50) if lacking == "h_mu.cap1.limit" else networks.preview(noise(1, deep, 4, 4), 50)


def test_inputs_that_a_graph_cannot_take_are_bad_models_not_crashes(model: Checkpoint) -> None:
    with pytest.raises(BadModel, match="the graph g_a fails"):
        OnnxNetworks(model, 1).g_a(noise(1, 4, 64, 64), 50)
