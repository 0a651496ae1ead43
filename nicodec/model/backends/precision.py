"""Which parts of a graph stay in float32 where products run in bfloat16, and how OpenVINO is told so.

Under `openvino`. OpenVINO takes marks on single operations from its own format (IR) alone, so the graph is written in
that, in memory.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

PRODUCTS = ("Convolution", "GroupConvolution")
# The mark: an attribute that keeps an operation from being converted to 16 bits (OpenVINO 2026.3 and newer).
MARK = '<rt_info><attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>'
# The names of types in IR, by those of OpenVINO's Python.
TYPES = {"f32": "FP32", "i64": "I64", "i32": "I32", "boolean": "BOOL"}


def exact(model: Any, given: set[str]) -> set[str]:
    """The names of the operations that stay in float32, of an `openvino.Model`. given: its inputs but the quality.

    A product is rounded to bfloat16 unless its weights are those of a shortcut, which carries the picture itself. A
    sum stays in float32 if one of its terms did: so the branches of blocks at /16 are summed in float32. Any other
    operation stays in float32 if all that it takes from the picture did. What depends on the quality alone stays too.
    """
    seen, kept, shortcut = {*given}, {*given}, set[str]()
    for op in model.get_ordered_ops():
        name, inputs = op.get_friendly_name(), [i.get_source_output().get_node() for i in op.inputs()]
        sources = [node.get_friendly_name() for node in inputs]
        from_picture = [source in kept for source in sources if source in seen]
        if ".shortcut." in name or (not from_picture and shortcut.intersection(sources)):
            shortcut.add(name)
        if from_picture:
            seen.add(name)
        kind = op.get_type_name()
        if from_picture and kind in PRODUCTS:
            stays = sources[1] in shortcut
        else:
            stays = any(from_picture) or not from_picture if kind == "Add" else all(from_picture)
        if stays:
            kept.add(name)
    return kept


def marked(model: Any, kept: set[str]) -> tuple[bytes, bytes]:
    """An `openvino.Model` in IR, as XML and the bytes of its constants, with marks on the operations `kept`."""
    constants, layers, edges, numbers = bytearray(), [], [], dict[str, int]()
    for number, op in enumerate(model.get_ordered_ops()):
        name, kind, attributes = op.get_friendly_name(), op.get_type_name(), dict(op.get_attributes())
        inputs, outputs = op.inputs(), op.outputs()
        if kind == "Constant":
            data = np.ascontiguousarray(op.data).tobytes()
            kind, attributes["offset"], attributes["size"] = "Const", len(constants), len(data)
            constants += data + bytes(-len(data) % 64)
        elif kind == "Parameter":
            attributes["shape"] = ["?" if side < 0 else side for side in _sides(op.get_partial_shape())]
        numbers[name] = number
        for i, port in enumerate(inputs):
            source = port.get_source_output()
            node = source.get_node()
            place = len(node.inputs()) + source.get_index()
            edges.append(
                f'<edge from-layer="{numbers[node.get_friendly_name()]}" from-port="{place}" to-layer="{number}"'
                f' to-port="{i}"/>'
            )
        listed = "".join(f" {key}={quoteattr(_text(value))}" for key, value in attributes.items())
        taken = "".join(f'<port id="{i}"/>' for i in range(len(inputs)))
        ports = "" if kind == "Result" else "".join(_port(len(inputs) + i, port) for i, port in enumerate(outputs))
        layers.append(
            f'<layer id="{number}" name={quoteattr(name)} type="{kind}" version="{op.get_type_info().version_id}">'
            f"<data{listed}/>{MARK if name in kept and kind not in ('Const', 'Parameter', 'Result') else ''}"
            f"<input>{taken}</input><output>{ports}</output></layer>"
        )
    xml = f'<net name="net" version="11"><layers>{"".join(layers)}</layers><edges>{"".join(edges)}</edges></net>'
    return xml.encode(), bytes(constants)


def _port(number: int, port: Any) -> str:
    names = quoteattr(",".join(port.get_names()))
    sides = "".join(f"<dim>{side}</dim>" for side in _sides(port.get_partial_shape()))
    return f'<port id="{number}" precision="{TYPES[port.get_element_type().to_string()]}" names={names}>{sides}</port>'


def _sides(shape: Any) -> list[int]:
    """The sides of a shape; -1 for one that is free."""
    return [side.get_length() if side.is_static else -1 for side in shape]


def _text(value: Any) -> str:
    """An attribute as IR writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if hasattr(value, "__iter__") and not isinstance(value, str) else str(value)
