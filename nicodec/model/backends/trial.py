"""A trial before a backend's first picture: what it computes is held against ONNX Runtime's float32 on the CPU.

Between `cpu`, which opens the graphs, and the backends. Drivers and compilers have faults that no property tells.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from nicodec.errors import BadModel, NicError
from nicodec.model.backends.interface import Networks, Planes, Runner

# The most that a sample may differ, in levels of 255.
MOST = 2
QUALITY, SIDE = 50.0, 128

_passed: set[tuple[str, str, str]] = set()


def hold(made: Runner, name: str, backend: str, here: Networks) -> None:
    """Raise NicError if a graph of `MOVED` of a backend is further from that of the CPU than MOST allows.

    made: the graph of this name. here: the networks of the same model on the CPU. A trial that was passed is not
    repeated in this process. Latents are compared by the pictures that the CPU makes of them.
    """
    key = backend, name, here.checkpoint.sha256
    if key in _passed:
        return
    x = picture(here.checkpoint.config.colours)
    latent, off = here.g_a(x, QUALITY), np.inf
    given = {"x": x} if name == "g_a" else {"y": latent}
    if name == "g_s_natural":
        sides = 2 * latent.shape[2], 2 * latent.shape[3]
        given["noise"] = np.random.default_rng(0).standard_normal((1, here.checkpoint.config.noise, *sides), np.float32)
        wanted = here.g_s_natural(latent, given["noise"], QUALITY)
    else:
        wanted = here.g_s(latent, QUALITY)
    (found,) = made.run(given | {"q": np.array([[QUALITY]], np.float32)})
    if name != "g_a" and found.shape == wanted.shape:
        off = levels(found, wanted)
    elif found.shape == latent.shape:
        with suppress(BadModel):  # for latents beyond all bounds
            off = levels(here.g_s(found, QUALITY), wanted)
    if not off <= MOST:  # negated, so that NaN fails too
        raise NicError(
            f"the backend {backend} computes {name} wrongly here: samples are off by {off:.3g} of 255, where {MOST} are"
            " allowed; use backend cpu"
        )
    _passed.add(key)


def levels(one: Planes, other: Planes) -> float:
    """The largest difference of two arrays of samples, both cut off at [-1/2, 1/2], in levels of 255."""
    return 255 * float(np.abs(np.clip(one, -0.5, 0.5) - np.clip(other, -0.5, 0.5)).max())


def picture(colours: int) -> Planes:
    """A drawn picture (1, colours, SIDE, SIDE) in [-1/2, 1/2]: slow waves, a disc with a sharp edge, fine stripes."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    waves = [np.sin(x / (19 + 4 * c)) * np.cos(y / (23 - 3 * c)) for c in range(colours)]
    disc = 0.3 * ((x - 70) ** 2 + (y - 50) ** 2 < 900)
    stripes = 0.1 * np.sin(x + 0.4 * y) * (y > 80)
    result: Planes = (np.stack([0.25 * wave + disc + stripes - 0.1 for wave in waves]))[None].astype(np.float32)
    return np.ascontiguousarray(np.clip(result, -0.5, 0.5))
