"""What the networks are made of: shuffles, straight-through rounding, blocks, layers of whole numbers.

Under `model`. All tensors are NHWC, so that a 1x1 convolution is a matrix product over the last axis. `Block`
follows DCVC-RT (arXiv 2502.20762). `IntegerLayer` follows Ballé et al. 2019 (Integer Networks).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec.bitstream.anchors import ANCHORS, HAT_ONE

# h_sigma is computed in integers. Activations are 8 bits with 4 fractional ones; weights are 8 bits with one
# power-of-two scale for each output channel; the weights of the quality anchors are sixteenths (`anchors`).
ACT_BITS, ACT_MAX, WEIGHT_MAX = 4, 255, 127


def space_to_depth(x: Tensor, r: int) -> Tensor:
    """(B, H, W, C) -> (B, H/r, W/r, r*r*C), channel order (row, column, c), as ONNX SpaceToDepth."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // r, r, w // r, r, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // r, w // r, r * r * c)


def depth_to_space(x: Tensor, r: int) -> Tensor:
    """(B, H, W, r*r*C) -> (B, H*r, W*r, C), the inverse of `space_to_depth` (ONNX DepthToSpace, DCR)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, r, r, c // (r * r)).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * r, w * r, c // (r * r))


def hats(q: Tensor) -> Tensor:
    """Quality (B,) in [0, 100] -> weights (B, ANCHORS) of the two anchors around it, summing to one."""
    anchors = torch.arange(ANCHORS, device=q.device, dtype=q.dtype)
    return (1 - (q[:, None] * ((ANCHORS - 1) / 100) - anchors).abs()).clamp(min=0)


def integer_hats(q: Tensor) -> Tensor:
    """Quality (B,) in hundredths, 0..10000 -> integer weights (B, ANCHORS) in sixteenths.

    The same integers as `bitstream.anchors.integer_hats`.
    """
    anchors = torch.arange(ANCHORS, device=q.device) * 1000
    near = (1000 - (q.long()[:, None] - anchors).abs()).clamp(min=0)
    return torch.div(near * HAT_ONE + 500, 1000, rounding_mode="floor")


def full(x: Tensor) -> Tensor:
    """bf16, as autocast leaves it, -> float32; float32 and float64 stay as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x + 0.5).floor_()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        grad: Tensor = grads[0]
        return grad


def round_ste(x: Tensor) -> Tensor:
    """Round half up, with the gradient of the identity (straight-through)."""
    result: Tensor = _Rounded.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Asinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        root = (x * x).add_(1).sqrt_()
        ctx.save_for_backward(root)
        return x.abs().add_(root).log_().copysign_(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        (root,), grad = ctx.saved_tensors, grads[0]
        result: Tensor = grad / root
        return result


def asinh(x: Tensor) -> Tensor:
    """As torch.asinh to 1e-7, and several times as fast on a CPU."""
    result: Tensor = _Asinh.apply(x)  # type: ignore[no-untyped-call]
    return result


# Gradient times distance to a bound is 0 or further from 0 than this, which is no denormal number.
TINY = 1e-30


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Any, high: Any) -> Tensor:
        result = x.clamp(low, high)
        ctx.save_for_backward(x - result)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (beyond,), grad = ctx.saved_tensors, grads[0]
        # A descent step leads further out where both have opposite signs. Written with comparisons and masks this took
        # a sixth of a step of training: CPUs have no vector code for comparisons in bf16.
        return torch.ops.aten.threshold_backward(grad, beyond * grad, -TINY), None, None


def bounded(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Clamp that lets a gradient pass where a descent step leads back inside (as CompressAI's LowerBound)."""
    result: Tensor = _Bounded.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


# The limit before it is measured: far above the output of a branch, whose values are near one.
FIRST_LIMIT = 64.0


class Cap(nn.Module):
    """Clips each channel to plus and minus its limit, which training pictures hardly reach (`limits`).

    A network without normalisation amplifies inputs that it has never met. A capped branch cannot run away.
    """

    limit: Tensor

    def __init__(self, c: int) -> None:
        super().__init__()
        self.register_buffer("limit", torch.full((c,), FIRST_LIMIT))

    def forward(self, x: Tensor) -> Tensor:
        limit = self.limit.to(x.dtype)
        return bounded(x, -limit, limit)


class Block(nn.Module):
    """x + cap(1x1(dw3x3(act(1x1 x)))), then x + cap(1x1(fold2(act(1x1 C->2C)))): 5C² + 9C MAC a position."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mix_in = nn.Linear(c, c)
        self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.mix_out = nn.Linear(c, c)
        self.mix_cap = Cap(c)
        self.expand = nn.Linear(c, 2 * c)
        self.project = nn.Linear(c, c)
        self.project_cap = Cap(c)

    def forward(self, x: Tensor) -> Tensor:
        t = F.leaky_relu(self.mix_in(x), 0.01)
        t = self.depthwise(t.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.mix_cap(self.mix_out(t))
        a, b = F.leaky_relu(self.expand(x), 0.01).chunk(2, dim=-1)
        folded: Tensor = self.project_cap(self.project(a + b))
        return x + folded


def still_blocks(c: int, count: int) -> nn.ModuleList:
    """Blocks that change nothing until they are trained: the last layer before each sum begins at zero."""
    blocks = nn.ModuleList(Block(c) for _ in range(count))
    for name, parameter in blocks.named_parameters():
        if "mix_out" in name or "project" in name:
            nn.init.zeros_(parameter)
    return blocks


class Modulation(nn.Module):
    """A scale and a shift for each channel. They depend on quality, and are interpolated between the anchors."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(ANCHORS, c))
        self.shift = nn.Parameter(torch.zeros(ANCHORS, c))

    def forward(self, x: Tensor, hat: Tensor) -> Tensor:
        scale, shift = hat @ self.scale, hat @ self.shift
        return x * (1 + scale[:, None, None, :]).to(x.dtype) + shift[:, None, None, :].to(x.dtype)


class IntegerLayer(nn.Module):
    """A 1x1 or 3x3 layer of h_sigma, trained with the same integers that the model file holds.

    Weights are w_int * 2^-e with |w_int| <= 127 and one e for each output channel; the bias depends on
    quality through integer hats; the result is floor(acc * 2^-s + 1/2), clipped to 0..`top`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        kernel: int = 1,
        in_bits: int = ACT_BITS,
        out_bits: int = ACT_BITS,
        top: int = ACT_MAX,
    ) -> None:
        super().__init__()
        self.kernel, self.in_bits, self.out_bits, self.top = kernel, in_bits, out_bits, top
        fan_in = c_in * kernel * kernel
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel) * math.sqrt(1 / fan_in))
        self.bias = nn.Parameter(torch.zeros(ANCHORS, c_out))

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """(w_int (O, I, k, k), bias_int (ANCHORS, O), shift (O,)), integers held in floats."""
        # 1 + out_bits - in_bits keeps every shift at one bit or more, so that rounding is well defined.
        low = 1 + self.out_bits - self.in_bits
        peak = self.weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-9)
        # At most 9, so that a bias of 63 * 2^(9 + 4), times the hats, is exact in float32.
        e = torch.floor(torch.log2(WEIGHT_MAX / peak)).clamp(low, 9)
        w = round_ste(self.weight * torch.exp2(e)[:, None, None, None]).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        b = round_ste(self.bias * torch.exp2(e + self.in_bits))
        return w, b, e + self.in_bits - self.out_bits

    def forward(self, a: Tensor, hat: Tensor) -> Tensor:
        """Integer activations (B, h, w, I), integer hats (B, ANCHORS) -> integer activations (B, h, w, O)."""
        w, b, shift = self.integers()
        bias = round_ste((hat @ b) / HAT_ONE)[:, None, None]
        if self.kernel == 1:
            acc = F.linear(a, w.flatten(1))
        else:
            acc = F.conv2d(a.permute(0, 3, 1, 2), w, padding=self.kernel // 2).permute(0, 2, 3, 1)
        return bounded(round_ste((acc + bias) * torch.exp2(-shift)), 0, self.top)


def bf16_pays(device: torch.device) -> bool:
    """Whether the device has hardware for bf16: a recent GPU, or a CPU with avx512_bf16 or amx."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported()) or bool(torch.cpu._is_amx_tile_supported())
