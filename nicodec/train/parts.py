"""The parts of a network that are chosen by name, before it learns from nothing.

Between the command and `run`; it loads neither torch nor numpy. `model.config` has the names.
"""

from __future__ import annotations

from dataclasses import replace

from nicodec.model.config import LINEAR, SHUFFLE, TRANSFORMS, UPSAMPLES, ModelConfig
from nicodec.train.options import NOTHING, BadOption

_KNOWN = {"upsample": tuple(UPSAMPLES), "transform": TRANSFORMS}


def check(*, upsample: str | None, transform: str | None, start: str | None, resume: bool) -> None:
    """None: not said. Raises BadOption for a part that is not known, or where the network is known already."""
    for name, said in (("upsample", upsample), ("transform", transform)):
        if said is None:
            continue
        if said not in _KNOWN[name]:
            raise BadOption(f"--{name} is one of {', '.join(_KNOWN[name])}, not {said}")
        if resume:
            raise BadOption(f"--{name} is that of the state that --resume goes on from; leave it out")
        if start != NOTHING:
            raise BadOption(f"--{name} makes another network, which has to learn from nothing: add --from {NOTHING}")
    if transform == LINEAR and upsample not in (None, SHUFFLE):
        raise BadOption(f"--upsample {upsample} is a part of the deep branch, which --transform {LINEAR} does not have")


def network(config: ModelConfig, upsample: str | None, transform: str | None) -> ModelConfig:
    """The network with these parts in place of its own. None: they stay."""
    if transform == LINEAR:
        return config.without_deep()
    return config if upsample is None else replace(config, upsample=upsample)
