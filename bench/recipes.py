"""The recipes of docs/AUTOENCODERS.md, run one after the other: a table of figures, and the sheets.

    python bench/recipes.py FOLDER -o OUT                 all short runs, on the pictures of a folder
    python bench/recipes.py FOLDER -o OUT --long          the long run for the likelihood too
    python bench/recipes.py FOLDER -o OUT --only vq fsq   these alone; the table keeps what is there of the others
    python bench/recipes.py FOLDER -o OUT --photographs TRAIN TEST     `parts.py` too, on these folders
    python bench/recipes.py -o OUT --quick                a few steps of each, on drawn shapes: only that they run

`make recipes` calls it. OUT gets `results.json`, `table.md`, and a sheet for each recipe. Times are processor time.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cleaned
import parts
import torch

from nicodec import progress
from nicodec.errors import NicError
from nicodec.train import figures, small, vae

EVERYWHERE = ("squared error", "cross-entropy")
KL = ("-ELBO", "NLL", "KL to normal", "active units", "units over 0.1 nats")


@dataclass(frozen=True)
class Recipe:
    """One run. options: of `vae.Config`. shown: its figures in the table. sheets: what is drawn."""

    name: str
    options: dict[str, Any]
    shown: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    samples: int = 0
    most: int = 10_000


def _recipes() -> list[Recipe]:
    kl = {"latent": "kl", "width": 32, "binarise": True, "steps": 2000, "lr": 3e-3}
    plain = {"latent": "plain", "steps": 1500}
    conv = plain | {"net": "conv", "hidden": 128, "steps": 300}
    prior = {"latent": "kl", "binarise": True, "schedule": "anneal", "steps": 1500}
    jacobian = ("Jacobian", "Jacobian / spread", "distance to normal", "near zero")
    drawn = {"samples": 100, "most": 500}
    return [
        Recipe("plain", plain, jacobian, ("reconstruct", "interpolate", "sample")),
        *(Recipe(f"pool-{pool}", conv | {"pool": pool}) for pool in vae.POOLS),
        Recipe("kl", kl, KL, ("reconstruct", "sample", "interpolate", "traverse"), **drawn),
        Recipe("kl-anneal", kl | {"schedule": "anneal"}, KL, **drawn),
        Recipe("kl-cyclic", kl | {"schedule": "cyclic"}, KL, **drawn),
        Recipe("kl-free-bits", kl | {"free_bits": 0.1}, KL, **drawn),
        Recipe("kl-beta-4", kl | {"beta": 4.0}, KL, ("traverse",), **drawn),
        Recipe("plane", {"latent": "kl", "width": 2, "steps": 2000, "lr": 3e-3}, KL, ("grid",), samples=20, most=500),
        Recipe("prior-normal", prior, KL, ("sample",), **drawn),
        Recipe("prior-flow", prior | {"prior": "flow"}, KL, ("sample",), **drawn),
        Recipe(
            "conditional",
            kl | {"conditional": True, "width": 8, "beta": 3.0, "steps": 3000},
            ("samples named rightly", *KL),
            ("sample",),
        ),
        Recipe("vq", plain | {"latent": "vq", "width": 32}, ("codes in use",), ("reconstruct", "sample")),
        Recipe("fsq", plain | {"latent": "fsq", "width": 32}, ("codes in use",), ("reconstruct", "sample")),
        Recipe("adversarial", plain | {"latent": "adversarial", "penalty": 10.0}, jacobian, ("sample",)),
        Recipe("sparse-l1", plain | {"latent": "sparse-l1", "width": 64, "penalty": 0.3}, ("near zero",)),
        Recipe(
            "sparse-kl", plain | {"latent": "sparse-kl", "width": 64, "penalty": 20.0}, ("near zero", "mean activation")
        ),
        Recipe("contractive", plain | {"latent": "contractive", "penalty": 0.1}, jacobian),
        Recipe("hole", plain | {"hole": 0.35, "width": 32}, ("squared error in the hole",), ("reconstruct",)),
        Recipe("anomaly", plain | {"only": 0}, ("AUROC",), ("reconstruct",)),
    ]


# 30 minutes of two cores; figures of 500 draws for each picture take as long again.
LONG = Recipe(
    "likelihood",
    {
        "latent": "kl",
        "net": "conv",
        "width": 40,
        "binarise": True,
        "schedule": "anneal",
        "bf16": True,
        "steps": 9000,
        "lr": 2e-3,
    },
    KL,
    ("sample", "reconstruct"),
    samples=500,
)


def run(recipe: Recipe, data: small.Data, out: Path) -> dict[str, Any]:
    """Train, measure and draw one recipe; writes its model and its sheets."""
    config, begun = vae.Config(**recipe.options), time.process_time()
    model = vae.fit(config, data)
    seconds = time.process_time() - begun
    vae.write_model(out / f"{recipe.name}.vae", model, overwrite=True)
    for kind in recipe.sheets:
        (out / f"{recipe.name}-{kind}.png").write_bytes(small.png(figures.sheet(model, kind, data)))
    found = figures.measure(model, data, recipe.samples, recipe.most, naming=min(600, config.steps))
    return {"options": recipe.options, "seconds": round(seconds, 1), "figures": found}


def table(recipes: list[Recipe], results: dict[str, Any]) -> str:
    """Markdown: one row for each recipe that was run."""
    lines = ["| recipe | options | figures | seconds |", "|---|---|---|---|"]
    for recipe in recipes:
        if (result := results.get(recipe.name)) is not None:
            names = [name for name in (*EVERYWHERE, *recipe.shown) if name in result["figures"]]
            values = "; ".join(f"{name} {result['figures'][name]:.4g}" for name in names)
            options = [
                "--" + k.replace("_", "-") + ("" if v is True else f" {v}") for k, v in result["options"].items()
            ]
            lines.append(f"| {recipe.name} | `{' '.join(options)}` | {values} | {result['seconds']:g} |")
    for name in cleaned.RECIPES:
        if (result := results.get(name)) is not None:
            options = " ".join(
                f"--{k.replace('_', '-')}{'' if v is True else f' {v}'}" for k, v in result["options"].items()
            )
            values = "; ".join(f"{figure} {value:.4g}" for figure, value in result["figures"].items())
            lines.append(f"| {name} | `{options}` | {values} | {result['seconds']:g} |")
    for width, (ours, axes) in results.get("elbow", {}).items():
        lines.append(f"| elbow | `--width {width}` | squared error {ours:.5f}; principal axes {axes:.5f} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--photographs", nargs=2, type=Path, metavar=("TRAIN", "TEST"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    args = parser.parse_args()
    if bool(args.data) == args.quick:
        parser.error("give a folder of pictures, or --quick")
    recipes, widths = [*_recipes(), *([LONG] if args.long else [])], [1, 2, 4, 8, 16, 32, 64]
    photographs = parts.PARTS if args.photographs or args.quick else ()
    names = [*(r.name for r in recipes), "elbow", *photographs, *cleaned.RECIPES]
    if unknown := [name for name in args.only if name not in names]:
        parser.error(f"there is no recipe {', '.join(unknown)}; there are {', '.join(names)}")
    elbow = vae.Config(latent="plain", steps=1000, lr=3e-3)
    if args.quick:
        few = {"steps": 10, "batch": 20, "hidden": 32}
        recipes = [replace(r, options=r.options | few, samples=min(4, r.samples), most=100) for r in recipes]
        elbow, widths = replace(elbow, **few), [1, 2]
    data = small.load("drawn" if args.quick else args.data)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() and args.only else {}
    results["conditions"] = {
        "data": Path(args.data or "drawn").name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    for name in names:
        if args.only and name not in args.only:
            continue
        progress.say(name)
        if name == "elbow":
            results[name] = {str(w): pair for w, pair in figures.elbow(elbow, data, widths).items()}
            (args.out / "elbow.png").write_bytes(small.plot({int(w): pair for w, pair in results[name].items()}))
        elif name in parts.PARTS:
            parts.measure(args.photographs, args.out, [name])
            continue
        elif name in cleaned.RECIPES:
            results[name] = cleaned.run(name, args.out, quick=args.quick)
        else:
            results[name] = run(next(r for r in recipes if r.name == name), data, args.out)
        kept.write_text(json.dumps(results, indent=1))
        (args.out / "table.md").write_text(table(recipes, results))
    written = [args.out / name for name in ("table.md", "parts.md")]
    print("\n".join(path.read_text() for path in written if path.is_file()))


if __name__ == "__main__":
    try:
        main()
    except NicError as error:
        sys.exit(str(error))
