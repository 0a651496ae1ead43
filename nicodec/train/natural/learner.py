"""Steps that teach the layers of the natural picture: their weights, their average, and the best state so far.

Between `pool`, which gives drawn latents, and `run`. All that is random depends on (seed, step) alone, so a run may
stop anywhere and go on.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nicodec.bitstream.anchors import ANCHORS
from nicodec.errors import BadFile, NicError, one_line
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.layers import bf16_pays, hats
from nicodec.nn.natural import NaturalSynthesis
from nicodec.nn.thaw import model_of, natural_of
from nicodec.nn.transforms import Synthesis
from nicodec.storage.files import shown
from nicodec.train import limits, optimiser
from nicodec.train.data import Patches
from nicodec.train.losses import tamed
from nicodec.train.natural import texture
from nicodec.train.natural.pool import SQUARES, STEPS_PER_SQUARE, Batch, Coded, Draws, Pool, code
from nicodec.train.reading import centre
from nicodec.train.schedule import learning_rate
from nicodec.train.state import MOMENTS, STATE_VERSION, read_state, write_state

EMA, CLIP = 0.999, 1.0
# The waves of grain start as cosines, and move slowly, so that they stay unlike each other.
WAVES_RATE = 0.2
# The squared error that `photo` usually has at quality q, in levels: this at quality 20, falling by this power of e for
# each unit. Measured on busy patches; it makes all qualities count alike.
USUAL, FALLING = 60.0, 0.035
# Held-out pictures that are looked at, the most pixels of their sides, and qualities in hundredths.
LOOKED_AT, SIDE, QUALITIES = 8, 256, (1000, 2500, 5000)
# Photographs, and as many drawings, on which the limits of caps are measured; and the share of the steps at which.
LIMITED, MEASURED = 10, 0.5


@dataclass(frozen=True)
class Options:
    """How to learn. batch: parts of pictures in a step, each painted twice.

    bias, variance, texture: weights in the loss, see `Learner.errors`.
    """

    steps: int = 4000
    batch: int = 4
    rate: float = 5e-4
    bias: float = 1.5
    variance: float = 0.4
    texture: float = 30.0
    seed: int = 0


class Errors(NamedTuple):
    """Of each pair of pictures (B,): the loss, the squared error in levels, the distance of textures."""

    loss: Tensor
    squared: Tensor
    texture: Tensor


class Look(NamedTuple):
    """Means over held-out pictures: the loss; PSNR given up against the faithful picture, in dB; distances of textures
    of the natural and the faithful picture."""

    loss: float
    lost: float
    texture: float
    faithful: float


class Learner:
    """Layers, average, optimiser, and the best state so far: all that a state file holds."""

    def __init__(self, options: Options, begin: Checkpoint, data: Patches) -> None:
        """begin: the model whose layers learn; those that it has already go on, else they start as those of g_s.

        Raises BadModel.
        """
        self.options, self.data, self.device, self.identity = options, data, data.device, begin.identity
        self.amp = bf16_pays(self.device)
        self.model = model_of(begin).to(self.device).requires_grad_(False)
        assert isinstance(self.model.g_s, Synthesis)
        self.g_s = self.model.g_s
        torch.manual_seed(options.seed)
        known = natural_of(begin)
        # Whether they learnt from draws before.
        self.goes_on = known is not None
        self.layers = (known or NaturalSynthesis(begin.config)).to(self.device).train()
        if known is None:
            self.layers.start_from(self.g_s)
        self.average = copy.deepcopy(self.layers).requires_grad_(False)
        waves = list(self.layers.waves.parameters())
        others = [p for name, p in self.layers.named_parameters() if not name.startswith("waves.")]
        groups = [{"params": waves, "factor": WAVES_RATE}, {"params": others, "factor": 1.0}]
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)
        self.draws = Draws(begin)
        # A run of few steps codes no more squares than it learns from.
        size = min(SQUARES, -(-options.steps // STEPS_PER_SQUARE))
        self.pool = Pool(self.model, self.draws, data, options.seed, amp=self.amp, size=size)
        self.step, self.seconds, self.measured = 0, 0.0, False
        self.best, self.best_loss, self.best_step = dict[str, Tensor](), math.inf, 0
        self._held: list[tuple[Coded, float, float]] = []

    def progress(self) -> float:
        """The share of the steps that is done."""
        return self.step / self.options.steps

    def painted(self, layers: NaturalSynthesis, batch: Batch, number: int) -> Tensor:
        """The natural pictures (B, S, S, C) of latents with draws, in about [-1/2, 1/2]. number: that of the noise."""
        seed = np.random.SeedSequence([self.options.seed, number]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(self.device).manual_seed(int(seed))
        rows, columns = (2 * side for side in batch.y.shape[1:3])
        noise = torch.randn(
            len(batch.y), rows, columns, layers.grain.out_features, generator=generator, device=self.device
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            hat = hats(batch.quality / 100)
            # The gain is rounded as it was when the square was coded.
            pixels: Tensor = layers(self.g_s, batch.y / self.model.gain(hat), hat, self.model.spread, noise)
        return pixels

    def errors(self, pixels: Tensor, batch: Batch) -> Errors:
        """How far pairs of pictures (2 B, S, S, C) are from their sources, two of one source one after the other.

        Two pictures of one file differ by their draws and noise alone. With errors a and b the mean of a b estimates
        their squared bias, that of (a - b)² / 2 their variance. The sum of both is the squared error. The loss weighs
        them, in shares of the squared error that is usual at the quality, and adds the distance of textures. Plain
        squared error punishes grain that is free to vary as much as grain that is wrong. So the grain was a pattern,
        the same each time.
        """
        errors = 255 * (pixels - batch.pixels)
        first, second = errors[0::2], errors[1::2]
        bias = (first * second).mean((1, 2, 3))
        variance = (first - second).square().mean((1, 2, 3)) / 2
        distance = texture.distance(pixels, batch.pixels).reshape(-1, 2).mean(1)
        usual = USUAL * torch.exp(-FALLING * (batch.quality[::2] / 100 - 20))
        o = self.options
        loss = (o.bias * bias + o.variance * variance) / usual + o.texture * distance
        return Errors(tamed(loss), bias + variance, distance)

    def train_step(self) -> tuple[float, float, float]:
        """One step; means of its loss, squared error and distance. Gradients that are not finite change nothing."""
        o, batch = self.options, self.pool.batch(self.step, self.options.batch)
        errors = self.errors(self.painted(self.layers, batch, self.step), batch)
        self.optimiser.zero_grad(set_to_none=True)
        errors.loss.mean().backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.layers.parameters(), CLIP)
        if torch.isfinite(norm):
            optimiser.set_rate(self.optimiser, o.rate * learning_rate(self.step, self.progress(), o.steps))
            self.optimiser.step()
        fresh = 1 - min(EMA, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, p in zip(self.average.parameters(), self.layers.parameters(), strict=True):
                mean.lerp_(p, fresh)
        self.step += 1
        loss, error, distance = (float(values.detach().mean()) for values in errors)
        return loss, error, distance

    @torch.no_grad()
    def look(self) -> Look:
        """The average on held-out pictures. It is the best state if its loss is the least so far."""
        if not self._held:
            self._held = [self._faithful(p, q) for p in self.data.validation[:LOOKED_AT] for q in QUALITIES]
        rows = []
        for number, (square, psnr, distance) in enumerate(self._held):
            batch = self.draws.batch([square] * 2, self.options.seed, 2**63 + 2 * number, self.device)
            # As a decoder rounds them.
            pixels = self.painted(self.average, batch, 2**63 + number)
            found = self.errors(_rounded(pixels), batch)
            rows.append((float(found.loss), psnr - decibels(found.squared), float(found.texture), distance))
        result = Look(*np.mean(rows, axis=0).tolist())
        if result.loss < self.best_loss:
            self.best_loss, self.best_step = result.loss, self.step
            self.best = {name: value.clone() for name, value in self.average.state_dict().items()}
        return result

    def _faithful(self, picture: Any, quality: int) -> tuple[Coded, float, float]:
        """The square in the middle of a picture, coded; PSNR in dB and distance of the faithful picture."""
        square, pixels = code(self.model, centre(picture, SIDE), quality, amp=self.amp)
        batch = self.draws.batch([square] * 2, 0, 0, self.device)
        found = self.errors(_rounded(pixels).expand(2, -1, -1, -1), batch)
        return square, decibels(found.squared), float(found.texture)

    @torch.no_grad()
    def measure_limits(self) -> None:
        """Set the limits of all caps to what drawn latents of photographs and drawings need.

        The function changes by it, so the best state is sought anew.
        """
        number = 0
        with limits.measuring(self.average):
            for pictures in (self.data.squares(LIMITED), self.data.drawings(LIMITED)):
                for picture in pictures.cpu().numpy():
                    for quality in range(0, 1000 * ANCHORS, 2000):
                        square, _ = code(self.model, picture, quality, amp=self.amp)
                        batch = self.draws.batch([square], self.options.seed, 2**62 + number, self.device)
                        self.painted(self.average, batch, 2**62 + number)
                        number += 1
        for own, found in zip(self.layers.buffers(), self.average.buffers(), strict=True):
            own.copy_(found)
        self.measured, self.best_loss = True, math.inf

    def finished(self) -> NaturalSynthesis:
        """The best state, with limits that were measured. Nothing is to be learnt after it."""
        if not self.best:
            raise NicError("no state of the layers had a finite loss on held-out pictures")
        self.average.load_state_dict(self.best)
        if not self.measured:
            self.measure_limits()
        return self.average

    def save(self, path: Path) -> None:
        """Write the whole state. Raises NicError if weights are not finite, or if it cannot be written."""
        parts = {"layers": self.layers.state_dict(), "average": self.average.state_dict(), "best": self.best}
        tensors = {f"{part}.{name}": t.contiguous() for part, found in parts.items() for name, t in found.items()}
        if not all(bool(torch.isfinite(t).all()) for t in tensors.values()):
            raise NicError("training diverged: its weights are not finite")
        for name, p in self.layers.named_parameters():
            for key in MOMENTS if p in self.optimiser.state else ():
                tensors[f"optimiser.{key}.{name}"] = self.optimiser.state[p][key]
        tensors |= {f"held.{i:02}": torch.from_numpy(p) for i, p in enumerate(self.data.validation)}
        best = self.best_loss if math.isfinite(self.best_loss) else None
        counted: dict[str, Any] = {"step": self.step, "seconds": self.seconds, "measured": self.measured}
        counted |= {"best_loss": best, "best_step": self.best_step, "goes_on": self.goes_on}
        meta = {"version": STATE_VERSION, "natural": asdict(self.options), "held": self.data.held.meta()}
        write_state(path, {**meta, **counted, "identity": self.identity}, tensors)

    def load(self, path: Path) -> None:
        """Go on from a state file. Raises BadFile if it is not one of such layers of this model."""
        meta, tensors = read_state(path)
        try:
            if meta["identity"] != self.identity:
                raise BadFile(f"{shown(path)}: the state is of another model, {meta['identity'][:16]}")
            for part, layers in (("layers.", self.layers), ("average.", self.average)):
                layers.load_state_dict({n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)})
            for name, p in self.layers.named_parameters():
                if f"optimiser.step.{name}" in tensors:
                    moments = {key: tensors[f"optimiser.{key}.{name}"] for key in MOMENTS}
                    self.optimiser.state[p] = {k: t.to(self.device) for k, t in moments.items()}
            self.step, self.seconds, self.measured = int(meta["step"]), float(meta["seconds"]), bool(meta["measured"])
            self.best = {n[5:]: t.to(self.device) for n, t in tensors.items() if n.startswith("best.")}
            self.best_loss = math.inf if meta["best_loss"] is None else float(meta["best_loss"])
            self.best_step, self.goes_on = int(meta["best_step"]), bool(meta["goes_on"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadFile(f"{shown(path)}: the state is not one of these layers ({one_line(error)})") from None


def decibels(error: Tensor) -> float:
    """PSNR of one squared error in levels (1,)."""
    return 10 * math.log10(255**2 / max(float(error), 1e-3))


def _rounded(pixels: Tensor) -> Tensor:
    """As a decoder rounds samples to eight bits."""
    return torch.round((pixels.clamp(-0.5, 0.5) + 0.5) * 255) / 255 - 0.5
