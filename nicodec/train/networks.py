"""The networks through torch: the interface of `nicodec.transform.Networks`, on a GPU or in torch on the CPU.

Beside `transform`, for machines where torch is installed. The same weights from the same model file; symbols
are as exact as there, because h_sigma is computed in whole numbers here too.
"""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nicodec.checkpoint import Checkpoint
from nicodec.errors import BadModel, NicError
from nicodec.files import shown
from nicodec.prior import HAT_ONE
from nicodec.train.export import thaw
from nicodec.train.model import IntegerLayer, Model, ModelConfig, depth_to_space, hats

Planes: TypeAlias = npt.NDArray[np.float32]


class TorchNetworks:
    """As `transform.Networks`; device: one of torch, "cuda", "cuda:1", "cpu". Raises NicError or BadModel."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self.checkpoint, self.threads = checkpoint, None
        try:
            self._device = torch.device(device)
            torch.empty(1, device=self._device)
        except (RuntimeError, AssertionError) as error:
            raise NicError(f"the device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
        try:
            config = ModelConfig.of(checkpoint.config)
            model = Model(config)
            model.load_state_dict(thaw(checkpoint.tensors, config))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadModel(f"{shown(checkpoint.path)}: not a network that torch can run ({error})") from None
        self._model = model.to(self._device).eval()
        self._lock = threading.Lock()

    @property
    def has_preview(self) -> bool:
        return "preview.weight" in self.checkpoint.tensors

    def g_a(self, x: Planes, quality: float) -> Planes:
        m, hat = self._model, self._hat(quality)
        return self._nchw(lambda: m.g_a(self._nhwc(x), hat, m.spread) * m.gain(hat))

    def h_a(self, y: Planes, quality: float) -> Planes:
        return self._nchw(lambda: self._model.h_a(self._nhwc(y), self._hat(quality)))

    def h_sigma(self, z: npt.NDArray[Any], hats: Planes) -> npt.NDArray[np.uint8]:
        """In float64 and rounded after each product: whole numbers, whatever algorithm a device chooses."""

        def index() -> Tensor:
            a = self._nhwc(z).permute(0, 3, 1, 2).double()
            hat = torch.from_numpy(hats).to(self._device).double()
            for i, layer in enumerate(self._model.h_sigma.layers):
                assert isinstance(layer, IntegerLayer)
                weight, bias, shift = (t.double() for t in layer.integers())
                acc = torch.round(F.conv2d(a, weight, padding=layer.kernel // 2))
                acc = acc + torch.floor(hat @ bias / HAT_ONE + 0.5)[:, :, None, None]
                a = torch.floor(acc * torch.exp2(-shift)[:, None, None] + 0.5).clamp(0, layer.top)
                if i < 2:
                    a = depth_to_space(a.permute(0, 2, 3, 1), 2).permute(0, 3, 1, 2)
            return a.permute(0, 2, 3, 1)

        return self._nchw(index).astype(np.uint8)

    def h_mu(self, z: npt.NDArray[Any], quality: float) -> tuple[Planes, Planes]:
        m, hat = self._model, self._hat(quality)
        with torch.no_grad():
            features = m.h_mu(self._nhwc(z), hat)
        unit = m.gain(hat) * m.spread
        return self._nchw(lambda: features), self._nchw(lambda: m.context.mean0(features) * unit)

    def context(self, y0: Planes, features: Planes, quality: float) -> Planes:
        m, hat = self._model, self._hat(quality)
        unit = m.gain(hat) * m.spread
        return self._nchw(lambda: m.context.phase1(self._nhwc(y0) / unit, self._nhwc(features)) * unit)

    def g_s(self, y: Planes, quality: float) -> Planes:
        m, hat = self._model, self._hat(quality)
        return self._nchw(lambda: m.g_s(self._nhwc(y) / m.gain(hat), hat, m.spread))

    def preview(self, y: Planes, quality: float) -> Planes:
        m, hat = self._model, self._hat(quality)
        weight, bias = (self._tensor(self.checkpoint.array(f"preview.{p}")) for p in ("weight", "bias"))
        unit = m.gain(hat) * m.spread
        return self._nchw(lambda: depth_to_space(F.linear(self._nhwc(y) / unit, weight.flatten(1), bias), 2))

    def _hat(self, quality: float) -> Tensor:
        return hats(torch.tensor([quality], device=self._device))

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(array.astype(np.float32), device=self._device)

    def _nhwc(self, planes: npt.NDArray[Any]) -> Tensor:
        return self._tensor(planes).permute(0, 2, 3, 1)

    @torch.no_grad()
    def _nchw(self, compute: Any) -> Planes:
        # Convolutions in float32 proper, not in the shorter numbers that a GPU takes by default.
        with self._lock, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            result: Tensor = compute()
        planes: Planes = result.permute(0, 3, 1, 2).float().cpu().numpy()
        return np.ascontiguousarray(planes)
