"""The recipes of docs/AUTOENCODERS.md that use the codec itself: noise, holes, and a way around the latent.

`recipes.py` runs them. Each starts from `photo-fast`, learns from five photographs of scikit-image, and restores the
sixth, chelsea, which it has not seen. Rates are estimates.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nicodec.bench import photographs
from nicodec.model import checkpoint
from nicodec.picture import metrics
from nicodec.picture.sheet import side_by_side
from nicodec.train import validate
from nicodec.train.data import Patches
from nicodec.train.options import Options
from nicodec.train.trainer import Trainer

NOISE, HOLES = {"clean_from": "noise:25"}, {"clean_from": "holes:32"}
RECIPES: dict[str, dict[str, Any]] = {
    "denoise": NOISE | {"freeze": "decoder"},
    "denoise-both": NOISE | {"freeze": "none"},
    "denoise-decoder": NOISE | {"freeze": "encoder"},
    "denoise-skips": NOISE | {"freeze": "none", "skips": True},
    "inpaint": HOLES | {"freeze": "decoder"},
}
STEPS, SIDE = 300, 256


def run(name: str, out: Path, *, quick: bool) -> dict[str, Any]:
    """Train and measure one recipe, and draw chelsea as it is, damaged and restored."""
    options, begun = RECIPES[name], time.process_time()
    start = checkpoint.load(checkpoint.find("photo-fast"))
    learnt = [path for path in photographs.photographs() if path.stem != "chelsea"]
    test = [path for path in photographs.photographs() if path.stem == "chelsea"]
    few = {"steps": 2, "batch": 2, "patch": 64} if quick else {"steps": STEPS, "batch": 8, "patch": 128}
    data = Patches(learnt[:1] if quick else learnt, torch.device("cpu"), 0, validation=test)
    trainer = Trainer(Options(**few, **options, rate=1e-3, model=start.config), data, fresh=False)
    trainer.start_from(start)
    for _ in range(few["steps"]):
        trainer.train_step()
    with trainer.averaged() as model:
        (curve,) = validate.curves(model, trainer.held, (5000, 10000), side=SIDE, amp=trainer.amp)
        both = torch.from_numpy(validate.centre(trainer.held[0], SIDE))
        with torch.no_grad():
            made = model(both[None, ..., :3].float() / 255 - 0.5, torch.tensor([10000])).pixels[0]
    clean, damaged = both[..., 3:].numpy(), both[..., :3].numpy()
    restored = ((made.clamp(-0.5, 0.5) + 0.5) * 255).round().to(torch.uint8).numpy()
    before, after = (metrics.psnr(clean, each) for each in (damaged, restored))
    shown = [("clean", clean), (f"damaged, {before:.1f} dB", damaged), (f"restored, {after:.1f} dB", restored)]
    sheet = side_by_side([[(label, Image.fromarray(np.ascontiguousarray(each))) for label, each in shown]])
    (out / f"{name}.png").write_bytes(sheet)
    (_, half), (bpp, error) = curve
    said = {k: v for k, v in options.items() if (k, v) != ("freeze", "encoder")}
    said |= {"decoder_only": True} if len(said) < len(options) else {}
    return {
        "options": said | few,
        "seconds": round(time.process_time() - begun, 1),
        "figures": {
            "PSNR damaged": before,
            "at quality 50": 10 * np.log10(255**2 / half),
            "at quality 100": 10 * np.log10(255**2 / error),
            "bpp": bpp,
        },
    }
