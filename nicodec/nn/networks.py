"""The networks through torch: `model.backends.Networks` on a GPU, or in torch on the CPU.

For machines where torch is installed. The weights are those of the model file. h_sigma is computed in whole numbers,
so scales are as exact as with ONNX Runtime. Waiting calls of one network, size and quality become one batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nicodec.bitstream.anchors import HAT_ONE
from nicodec.model.backends import Hyper, Planes
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.layers import IntegerLayer, depth_to_space, hats
from nicodec.nn.thaw import model_of

# The most calls in a batch: it bounds the memory, and keeps any device busy.
BATCH = 16


@dataclass(eq=False)
class _Call:
    """The inputs of one thread, and its results or its error."""

    key: Hashable
    planes: tuple[npt.NDArray[Any], ...]
    results: list[Planes] | None = None
    error: Exception | None = None


class Together:
    """Joins calls that wait while another runs into one computation, if their keys are equal.

    The next thread computes for all waiting calls of its key (flat combining, Hendler et al. 2010). The others
    find their results when their turn comes.
    """

    def __init__(self) -> None:
        self.running, self._lock = threading.Lock(), threading.Lock()
        self.waiting: list[_Call] = []

    def __call__(
        self,
        key: Hashable,
        planes: tuple[npt.NDArray[Any], ...],
        compute: Callable[[Sequence[npt.NDArray[Any]]], list[Planes]],
    ) -> list[Planes]:
        """Results of `compute`, which takes and gives arrays whose first dimension is the batch.

        key: calls of one key differ in the values of their planes only. An error of `compute` is raised in each
        call of the batch.
        """
        mine = _Call(key, planes)
        with self._lock:
            self.waiting.append(mine)
        with self.running:
            if mine.results is None and mine.error is None:
                with self._lock:
                    others = [call for call in self.waiting if call.key == key and call is not mine]
                    batch = [mine, *others[: BATCH - 1]]
                    self.waiting = [call for call in self.waiting if call not in batch]
                self._serve(batch, compute)
        if mine.error is not None:
            raise mine.error
        assert mine.results is not None
        return mine.results

    @staticmethod
    def _serve(batch: list[_Call], compute: Callable[[Sequence[npt.NDArray[Any]]], list[Planes]]) -> None:
        try:
            joined = [np.concatenate(planes) for planes in zip(*(c.planes for c in batch), strict=True)]
            results = compute(joined)
            for i, call in enumerate(batch):
                call.results = [np.ascontiguousarray(r[i : i + 1]) for r in results]
        except Exception as error:
            for call in batch:
                call.error = error


class TorchNetworks:
    """`Networks` of one checkpoint. device: as for `model_of`, whose errors it raises, or "cpu-torch"."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self.checkpoint, self.threads = checkpoint, None
        self._model = model_of(checkpoint, device.removesuffix("-torch"))
        self._device = self._model.spread.device
        self._together = Together()

    def g_a(self, x: Planes, quality: float) -> Planes:
        def compute(x: Tensor) -> list[Tensor]:
            m, hat = self._model, self._hat(quality)
            return [m.g_a(x, hat, m.spread) * m.gain(hat)]

        return self._run("g_a", quality, compute, x)[0]

    def h_a(self, y: Planes, quality: float) -> Planes:
        return self._run("h_a", quality, lambda y: [self._model.h_a(y, self._hat(quality))], y)[0]

    def h_sigma(self, z: Hyper, hats: Planes) -> npt.NDArray[np.uint8]:
        """In float64, rounded after each product: whole numbers with any algorithm of the device."""

        def index(z: Tensor) -> list[Tensor]:
            a = z.permute(0, 3, 1, 2).double()
            hat = torch.from_numpy(hats).to(self._device).double()
            for i, layer in enumerate(self._model.h_sigma.layers):
                assert isinstance(layer, IntegerLayer)
                weight, bias, shift = (t.double() for t in layer.integers())
                acc = torch.round(F.conv2d(a, weight, padding=layer.kernel // 2))
                acc = acc + torch.floor(hat @ bias / HAT_ONE + 0.5)[:, :, None, None]
                a = torch.floor(acc * torch.exp2(-shift)[:, None, None] + 0.5).clamp(0, layer.top)
                if i < 2:
                    a = depth_to_space(a.permute(0, 2, 3, 1), 2).permute(0, 3, 1, 2)
            return [a.permute(0, 2, 3, 1)]

        return self._run("h_sigma", hats.tobytes(), index, z)[0].astype(np.uint8)

    def h_mu(self, z: Hyper, quality: float) -> tuple[Planes, Planes]:
        def compute(z: Tensor) -> list[Tensor]:
            features = self._model.h_mu(z, self._hat(quality))
            return [features, self._model.context.mean0(features) * self._unit(quality)]

        features, mu0 = self._run("h_mu", quality, compute, z)
        return features, mu0

    def context(self, y0: Planes, features: Planes, quality: float) -> Planes:
        def compute(y0: Tensor, features: Tensor) -> list[Tensor]:
            unit = self._unit(quality)
            return [self._model.context.phase1(y0 / unit, features) * unit]

        return self._run("context", quality, compute, y0, features)[0]

    def g_s(self, y: Planes, quality: float) -> Planes:
        def compute(y: Tensor) -> list[Tensor]:
            m, hat = self._model, self._hat(quality)
            return [m.g_s(y / m.gain(hat), hat, m.spread)]

        return self._run("g_s", quality, compute, y)[0]

    def preview(self, y: Planes, quality: float) -> Planes:
        def compute(y: Tensor) -> list[Tensor]:
            weight, bias = (self._tensor(self.checkpoint.array(f"preview.{p}")) for p in ("weight", "bias"))
            return [depth_to_space(F.linear(y / self._unit(quality), weight.flatten(1), bias), 2)]

        return self._run("preview", quality, compute, y)[0]

    def _hat(self, quality: float) -> Tensor:
        return hats(torch.tensor([quality], device=self._device))

    def _unit(self, quality: float) -> Tensor:
        """The spread of each deep channel in quantiser steps (1, 1, 1, D)."""
        unit = self._model.gain(self._hat(quality)) * self._model.spread
        return unit[..., : self._model.config.deep]

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(array.astype(np.float32), device=self._device)

    def _run(
        self, name: str, quality: Hashable, compute: Callable[..., list[Tensor]], *planes: npt.NDArray[Any]
    ) -> list[Planes]:
        """Runs `compute`, from and to NHWC, in one batch with equal calls of other threads. planes: NCHW."""

        def on_device(planes: Sequence[npt.NDArray[Any]]) -> list[Planes]:
            inputs = [self._tensor(p).permute(0, 2, 3, 1) for p in planes]
            # Convolutions in full float32, not in TF32, the default of a GPU.
            with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                outputs = compute(*inputs)
            return [o.permute(0, 3, 1, 2).float().cpu().numpy() for o in outputs]

        return self._together((name, quality, *(p.shape for p in planes)), planes, on_device)
