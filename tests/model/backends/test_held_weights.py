"""Weights go into an ONNX model as the onnx package would put them, and nothing else gets in."""

# ruff: noqa: E402

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from hypothesis import given
from hypothesis import strategies as st

from nicodec.model import checkpoint
from nicodec.model.backends import weights

MODEL = checkpoint.load(checkpoint.find("photo-fast"))
GRAPH = MODEL.array("graph.g_s").tobytes()
NAMES = MODEL.array("graph.g_s.weights").tobytes().decode().split("\n")
WEIGHTS = {name: MODEL.array(name).astype(np.float32) for name in NAMES}


def test_the_model_holds_every_weight_and_is_else_the_same() -> None:
    before, after = onnx.load_from_string(GRAPH), onnx.load_from_string(weights.held(GRAPH, WEIGHTS))
    assert after.graph.node == before.graph.node
    assert list(after.graph.input) == list(before.graph.input)
    names = []
    for tensor in after.graph.initializer:
        assert tensor.data_location == onnx.TensorProto.DEFAULT
        assert not tensor.external_data
        if tensor.name in WEIGHTS:
            names.append(tensor.name)
            assert np.array_equal(onnx.numpy_helper.to_array(tensor), WEIGHTS[tensor.name])
    assert sorted(names) == sorted(NAMES)


def test_a_weight_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError):
        weights.held(GRAPH, {name: array for name, array in WEIGHTS.items() if name != NAMES[3]})


def test_a_node_that_holds_a_tensor_or_a_graph_is_refused() -> None:
    """Such a tensor could name a file, or a place in memory."""
    model = onnx.load_from_string(GRAPH)
    outside = onnx.numpy_helper.from_array(np.zeros(3, np.float32))
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=outside))
    with pytest.raises(ValueError, match="graphs in its nodes"):
        weights.held(model.SerializeToString(), WEIGHTS)
    model = onnx.load_from_string(GRAPH)
    model.functions.append(onnx.helper.make_function("d", "f", [], [], [], []))
    with pytest.raises(ValueError, match="functions"):
        weights.held(model.SerializeToString(), WEIGHTS)


def test_sparse_weights_and_graphs_for_training_are_refused() -> None:
    """Both hold tensors, which could name a file."""
    model = onnx.load_from_string(GRAPH)
    values = onnx.TensorProto(name="v", dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    values.external_data.add(key="location", value="/etc/hostname")
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, dims=[9]))
    with pytest.raises(ValueError, match="sparse weights"):
        weights.held(model.SerializeToString(), WEIGHTS)
    model = onnx.load_from_string(GRAPH)
    model.training_info.add().initialization.name = "again"
    with pytest.raises(ValueError, match="graphs for training"):
        weights.held(model.SerializeToString(), WEIGHTS)


@given(st.binary(max_size=60), st.integers(0, len(GRAPH)))
def test_damaged_bytes_are_an_error_or_a_model_that_is_no_longer(noise: bytes, at: int) -> None:
    try:
        made = weights.held(GRAPH[:at] + noise, WEIGHTS)
    except (ValueError, KeyError, StopIteration):
        return
    assert len(made) <= at + len(noise) + sum(array.nbytes + 100 for array in WEIGHTS.values()) * 2
