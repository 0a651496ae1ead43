"""What a small autoencoder is worth: its figures on test pictures, its sheets, and the elbow of the latent's width.

Beside `vae`, whose commands call it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nicodec import progress
from nicodec.errors import NicError
from nicodec.train.small import Data, batches, seen_of
from nicodec.train.vae import (
    LEVELS,
    Autoencoder,
    Config,
    distortion,
    encoder,
    fit,
    kl_normal,
    latents,
    log_normal,
    reparameterised,
)


def log_weights(model: Autoencoder, x: Tensor, label: Tensor, samples: int) -> Tensor:
    """ln p(x|z) + ln p(z) − ln q(z|x) of draws z from q(z|x): (B, samples). Their mean is the ELBO; the logarithm of
    the mean of their exponentials is the importance-weighted bound (Burda et al. 2016), which is never below it."""
    mu, logvar = model.encode(x, label).chunk(2, 1)
    weights = list[Tensor]()
    for n in [50] * (samples // 50) + [samples % 50] * (samples % 50 > 0):
        m, v, t, y = (a.repeat_interleave(n, 0) for a in (mu, logvar, x, label))
        z = reparameterised(m, v)
        each = model.log_prior(z, y) - log_normal(z, m, v) - distortion(model.decode(z, y), t, "bce")
        weights.append(each.view(-1, n))
    return torch.cat(weights, 1)


def classifier(data: Data, steps: int) -> nn.Sequential:
    """A small network that names the label: pixels in [0, 1] -> logits (B, labels)."""
    torch.manual_seed(0)
    c = Config(net="conv", hidden=128, channels=data.train.shape[1], side=data.train.shape[2])
    body, size = encoder(c)
    net = nn.Sequential(body, nn.Linear(size, int(data.train_labels.max()) + 1))
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        pick = torch.randint(len(data.train), (100,))
        optimiser.zero_grad()
        F.cross_entropy(net(data.train[pick].float() / 255), data.train_labels[pick]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval().requires_grad_(False)


def _check_fit(c: Config, data: Data) -> None:
    if data.test.shape[1:] != (c.channels, c.side, c.side) or int(data.test_labels.max()) >= c.labels:
        raise NicError("the model was made for pictures of another size, or for fewer labels")


def jacobians(model: Autoencoder, x: Tensor, label: Tensor) -> Tensor:
    """‖∂z/∂x‖ of each picture (B,), exactly: one backward pass for each latent."""
    with torch.enable_grad():
        x = x.requires_grad_()
        z = model.latent(model.encode(x, label))[0]
        rows = [torch.autograd.grad(unit.sum(), x, retain_graph=True)[0] for unit in z.unbind(1)]
    return torch.stack([row.flatten(1).square().sum(1) for row in rows]).sum(0).sqrt()


@torch.no_grad()
def measure(
    model: Autoencoder, data: Data, samples: int = 0, most: int = 10_000, naming: int = 600
) -> dict[str, float]:
    """Figures on the first `most` pictures for testing. Squared errors are of a sample in [0, 1].

    samples: draws for each picture, for -ELBO and NLL in nats. naming: steps of the network that names samples.
    Raises NicError if the pictures do not fit the model, and for an impossible number.
    """
    if samples < 0 or most < 1:
        raise NicError(f"draws are at least 0 and pictures at least 1, not {samples} and {most}")
    c, rng, figures = model.config, torch.Generator().manual_seed(2), dict[str, float]()
    data = data._replace(test=data.test[:most], test_labels=data.test_labels[:most])
    _check_fit(c, data)
    torch.manual_seed(2)
    error, nats, elbo, bound, inside, used = (list[Tensor]() for _ in range(6))
    for pixels, label in batches(data.test, data.test_labels, 100):
        x, seen = seen_of(pixels, rng, binarise=c.binarise, hole=c.hole)
        z, _, codes = model.latent(model.encode(seen, label))
        logits = model.decode(z, label)
        error.append((torch.sigmoid(logits) - x).square().flatten(1).mean(1))
        nats.append(distortion(logits, x, "bce"))
        used += [] if codes is None else [codes.flatten()]
        inside += [(torch.sigmoid(logits) - x).square()[seen != x]] if c.hole else []
        if samples and c.latent == "kl":
            weights = log_weights(model, x, label, samples)
            elbo.append(weights.mean(1))
            bound.append(weights.logsumexp(1) - math.log(samples))
    figures["squared error"], figures["cross-entropy"] = (float(torch.cat(a).mean()) for a in (error, nats))
    z, variance = latents(model, data.test, data.test_labels)
    if c.latent == "kl":
        kl = kl_normal(z, variance.log()).mean(0)
        figures |= {"KL to normal": float(kl.sum()), "active units": int((z.var(0) > 0.01).sum())}
        figures["units over 0.1 nats"] = int((kl > 0.1).sum())
        z = z + variance.sqrt() * torch.randn_like(z)
    if bound:
        figures |= {"-ELBO": -float(torch.cat(elbo).mean()), "NLL": -float(torch.cat(bound).mean())}
    if used:
        number = c.codes if c.latent == "vq" else math.prod(LEVELS)
        figures["codes in use"] = int(torch.bincount(torch.cat(used), minlength=number).count_nonzero()) / number
    else:
        normal = torch.special.ndtri((torch.arange(len(z)) + 0.5) / len(z))
        along = F.normalize(torch.randn(c.width, 200), dim=0)  # sliced Wasserstein distance to N(0, 1)
        figures["distance to normal"] = float(((z @ along).sort(0)[0] - normal[:, None]).square().mean().sqrt())
        figures["near zero"] = float((z.abs() < 0.1 * z.square().mean().sqrt()).float().mean())
        jacobian = jacobians(model, data.test[:100].float() / 255, data.test_labels[:100]).mean()
        figures |= {"Jacobian": float(jacobian), "Jacobian / spread": float(jacobian / z.var(0).sum().sqrt())}
    if c.latent == "sparse-kl":
        figures["mean activation"] = float(z.mean())
    if inside:
        figures["squared error in the hole"] = float(torch.cat(inside).mean())
    if c.only >= 0:
        score, odd = torch.cat(nats if c.loss == "bce" else error), data.test_labels != c.only
        figures["AUROC"] = float((score[odd, None] > score[None, ~odd]).float().mean())
    if c.told:
        with torch.enable_grad():
            judge, label = classifier(data, naming), torch.arange(1000) % c.labels
        figures["samples named rightly"] = float((judge(model.draw(label)).argmax(1) == label).float().mean())
        right = judge(data.test.float() / 255).argmax(1) == data.test_labels
        figures["test pictures named rightly"] = float(right.float().mean())
    return figures


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Along the great circle from a to b (Shoemake 1985; White 2016), where draws of a Gaussian lie."""
    angle = torch.acos(F.cosine_similarity(a, b, -1).clamp(-0.9999, 0.9999))[..., None]
    along: Tensor = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return along


@torch.no_grad()
def sheet(model: Autoencoder, kind: str, data: Data, columns: int = 10) -> Tensor:
    """Pictures (rows, columns, channels, side, side) in [0, 1]."""
    c, rng = model.config, torch.Generator().manual_seed(2)
    shape = c.channels, c.side, c.side
    torch.manual_seed(c.seed)
    label = torch.arange(columns**2) // columns % c.labels
    if kind == "sample":
        return model.draw(label).view(-1, columns, *shape)
    if kind == "grid":
        if c.width != 2:
            raise NicError(f"a grid of the plane needs a latent of width 2, not {c.width}")
        line = torch.special.ndtri((torch.arange(columns) + 0.5) / columns)
        z = torch.stack(torch.meshgrid(-line, line, indexing="ij"), -1).flatten(0, 1).flip(1)
        z = z if c.latent == "kl" else model.latent(model.mean + z @ model.spread)[0]
        return torch.sigmoid(model.decode(z, label)).view(-1, columns, *shape)
    _check_fit(c, data)
    x, seen = seen_of(data.test[:columns], rng, binarise=c.binarise, hole=c.hole)
    label = data.test_labels[: len(x)]
    z = model.latent(model.encode(seen, label))[0]
    if kind == "reconstruct":
        return torch.stack([x, *([seen] if c.hole else []), torch.sigmoid(model.decode(z, label))])
    if kind == "interpolate":  # two rows for each pair: along the line, along the circle
        a, b = z[: len(z) // 2], z[len(z) // 2 :][: len(z) // 2]
        steps = torch.linspace(0, 1, columns).tolist()
        ways = torch.stack([torch.stack([torch.lerp(a, b, t), slerp(a, b, t)], 1) for t in steps], 2)
        z, label = ways.flatten(0, 2), label[: len(a)].repeat_interleave(2 * columns)
    else:  # traverse: one row for each of the most active latents
        every, _ = latents(model, data.test[:1000], data.test_labels[:1000])
        most = every.var(0).argsort(descending=True)[:columns]
        z = z[0].repeat(len(most), columns, 1)
        for row, unit in enumerate(most):
            z[row, :, unit] = every[:, unit].mean() + every[:, unit].std() * torch.linspace(-3, 3, columns)
        z, label = z.flatten(0, 1), label[:1].expand(len(most) * columns)
    return torch.sigmoid(model.decode(z, label)).view(-1, columns, *shape)


def elbow(c: Config, data: Data, widths: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Squared error on test pictures for each width of the latent: of this network, and of as many principal axes.

    Raises NicError for an impossible width, before the first run.
    """
    configs = [replace(c, width=width) for width in widths]
    x, t = (a.flatten(1).double() / 255 for a in (data.train, data.test))
    axes = torch.linalg.eigh((x - x.mean(0)).T @ (x - x.mean(0)))[1].flip(1)
    points = {}
    for width, config in zip(widths, configs, strict=True):
        ours = measure(fit(config, data), data)["squared error"]
        rest = (t - x.mean(0)) @ axes[:, width:]
        points[width] = ours, float(rest.square().sum(1).mean() / x.shape[1])
        progress.say(f"width {width}: {points[width][0]:.5f}, principal axes {points[width][1]:.5f}")
    return points
