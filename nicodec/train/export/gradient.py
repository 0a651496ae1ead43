"""The graphs of g_s and the context, run backwards: what effort descends on, without torch.

Beside `graphs`, whose layers they are made of; called by `freeze`. All weights are those of the forward graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nicodec.model.config import ModelConfig
from nicodec.train.export import graphs
from nicodec.train.export.graphs import Graph

# A factor that makes any positive number greater than one, and any negative one smaller than zero.
HUGE = 1e30


class Step(NamedTuple):
    """A node that was added to a graph. channels: of the block that it belongs to."""

    kind: str
    inputs: tuple[str, ...]
    result: str
    attributes: dict[str, Any]
    channels: int

    @property
    def sources(self) -> tuple[str, ...]:
        """The inputs that may depend on a latent: the others are weights, or features."""
        return self.inputs if self.kind == "Add" else self.inputs[:1]


class Tape(Graph):
    """A graph that remembers its nodes, so that a gradient finds its way back (reverse accumulation).

    A cap lets every gradient pass, because latents of pictures hardly reach one.
    """

    def __init__(self, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(name, shapes)
        self._steps: list[Step] = []
        self._channels = 0

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        result = super().op(kind, *inputs, outputs=outputs, **attributes)
        self._steps.append(Step(kind, inputs, result, attributes, self._channels))
        return result

    def block(self, x: str, name: str) -> str:
        self._channels = self.shapes[f"{name}.mix_in.weight"][0]
        return super().block(x, name)

    def doubled(self, x: str, name: str, way: str) -> str:
        self._channels = self.shapes[f"{name}.depthwise.weight"][0]
        result = super().doubled(x, name, way)
        self._channels = self.shapes[f"{name}.mix.weight"][0]
        return result

    def capped(self, x: str, name: str, cap: str) -> str:
        """To a gradient one product: what divides its weights multiplies its result."""
        steps, result = self._steps.copy(), super().capped(x, name, cap)
        step = Step("Conv", (x, self.weight(f"{name}.weight")), result, {"kernel_shape": [1, 1]}, self._channels)
        self._steps = [*steps, step]
        return result

    def asinh(self, x: str) -> str:
        steps, result = self._steps.copy(), super().asinh(x)
        self._steps = [*steps, Step("Asinh", (x,), result, {}, self._channels)]
        return result

    def gradient(self, value: str, of: str, seed: str) -> str:
        """The gradient at `value` of a sum over `of`, from which it begins as `seed`, of the shape of `of`."""
        reached, gradients = {value}, {of: seed}
        steps = self._steps.copy()
        for step in steps:
            if reached.intersection(step.sources):
                reached.add(step.result)
        for step in reversed(steps):
            for given in step.sources:
                if step.result in gradients and given in reached:
                    back = BACK[step.kind](self, gradients[step.result], step)
                    gradients[given] = self.op("Add", gradients[given], back) if given in gradients else back
        return gradients[value]


def _conv(g: Tape, gradient: str, step: Step) -> str:
    """A product with the transposed matrix, or the kernel of each channel turned by half a turn."""
    weight = step.inputs[1]
    if step.attributes["kernel_shape"] == [1, 1]:
        return g.op("Conv", gradient, g.op("Transpose", weight, perm=[1, 0, 2, 3]), kernel_shape=[1, 1])
    end = np.iinfo(np.int64).min
    turned = g.op("Slice", weight, g.shape(-1, -1), g.shape(end, end), g.shape(2, 3), g.shape(-1, -1))
    return g.op("Conv", gradient, turned, **step.attributes)


def _leaky(g: Tape, gradient: str, step: Step) -> str:
    """Times 1 where the activation is above zero, else times 0.01.

    Made of a convolution for each channel alone, which ONNX Runtime computes in the layout of its neighbours. A
    comparison and a choice take a fourth longer for the whole graph.
    """
    huge = g.constant(np.full((step.channels, 1, 1, 1), HUGE))
    large = g.op("Conv", step.result, huge, kernel_shape=[1, 1], group=step.channels)
    return g.op("Mul", gradient, g.op("Clip", large, g.constant(0.01), g.constant(1.0)))


def _concat(g: Tape, gradient: str, step: Step) -> str:
    """Of the first phase, which stands before the features of the context."""
    return g.op("Slice", gradient, g.shape(0), g.shape(*g.shapes["context.mean1.weight"][:1]), g.shape(1))


def _asinh(g: Tape, gradient: str, step: Step) -> str:
    x = step.inputs[0]
    return g.op("Div", gradient, g.op("Sqrt", g.op("Add", g.op("Mul", x, x), g.constant(1.0))))


def _transposed(g: Tape, gradient: str, step: Step) -> str:
    """The convolution that this one is the transpose of: the same weights, with the same stride."""
    kept = {name: value for name, value in step.attributes.items() if name != "output_padding"}
    return g.op("Conv", gradient, step.inputs[1], **kept)


def _resize(g: Tape, gradient: str, step: Step) -> str:
    """Sums with the weights that each sample had: of four for nearest, of sixteen for bilinear.

    Beyond an edge bilinear repeats the last sample, so there that sample gets what is repeated beyond the edge.
    """
    row = [1.0, 1.0] if step.attributes["mode"] == "nearest" else [0.25, 0.75, 0.75, 0.25]
    if len(row) == 4:
        gradient = g.op("Pad", gradient, g.shape(0, 0, 1, 1, 0, 0, 1, 1), mode="edge")
    kernel = g.constant(np.broadcast_to(np.outer(row, row), (step.channels, 1, len(row), len(row))))
    return g.op("Conv", gradient, kernel, kernel_shape=[len(row)] * 2, strides=[2, 2], group=step.channels)


def _pad(g: Tape, gradient: str, step: Step) -> str:
    """Of the channels that zeros were put behind."""
    return g.op("Slice", gradient, g.shape(0), g.shape(step.channels), g.shape(1))


def _same(g: Tape, gradient: str, step: Step) -> str:
    return gradient


# How a gradient goes back through each kind of node.
BACK: dict[str, Callable[[Tape, str, Step], str]] = {
    "Conv": _conv,
    "LeakyRelu": _leaky,
    "Asinh": _asinh,
    "Concat": _concat,
    "ConvTranspose": _transposed,
    "Resize": _resize,
    "Pad": _pad,
    "Add": _same,
    "MaxPool": _same,
    "Mul": lambda g, gradient, step: g.op("Mul", gradient, step.inputs[1]),
    "Div": lambda g, gradient, step: g.op("Div", gradient, step.inputs[1]),
    "DepthToSpace": lambda g, gradient, step: g.stay(g.down(gradient, step.attributes["blocksize"])),
}

Part: TypeAlias = Callable[[Tape, ModelConfig], None]


def g_s_back(g: Tape, c: ModelConfig) -> None:
    """The squared error of the pixels, and its gradient at the deep channels of the latent.

    The clip of the pixels has no step: where it acts, the error points back inside.
    """
    y, hat = g.input("y", 1, c.latent, "h", "w"), g.hats()
    target, counted = g.input("target", 1, c.colours, "16h", "16w"), g.input("counted", 1, 1, "16h", "16w")
    deep, rare = g.deep(y, c, axis=1)
    x = graphs.pixels(g, c, hat, deep, rare)
    off = g.op("Sub", g.op("Clip", x, g.constant(-0.5), g.constant(0.5)), target)
    weighed = g.op("Mul", off, counted)
    g.output("error", g.op("ReduceSum", g.op("Mul", weighed, off), keepdims=1), 1, 1, 1, 1)
    seed = g.op("Mul", weighed, g.constant(2.0))
    g.output("gradient", g.gradient(deep, x, seed), 1, c.deep, "h", "w")


def context_back(g: Tape, c: ModelConfig) -> None:
    """The gradient at the decoded first phase, from the gradient at the mean of the second."""
    y0, features = g.input("y0", 1, c.deep, "h", "w"), g.input("features", 1, c.context, "h", "w")
    seed = g.input("mu1", 1, c.deep, "h", "w")
    g.output("gradient", g.gradient(y0, graphs.mean1(g, c, y0, features), seed), 1, c.deep, "h", "w")


PARTS: dict[str, Part] = {"g_s_back": g_s_back, "context_back": context_back}


def build(name: str, config: ModelConfig, shapes: dict[str, tuple[int, ...]]) -> tuple[bytes, list[str]]:
    """As `graphs.build`."""
    tape = Tape(name, shapes)
    PARTS[name](tape, config)
    return tape.made()
