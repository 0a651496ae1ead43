"""An ONNX model and its external weights -> one ONNX model that holds them.

Under `openvino` and `providers`. Only ONNX Runtime's CPU takes weights from memory; here they are written into the
graph, field by field of its protocol buffer (onnx.proto), without the onnx package.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nicodec.bitstream import varint
from nicodec.model.backends.interface import Planes

# Numbers of fields. A tensor's data type, name, raw data, place of external data, and whether its data is external.
MODEL_GRAPH, GRAPH_NODE, GRAPH_INITIALIZER, NODE_ATTRIBUTE = 7, 1, 5, 5
NAME, RAW, EXTERNAL, LOCATION = 8, 9, 13, 14
# What could hold further tensors and so name files: functions of a model and its graphs for training; sparse weights of
# a graph; tensors and graphs of an attribute.
MODEL_REFUSED, ATTRIBUTE_NESTED = {25: "functions", 20: "graphs for training"}, (5, 6, 10, 11, 22, 23)
GRAPH_SPARSE = 15
BYTES = 2


def held(graph: bytes, weights: dict[str, Planes]) -> bytes:
    """The model with its weights inside. Raises ValueError for what our export does not write."""
    out = bytearray()
    for field, wire, value, whole in _fields(graph):
        if field in MODEL_REFUSED:
            raise ValueError(f"it has {MODEL_REFUSED[field]}")
        out += _field(field, _graph(value, weights)) if (field, wire) == (MODEL_GRAPH, BYTES) else whole
    return bytes(out)


def _graph(data: bytes, weights: dict[str, Planes]) -> bytes:
    out = bytearray()
    for field, _, value, whole in _fields(data):
        if field == GRAPH_SPARSE:
            raise ValueError("it has sparse weights")
        if field == GRAPH_NODE:
            for part, _, attribute, _ in _fields(value):
                if part == NODE_ATTRIBUTE and any(f in ATTRIBUTE_NESTED for f, *_ in _fields(attribute)):
                    raise ValueError("it has graphs in its nodes")
        out += _field(field, _tensor(value, weights)) if field == GRAPH_INITIALIZER else whole
    return bytes(out)


def _tensor(data: bytes, weights: dict[str, Planes]) -> bytes:
    """An initializer, with its weights if they are external."""
    parts = list(_fields(data))
    if not any(field in (EXTERNAL, LOCATION) for field, *_ in parts):
        return data
    name = next(value for field, _, value, _ in parts if field == NAME).decode()
    kept = b"".join(whole for field, _, _, whole in parts if field not in (RAW, EXTERNAL, LOCATION))
    return kept + _field(RAW, np.ascontiguousarray(weights[name], "<f4").tobytes())


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Each field of a message: its number, its wire type, its bytes, and all of it with its tag."""
    at = 0
    while at < len(data):
        tag, start = _varint(data, at)
        wire = tag & 7
        if wire == BYTES:
            length, start = _varint(data, start)
            end = start + length
        elif wire == 0:
            end = _varint(data, start)[1]
        elif wire in (1, 5):
            end = start + {1: 8, 5: 4}[wire]
        else:
            raise ValueError("it is no protocol buffer")
        if end > len(data):
            raise ValueError("it is cut short")
        yield tag >> 3, wire, data[start:end], data[at:end]
        at = end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value, at + 1
        at, shift = at + 1, shift + 7
    raise ValueError("it holds a malformed number")


def _field(field: int, value: bytes) -> bytes:
    return varint.encode(field << 3 | BYTES) + varint.encode(len(value)) + value
