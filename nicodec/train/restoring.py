"""What a run that learns to clean does differently: damaged pictures beside clean ones, and the start of its encoder.

Between `corrupt` and `trainer`. Two pictures travel as one, (..., 2 C): what the encoder sees, then what is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from nicodec.errors import BadModel, NicError, one_line
from nicodec.model import checkpoint, modelfile
from nicodec.model.card import Card, Point
from nicodec.model.checkpoint import Checkpoint
from nicodec.model.config import LINEAR, ModelConfig
from nicodec.model.modelfile import DECODER, NATURAL, Tensors
from nicodec.nn.model import Model
from nicodec.nn.transforms import Analysis
from nicodec.storage.files import atomic_write, shown
from nicodec.train import distortion, validate
from nicodec.train.corrupt import corrupted
from nicodec.train.damage import Damage
from nicodec.train.data import Patches
from nicodec.train.options import BadOption, Options
from nicodec.train.store import Pixels

if TYPE_CHECKING:
    from nicodec.train.trainer import Trainer

# The learning rate, unless told otherwise: what the encoder has to learn is new to it.
RATE = 1e-3
# The words of --freeze with which a part of the start stays as it is in the file of the model.
FROZEN = ("decoder", "encoder")
# The name of the start, in the folder of a run: what stays is taken from it.
START = "start.nicmodel"
# The seed of damage to pictures that are held out, counted or fitted on: the same in every run.
FIXED = 1
# Patches that the linear start is fitted to, and the first step of those that no run learns from.
FITTED, FIRST = 512, 2**32
# Damage that leaves most cells whole: a linear map would blur them, and the network finds the damaged ones.
WHOLE_BESIDE = ("holes",)
# A share of the mean power of a pixel, so that the fit has one solution.
RIDGE = 1e-4
# The layers of the stage that repairs pixels before g_a.
LAYERS = 6
# The damage that has one, which is small or thin; and the steps, and the share of a schedule, in which the stage learns
# alone at most. Such a step takes a sixth of the time of one of the whole codec. Noise gained nothing by it.
ALONE = {"salt": (4000, 0.8), "lines": (8000, 0.8)}
NEVER = (0, 0.0)


def pairs(damage: Damage | None, patches: Tensor, seed: int, step: int, progress: float = 1.0) -> Tensor:
    """uint8 (B, H, W, C) -> (B, H, W, 2 C), damaged and clean; without damage the patches as they are."""
    if damage is None:
        return patches
    return torch.cat([corrupted(damage, patches, seed, step, progress), patches], dim=-1)


def held(damage: Damage | None, pictures: list[Pixels]) -> list[Pixels]:
    """The pictures (H, W, C) as `pairs`, each with damage of its own that is the same in every look."""
    if damage is None:
        return pictures
    return [pairs(damage, torch.tensor(p)[None], FIXED, i)[0].numpy() for i, p in enumerate(pictures)]


def seen(damage: Damage | None, pictures: Tensor) -> Tensor:
    """What an encoder sees of uint8 pictures (N, H, W, C): those that symbols are counted on."""
    return pictures if damage is None else corrupted(damage, pictures, FIXED, 0)


def network(options: Options) -> ModelConfig:
    """The network of a new run: with a stage that repairs pixels if its encoder learns to clean from such damage.

    A start that has one keeps its own. With the transform "linear" there is none, because it would not be linear.
    """
    c = options.model
    return replace(c, repair=LAYERS) if _alone(options) != NEVER and not c.repair and c.transform != LINEAR else c


def repairs_alone(options: Options, step: int, progress: float) -> bool:
    """Whether the stage that repairs pixels learns, and nothing else.

    Without the rest of the codec it takes several times as many steps a minute, and g_a then learns from what is
    nearly clean. step: of the run, and `progress`: the share of its schedule that is done.
    """
    steps, share = _alone(options)
    return options.model.repair > 0 and step < steps and progress < share


def _alone(options: Options) -> tuple[int, float]:
    """What ALONE says of a run."""
    if not options.clean_from or options.freeze == "encoder":
        return NEVER
    return ALONE.get(Damage.of(options.clean_from).kind, NEVER)


def repaired(model: Model, given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of the stage alone: the root mean square error in levels; no bits, and the squared error, (B,).

    given, wanted: pixels (B, H, W, C) in [-1/2, 1/2].
    """
    assert isinstance(model.g_a, Analysis)
    assert model.g_a.repair is not None
    mse = distortion.squared(wanted, model.g_a.repair(given))
    return (1 + mse).sqrt().mean(), torch.zeros_like(mse), mse.detach()


@torch.no_grad()
def start(model: Model, data: Patches, damage: Damage, freeze: str) -> None:
    """Change a shortcut to the best linear map from what damaged patches bring to it to what it made of clean ones.

    It is that of g_a, or of g_s if the encoder is frozen. It passes by the network, and would carry damage along. Least
    squares shrinks each channel by the share of it that is no damage (Wiener 1949): most of the channels for rare
    content nearly vanish. A g_a that sees repaired pixels keeps its own.
    """
    if damage.kind in WHOLE_BESIDE or (model.config.repair and freeze != "encoder"):
        return
    layer, caught = (model.g_s if freeze == "encoder" else model.g_a).shortcut, list[Tensor]()
    size = layer.in_features + 1
    gram, moment = (torch.zeros(size, n, dtype=torch.float64) for n in (size, layer.out_features))
    model.eval()
    hook = layer.register_forward_pre_hook(lambda _, given: caught.append(given[0].float().flatten(0, -2)))
    for step in range(FITTED // 16):
        patches, q, _ = data.batch(FIRST + step, 16, 64)
        both = pairs(damage, patches, FIXED, FIRST + step).float() / 255 - 0.5
        for part in torch.split(both, patches.shape[-1], dim=-1):
            model(part, q)
    hook.remove()
    for damaged, clean in zip(caught[::2], caught[1::2], strict=True):
        x = torch.cat([damaged, torch.ones(len(damaged), 1, device=damaged.device)], dim=1).cpu().double()
        gram += x.T @ x
        moment += x.T @ layer(clean).cpu().double()
    ridge = RIDGE * gram.diagonal()[:-1].mean() * torch.eye(size, dtype=torch.float64)
    solved = torch.linalg.solve(gram + ridge, moment).T.float()
    layer.weight.copy_(solved[:, :-1])
    layer.bias.copy_(solved[:, -1])


def kept(start: Checkpoint, freeze: str) -> Tensors:
    """The tensors of the start that stay as they are, beside graphs, where the symbols or their decoder do.

    freeze: "decoder", then the id of the model stays too; or "encoder". Of weights float16 is the whole truth; of
    tables nothing is counted anew.
    """
    whole = (*DECODER, "preview.", NATURAL) if freeze == "decoder" else ("",)
    # Layers that paint the natural picture go with the g_s that they were taught beside.
    other = ("graph.", "halos") if freeze == "decoder" else ("graph.", "halos", "g_s.", NATURAL)
    return {n: t for n, t in start.tensors.items() if n.startswith(whole) and not n.startswith(other)}


def chosen(options: Options, said: Collection[str]) -> Options:
    """The options of a run, with the defaults of one that cleans. said: names that were given, or come from a state.

    Raises BadOption for options that do not go together.
    """
    if options.clean_from:
        freeze = options.freeze if "freeze" in said else "none" if options.skips else "decoder"
        rate = options.rate if "rate" in said else RATE
        measure = options.measure if "measure" in said else "none"
        options = replace(options, freeze=freeze, rate=rate, measure=measure)
    if options.clean_from and options.freeze == "g_a":
        raise BadOption("--clean-from with the encoder of the start is --decoder-only; leave out --freeze g_a")
    if options.freeze == "encoder" and not options.clean_from:
        raise BadOption("--decoder-only goes with --clean-from")
    if options.clean_from and options.measure != "none":
        raise BadOption("--clean-from makes no page; leave out --measure")
    if options.skips and options.freeze != "none":
        raise BadOption("--skips pass by the latent, so encoder and decoder learn together; leave out --freeze")
    if options.skips and options.model.transform == LINEAR:
        raise BadOption(f"--skips pass from one deep branch to the other; --transform {LINEAR} has none")
    if options.freeze in FROZEN or (options.freeze == "g_a" and options.origin):
        own = "rgb" if options.model.colours > 1 else "gray"
        if options.colour not in ("auto", own):
            part = "decoder" if options.freeze == "decoder" else "encoder"
            raise BadOption(f"--colour {options.colour} would change the {part}, which --freeze keeps")
        options = replace(options, colour=own)
    return options


def words(options: Options) -> list[str]:
    """What a run will do that others do not, in lines."""
    said = []
    if options.clean_from:
        half = "decoder" if options.freeze == "encoder" else "encoder" if options.freeze == "decoder" else "whole codec"
        said.append(f"Its {half} learns to restore pictures with {options.clean_from}, beside the clean ones.")
    if options.skips:
        said.append("What passes by the latent has no place in a file, so no model will be written.")
    return said


def begun(folder: Path, begin: Checkpoint | None, options: Options, *, resume: bool) -> Checkpoint | None:
    """The start of a run, where a part of it stays as it is; else None. begin: the start of a new run.

    Raises BadOption without a start, BadModel if a resumed run has lost it or began otherwise.
    """
    if options.freeze not in FROZEN:
        return None
    if resume:
        if not (folder / START).exists():
            raise BadModel(
                f"{shown(folder / START)} is not there: a run that begins with --freeze decoder or --decoder-only keeps"
                " its start so; begin a new one"
            )
        return checkpoint.load(folder / START)
    if begin is None:
        raise BadOption("--freeze decoder, --clean-from and --decoder-only need a model to start from")
    return begin


def keep(folder: Path, begin: Checkpoint | None) -> None:
    """Copy the start into the folder of a run, so that the run can go on without it; that of an earlier run goes.

    Raises NicError if it cannot be written.
    """
    if begin is None:
        with suppress(OSError):
            (folder / START).unlink()
    elif begin.path != Path(os.path.realpath(folder / START)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NicError(f"{shown(folder)}: cannot be written: {one_line(error)}") from None
        atomic_write(folder / START, modelfile.read(begin.path), overwrite=True)


def told(card: Card, options: Options, begin: Checkpoint | None) -> Card:
    """The card, with what the model restores, and of which model it decodes the files."""
    decodes = begin.identity if begin is not None and options.freeze == "encoder" else ""
    return replace(card, restores=options.clean_from, decodes=decodes)


def lines(trainer: Trainer, curve: Sequence[Point]) -> list[str]:
    """What the held-out pictures say of a run that cleans, or that has skips: PSNR with the damage, and its curve."""
    if not curve or not (trainer.damage or trainer.options.skips):
        return []
    whose = "A training picture has" if trainer.data.held.borrowed else "Held-out pictures have"
    points = ", ".join(f"{p.psnr:.2f} dB at quality {p.quality:g} ({p.bpp:.2f} bpp)" for p in curve[::4])
    if trainer.damage is None:
        return [f"{whose}, as estimated: {points}."]
    errors = [np.square(np.subtract(*np.split(p.astype(np.float64), 2, axis=-1))).mean() for p in trainer.held]
    before = np.mean([10 * np.log10(255**2 / max(e, 1e-3)) for e in errors])
    return [f"{whose} {before:.2f} dB with their damage. Restored, as estimated: {points}."]


def without_file(trainer: Trainer) -> list[str]:
    """What is said of a network with skips, in place of a model file."""
    trainer.take_best()
    with trainer.averaged() as model:
        found = validate.points(validate.curves(model, trainer.held, amp=trainer.amp))
    curve = [Point(p["quality"], p["bpp"], p["psnr"]) for p in found]
    return [
        "No model is written: a decoder would need what passes by the latent, and a file does not hold it.",
        *lines(trainer, curve),
    ]
