"""Parts of the codec by name, trained for the same steps and measured; for docs/AUTOENCODERS.md.

    python bench/parts.py PICTURES -o OUT --test FOLDER                all of it
    python bench/parts.py PICTURES -o OUT --test FOLDER --only linear  of: linear, transform, upsampling, distortion

PICTURES are learnt from, those of --test are measured on. OUT gets `parts.json`, `parts.md`, `linear.png` and
`checkerboard.png`. What is there already is kept, so that a run that was stopped goes on. Rates are estimated from
likelihoods, and times are processor time. Runs are short: a row compares with the others of its table, and no row says
what its part can do at its best.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nicodec import extras, progress
from nicodec.bench import photographs
from nicodec.errors import NicError
from nicodec.model import checkpoint
from nicodec.model.config import LINEAR, NETWORKS, SHUFFLE, UPSAMPLES, ModelConfig
from nicodec.model.runtime import Session
from nicodec.nn.layers import depth_to_space, hats, space_to_depth
from nicodec.nn.linear import LinearAnalysis, LinearSynthesis
from nicodec.nn.model import Model
from nicodec.picture import metrics
from nicodec.train import distortion
from nicodec.train.data import Patches
from nicodec.train.export import graphs
from nicodec.train.options import DISTORTIONS, Options
from nicodec.train.reading import centre
from nicodec.train.store import Pixels
from nicodec.train.trainer import GAINS, Trainer

# A network for runs of two minutes, with all parts of the larger ones.
SMALL = ModelConfig(
    latent=128,
    width=32,
    blocks_a=1,
    blocks_s=1,
    hyper=16,
    z=8,
    context=32,
    context_blocks=1,
    latent_blocks_a=0,
    latent_blocks_s=1,
    linear=64,
)
# Steps from nothing, of 8 patches of 64; and from photo-fast, of 4 of 128, which have room for four scales of MS-SSIM.
STEPS, STEPS_FROM = 3000, 300
# Qualities that are measured, the pictures, and the side of their central squares.
QUALITIES, PICTURES, SIDE = (10, 30, 50, 70), 8, 256
# Patches that principal components are counted on.
PATCHES = 6000
LEVELS = 9
AXES, WIDTHS = 6, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

# What a quick run looks at.
QUICK_WAYS, QUICK_KINDS = (SHUFFLE, "transposed-3"), DISTORTIONS[:2]

Result = dict[str, Any]
CPU = torch.device("cpu")


def learn(options: Options, data: Patches, pictures: list[Pixels], start: str | None = None) -> Result:
    """Train one model, and measure it."""
    begun = time.process_time()
    trainer = Trainer(options, data, fresh=False)
    if start is None:
        trainer.model.init_from_patches(data.pca_patches(min(PATCHES, data.size // 768)), GAINS)
        trainer._prepare()
    else:
        trainer.start_from(checkpoint.load(checkpoint.find(start)))
    losses: list[float] = []
    while trainer.progress() < 1:
        losses.append(float(trainer.train_step()[0]))
    seconds = time.process_time() - begun
    tail = statistics.mean(losses[-max(1, len(losses) // 10) :])
    with trainer.averaged() as model:
        points = [[measured(model, pixels, quality) for quality in QUALITIES] for pixels in pictures]
        board = checkerboard(model)[0] if start is None else None
    return {"steps": trainer.step, "seconds": round(seconds, 1), "loss": round(tail, 3), "points": points,
            "checkerboard": board}  # fmt: skip


@torch.no_grad()
def measured(model: Model, pixels: Pixels, quality: int) -> list[float]:
    """Bits for each pixel, as likelihoods say, and each of DISTORTIONS, of samples that are rounded."""
    x = _floats(pixels)
    out = model(x, torch.tensor([100 * quality]))
    y = torch.round((out.pixels.clamp(-0.5, 0.5) + 0.5) * 255) / 255 - 0.5
    rate = float(out.y_bits + out.z_bits) / (pixels.shape[0] * pixels.shape[1])
    return [rate, *(float(raw(x, y)) for raw in distortion.RAW.values())]


def bits(before: list[list[list[float]]], after: list[list[list[float]]], kind: str = "mse") -> float:
    """Per cent of bits at equal distortion, against `before`: the mean of the BD-rates of all pictures."""
    column, rates = 1 + DISTORTIONS.index(kind), []
    for one, other in zip(before, after, strict=True):
        # Rounding may leave 1 - MS-SSIM of a picture that came back whole at 0 or under it.
        curves = [[(row[0], -10 * math.log10(max(row[column], 1e-7))) for row in rows] for rows in (one, other)]
        if (rate := metrics.bd_rate(*curves)) is not None:
            rates.append(rate.percent)
    return statistics.mean(rates) if rates else math.nan


def decoding(ways: Sequence[str], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time that g_s of `fast` takes for 256 x 256 pixels, by each way up.

    The graphs are those that a codec runs. Medians of rounds in which all ways take their turn.
    """
    runs: dict[str, Callable[[], object]] = {}
    for way in ways:
        config = replace(NETWORKS["fast"], upsample=way)
        state = {name: value.numpy() for name, value in Model(config).state_dict().items()}
        weights = {
            name: a[:, :, None, None] if a.ndim == 2 and name.endswith(".weight") else a for name, a in state.items()
        }
        graph, names = graphs.build("g_s", config, {name: array.shape for name, array in weights.items()})
        session = Session(graph, {name: np.ascontiguousarray(weights[name]) for name in names}, 1)
        given = {"y": np.zeros((1, config.latent, 16, 16), np.float32), "q": np.array([[50]], np.float32)}
        runs[way] = partial(session.run, given)
    times: dict[str, list[float]] = {way: [] for way in runs}
    for turn in range(rounds + 1):
        for way, each in runs.items():
            begun = time.process_time()
            each()
            if turn:  # the first one packs the weights
                times[way].append(1000 * (time.process_time() - begun))
    return {way: round(statistics.median(each), 1) for way, each in times.items()}


@torch.no_grad()
def checkerboard(model: Model) -> tuple[float, Tensor]:
    """What the deep branch of g_s draws on flat fields: the root mean square in levels of 8 bits, and one field.

    Far from the edges a flat field has a flat latent, so all that is not its mean lies at periods of 16 pixels and
    their fractions: the frequencies of a checkerboard. A field is (64, 64, C).
    """
    if model.config.transform == LINEAR:
        return 0.0, torch.zeros(64, 64, model.config.colours)
    hat, worst = hats(torch.tensor([50.0])), []
    for level in torch.linspace(-0.5, 0.5, LEVELS):
        x = torch.full((1, 320, 320, model.config.colours), float(level))
        y = model.g_a(x, hat, model.spread)
        linear = depth_to_space(model.g_s.shortcut(y if model.config.transform == LINEAR else _corrected(model, y)), 16)
        deep = (model.g_s(y, hat, model.spread) - linear)[0, 128:192, 128:192]
        worst.append(255 * (deep - deep.mean((0, 1))))
    power = torch.stack([field.square().mean() for field in worst])
    return float(power.mean().sqrt()), worst[int(power.argmax())]


def _corrected(model: Model, y: Tensor) -> Tensor:
    """What the shortcut of g_s sees: the latent after the blocks at /16."""
    v, rare = torch.split(y / model.spread, [model.config.deep, model.config.linear], dim=-1)
    for block in model.g_s.latent_blocks:
        v = block(v)
    return torch.cat([v, rare], dim=-1) * model.spread


@torch.no_grad()
def untrained(way: str) -> tuple[float, Tensor]:
    """The same of a network that starts at random, its last layers too: in per cent of what the deep branch paints."""
    torch.manual_seed(0)
    model = Model(replace(SMALL, upsample=way)).eval()
    hat, shares, fields = hats(torch.tensor([50.0])), [], []
    for _ in range(LEVELS):
        y = torch.randn(1, 1, 1, SMALL.latent).expand(1, 20, 20, -1)
        linear = depth_to_space(model.g_s.shortcut(_corrected(model, y)), 16)
        deep = (model.g_s(y, hat, model.spread) - linear)[0, 128:192, 128:192]
        field = deep - deep.mean((0, 1))
        shares.append(float(field.square().mean() / deep.square().mean()))
        fields.append(field)
    return 100 * math.sqrt(statistics.mean(shares)), fields[0]


def axes_of(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Principal axes (n, n), a column each, strongest first, and the power along each. patches: (N, n)."""
    x = patches.double()
    powers, basis = torch.linalg.eigh(x.T @ x / len(x))
    return basis.flip(1), powers.flip(0)


def learnt_axes(patches: Tensor, count: int, steps: int = 1500) -> Tensor:
    """The columns of g_s (n, count) of the linear codec, learnt by gradient from a random start.

    Squared error alone, without rate and without biases. patches: (N, 256 C), about [-1/2, 1/2], mean 0. All patches
    at once, by Adam in float64, whose rate falls to zero.
    """
    torch.manual_seed(0)
    colours = patches.shape[1] // 256
    config = replace(SMALL, colours=colours, latent=count, linear=0).without_deep()
    g_a, g_s = LinearAnalysis(config).double(), LinearSynthesis(config).double()
    weights = [g_a.shortcut.weight, g_s.shortcut.weight]
    for layer in (g_a.shortcut, g_s.shortcut):
        torch.nn.init.zeros_(layer.bias)
    x = depth_to_space(patches.double()[:, None, None, :], 16)
    still = torch.zeros(1, 1)
    optimiser = torch.optim.Adam(weights, lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (g_s(g_a(x, still, still), still, still) - x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return g_s.shortcut.weight.detach().float()


def angle(a: Tensor, b: Tensor) -> float:
    """The largest principal angle in degrees between the spans of two matrices (n, k) (Björck, Golub 1973)."""
    a, b = (torch.linalg.qr(t.double()).Q for t in (a, b))
    least = float(torch.linalg.svdvals(b - a @ (a.T @ b)).max())
    return math.degrees(math.asin(min(1.0, least)))


def linear(pictures: list[Pixels], steps: int) -> Result:
    """Error against channels in closed form, and the angle of what a gradient finds on the same patches in gray."""
    blocks = [space_to_depth(_floats(p[: len(p) // 16 * 16, : p.shape[1] // 16 * 16]), 16) for p in pictures]
    patches = torch.cat([block.reshape(-1, block.shape[-1]) for block in blocks])
    patches = patches - patches.mean(0)
    powers = axes_of(patches)[1]
    errors = {str(width): float(powers[width:].sum()) / len(powers) for width in WIDTHS}
    gray = patches.reshape(len(patches), 256, -1).mean(2)
    basis, powers = axes_of(gray)
    # As many patches as pixels have the same second moments as all together, and so the same loss.
    found = learnt_axes(basis.T * (256 * powers[:, None]).clamp(min=0).sqrt(), AXES, steps)
    return {"errors": errors, "angle": angle(found, basis[:, :AXES]), "axes": AXES, "patches": len(patches)}


def drawn_elbow(found: Result) -> bytes:
    """PNG of the error against the number of channels."""
    figure = extras.load("matplotlib.figure", "train", "the elbow plot").Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    shown = {int(width): error for width, error in found["errors"].items()}
    axes.plot(list(shown), list(shown.values()), "o-", color="#d3123b")
    axes.set(xscale="log", xlabel="channels of the latent, of 768", ylabel="squared error of a sample in [0, 1]")
    axes.set_xticks(list(shown), [str(width) for width in shown], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return _png(figure)


def drawn_boards(fields: dict[str, Tensor]) -> bytes:
    """PNG of what each way up paints on a flat field at a random start, each in its own contrast."""
    figure = extras.load("matplotlib.figure", "train", "the boards").Figure(figsize=(9, 1.9), layout="constrained")
    for axes, (name, field) in zip(figure.subplots(1, len(fields)), fields.items(), strict=True):
        gray = field.mean(2).numpy()[:32, :32]
        most = max(float(np.abs(gray).max()), 1e-6)
        axes.imshow(gray if most > 1e-5 else 0 * gray, cmap="gray", vmin=-most, vmax=most, interpolation="nearest")
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    return _png(figure)


def _png(figure: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _floats(pixels: np.ndarray[Any, Any]) -> Tensor:
    return torch.tensor(pixels)[None].float() / 255 - 0.5


class Runs:
    """All runs of a call, with the results that are there already."""

    def __init__(self, out: Path, data: Callable[[], Patches], pictures: list[Pixels], quick: bool) -> None:
        self.out, self.pictures, self.quick, self._load = out, pictures, quick, data
        self._data: Patches | None = None
        self._kept = out / "parts.json"
        self.results: Result = json.loads(self._kept.read_text()) if self._kept.is_file() else {}

    def keep(self, name: str, found: Any) -> None:
        self.results[name] = found
        self._kept.write_text(json.dumps(self.results, indent=1))
        (self.out / "parts.md").write_text(table(self.results))

    def learn(self, name: str, options: Options, start: str | None = None) -> None:
        """Train and measure one model, unless that was done."""
        if name in self.results:
            return
        progress.say(name)
        self._data = self._data or self._load()
        self.keep(name, learn(options, self._data, self.pictures, start))

    def small(self, **parts: str) -> Options:
        config = SMALL.without_deep() if parts.get("transform") == LINEAR else replace(SMALL, **parts)  # type: ignore[arg-type]
        return Options(
            steps=4 if self.quick else STEPS, batch=1 if self.quick else 8, patch=64, model=config, threads=1
        )

    def linear(self) -> None:
        if "linear" not in self.results:
            shown = photographs.photographs()[:5] if not self.quick else []
            pictures = [np.asarray(photographs.load(path)[0]) for path in shown] or self.pictures
            self.keep("linear", linear(pictures, 20 if self.quick else 3000))
        (self.out / "linear.png").write_bytes(drawn_elbow(self.results["linear"]))

    def upsampling(self) -> None:
        ways = QUICK_WAYS if self.quick else tuple(UPSAMPLES)
        for way in ways:
            self.learn(f"up-{way}", self.small(upsample=way))
        boards, times = {way: untrained(way) for way in ways}, decoding(ways, 1 if self.quick else 15)
        rows = {way: {"at random": boards[way][0], "decode": times[way]} for way in ways}
        self.keep("upsampling", rows)
        (self.out / "checkerboard.png").write_bytes(drawn_boards({way: field for way, (_, field) in boards.items()}))

    def transform(self) -> None:
        self.learn(f"up-{SHUFFLE}", self.small())
        self.learn("transform-linear", self.small(transform=LINEAR))

    def distortion(self) -> None:
        for kind in QUICK_KINDS if self.quick else DISTORTIONS:
            start = None if self.quick else "photo-fast"
            config = SMALL if start is None else checkpoint.load(checkpoint.find(start)).config
            options = replace(self.small(), model=config, distortion=kind)
            if start is not None:
                options = replace(options, steps=STEPS_FROM, batch=4, patch=128, rate=1e-3, origin=start)
            self.learn(f"distortion-{kind}", options, start)


def table(results: Result) -> str:
    """Markdown of what was measured so far."""
    lines: list[str] = []
    if "linear" in results:
        found = results["linear"]
        lines += ["| channels | " + " | ".join(found["errors"]) + " |", "|---" * (1 + len(found["errors"])) + "|"]
        lines += ["| squared error | " + " | ".join(f"{error:.2g}" for error in found["errors"].values()) + " |", ""]
        lines += [
            f"Largest principal angle of {found['axes']} axes learnt by gradient: {found['angle']:.3f} degrees",
            "",
        ]
    if "upsampling" in results:
        lines += ["| upsampling | bits | g_s, ms | at random, % | trained, levels | loss | seconds |", "|---" * 7 + "|"]
        for way, row in results["upsampling"].items():
            run = results[f"up-{way}"]
            rate = bits(results[f"up-{SHUFFLE}"]["points"], run["points"])
            lines.append(
                f"| {way} | {rate:+.1f} % | {row['decode']:.1f} | {row['at random']:.1f} | {run['checkerboard']:.2f}"
                f" | {run['loss']} | {run['seconds']} |"
            )
        lines.append("")
    if "transform-linear" in results and f"up-{SHUFFLE}" in results:
        pair = [results[name]["points"] for name in (f"up-{SHUFFLE}", "transform-linear")]
        lines += [f"linear alone, against deep+linear: {bits(*pair):+.1f} % of bits", ""]
    done = [kind for kind in DISTORTIONS if f"distortion-{kind}" in results]
    if len(done) > 1 and DISTORTIONS[0] in done:
        lines += ["| trained for | " + " | ".join(done) + " | bpp |", "|---" * (2 + len(done)) + "|"]
        before = results["distortion-mse"]["points"]
        for kind in done:
            after = results[f"distortion-{kind}"]["points"]
            rates = " | ".join(f"{bits(before, after, by):+.1f} %" for by in done)
            mean = ", ".join(f"{value:.3f}" for value in np.array(after)[:, :, 0].mean(0))
            lines.append(f"| {kind} | {rates} | {mean} |")
    return "\n".join(lines) + "\n"


def quick_pictures() -> list[Pixels]:
    """Two drawn pictures, to look only that all of it runs."""
    y, x = np.mgrid[:192, :192]
    slopes = [np.stack([x * a + y * b for a, b in ((0.4, 0.5), (0.9, 0.1), (0.2, 0.8))], -1) for _ in range(2)]
    slopes[1][50:120, 60:140] = 200
    noise = np.random.default_rng(0).normal(0, 6, slopes[0].shape)
    return [np.clip(slope + noise, 0, 255).astype(np.uint8) for slope in slopes]


PARTS = ("linear", "transform", "upsampling", "distortion")


def run(only: list[str], out: Path, data: Callable[[], Patches], pictures: list[Pixels], *, quick: bool) -> str:
    """Measure these parts; the table. data: reads what is learnt from, if anything is left to learn."""
    out.mkdir(parents=True, exist_ok=True)
    runs = Runs(out, data, pictures, quick)
    for part in only or PARTS:
        getattr(runs, part)()
    runs.keep("conditions", {"torch": torch.__version__, "threads": torch.get_num_threads(), "pictures": len(pictures)})
    return table(runs.results)


def measure(folders: Sequence[Path] | None, out: Path, only: list[str]) -> str:
    """As `run`, on photographs. folders: to learn from, and to measure on; None: a few steps on drawn pictures."""
    if folders is None:
        with tempfile.TemporaryDirectory() as made:
            pictures = quick_pictures()
            for i, pixels in enumerate(pictures):
                Image.fromarray(pixels).save(Path(made, f"{i}.png"))
            return run(only, out, lambda: Patches([Path(made)], CPU, seed=0), pictures, quick=True)
    *learnt, test = folders
    paths = photographs.find_images([test])
    chosen = paths[:: max(1, len(paths) // PICTURES)][:PICTURES]
    pictures = [centre(np.asarray(photographs.load(path)[0].convert("RGB")), SIDE) for path in chosen]
    return run(only, out, lambda: Patches(learnt, CPU, seed=0, colour="rgb"), pictures, quick=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(measure([*args.data, args.test], args.out, args.only))


if __name__ == "__main__":
    try:
        main()
    except NicError as error:
        sys.exit(str(error))
