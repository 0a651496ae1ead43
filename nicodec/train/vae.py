"""Autoencoders of small pictures with a vector as their latent: every kind of the textbook, in one file to read.

Beside the codec; no other module uses it. `python -m nicodec.train.vae --help`; docs/AUTOENCODERS.md is the walk.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from nicodec import extras, progress
from nicodec.errors import BadFile, MissingExtra, NicError, one_line
from nicodec.storage.files import atomic_write, shown

try:
    import torch
    import torch.nn.functional as F
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save
    from torch import Tensor, nn
except ImportError as error:
    absent = extras.missing(str(error.name).partition(".")[0], "train", "training")
    raise SystemExit(str(absent)) if __name__ == "__main__" else absent from None

from nicodec.train import small
from nicodec.train.small import Data, batches, load, seen_of

# --- Options: one dataclass, which is the command line, the file of a model, and the check of both

LATENTS = ("plain", "kl", "vq", "fsq", "adversarial", "sparse-l1", "sparse-kl", "contractive")
POOLS = {"dense": (), "global": (1,), "adaptive": (2,), "pyramid": (1, 2, 4)}
COMMANDS = {
    "train": "learn from pictures, and write a model",
    "elbow": "train for several widths of the latent, and plot the errors",
    "measure": "figures of a model on test pictures, as JSON",
    "sample": "new pictures",
    "grid": "the plane of a latent of width 2",
    "reconstruct": "pictures, and what comes back",
    "interpolate": "from picture to picture, along the line and along the circle",
    "traverse": "one latent at a time, from -3 to 3 of its spread",
}
TOKEN, LEVELS = 4, (8, 5, 5, 5)  # numbers in a token of vq and fsq; levels of each: 1000 codes (FSQ, table 1)


def option(default: Any, help: str, *among: str, low: float = 0, high: float = 1) -> Any:
    return field(default=default, metadata={"help": help, "among": among, "low": low, "high": high})


@dataclass(frozen=True)
class Config:
    """All options of a run. Raises NicError for one that is out of its range, or that another excludes."""

    latent: str = option("kl", "kind of latent", *LATENTS)
    width: int = option(16, "numbers in the latent", low=1, high=1024)
    net: str = option("funnel", "fully connected funnel, or convolutions and pixel shuffle", "funnel", "conv")
    hidden: int = option(256, "width of the first layer; convolutions have 1/16 and 1/4 of it", low=16, high=1024)
    pool: str = option("dense", "from the last convolution to a vector", *POOLS)
    loss: str = option("bce", "distortion: cross-entropy after a sigmoid, or squared error", "bce", "mse")
    beta: float = option(1.0, "weight of the KL divergence", high=1000)
    schedule: str = option("constant", "weight of the KL over time", "constant", "anneal", "cyclic")
    free_bits: float = option(0.0, "nats that each latent may have for nothing", high=100)
    prior: str = option("normal", "prior of kl; a flow needs zuko", "normal", "flow")
    penalty: float = option(1.0, "weight of what vq, adversarial, sparse and contractive ask for", high=1e6)
    rate: float = option(0.05, "mean activation that sparse-kl asks for", low=1e-4, high=0.9999)
    codes: int = option(256, "vectors in the codebook of vq", low=2, high=65536)
    conditional: bool = option(False, "encoder and decoder are told the label")
    binarise: bool = option(False, "pixels are drawn as 0 or 1, anew in each batch; in the test set once")
    hole: float = option(0.0, "side of the square that the encoder does not see, as a share of the picture", high=0.9)
    only: int = option(-1, "learn pictures of this label alone; -1: all", low=-1, high=999)
    norm: bool = option(False, "batch normalisation in the funnel")
    dropout: float = option(0.0, "share of activations of the funnel that are dropped", high=0.9)
    weight_decay: float = option(0.0, "weight decay of AdamW", high=10)
    steps: int = option(2000, "batches to learn from", low=1, high=10_000_000)
    batch: int = option(100, "pictures in a batch", low=2, high=65536)
    lr: float = option(1e-3, "largest learning rate", low=1e-7, high=1)
    patience: int = option(0, "end after so many checks without a better one, of 20 in a run; 0: never", high=20)
    bf16: bool = option(False, "convolutions in bfloat16")
    seed: int = option(0, "of weights, batches and draws", high=2**31)
    channels: int = option(1, "", low=1, high=3)
    side: int = option(28, "", low=4, high=64)
    labels: int = option(1, "", low=1, high=1000)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, m = getattr(self, f.name), f.metadata
            good, known = value in tuple(m["among"]), "one of " + ", ".join(m["among"])
            if not isinstance(f.default, str):
                good = type(value) in (type(f.default), int)[: 2 - isinstance(f.default, bool)]
                good, known = good and m["low"] <= value <= m["high"], f"{m['low']:g} to {m['high']:g}"
            if not good:
                raise NicError(f"{f.name.replace('_', '-')} is {known}; {value!r} is not")
        if self.latent in ("vq", "fsq") and self.width % TOKEN:
            raise NicError(f"vq and fsq need a width that is a multiple of {TOKEN}, not {self.width}")
        if self.prior == "flow" and (self.latent != "kl" or self.free_bits):
            raise NicError("a flow is a prior of the latent kl, and excludes free bits")
        if self.side % 4:
            raise NicError(f"pictures have a side that is a multiple of 4, not {self.side}")

    @property
    def told(self) -> int:
        """Numbers that encoder and decoder are told beside their input."""
        return self.labels if self.conditional else 0


# --- Losses: formulas, each of a batch (B, …) and for each picture (B,)


def distortion(logits: Tensor, x: Tensor, kind: str) -> Tensor:
    """Summed over pixels: cross-entropy −x ln s − (1 − x) ln(1 − s) in nats, or (x − s)², where s is the sigmoid."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    return (torch.sigmoid(logits) - x).square().flatten(1).sum(1)


def kl_normal(mu: Tensor, logvar: Tensor, mu2: float | Tensor = 0.0, logvar2: float | Tensor = 0.0) -> Tensor:
    """KL(N(mu, e^logvar) ‖ N(mu2, e^logvar2)) of each number, in nats (Kingma & Welling 2014, appendix B)."""
    logvar2 = torch.as_tensor(logvar2)
    return 0.5 * (logvar2 - logvar - 1 + ((logvar - logvar2).exp() + (mu - mu2).square() * (-logvar2).exp()))


def log_normal(z: Tensor, mu: float | Tensor = 0.0, logvar: float | Tensor = 0.0) -> Tensor:
    """ln N(z; mu, e^logvar), summed over the numbers of a latent."""
    logvar = torch.as_tensor(logvar)
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() * (-logvar).exp()).sum(-1)


def reparameterised(mu: Tensor, logvar: Tensor) -> Tensor:
    """A draw mu + σ·ε: chance stands beside the path of the gradient."""
    return mu + (0.5 * logvar).exp() * torch.randn_like(mu)


def free_bits(kl: Tensor, free: float) -> Tensor:
    """max(free, mean over the batch of the KL of each latent), summed over latents: one number (Kingma et al. 2016)."""
    return kl.mean(0).clamp(min=free).sum()


def beta_at(done: float, schedule: str, beta: float) -> float:
    """Weight of the KL when a share 0 to 1 of a run is done: a ramp over the first fifth (Bowman et al. 2016), or in
    each of four cycles over its first half (Fu et al. 2019)."""
    ramp = {"constant": 1.0, "anneal": done / 0.2, "cyclic": (4 * done % 1) / 0.5 if done < 1 else 1.0}[schedule]
    return beta * min(1.0, ramp)


def kl_to_rate(activation: Tensor, rate: float) -> Tensor:
    """Σ ρ ln(ρ/ρ̂) + (1 − ρ) ln((1 − ρ)/(1 − ρ̂)), where ρ̂ is the mean activation of a latent over the batch."""
    mean = activation.mean(0).clamp(1e-6, 1 - 1e-6)
    return (rate * (rate / mean).log() + (1 - rate) * ((1 - rate) / (1 - mean)).log()).sum()


def jacobian_norm(z: Tensor, x: Tensor) -> Tensor:
    """‖∂z/∂x‖² of each picture (Rifai et al. 2011), as E‖vᵀJ‖² with one random v: unbiased (Hutchinson)."""
    (product,) = torch.autograd.grad(z, x, torch.randn_like(z), create_graph=True)
    return product.flatten(1).square().sum(1)


def fsq(z: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (B, T, 4) -> rounded to levels in [-1, 1], and codes (B, T) (Mentzer et al. 2023)."""
    levels = torch.tensor(LEVELS)
    half, offset = (levels - 1) * 0.999 / 2, (1 - levels % 2) / 2
    bounded = torch.tanh(z + torch.atanh(offset / half)) * half - offset
    rounded = bounded + (bounded.round() - bounded).detach()
    places = torch.tensor([math.prod(LEVELS[:i]) for i in range(TOKEN)])
    return rounded / (levels // 2), ((rounded.detach().round().long() + levels // 2) * places).sum(-1)


class Codebook(nn.Module):
    """Vector quantisation: a code is the running mean of the tokens nearest to it (van den Oord et al. 2017, A.1).
    One that is hardly used starts again at a token of the batch, so all start there."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.count = nn.Buffer(torch.zeros(codes))
        self.total = nn.Buffer(torch.zeros(codes, TOKEN))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T, 4) -> nearest codes, with the gradient of the tokens; commitment (B,); codes (B, T)."""
        tokens = z.detach().flatten(0, 1).float()
        if self.training:
            dead = self.count < 0.1
            self.total[dead] = tokens[torch.randint(len(tokens), (int(dead.sum()),))]
            self.count[dead] = 1
        code = torch.cdist(tokens, self.total / self.count[:, None]).argmin(1)
        near = (self.total / self.count[:, None])[code].view_as(z)
        if self.training:
            chosen = F.one_hot(code, len(self.count)).float()
            self.count.mul_(0.99).add_(chosen.sum(0), alpha=0.01)
            self.total.mul_(0.99).add_(chosen.T @ tokens, alpha=0.01)
        return z + (near - z).detach(), (z - near).square().flatten(1).sum(1), code.view(z.shape[:2])


# --- Networks


class Residual(nn.Module):
    """Two convolutions beside the input. The second starts at zero, so a deep stack starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.two.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(F.silu(self.one(F.silu(x))))  # type: ignore[no-any-return]


class Pool(nn.Module):
    """Maps (B, C, H, W) -> vector: all of it, or means over grids of 1, 2 or 4 cells a side (He et al. 2015)."""

    def __init__(self, grids: Sequence[int]) -> None:
        super().__init__()
        self.grids = grids

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.adaptive_avg_pool2d(x, g).flatten(1) for g in self.grids] or [x.flatten(1)], 1)


def funnel(c: Config, sizes: Sequence[int]) -> list[nn.Module]:
    """Fully connected layers of these sizes."""
    layers = list[nn.Module]()
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if c.norm else []), nn.SiLU()]
        layers += [nn.Dropout(c.dropout)] if c.dropout else []
    return layers


def encoder(c: Config) -> tuple[nn.Sequential, int]:
    """Pixels (B, channels, side, side) in [0, 1] -> features (B, size); and the size."""
    if c.net == "funnel":
        return nn.Sequential(nn.Flatten(), *funnel(c, (c.channels * c.side**2, c.hidden, c.hidden // 2))), c.hidden // 2
    fine, coarse = c.hidden // 16, c.hidden // 4
    size = coarse * (sum(g * g for g in POOLS[c.pool]) or (c.side // 4) ** 2)
    layers = [nn.Conv2d(c.channels, fine, 3, 2, 1), Residual(fine), nn.Conv2d(fine, coarse, 3, 2, 1), Residual(coarse)]
    return nn.Sequential(*layers, nn.SiLU(), Pool(POOLS[c.pool])), size


def decoder(c: Config) -> nn.Sequential:
    """Latent and label (B, width + told) -> logits of pixels (B, channels, side, side)."""
    shape, start = (c.channels, c.side, c.side), c.width + c.told
    if c.net == "funnel":
        layers = funnel(c, (start, c.hidden // 2, c.hidden))
        return nn.Sequential(*layers, nn.Linear(c.hidden, math.prod(shape)), nn.Unflatten(1, shape))
    fine, coarse, low = c.hidden // 16, c.hidden // 4, c.side // 4
    return nn.Sequential(
        *(nn.Linear(start, coarse * low * low), nn.Unflatten(1, (coarse, low, low)), Residual(coarse)),
        *(nn.Conv2d(coarse, 4 * fine, 3, 1, 1), nn.PixelShuffle(2), Residual(fine), nn.SiLU()),
        *(nn.Conv2d(fine, 4 * c.channels, 3, 1, 1), nn.PixelShuffle(2)),
    )


class Autoencoder(nn.Module):
    """Encoder, latent, decoder. `mean` and `spread` are those of `encode` on training pictures, for sampling."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.encoder, size = encoder(c)
        self.head = nn.Linear(size + c.told, c.width * (2 if c.latent == "kl" else 1))
        self.decoder = decoder(c)
        self.codebook = Codebook(c.codes) if c.latent == "vq" else None
        self.unit = nn.BatchNorm1d(c.width, affine=False) if c.latent == "fsq" else None  # so all levels are reached
        self.critic = nn.Sequential(*funnel(Config(), (c.width, 128, 128)), nn.Linear(128, 1))
        if c.prior == "flow":
            flows = extras.load("zuko.flows", "recipes", "a flow as prior")
            self.flow = flows.MAF(c.width, c.told, transforms=3, hidden_features=(128, 128))
        self.mean, self.spread = nn.Buffer(torch.zeros(c.width)), nn.Buffer(torch.eye(c.width))

    def _told(self, x: Tensor, label: Tensor) -> Tensor:
        return torch.cat([x, torch.eye(self.config.labels)[label]], 1) if self.config.told else x

    def encode(self, x: Tensor, label: Tensor) -> Tensor:
        """Pixels (B, channels, side, side), labels (B,) -> (B, width), or for kl mean and log-variance."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            features = self.encoder(x)
        return self.head(self._told(features.float(), label))  # type: ignore[no-any-return]

    def decode(self, z: Tensor, label: Tensor) -> Tensor:
        """Latents (B, width), labels (B,) -> logits of pixels."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            logits: Tensor = self.decoder(self._told(z, label))
        return logits.float()

    def latent(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Output of `encode` -> the latent without chance, the commitment (B,), and for vq and fsq codes (B, T)."""
        c, none = self.config, torch.zeros(len(raw))
        if c.latent == "kl":
            return raw.chunk(2, 1)[0], none, None
        if self.codebook is not None:
            z, commitment, codes = self.codebook(raw.view(len(raw), -1, TOKEN))
            return z.flatten(1), commitment, codes
        if self.unit is not None:
            z, codes = fsq(self.unit(raw).view(len(raw), -1, TOKEN))
            return z.flatten(1), none, codes
        z = F.relu(raw) if c.latent == "sparse-l1" else torch.sigmoid(raw) if c.latent == "sparse-kl" else raw
        return z, none, None

    def log_prior(self, z: Tensor, label: Tensor) -> Tensor:
        """ln p(z) of latents (B, width)."""
        if self.config.prior == "normal":
            return log_normal(z)
        told = torch.eye(self.config.labels)[label] if self.config.told else None
        return self.flow(told).log_prob(z)  # type: ignore[no-any-return]

    def loss(self, x: Tensor, label: Tensor, beta: float, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of pixels x in [0, 1]: distortion (B,), penalty (B,), latents (B, width). seen: what the encoder sees."""
        c = self.config
        if c.latent == "contractive":
            seen = seen.detach().requires_grad_()
        raw = self.encode(seen, label)
        z, penalty, _ = self.latent(raw)
        if c.latent == "kl":
            mu, logvar = raw.chunk(2, 1)
            z = reparameterised(mu, logvar)
            if c.prior == "flow":
                penalty = log_normal(z, mu, logvar) - self.log_prior(z, label)
            else:
                kl = kl_normal(mu, logvar)
                penalty = free_bits(kl, c.free_bits).expand(len(x)) if c.free_bits else kl.sum(1)
        elif c.latent == "adversarial":
            penalty = F.softplus(-self.critic(z)[:, 0])  # a critic that cannot tell the latents from normal draws
        elif c.latent == "sparse-l1":
            penalty = z.abs().sum(1)
        elif c.latent == "sparse-kl":
            penalty = kl_to_rate(z, c.rate).expand(len(x))
        elif c.latent == "contractive":
            penalty = jacobian_norm(z, seen)
        weight = beta if c.latent == "kl" else c.penalty
        return distortion(self.decode(z, label), x, c.loss), weight * penalty, z

    def draw(self, label: Tensor) -> Tensor:
        """New pictures with these labels (B,): the prior if the latent has one, else a Gaussian of the latents."""
        c, z = self.config, torch.randn(len(label), self.config.width)
        if c.prior == "flow":
            z = self.flow(torch.eye(c.labels)[label]).sample() if c.told else self.flow().sample((len(label),))
        elif c.latent not in ("kl", "adversarial"):
            z = self.latent(self.mean + z @ self.spread)[0]
        return torch.sigmoid(self.decode(z, label))


# --- Training


def fit(c: Config, data: Data) -> Autoencoder:
    """Train; returns the state that was best on pictures of the training set that were held out, a tenth at most."""
    c = replace(c, channels=data.train.shape[1], side=data.train.shape[2], labels=int(data.train_labels.max()) + 1)
    if int(data.train_labels.min()) < 0 or int(data.test_labels.max()) >= c.labels:
        raise NicError("the test pictures have labels that the training pictures do not have")
    pixels, labels = data.train, data.train_labels
    if c.only >= 0:
        pixels, labels = pixels[labels == c.only], labels[labels == c.only]
    held = min(1000, len(pixels) // 10)
    if held < 1:
        raise NicError(f"{len(pixels)} pictures to learn from; 10 is the least")
    torch.manual_seed(c.seed)
    rng = torch.Generator().manual_seed(c.seed)
    model = Autoencoder(c)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    critic = [p for name, p in model.named_parameters() if name.startswith("critic")]
    others = [p for name, p in model.named_parameters() if not name.startswith("critic")]
    optimiser = torch.optim.AdamW(others, c.lr, weight_decay=c.weight_decay, fused=True)
    against = torch.optim.AdamW(critic, c.lr, betas=(0.5, 0.999), weight_decay=0)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: min(1, 20 * (i + 1) / c.steps, 1.02 - i / c.steps))
    judged = seen_of(pixels[-held:], torch.Generator().manual_seed(1), binarise=c.binarise, hole=c.hole)
    best, state, since = math.inf, model.state_dict(), 0
    with progress.bar(c.steps) as advance:
        for step in range(1, c.steps + 1):
            model.train()
            pick = torch.randint(len(pixels) - held, (c.batch,), generator=rng)
            x, seen = seen_of(pixels[pick], rng, binarise=c.binarise, hole=c.hole)
            error, penalty, z = model.loss(x, labels[pick], beta_at(step / c.steps, c.schedule, c.beta), seen)
            optimiser.zero_grad()
            (error + penalty).mean().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(others, 1000.0)
            optimiser.step()
            rate.step()
            if c.latent == "adversarial":
                against.zero_grad()
                real, false = model.critic(torch.randn_like(z)), model.critic(z.detach())
                (F.softplus(-real) + F.softplus(false)).mean().backward()  # type: ignore[no-untyped-call]
                against.step()
            if step % math.ceil(c.steps / 20) == 0 or step == c.steps:
                model.eval()
                torch.manual_seed(step)
                error, penalty, _ = model.loss(judged[0], labels[-held:], c.beta, judged[1])
                value = (error + penalty).mean().item()
                if not math.isfinite(value):
                    raise NicError(f"the loss is {value} after {step} steps; a smaller --lr may help")
                advance(f"held out: {error.mean().item():.2f} + {penalty.mean().item():.2f}", step)
                # An adversary is no measure of its own progress, so there the last state counts.
                if value < best or c.latent == "adversarial":
                    best, since, state = value, 0, {k: v.clone() for k, v in model.state_dict().items()}
                elif (since := since + 1) == c.patience:
                    progress.say(f"ended early, after {step} of {c.steps} steps")
                    break
    model.load_state_dict(state)
    model.eval().requires_grad_(False)
    raw = torch.cat([model.encode(x.float() / 255, y) for x, y in batches(pixels[:5000], labels[:5000], 500)])
    raw = raw[:, : c.width].double()
    model.mean.copy_(raw.mean(0))
    model.spread.copy_(torch.linalg.cholesky(raw.T.cov().view(c.width, -1) + 1e-6 * torch.eye(c.width)).T)
    return model


def write_model(path: Path, model: Autoencoder, *, overwrite: bool) -> None:
    """One safetensors file: weights, and the options as JSON."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    atomic_write(path, save(tensors, {"nicodec.vae": json.dumps(asdict(model.config))}), overwrite=overwrite)


def read_model(path: Path) -> Autoencoder:
    """Raises BadFile for what is no such file. Nothing in it is run or unpickled, and its options bound its size."""
    try:
        with safe_open(path, "pt") as f:
            options = json.loads((f.metadata() or {})["nicodec.vae"])
            model = Autoencoder(Config(**options))
            model.load_state_dict({name: f.get_tensor(name) for name in f.keys()})  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, NicError) as error:
        if isinstance(error, MissingExtra):
            raise
        raise BadFile(f"{shown(path)}: not a model of this program ({one_line(error)})") from None
    model.eval().requires_grad_(False)
    return model


@torch.no_grad()
def latents(model: Autoencoder, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 pictures -> latents without chance (N, width), and for kl their variances, else zeros."""
    z, variance = list[Tensor](), list[Tensor]()
    for x, label in batches(pixels, labels, 500):
        raw = model.encode(x.float() / 255, label)
        z.append(model.latent(raw)[0])
        variance.append(raw.chunk(2, 1)[1].exp() if model.config.latent == "kl" else torch.zeros_like(z[-1]))
    return torch.cat(z), torch.cat(variance)


# --- The command line


def parser() -> argparse.ArgumentParser:
    """All commands. The fields of `Config` that have a help text are options of `train` and `elbow`."""
    top = argparse.ArgumentParser("python -m nicodec.train.vae", description=(__doc__ or "").partition("\n")[0])
    commands = top.add_subparsers(dest="command", required=True)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does, description=does)
        if name not in ("train", "elbow"):
            command.add_argument("model", type=Path)
        if name not in ("sample", "grid"):
            command.add_argument("data", help="folder of pictures, or of files as MNIST has them; sklearn; drawn")
            command.add_argument("--tile", type=int, default=32, choices=(32, 64), help="side of squares to cut")
        if name == "measure":
            command.add_argument("--samples", type=int, default=0, help="draws for each picture, for the NLL of kl")
            command.add_argument("--most", type=int, default=10_000, help="pictures")
            continue
        command.add_argument("-o", "--out", type=Path, required=True)
        command.add_argument("-f", "--force", action="store_true", help="overwrite")
        if name == "elbow":
            command.add_argument("--widths", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
        for f in (f for f in fields(Config) if f.metadata["help"] and name in ("train", "elbow")):
            how = {"action": "store_true"} if f.default is False else {"type": type(f.default), "default": f.default}
            how |= {"choices": f.metadata["among"]} if f.metadata["among"] else {}
            command.add_argument("--" + f.name.replace("_", "-"), help=f.metadata["help"] + " (%(default)s)", **how)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Raises NicError for what cannot be done."""
    from nicodec.train import figures

    args = parser().parse_args(arguments)
    if args.command != "measure":
        small.check_out(args.out, force=args.force)
    data = load(args.data, args.tile) if "data" in args else small.NONE
    if args.command in ("train", "elbow"):
        c = Config(**{f.name: getattr(args, f.name) for f in fields(Config) if f.metadata["help"]})
        if args.command == "train":
            return write_model(args.out, fit(c, data), overwrite=args.force)
        return atomic_write(args.out, small.plot(figures.elbow(c, data, args.widths)), overwrite=args.force)
    model = read_model(args.model)
    if args.command == "measure":
        return print(json.dumps(figures.measure(model, data, args.samples, args.most), indent=1))
    atomic_write(args.out, small.png(figures.sheet(model, args.command, data)), overwrite=args.force)


if __name__ == "__main__":
    from nicodec.train import vae  # this file by its name, as `figures` knows it

    try:
        vae.main()
    except NicError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
