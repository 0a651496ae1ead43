"""A whole step of training as one CUDA graph: its kernels are recorded once and then replayed.

Between `trainer` and a GPU. A step of a small network is hundreds of small kernels, and starting them one by
one takes a processor five times as long as the GPU needs for their work (docs/TRAINING.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Calls before the recording, in which compilers and libraries choose their kernels.
WARM = 3


@dataclass
class _Recording:
    calls: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    inputs: tuple[Tensor, ...] = ()
    output: Tensor | None = None


class Captured:
    """A function of tensors on the current CUDA stream, recorded for each shape that it meets.

    Other tensors that the function reads must keep their memory; their values may change. The stream must not
    be the default one.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        mine = self._recordings.setdefault(tuple(t.shape for t in inputs), _Recording())
        mine.calls += 1
        if mine.calls <= WARM:
            return self._function(*inputs)
        if mine.graph is None:
            mine.inputs, graph = tuple(t.clone() for t in inputs), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                mine.output = self._function(*mine.inputs)
            mine.graph = graph
        for kept, given in zip(mine.inputs, inputs, strict=True):
            kept.copy_(given)
        mine.graph.replay()
        assert mine.output is not None
        return mine.output.clone()
