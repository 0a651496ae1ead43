"""Torch modules -> ONNX graphs, written node by node; called by `freeze`.

Graphs hold structure only: every weight is an external initializer named as in the state dict, and the
runtime hands it over from the model file. Tensors are NCHW here, batch 1, height and width free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from nicodec.bitstream.anchors import ANCHORS, HAT_ONE
from nicodec.model.config import LINEAR, SHUFFLE, ModelConfig
from nicodec.nn.layers import ACT_MAX
from nicodec.nn.likelihood import SCALES
from nicodec.nn.upsampling import KERNELS

# Old enough for every onnxruntime from 1.14 on and for onnxruntime-web.
OPSET, IR_VERSION = 17, 8


class Graph:
    """A graph under construction: each method adds a node and returns the name of its output."""

    def __init__(self, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
        self.name, self.shapes = name, shapes
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"{kind}_{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        array: npt.NDArray[Any] = np.asarray(value, dtype)
        name = f"c{len(self.initializers)}"
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str) -> str:
        """A tensor of the model file, left out of the graph and referred to by its name."""
        if name not in self.initializers:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
            tensor.dims.extend(self.shapes[name])
            size = 4 * int(np.prod(self.shapes[name]))
            for key, value in (("location", "model"), ("offset", "0"), ("length", str(size))):
                tensor.external_data.add(key=key, value=value)
            self.initializers[name] = tensor
        return name

    def input(self, name: str, *shape: int | str) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, source: str, *shape: int | str) -> None:
        self.nodes.append(helper.make_node("Identity", [source], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def serialise(self) -> bytes:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, list(self.initializers.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nicodec"
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def made(self) -> tuple[bytes, list[str]]:
        """The graph, serialised, and the names of the weights it refers to."""
        external = [n for n, t in self.initializers.items() if t.data_location == TensorProto.EXTERNAL]
        return self.serialise(), external

    # The layers of the network.

    def linear(self, x: str, name: str) -> str:
        return self.conv1(x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"))

    def conv1(self, x: str, weight: str, bias: str) -> str:
        return self.op("Conv", x, weight, bias, kernel_shape=[1, 1])

    def leaky(self, x: str) -> str:
        return self.op("LeakyRelu", x, alpha=0.01)

    def conv3(self, x: str, name: str, groups: int = 1) -> str:
        return self.op(
            "Conv",
            x,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            group=groups,
        )

    def down(self, x: str, r: int) -> str:
        return self.op("SpaceToDepth", x, blocksize=r)

    def up(self, x: str, r: int) -> str:
        return self.op("DepthToSpace", x, blocksize=r, mode="DCR")

    def doubled(self, x: str, name: str, way: str) -> str:
        """The twin of `upsampling.Doubling`."""
        weights = [self.weight(f"{name}.depthwise.{part}") for part in ("weight", "bias")]
        channels = self.shapes[weights[0]][0]
        kernel = KERNELS.get(way)
        if kernel is not None:
            sides: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [2, 2], "pads": [1] * 4}
            if kernel % 2:
                sides["output_padding"] = [1, 1]
            t = self.op("ConvTranspose", x, *weights, group=channels, **sides)
            return self.linear(t, f"{name}.mix")
        if way == "bed-of-nails":
            # Three channels of zeros behind each become the places between the samples.
            t = self.up(self.op("Pad", x, self.shape(0, 0, 0, 0, 0, 3 * channels, 0, 0)), 2)
        else:
            how: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
            if way == "nearest":
                how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            t = self.op("Resize", x, "", self.constant([1.0, 1.0, 2.0, 2.0]), **how)
        t = self.conv3(t, f"{name}.depthwise", groups=channels)
        return self.linear(t, f"{name}.mix")

    def repaired(self, x: str, layers: int) -> str:
        """The twin of `repair.Repair`."""
        if not layers:
            return x
        t = self.down(x, 2)
        for i in range(layers - 1):
            t = self.op("Relu", self.conv3(t, f"g_a.repair.layers.{i}"))
        added = self.up(self.conv3(t, f"g_a.repair.layers.{layers - 1}"), 2)
        return self.op("Clip", self.op("Add", x, added), self.constant(-0.5), self.constant(0.5))

    def quartered(self, rows: str, *sides: int) -> str:
        """Weights whose rows are patches of 16 -> of four patches of 8 each, for `up` by 2 and then by 8.

        sides: the shape of the weights, or -1.
        """
        split = self.op("Reshape", rows, self.shape(2, 8, 2, 8, -1))
        return self.op("Reshape", self.op("Transpose", split, perm=[0, 2, 1, 3, 4]), self.shape(*sides))

    def block(self, x: str, name: str) -> str:
        channels = self.shapes[f"{name}.mix_in.weight"][0]
        t = self.leaky(self.linear(x, f"{name}.mix_in"))
        t = self.conv3(t, f"{name}.depthwise", groups=channels)
        x = self.op("Add", x, self.capped(t, f"{name}.mix_out", f"{name}.mix_cap"))
        # The weights are split, once when they are loaded, and not the output.
        weights, biases = (
            self.op("Split", self.weight(f"{name}.expand.{part}"), outputs=2, axis=0) for part in ("weight", "bias")
        )
        halves = [self.leaky(self.conv1(x, weights + half, biases + half)) for half in ("", "_1")]
        return self.op("Add", x, self.capped(self.op("Add", *halves), f"{name}.project", f"{name}.project_cap"))

    def capped(self, x: str, name: str, cap: str) -> str:
        """A linear layer, capped. It is computed in shares of the limit, clipped, and multiplied by the limit.

        ONNX Runtime clips inside a convolution if the limit is one number. A Clip by channel took a fifth of the
        time of g_a. The last multiplication takes in the sum after it.
        """
        limit = self.weight(f"{cap}.limit")
        column = self.op("Reshape", limit, self.shape(-1, 1, 1, 1))
        weight = self.op("Div", self.weight(f"{name}.weight"), column)
        share = self.conv1(x, weight, self.op("Div", self.weight(f"{name}.bias"), limit))
        share = self.op("Clip", share, self.constant(-1.0), self.constant(1.0))
        return self.op("Conv", share, column, kernel_shape=[1, 1], group=self.shapes[f"{cap}.limit"][0])

    def cap(self, x: str, name: str) -> str:
        """Each channel cut off at plus and minus its limit: comparisons alone, exact on every machine."""
        limit = self.per_channel(self.weight(f"{name}.limit"))
        return self.op("Max", self.op("Min", x, limit), self.op("Neg", limit))

    def stay(self, x: str) -> str:
        """The same numbers, in the layout of convolutions, which only they, pools and their sums know.

        ONNX Runtime keeps that layout through all following blocks, and computes each sum in the convolution
        before it. Otherwise every sum needs two changes of layout.
        """
        return self.op("MaxPool", x, kernel_shape=[1, 1])

    def blocks(self, x: str, name: str, count: int) -> str:
        for i in range(count):
            x = self.block(x, f"{name}.{i}")
        return x

    def hats(self) -> str:
        """Input q, quality in 0..100 -> the weights of the quality anchors (1, ANCHORS)."""
        q = self.op("Mul", self.input("q", 1, 1), self.constant((ANCHORS - 1) / 100))
        distance = self.op("Abs", self.op("Sub", q, self.constant([range(ANCHORS)])))
        return self.op("Relu", self.op("Sub", self.constant(1.0), distance))

    def shape(self, *sides: int) -> str:
        return self.constant(sides, np.int64)

    def per_channel(self, row: str) -> str:
        return self.op("Reshape", row, self.shape(1, -1, 1, 1))

    def modulation(self, x: str, hat: str, name: str) -> str:
        scale = self.op("Add", self.op("MatMul", hat, self.weight(f"{name}.scale")), self.constant(1.0))
        shift = self.op("MatMul", hat, self.weight(f"{name}.shift"))
        return self.op("Add", self.op("Mul", x, self.per_channel(scale)), self.per_channel(shift))

    def gain(self, hat: str) -> str:
        return self.per_channel(self.op("Exp", self.op("MatMul", hat, self.weight("log_gain"))))

    def deep(self, x: str, c: ModelConfig, axis: int = 0) -> tuple[str, str]:
        """Splits values by channel: those of the deep channels, and those of the linear ones."""
        if not c.linear:
            return x, ""
        first = self.op("Split", x, self.shape(c.deep, c.linear), outputs=2, axis=axis)
        return first, f"{first}_1"

    def unit(self, hat: str, c: ModelConfig) -> str:
        """The spread of each deep channel in quantiser steps."""
        spread, gain = self.deep(self.weight("spread"), c)[0], self.deep(self.gain(hat), c, axis=1)[0]
        return self.op("Mul", gain, self.per_channel(spread))

    def asinh(self, x: str) -> str:
        """ONNX Runtime computes Asinh one number at a time, which takes several times as long as this."""
        size = self.op("Abs", x)
        root = self.op("Sqrt", self.op("Add", self.op("Mul", x, x), self.constant(1.0)))
        return self.op("Mul", self.op("Sign", x), self.op("Log", self.op("Add", size, root)))


def g_a(g: Graph, c: ModelConfig) -> None:
    x, hat = g.repaired(g.input("x", 1, c.colours, "16h", "16w"), c.repair), g.hats()
    if c.transform == LINEAR:
        y = g.op("Mul", g.linear(g.down(x, 16), "g_a.shortcut"), g.gain(hat))
        g.output("y", y, 1, c.latent, "h", "w")
        return
    # Factors of channels go into the weights where possible: then no position needs a multiplication.
    spread, gain_rare = g.deep(g.weight("spread"), c)[0], g.deep(g.gain(hat), c, axis=1)[1]
    weights, biases = (g.deep(g.weight(f"g_a.shortcut.{part}"), c) for part in ("weight", "bias"))
    patches = g.down(x, 16)
    weight = g.op("Div", weights[0], g.op("Reshape", spread, g.shape(-1, 1, 1, 1)))
    linear = g.conv1(patches, weight, g.op("Div", biases[0], spread))
    t = g.modulation(g.linear(g.down(x, 8), "g_a.embed"), hat, "g_a.quality")
    t = g.linear(g.down(g.blocks(g.stay(t), "g_a.blocks", c.blocks_a), 2), "g_a.head")
    y = g.blocks(g.op("Add", linear, t), "g_a.latent_blocks", c.latent_blocks_a)
    y = g.op("Mul", y, g.unit(hat, c))
    if c.linear:
        rare = g.op("Mul", g.conv1(patches, weights[1], biases[1]), gain_rare)
        y = g.op("Concat", y, rare, axis=1)
    g.output("y", y, 1, c.latent, "h", "w")


def h_a(g: Graph, c: ModelConfig) -> None:
    y, hat = g.input("y", 1, c.latent, "4h", "4w"), g.hats()
    t = g.block(g.modulation(g.linear(g.asinh(y), "h_a.embed"), hat, "h_a.quality"), "h_a.block")
    t = g.leaky(g.linear(g.down(t, 2), "h_a.down1"))
    g.output("z", g.linear(g.down(t, 2), "h_a.down2"), 1, c.z, "h", "w")


def h_sigma(g: Graph, c: ModelConfig) -> None:
    """Integers held in float32; `proof.prove_exact` shows that no sum can leave the exact range."""
    a, hat = g.input("z", 1, c.z, "h", "w"), g.input("hats", 1, ANCHORS)
    half = g.constant(0.5)
    for i, top in enumerate((ACT_MAX, ACT_MAX, ACT_MAX, SCALES - 1)):
        name = f"h_sigma.layers.{i}"
        if i == 2:  # 3x3 as nine shifted copies and one matrix product: sums of products and nothing else
            padded = g.op("Pad", a, g.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
            axes = g.constant([2, 3], np.int64)
            shifted = []
            for y in range(3):
                for x in range(3):
                    end = [y - 2 or np.iinfo(np.int64).max, x - 2 or np.iinfo(np.int64).max]
                    shifted.append(g.op("Slice", padded, g.constant([y, x], np.int64), g.constant(end, np.int64), axes))
            a = g.op("Concat", *shifted, axis=1)
        bias = g.op("Mul", g.op("MatMul", hat, g.weight(f"{name}.bias")), g.constant(1 / HAT_ONE))
        bias = g.op("Floor", g.op("Add", bias, half))
        # The scale is a power of two, 1/2 at most. So scaled sums stay exact, and two passes are saved.
        scale = g.weight(f"{name}.scale")
        weight = g.op("Mul", g.weight(f"{name}.weight"), g.op("Reshape", scale, g.shape(-1, 1, 1, 1)))
        bias = g.op("Reshape", g.op("Add", g.op("Mul", bias, scale), half), g.constant([-1], np.int64))
        a = g.op("Floor", g.op("Conv", a, weight, bias, kernel_shape=[1, 1]))
        a = g.op("Clip", a, g.constant(0.0), g.constant(float(top)))
        if i < 2:
            a = g.up(a, 2)
    g.output("index", a, 1, c.latent, "4h", "4w")


def h_mu(g: Graph, c: ModelConfig) -> None:
    z, hat = g.input("z", 1, c.z, "h", "w"), g.hats()
    t = g.leaky(g.modulation(g.up(g.linear(z, "h_mu.up1"), 2), hat, "h_mu.quality"))
    t = g.leaky(g.up(g.linear(g.cap(t, "h_mu.cap1"), "h_mu.up2"), 2))
    t = g.leaky(g.conv3(g.cap(t, "h_mu.cap2"), "h_mu.spatial"))
    features = g.cap(t, "h_mu.cap3")
    mu0 = g.op("Mul", g.linear(features, "context.mean0"), g.unit(hat, c))
    g.output("features", features, 1, c.context, "4h", "4w")
    g.output("mu0", mu0, 1, c.deep, "4h", "4w")


def context(g: Graph, c: ModelConfig) -> None:
    y0, features = g.input("y0", 1, c.deep, "h", "w"), g.input("features", 1, c.context, "h", "w")
    g.output("mu1", mean1(g, c, y0, features), 1, c.deep, "h", "w")


def mean1(g: Graph, c: ModelConfig, y0: str, features: str) -> str:
    """The mean of phase 1, in quantiser steps."""
    unit = g.unit(g.hats(), c)
    seen = g.asinh(g.op("Div", y0, unit))
    t = g.linear(g.op("Concat", seen, features, axis=1), "context.fuse")
    t = g.linear(g.blocks(t, "context.blocks", c.context_blocks), "context.mean1")
    return g.op("Mul", t, unit)


def g_s(g: Graph, c: ModelConfig) -> None:
    y, hat = g.input("y", 1, c.latent, "h", "w"), g.hats()
    g.output("x", pixels(g, c, hat, *g.deep(y, c, axis=1)), 1, c.colours, "16h", "16w")


def g_s_natural(g: Graph, c: ModelConfig) -> None:
    """g_s with the layers at /8 that learnt from draws: the twin of `NaturalSynthesis`."""
    y, hat = g.input("y", 1, c.latent, "h", "w"), g.hats()
    noise = g.input("noise", 1, c.noise, "2h", "2w")
    g.output("x", pixels(g, c, hat, *g.deep(y, c, axis=1), "natural", noise), 1, c.colours, "16h", "16w")


def pixels(g: Graph, c: ModelConfig, hat: str, y: str, rare: str, last: str = "g_s", noise: str = "") -> str:
    """g_s of the deep channels y, and of the linear ones, if there are any.

    last: whose layers at /8 are taken. noise: what they make grain of, if they do.
    """
    spread, gain_rare = g.deep(g.weight("spread"), c)[0], g.deep(g.gain(hat), c, axis=1)[1]
    weight, weight_rare = g.deep(g.weight("g_s.shortcut.weight"), c, axis=1)
    y = g.stay(g.op("Div", y, g.unit(hat, c)))
    y = g.blocks(y, "g_s.latent_blocks", c.latent_blocks_s)
    shuffles = c.upsample == SHUFFLE
    t = deep = ""
    if c.transform != LINEAR:
        t = g.up(g.linear(y, "g_s.embed"), 2) if shuffles else g.doubled(y, "g_s.up.0", c.upsample)
        t = g.blocks(g.stay(g.modulation(t, hat, f"{last}.quality")), f"{last}.blocks", c.blocks_s)
        deep = g.linear(t, f"{last}.head") if shuffles else ""
        if noise:
            grain = g.op("Mul", g.linear(t, f"{last}.grain"), noise)
            grain = g.op("Conv", grain, g.weight(f"{last}.waves.weight"), kernel_shape=[1, 1])
            deep = g.op("Add", deep, grain)
    # The two meet at /8, where a convolution takes the sum in. At the full size each takes as long as a convolution.
    sides = 256 * c.colours, -1, 1, 1
    weight = g.quartered(g.op("Mul", weight, g.per_channel(spread)), *sides)
    linear = g.conv1(y, weight, g.quartered(g.weight("g_s.shortcut.bias"), -1))
    if c.linear:
        rare = g.op("Conv", g.op("Div", rare, gain_rare), g.quartered(weight_rare, *sides), kernel_shape=[1, 1])
        linear = g.op("Add", linear, rare)
    linear = g.up(linear, 2)
    if deep:
        return g.up(g.op("Add", linear, deep), 8)
    if c.transform == LINEAR:
        return g.up(linear, 8)
    t = g.leaky(g.doubled(t, "g_s.up.1", c.upsample))
    t = g.leaky(g.doubled(t, "g_s.up.2", c.upsample))
    return g.op("Add", g.up(linear, 8), g.doubled(t, "g_s.up.3", c.upsample))


def preview(g: Graph, c: ModelConfig) -> None:
    y, hat = g.input("y", 1, c.deep, "h", "w"), g.hats()
    t = g.linear(g.op("Div", y, g.unit(hat, c)), "preview")
    g.output("x", g.up(t, 2), 1, c.colours, "2h", "2w")


PARTS: dict[str, Callable[[Graph, ModelConfig], None]] = {
    "g_a": g_a,
    "h_a": h_a,
    "h_sigma": h_sigma,
    "h_mu": h_mu,
    "context": context,
    "g_s": g_s,
    "preview": preview,
}
# Of models that have its layers.
NATURAL = "g_s_natural"


def build(name: str, config: ModelConfig, shapes: dict[str, tuple[int, ...]]) -> tuple[bytes, list[str]]:
    """One graph of `PARTS`, or NATURAL, serialised, and the names of the weights it refers to.

    shapes: of every tensor in the model file, by name.
    """
    graph = Graph(name, shapes)
    (g_s_natural if name == NATURAL else PARTS[name])(graph, config)
    return graph.made()
