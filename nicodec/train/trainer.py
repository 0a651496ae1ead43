"""One step of training after the other: patches -> loss -> gradients -> weights, their average, and caps.

Under `loop`. Everything random depends on (seed, step) alone, so that a run can be stopped anywhere and resumed,
and the same seed, data and thread count give the same losses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nicodec.errors import BadFile, BadModel, NicError, one_line
from nicodec.model.checkpoint import Checkpoint
from nicodec.nn.layers import Block, bf16_pays
from nicodec.nn.model import Model
from nicodec.nn.thaw import model_of
from nicodec.train import best, gray, limits, optimiser, restoring
from nicodec.train.abreast import alone
from nicodec.train.best import Best
from nicodec.train.capture import Captured
from nicodec.train.damage import Damage
from nicodec.train.data import Patches
from nicodec.train.losses import rate_distortion
from nicodec.train.options import FREEZE, Options, plain
from nicodec.train.replicas import Replicas
from nicodec.train.schedule import ROOMY, learning_rate, patch_of
from nicodec.train.state import MOMENTS, STATE_VERSION, read_state, write_state
from nicodec.train.watch import jumps

# Gains at the two ends of the quality scale. They follow sqrt(lambda), for an orthonormal basis.
GAINS = (1.57, 44.0)
PCA_PATCHES = 40_000
# The number of photographs, and of drawings, on which the caps are measured.
LIMITED = 24
EMA, CLIP = 0.999, 1.0
# What a state holds beside tensors and what is told apart.
COUNTERS = ("step", "pixels", "schedule_step", "spent", "seconds", "length", "since", "returns", "looks", "looking",
            "repairs")  # fmt: skip
# A run that goes back to its best state goes on from there at this share of the rate.
SLOWER = 0.5


class Trainer:
    """Model, average, optimiser, counters and the best state so far: all that a state file holds."""

    def __init__(self, options: Options, data: Patches, *, fresh: bool = True) -> None:
        """fresh: start from the principal components of pictures; else `load` or `start_from` has to follow."""
        self.options, self.data, self.device = options, data, data.device
        self.replicas: Replicas | None = None
        # What the encoder sees is damaged; so are the held-out pictures, in `held`.
        self.damage = Damage.of(options.clean_from) if options.clean_from else None
        self.held = restoring.held(self.damage, data.validation)
        # Whether the stage that repairs pixels learns alone, as it does first.
        self.repairs = restoring.repairs_alone(options, 0, 0.0)
        torch.manual_seed(options.seed)
        self.model = Model(options.model, skips=options.skips)
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            # Compiled blocks pay on a GPU; on a CPU the eager kernels of oneDNN are faster. Compiled as a
            # whole, the network learnt the wrong thing (docs/LOG.md).
            for module in self.model.modules():
                if isinstance(module, Block):
                    module.compile(dynamic=False)
        self.step = self.schedule_step = self.pixels = 0
        self.spent = self.seconds = 0.0
        # Seconds that the schedule takes, where it is not measured in steps.
        self.length = 60 * options.minutes
        # Steps since the optimiser began anew, how often it did so; looks at the held-out, and seconds they took.
        self.since, self.returns, self.looks, self.looking = 0, 0, 0, 0.0
        self.best = Best(guarded=bool(options.origin) and self.damage is None)
        if fresh:
            self.model.init_from_patches(data.pca_patches(min(PCA_PATCHES, data.size // 768)).cpu(), GAINS)
        self._prepare()

    def _prepare(self) -> None:
        cuda = self.device.type == "cuda"
        if cuda:
            # A step is recorded on a stream of its own; what was loaded so far lies on the default one.
            torch.cuda.synchronize()
            torch.cuda.set_stream(self._stream)
        self.model.to(self.device).train()
        named = list(self.model.named_parameters())
        for name, p in named:
            p.requires_grad_("repair" in name if self.repairs else not name.startswith(FREEZE[self.options.freeze]))
        self.ema = [p.detach().clone() for _, p in named]
        # Numbers that change, where a recorded step can read them.
        self._fresh = torch.zeros((), device=self.device)
        self._usual, self._usual_norm = torch.zeros(2, device=self.device)
        self.optimiser = optimiser.made(self.model, cuda=cuda)
        self.amp = bf16_pays(self.device)
        if cuda:
            torch.set_float32_matmul_precision("high")
            self._update: Callable[[Tensor, Tensor, Tensor], Tensor] = Captured(self._one_update)
        else:
            self.replicas = Replicas(self.model, self._loss, self.options.batch)
            self._update = alone(self._one_update)

    def _loss(self, model: Model, patches: Tensor, q: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, colours = patches.float() / 255 - 0.5, model.config.colours
        given, wanted = x[..., :colours], x[..., -colours:]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            if self.repairs:
                return restoring.repaired(model, given, wanted)
            output = model(given, q, visible)
        loss = rate_distortion(wanted, q, output, self.options.distortion, visible)
        return loss.total, loss.bpp, loss.mse

    def _gradients(self, patches: Tensor, q: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.replicas is not None:
            return self.replicas.gradients(patches, q, visible, self._seeds)
        self.model.zero_grad(set_to_none=True)
        total, bpp, mse = self._loss(self.model, patches, q, visible)
        total.backward()  # type: ignore[no-untyped-call]
        return total.detach(), bpp, mse

    def _one_update(self, patches: Tensor, q: Tensor, visible: Tensor) -> Tensor:
        """One step of the optimiser and of the average: loss, mean bpp, mean PSNR (3,)."""
        total, bpp, mse = self._gradients(patches, q, visible)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        jumped = jumps(total, self._usual) | jumps(norm, self._usual_norm)
        # A fused optimiser does not take a step with found_inf, which torch's gradient scaler sets too.
        self.optimiser.found_inf = (~torch.isfinite(norm) | jumped).float()  # type: ignore[attr-defined]
        self.optimiser.step()
        named = zip(self.model.parameters(), self.ema, strict=True)
        learning, means = zip(*((p.detach(), mean) for p, mean in named if p.requires_grad), strict=True)
        torch._foreach_lerp_(means, learning, [self._fresh] * len(means))
        return torch.stack([total, bpp.mean(), (10 * torch.log10(255**2 / mse)).mean()])

    @property
    def _seeds(self) -> np.random.SeedSequence:
        """Of the noise of this step."""
        return np.random.SeedSequence([self.options.seed, self.step])

    def progress(self) -> float:
        """Share of the schedule that is done, by steps if they are given, else by time."""
        return self.schedule_step / self.options.steps if self.options.steps else self.spent / self.length

    def train_step(self) -> Tensor:
        """One step; its loss, mean bpp and mean PSNR in dB (3,), without waiting for a GPU.

        Gradients that are not finite change nothing.
        """
        o, progress = self.options, self.progress()
        if self.repairs and not restoring.repairs_alone(o, self.step, progress):
            self.repairs, self.since = False, 0  # from here on everything learns
            torch._foreach_copy_([p.detach() for p in self.model.parameters()], self.ema)
            self._prepare()
        side, count = patch_of(progress, o.patch, o.batch, room=self.data.share(2 * o.patch, margin=True) >= ROOMY)
        patches, q, visible = self.data.batch(self.step, count, side)
        patches = restoring.pairs(self.damage, patches, o.seed, self.step, progress)
        steps = o.steps or (self.schedule_step + 1) / max(progress, 1e-9)
        rate = o.rate * SLOWER**self.returns * learning_rate(self.since, progress, steps)
        self._fresh.fill_(1 - min(EMA, (1 + self.since) / (10 + self.since)))
        optimiser.set_rate(self.optimiser, rate)
        if self.device.type == "cuda":
            torch.manual_seed(int(self._seeds.generate_state(1, np.uint64)[0]))
        values = self._update(patches, q, visible)
        self.step += 1
        self.schedule_step += 1
        self.since += 1
        self.pixels += count * side * side
        return values

    @contextmanager
    def averaged(self) -> Iterator[Model]:
        """The model with its averaged weights, in evaluation mode; the trained ones return afterwards."""
        parameters = [p.data for p in self.model.parameters()]
        kept = [p.clone() for p in parameters]
        torch._foreach_copy_(parameters, self.ema)
        self.model.eval()
        try:
            # Each picture may have another size: none is worth compiling for.
            with torch.compiler.set_stance("force_eager"):
                yield self.model
        finally:
            torch._foreach_copy_(parameters, kept)
            self.model.train()

    def look(self) -> str:
        """Offer the averaged weights as the best state; what `Best.offer` says of them."""
        with self.averaged() as model:
            if not self.looks:  # the first call of a kernel takes longer, and the time of looks is a measure
                best.measured(model, self.held[:1], amp=self.amp)
            begun = time.monotonic()
            found = best.measured(model, self.held, amp=self.amp, kind=self.options.distortion)
            verdict = self.best.offer(model, found, self.step)
        self.looks, self.looking = self.looks + 1, self.looking + time.monotonic() - begun
        return verdict

    @property
    def speed(self) -> float:
        """Pixels a second at which the held-out pictures were looked at."""
        return best.looked_at(self.data.validation) * self.looks / self.looking

    def go_back(self) -> None:
        """Go on from the best state, with a new optimiser and half the rate."""
        self.take_best()
        self.returns += 1
        self.since = self.best.checks = 0

    def take_best(self) -> None:
        """The best state becomes the present one, and its own average."""
        self.model.load_state_dict(self.best.tensors)
        self._prepare()

    def measure_limits(self) -> None:
        """Set the limits of all caps to what the averaged weights need for photographs and drawings."""
        with self.averaged() as model:
            squares, drawings = self.data.squares(LIMITED), self.data.drawings(LIMITED)
            limits.measure(model, squares, drawings, amp=self.amp)

    def save(self, path: Path) -> None:
        """Write the whole state, atomically.

        Raises NicError if weights are not finite, or if it cannot be written; what was there stays.
        """
        weights = [*(p.detach() for p in self.model.parameters()), *self.ema]
        if not all(bool(torch.isfinite(w).all()) for w in weights):
            raise NicError("training diverged: its weights are not finite")
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        for (name, p), average in zip(self.model.named_parameters(), self.ema, strict=True):
            tensors[f"ema.{name}"] = average
            for key in MOMENTS:
                if p in self.optimiser.state:
                    tensors[f"optimiser.{key}.{name}"] = self.optimiser.state[p][key]
        tensors |= {f"best.{name}": value for name, value in self.best.tensors.items()}
        tensors |= {f"held.{i:02}": torch.from_numpy(p) for i, p in enumerate(self.data.validation)}
        meta = {
            "version": STATE_VERSION,
            "options": asdict(self.options),
            **{name: getattr(self, name) for name in COUNTERS},
            "usual": float(self._usual),
            "usual_norm": float(self._usual_norm),
            "best": self.best.meta(),
            "held": self.data.held.meta(),
        }
        write_state(path, plain(meta), tensors)

    def load(self, path: Path, *, restart: bool = False) -> None:
        """Go on from a state file; with `restart`, under a new schedule and from its best or averaged weights.

        Raises BadFile if it is not the state of a model of these widths.
        """
        meta, tensors = read_state(path)
        try:
            state = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
            self.model.load_state_dict(state)
            average = {k[4:]: v for k, v in tensors.items() if k.startswith("ema.")}
            if restart:
                self.model.load_state_dict(average, strict=False)
            self.repairs &= bool(meta.get("repairs"))
            self._prepare()
            for i, (name, p) in enumerate(self.model.named_parameters()):
                self.ema[i].copy_(average[name])
                if f"optimiser.step.{name}" in tensors:
                    self.optimiser.state[p] = {
                        key: tensors[f"optimiser.{key}.{name}"].to("cpu" if key == "step" else self.device)
                        for key in MOMENTS
                    }
            self.step, self.pixels, self.seconds = meta["step"], meta["pixels"], meta["seconds"]
            self.looks, self.looking = meta["looks"], meta["looking"]
            if not restart:
                self.schedule_step, self.spent, self.length = meta["schedule_step"], meta["spent"], meta["length"]
                self.since, self.returns = meta["since"], meta["returns"]
                self._usual.fill_(meta["usual"])
                self._usual_norm.fill_(meta["usual_norm"])
            # A best state is best of the pictures that it was measured on.
            if self.data.held.same(meta["held"]):
                self.best = Best.of(meta["best"], {k[5:]: v for k, v in tensors.items() if k.startswith("best.")})
            if restart and self.best.tensors:
                self.take_best()
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadFile(f"{path}: the state is not one of this network ({one_line(error)})") from None

    def start_from(self, released: Checkpoint) -> None:
        """Take the weights of a model file; the optimiser and the schedule start anew.

        A gray network takes those of a colour model too. Raises BadModel if it has other widths, or lacks some.
        """
        start = model_of(released)
        start = gray.gray(start, self.data) if self.options.model.colours < start.config.colours else start
        config = self.options.model
        if replace(start.config, repair=start.config.repair or config.repair) != config:
            raise BadModel(f"{released.path}: a network of other widths, {released.config}")
        self.model.load_state_dict(start.state_dict(), strict=start.config == config and not self.options.skips)
        if self.damage is not None and not released.restores:
            restoring.start(self.model.to(self.device), self.data, self.damage, self.options.freeze)
        self._prepare()
