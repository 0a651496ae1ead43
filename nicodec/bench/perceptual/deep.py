"""LPIPS and DISTS: how far the features of two pictures lie apart, in networks that were trained to see.

Between `weights` and the door of the room. Zhang et al. 2018 (arXiv 1801.03924), version 0.1; Ding et al. 2020 (arXiv
2004.07728).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nicodec import extras
from nicodec.bench.perceptual.weights import Network, Weights

Pixels = npt.NDArray[np.uint8]
Tensor = Any  # of torch, which is an extra

# What each network was trained on: the mean and the spread of its samples.
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of samples in [-1, 1]
DISTS_SHIFT, DISTS_SCALE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of samples in [0, 1]
# The layers of AlexNet, as (stride, padding), and those before which the features are pooled.
ALEX = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))
ALEX_POOLED = (1, 2)
# The layers of VGG16 that begin a stage, and those that end one: 3x3, padding 1.
VGG_BEGIN, VGG_END = (2, 4, 7, 10), (1, 3, 6, 9, 12)
# Keeps a division by nothing from mattering.
LPIPS_LEAST, DISTS_LEAST, ROOT_LEAST = 1e-10, 1e-6, 1e-12


class Deep:
    """The measures of pairs of pictures, (H, W, 3) uint8 of equal size, at least 64 pixels each side; 0 is equal.

    The features of the last reference are kept, as one original has many versions. Raises MissingExtra without torch.
    """

    def __init__(self, weights: Weights) -> None:
        self._torch = extras.load("torch", "perceptual", "LPIPS and DISTS")
        self._weights = weights
        self._layers = {
            id(n): [tuple(map(self._tensor, pair)) for pair in n.layers] for n in (weights.alex, weights.vgg)
        }
        self._known: dict[str, tuple[Pixels, list[Tensor]]] = {}

    def lpips_alex(self, before: Pixels, after: Pixels) -> float:
        """LPIPS on AlexNet, version 0.1."""
        return self._lpips("alex", self._weights.alex, self._alex, before, after)

    def lpips_vgg(self, before: Pixels, after: Pixels) -> float:
        """LPIPS on VGG16, version 0.1."""
        return self._lpips("vgg", self._weights.vgg, self._vgg_lpips, before, after)

    def dists(self, before: Pixels, after: Pixels) -> float:
        """DISTS: a texture may lie elsewhere, as means and covariances are taken over the whole picture."""
        torch, weights = self._torch, self._weights
        total = float(weights.alpha.sum(dtype=np.float64) + weights.beta.sum(dtype=np.float64))
        alike, first = 0.0, 0
        for a, b in zip(*self._pair("dists", self._vgg_dists, before, after), strict=True):
            x, y = (one[0].flatten(1) for one in (a, b))
            share = slice(first, first := first + len(x))
            alpha, beta = (torch.from_numpy(part[share]).double() / total for part in (weights.alpha, weights.beta))
            (sx, mx), (sy, my) = (torch.var_mean(one, 1, correction=0) for one in (x, y))
            covariance = torch.linalg.vecdot(x - mx[:, None], y - my[:, None]) / x.shape[1]
            texture = (2 * mx * my + DISTS_LEAST) / (mx**2 + my**2 + DISTS_LEAST)
            structure = (2 * covariance + DISTS_LEAST) / (sx + sy + DISTS_LEAST)
            alike += float((alpha * texture + beta * structure).sum())
        return 1 - alike

    def _lpips(
        self, name: str, network: Network, features: Callable[[Tensor], Iterator[Tensor]], before: Pixels, after: Pixels
    ) -> float:
        total = 0.0
        for x, y, weight in zip(*self._pair(name, features, before, after), network.lpips, strict=True):
            x, y = (one / (one.square().sum(1, keepdim=True).sqrt() + LPIPS_LEAST) for one in (x, y))
            total += float((self._tensor(weight)[:, None, None] * (x - y).square()).sum(1).mean())
        return total

    def _pair(
        self, name: str, features: Callable[[Tensor], Iterator[Tensor]], before: Pixels, after: Pixels
    ) -> tuple[list[Tensor], list[Tensor]]:
        with self._torch.inference_mode():
            if name not in self._known or self._known[name][0] is not before:
                self._known[name] = before, list(features(self._samples(before)))
            return self._known[name][1], list(features(self._samples(after)))

    def _samples(self, pixels: Pixels) -> Tensor:
        """Planes (1, 3, H, W) in [0, 1]."""
        return self._tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / 255)

    def _tensor(self, array: npt.NDArray[np.float32]) -> Tensor:
        return self._torch.from_numpy(np.ascontiguousarray(array, np.float32))

    def _standard(self, x: Tensor, shift: tuple[float, ...], scale: tuple[float, ...]) -> Tensor:
        first, second = (self._tensor(np.array(v, np.float32))[:, None, None] for v in (shift, scale))
        return (x - first) / second

    def _alex(self, x: Tensor) -> Iterator[Tensor]:
        of = self._torch.nn.functional
        x = self._standard(2 * x - 1, LPIPS_SHIFT, LPIPS_SCALE)
        for i, (kernel, bias) in enumerate(self._layers[id(self._weights.alex)]):
            if i in ALEX_POOLED:
                x = of.max_pool2d(x, 3, 2)
            x = of.relu(of.conv2d(x, kernel, bias, ALEX[i][0], ALEX[i][1]))
            yield x

    def _vgg_lpips(self, x: Tensor) -> Iterator[Tensor]:
        pool = self._torch.nn.functional.max_pool2d
        return self._vgg(self._standard(2 * x - 1, LPIPS_SHIFT, LPIPS_SCALE), lambda x: pool(x, 2, 2))

    def _vgg_dists(self, x: Tensor) -> Iterator[Tensor]:
        yield x
        yield from self._vgg(self._standard(x, DISTS_SHIFT, DISTS_SCALE), self._hanning_pool)

    def _vgg(self, x: Tensor, pool: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        of = self._torch.nn.functional
        for i, (kernel, bias) in enumerate(self._layers[id(self._weights.vgg)]):
            if i in VGG_BEGIN:
                x = pool(x)
            x = of.relu(of.conv2d(x, kernel, bias, padding=1))
            if i in VGG_END:
                yield x

    def _hanning_pool(self, x: Tensor) -> Tensor:
        """The root of the mean square under a window of 3 x 3, at each second place: free of aliases."""
        taps = np.array([1, 2, 1], np.float32) / 4
        window = self._tensor(np.outer(taps, taps))[None, None].repeat(x.shape[1], 1, 1, 1)
        mean = self._torch.nn.functional.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1])
        return (mean + ROOT_LEAST).sqrt()
