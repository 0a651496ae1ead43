"""Drawn training patches: what photographs show too rarely, such as letters, lights, illustrations and patterns.

For training: some of them stand among the patches of photographs. Everything follows from the generator and the fonts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nicodec.picture.scenes import charts, flat, lettering, lights, patterns, windows
from nicodec.picture.scenes.fonts import Fonts
from nicodec.picture.scenes.pens import Pixels

__all__ = ["KINDS", "Draw", "Fonts", "draw"]

Draw: TypeAlias = Callable[[np.random.Generator, Pixels, Fonts], Pixels]

# Each kind of scene, and how often it is drawn among all of them.
KINDS: dict[Draw, float] = {
    patterns.draw: 0.22,
    lettering.overlay: 0.15,
    lettering.page: 0.10,
    lights.neon: 0.07,
    lights.points: 0.05,
    lights.bokeh: 0.04,
    lights.texture: 0.04,
    flat.shapes: 0.08,
    flat.landscape: 0.04,
    flat.plan: 0.03,
    flat.icons: 0.03,
    flat.sprites: 0.03,
    charts.chart: 0.04,
    charts.diagram: 0.02,
    windows.window: 0.06,
}


def draw(rng: np.random.Generator, photograph: Pixels, fonts: Fonts) -> Pixels:
    """A patch of the size of a photograph (side, side, 3), which some scenes show or change."""
    kind = rng.choice(len(KINDS), p=list(KINDS.values()))
    return list(KINDS)[kind](rng, photograph, fonts)
