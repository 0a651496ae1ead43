"""The training loop: patches -> steps of Adam -> a state file, a log and a plot, then `export`.

Everything random depends on (seed, step) alone, so that a run can be stopped anywhere and resumed, and
the same seed, data and thread count give the same losses.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nicodec.checkpoint import Checkpoint
from nicodec.errors import BadFile, BadModel, NicError
from nicodec.train import limits
from nicodec.train.capture import Captured
from nicodec.train.data import DRAWN, Patches, Pixels
from nicodec.train.layers import Block
from nicodec.train.loss import lambda_of, rate_distortion
from nicodec.train.model import NETWORKS, Model, ModelConfig
from nicodec.train.networks import model_of
from nicodec.train.replicas import Replicas

STATE_VERSION = 1
# Gains at the two ends of the quality scale follow sqrt(lambda); for an orthonormal basis.
GAINS = (1.57, 44.0)
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
LOG_EVERY = 10.0
PCA_PATCHES = 40_000
WARM_UP, EMA, CLIP = 300, 0.999, 1.0
# At this share of the schedule the limits of the caps are measured, on so many photographs and drawings.
MEASURED, LIMITED = 0.5, 24
# A step whose loss is so many times its usual one is not taken. The usual one follows over about fifty steps.
JUMP, FOLLOW = 4.0, 0.02
# Seconds between two reports: reading a number off a GPU waits for all it has to do.
REPORT_EVERY = 0.2
# The shortcuts start near their optimum, and every pixel passes through them: with a quarter of the
# learning rate their jitter alone held PSNR under 37 dB (docs/DESIGN.md).
SHORTCUT_RATE = 0.02
# The last part of the schedule sees patches of twice the side, where z has a neighbourhood, up to 256.
FINISH, LARGEST = 0.8, 256
VALIDATION_BATCH = 10
VALIDATION_QUALITIES = (0, 1250, 2500, 3750, 5000, 6250, 7500, 8750, 10000)


@dataclass(frozen=True)
class Options:
    """How to train. Written into the state and, with the weights, into the manifest."""

    minutes: float = 120.0
    steps: int | None = None
    batch: int = 8
    patch: int = 128
    rate: float = 2e-3
    drawn: float = DRAWN
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    save_every: float = 300.0
    validate_every: float = 900.0
    model: ModelConfig = NETWORKS["full"]


@dataclass(frozen=True)
class Step:
    """What the loop reports: the step's number, share of the schedule, means of about fifty steps."""

    number: int
    fraction: float
    loss: float
    bpp: float
    psnr: float
    pixels_per_second: float


def pick_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise NicError("no CUDA device was found; use --device cpu")
    return torch.device(name)


def bf16_pays(device: torch.device) -> bool:
    """bf16 products need hardware for them: any recent GPU, or a CPU with avx512_bf16 or amx."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported()) or bool(torch.cpu._is_amx_tile_supported())


def learning_rate(step: int, progress: float) -> float:
    """Factor on the learning rate: 300 steps of warm-up, constant to one half, then cosine to 1 %."""
    warm = min(1.0, (step + 1) / WARM_UP)
    if progress < 0.5:
        return warm
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (min(progress, 1.0) - 0.5) / 0.5)))


class Trainer:
    """Model, average, optimiser and counters: all that a state file holds."""

    def __init__(self, options: Options, data: Patches) -> None:
        self.options, self.data, self.device = options, data, data.device
        self.replicas: Replicas | None = None
        torch.manual_seed(options.seed)
        self.model = Model(options.model)
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            # Compiled blocks pay on a GPU; on a CPU the eager kernels of oneDNN are faster. Compiled as a
            # whole, the network learnt the wrong thing (docs/DESIGN.md).
            for module in self.model.modules():
                if isinstance(module, Block):
                    module.compile(dynamic=False)
        self.step = self.schedule_step = self.pixels = 0
        self.spent = self.seconds = 0.0
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
        self.ema = [p.detach().clone() for _, p in named]
        slow = [p for n, p in named if "shortcut" in n]
        fast = [p for n, p in named if "shortcut" not in n]
        # Numbers that change from step to step, where a recorded step can read them.
        self._fresh = torch.zeros((), device=self.device)
        self._usual = torch.zeros((), device=self.device)
        rates = [torch.zeros((), device=self.device) if cuda else 0.0 for _ in range(2)]
        self.optimiser = torch.optim.Adam(
            [
                {"params": fast, "factor": 1.0, "lr": rates[0]},
                {"params": slow, "factor": SHORTCUT_RATE, "lr": rates[1]},
            ],
            betas=(0.9, 0.98),
            fused=True,
            capturable=cuda,
        )
        self.amp = bf16_pays(self.device)
        if cuda:
            torch.set_float32_matmul_precision("high")
            self._update: Callable[[Tensor, Tensor], Tensor] = Captured(self._one_update)
        else:
            self.replicas = Replicas(self.model, self._loss, self.options.batch)
            self._update = self._one_update

    def _loss(self, model: Model, patches: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = patches.float() / 255 - 0.5
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            output = model(x, q)
        loss = rate_distortion(x, q, output)
        return loss.total, loss.bpp, loss.mse

    def _gradients(self, patches: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.replicas is not None:
            return self.replicas.gradients(patches, q, self._seeds)
        self.model.zero_grad(set_to_none=True)
        total, bpp, mse = self._loss(self.model, patches, q)
        total.backward()  # type: ignore[no-untyped-call]
        return total.detach(), bpp, mse

    def _one_update(self, patches: Tensor, q: Tensor) -> Tensor:
        """Gradients and what they change, with the rates that are set: loss, mean bpp, mean PSNR (3,)."""
        total, bpp, mse = self._gradients(patches, q)
        finite = torch.isfinite(torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP))
        # What torch's gradient scaler tells a fused optimiser: not to take this step.
        self.optimiser.found_inf = (~finite | self._jumps(total)).float()  # type: ignore[attr-defined]
        self.optimiser.step()
        change = torch._foreach_sub([p.detach() for p in self.model.parameters()], self.ema)
        torch._foreach_mul_(change, self._fresh)
        torch._foreach_add_(self.ema, change)
        return torch.stack([total, bpp.mean(), (10 * torch.log10(255**2 / mse)).mean()])

    def _jumps(self, total: Tensor) -> Tensor:
        """Whether a loss is far above the usual one, which it then moves by no more than one just not so."""
        usual, known = self._usual, self._usual > 0
        near = torch.where(known, torch.fmin(total, JUMP * usual), total.nan_to_num(0))
        usual.copy_(torch.where(known, usual.lerp(near, FOLLOW), near))
        return known & (total > JUMP * usual)

    @property
    def _seeds(self) -> np.random.SeedSequence:
        """Of the noise of this step."""
        return np.random.SeedSequence([self.options.seed, self.step])

    def progress(self) -> float:
        """Share of the schedule that is done, by steps if they are given, else by time."""
        if self.options.steps is not None:
            return self.schedule_step / self.options.steps
        return self.spent / (60 * self.options.minutes)

    def train_step(self) -> Tensor:
        """One step; its loss, mean bpp and mean PSNR in dB (3,), without waiting for a GPU.

        Gradients that are not finite change nothing.
        """
        o, progress = self.options, self.progress()
        side, count = o.patch, o.batch
        if progress >= FINISH and 2 * side <= LARGEST and self.data.has(2 * side):
            side, count = 2 * o.patch, max(1, o.batch // 4)
        patches, q = self.data.batch(self.step, count, side)
        rate = o.rate * learning_rate(self.schedule_step, progress)
        self._fresh.fill_(1 - min(EMA, (1 + self.step) / (10 + self.step)))
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * group["factor"])
            else:
                group["lr"] = rate * group["factor"]
        if self.device.type == "cuda":
            torch.manual_seed(int(self._seeds.generate_state(1, np.uint64)[0]))
        values = self._update(patches, q)
        self.step += 1
        self.schedule_step += 1
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

    def validate(self, side: int = 256) -> list[dict[str, float]]:
        """Rate (estimated from likelihoods) and PSNR of the averaged weights on the held-out pictures."""
        by_shape: dict[tuple[int, ...], list[Pixels]] = {}
        for picture in self.data.validation:
            crop = centre(picture, side)
            if crop is not None:
                by_shape.setdefault(crop.shape, []).append(crop)
        batches = [
            torch.tensor(np.stack(same[i : i + VALIDATION_BATCH]))
            for same in by_shape.values()
            for i in range(0, len(same), VALIDATION_BATCH)
        ]
        points = []
        with self.averaged() as model, torch.no_grad():
            for quality in VALIDATION_QUALITIES:
                bpp, psnr = [], []
                for batch in batches:
                    x = batch.to(self.device).float() / 255 - 0.5
                    q = torch.full((len(x),), quality, device=self.device)
                    with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
                        output = model(x, q)
                    pixels = torch.round((output.pixels.clamp(-0.5, 0.5) + 0.5) * 255)
                    mse = (pixels - (x + 0.5) * 255).square().mean((1, 2, 3))
                    bpp += ((output.y_bits + output.z_bits) / (x.shape[1] * x.shape[2])).tolist()
                    psnr += (10 * torch.log10(255**2 / mse.clamp(min=1e-3))).tolist()
                points.append(
                    {
                        "quality": quality / 100,
                        "bpp": float(np.mean(bpp)),
                        "psnr": float(np.mean(psnr)),
                        "lambda": float(lambda_of(torch.tensor([quality]))),
                    }
                )
        return points

    def measure_limits(self) -> None:
        """Set the limits of all caps to what the averaged weights need for photographs and drawings."""
        with self.averaged() as model:
            squares, drawings = self.data.squares(LIMITED), self.data.drawings(LIMITED)
            limits.measure(model, squares, drawings, amp=self.amp)

    def save(self, path: Path) -> None:
        """Write the whole state, atomically."""
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        for (name, p), average in zip(self.model.named_parameters(), self.ema, strict=True):
            tensors[f"ema.{name}"] = average
            for key in MOMENTS:
                if p in self.optimiser.state:
                    tensors[f"optimiser.{key}.{name}"] = self.optimiser.state[p][key]
        meta = {
            "version": STATE_VERSION,
            "options": asdict(self.options),
            "step": self.step,
            "pixels": self.pixels,
            "schedule_step": self.schedule_step,
            "spent": self.spent,
            "seconds": self.seconds,
        }
        temporary = path.with_suffix(path.suffix + ".tmp")
        save_file(tensors, temporary, metadata={"nicodec": json.dumps(meta)})
        os.replace(temporary, path)

    def load(self, path: Path, *, restart: bool = False) -> None:
        """Go on from a state file; with `restart`, under a new schedule and from its averaged weights.

        Raises BadFile if it is not the state of a model of these widths.
        """
        meta, tensors = read_state(path)
        try:
            state = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
            self.model.load_state_dict(state)
            average = {k[4:]: v for k, v in tensors.items() if k.startswith("ema.")}
            if restart:
                self.model.load_state_dict(average, strict=False)
            self._prepare()
            for i, (name, p) in enumerate(self.model.named_parameters()):
                self.ema[i].copy_(average[name])
                if f"optimiser.step.{name}" in tensors:
                    self.optimiser.state[p] = {
                        key: tensors[f"optimiser.{key}.{name}"].to("cpu" if key == "step" else self.device)
                        for key in MOMENTS
                    }
            self.step, self.pixels, self.seconds = meta["step"], meta["pixels"], meta["seconds"]
            if not restart:
                self.schedule_step, self.spent = meta["schedule_step"], meta["spent"]
        except (KeyError, RuntimeError) as error:
            raise BadFile(f"{path}: the state is not one of this network ({error})") from None

    def start_from(self, released: Checkpoint) -> None:
        """Take the weights of a model file; the optimiser and the schedule start anew.

        Raises BadModel if it has other widths, or lacks some.
        """
        if released.config != vars(self.options.model):
            raise BadModel(f"{released.path}: a network of other widths, {released.config}")
        self.model.load_state_dict(model_of(released, "cpu").state_dict())
        self._prepare()

    def run(self, out: Path, report: Callable[[Step], None]) -> None:
        """Train until the schedule ends or Ctrl-C, keeping state.safetensors and log.jsonl in `out`."""
        out.mkdir(parents=True, exist_ok=True)
        state, log = out / "state.safetensors", out / "log.jsonl"
        stopped: list[bool] = []
        previous = signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
        smooth: Tensor | None = None
        last = reported = logged = validated = saved = time.monotonic()
        before = self.pixels
        try:
            while self.progress() < 1 and not stopped:
                begun = self.progress()
                values = self.train_step()
                smooth = values if smooth is None else torch.lerp(smooth, values, 0.02)
                now = time.monotonic()
                self.spent += now - last
                self.seconds += now - last
                if begun < MEASURED <= self.progress():
                    self.measure_limits()
                if now - reported > REPORT_EVERY:
                    loss, bpp, psnr = smooth.tolist()
                    speed = (self.pixels - before) / (now - reported)
                    report(Step(self.step, self.progress(), loss, bpp, psnr, speed))
                    reported, before = now, self.pixels
                if now - logged > LOG_EVERY:
                    loss, bpp, psnr = smooth.tolist()
                    self._log(log, loss=loss, bpp=bpp, psnr=psnr)
                    logged = now
                if now - validated > self.options.validate_every:
                    self._log(log, validation=self.validate())
                    validated = time.monotonic()
                if now - saved > self.options.save_every:
                    self.save(state)
                    saved = time.monotonic()
                # Validation and saving take nothing from the schedule.
                last = time.monotonic()
            self._log(log, validation=self.validate())
        finally:
            self.save(state)
            signal.signal(signal.SIGINT, previous)

    def _log(self, path: Path, **values: Any) -> None:
        entry = {"step": self.step, "pixels": self.pixels, "seconds": round(self.seconds, 1), **values}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def read_meta(path: Path) -> dict[str, Any]:
    """Metadata of a state file, without reading the rest; raises BadFile if it is not one."""
    try:
        with safe_open(path, "pt") as f:
            meta: dict[str, Any] = json.loads((f.metadata() or {})["nicodec"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise BadFile(f"{path}: not a training state ({error})") from None
    if meta.get("version") != STATE_VERSION:
        raise BadFile(f"{path}: a training state of version {meta.get('version')}, not {STATE_VERSION}")
    return meta


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors of a state file; raises BadFile if it is not one."""
    meta = read_meta(path)
    try:
        with safe_open(path, "pt") as f:
            return meta, {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path}: not a training state ({error})") from None


def centre(picture: Pixels, side: int) -> Pixels | None:
    """The central square, its side the largest multiple of 64 that fits, at most `side`."""
    side = min(side, min(picture.shape[:2]) // 64 * 64)
    if side == 0:
        return None
    y, x = ((n - side) // 2 for n in picture.shape[:2])
    return picture[y : y + side, x : x + side]
