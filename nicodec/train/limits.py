"""The limits of the caps and of familiar latents, measured on training pictures.

Called by `trainer` in the middle of a schedule from nothing, by `finish` for what is familiar alone, and by
`natural.learner`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nicodec.bitstream.anchors import ANCHORS
from nicodec.nn.layers import FIRST_LIMIT, Cap, hats
from nicodec.nn.model import Model
from nicodec.train import coded

# A limit is ROOM times the peak that this share of pictures and qualities stays under. The share leaves out those
# that run away. The room is for other pictures: the limit is about the largest value of photographs.
SHARE, ROOM = 0.9, 1.5
# An encoder checks cells whose latents are stranger than those of this share of training cells.
FAMILIAR = 0.995
# The least limit: the smallest float16 of full precision. The graphs divide weights by limits.
LEAST_LIMIT = 2**-14


def measured(model: Model) -> bool:
    """Whether its caps have limits that were measured."""
    return any(bool((m.limit != FIRST_LIMIT).any()) for m in model.modules() if isinstance(m, Cap))


@torch.no_grad()
def measure(model: Model, photographs: Tensor, drawings: Tensor, *, amp: bool = False) -> None:
    """Set the limits of all caps, channel by channel, and `familiar`, at every other anchor quality.

    The pictures are measured through the caps as they are, so that none can run away without end.
    photographs, drawings: uint8 (N, H, W, C), sides multiples of 64. `familiar` is of photographs alone.
    """
    with measuring(model):
        measure_familiar(model, photographs, amp=amp)
        for _ in coded.each(model, drawings, range(0, ANCHORS, 2), amp=amp):
            pass


@contextmanager
def measuring(module: nn.Module) -> Iterator[None]:
    """Set the limits of all caps of a module, channel by channel, by what passes them in this block.

    Each call of the module counts as one picture at one quality.
    """
    caps = [part for part in module.modules() if isinstance(part, Cap)]
    peaks: dict[nn.Module, list[Tensor]] = {cap: [] for cap in caps}

    def note(cap: nn.Module, _: object, out: Tensor) -> None:
        peaks[cap].append(out.detach().float().abs().flatten(0, -2).amax(0))

    hooks = [cap.register_forward_hook(note) for cap in caps]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for cap in caps:
        found = ROOM * torch.quantile(torch.stack(peaks[cap]), SHARE, dim=0)
        # A branch that is still zero, as at the start of training, says nothing of what it will be.
        cap.limit.copy_(torch.where(found > 0, found.clamp(min=LEAST_LIMIT), cap.limit).half())


@torch.no_grad()
def measure_familiar(model: Model, photographs: Tensor, *, amp: bool = False) -> None:
    """Set `familiar` at every other anchor quality. photographs: uint8 (N, H, W, C), sides multiples of 64."""
    strangest = [
        _strangest(model, anchor, out.y_hat)
        for anchor, out in coded.each(model, photographs, range(0, ANCHORS, 2), amp=amp)
    ]
    model.familiar.copy_(torch.quantile(torch.cat(strangest), FAMILIAR))


def _strangest(model: Model, anchor: int, y: Tensor) -> Tensor:
    """The strangeness of each cell of 64x64 pixels (cells,): its largest mean square of deep channels.

    The mean at each position is over channels, in units of spread. y: decoded latent (1, h, w, L) in steps.
    """
    unit = model.gain(hats(torch.tensor([10.0 * anchor], device=y.device))) * model.spread
    energy = (y / unit)[..., : model.config.deep].square().mean(-1)
    return torch.nn.functional.max_pool2d(energy[:, None], 4).flatten()
