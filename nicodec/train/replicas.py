"""One batch in several threads of one core each: patches -> gradients of the whole batch, on a CPU.

Between `trainer`, which takes the step, and `nn.model`. A second thread inside a small product gains little; two
replicas of the network, each with its share of the batch, do 1.7 times as much (docs/TRAINING.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from nicodec.nn.model import Model

# The least number of patches for each replica: with fewer, the fixed cost of each product prevails.
SHARE = 4

# (model, patches (n, H, W, 3) uint8, q (n,), visible (n, 2)) -> the mean loss, and bpp and squared error of each (n,).
Loss: TypeAlias = Callable[[Model, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class Replicas:
    """A model and copies of it that share its weights, but neither gradients nor noise."""

    def __init__(self, model: Model, loss: Loss, batch: int) -> None:
        threads = torch.get_num_threads()
        count = max(1, min(threads, batch // SHARE))
        self.models, self.loss = [model], loss
        for _ in range(count - 1):
            twin = copy.deepcopy(model)
            for mine, its in zip(_tensors(model), _tensors(twin), strict=True):
                its.data = mine.data
            self.models.append(twin)
        for each in self.models:
            each.noise = torch.Generator()
        self._pool = ThreadPoolExecutor(count, "replica", torch.set_num_threads, (threads // count,))

    def gradients(
        self, patches: Tensor, q: Tensor, visible: Tensor, seeds: np.random.SeedSequence
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Leaves the gradients of the mean loss in the model. Returns what `loss` does, patches in another order.

        The same arguments give the same bits for the same number of replicas.
        """
        noise = seeds.generate_state(len(self.models), np.uint64).tolist()

        def share(i: int) -> tuple[Tensor, Tensor, Tensor]:
            model = self.models[i]
            assert model.noise is not None
            model.noise.manual_seed(noise[i])
            model.zero_grad(set_to_none=True)
            its = slice(i, None, len(self.models))
            total, bpp, mse = self.loss(model, patches[its], q[its], visible[its])
            total = total * (len(bpp) / len(patches))
            total.backward()  # type: ignore[no-untyped-call]
            return total.detach(), bpp, mse

        totals, bpp, mse = zip(*self._pool.map(share, range(len(self.models))), strict=True)
        first, *others = [_gradients(model) for model in self.models]
        for gradients in others:
            torch._foreach_add_(first, gradients)
        return torch.stack(totals).sum(), torch.cat(bpp), torch.cat(mse)


def _tensors(model: Model) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _gradients(model: Model) -> list[Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]
