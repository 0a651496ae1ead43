"""Two pictures, or one and a direction -> pictures between or beyond, made in the codec's latents and in pixels.

Above `codec`, which decodes changed latents; under the command `interpolate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nicodec.codec import Codec
from nicodec.coding.latents import Latents
from nicodec.errors import LimitExceeded, NicError
from nicodec.explore import sketch
from nicodec.picture import Array, Picture, metrics, sheet, writer

# The most pixels of a picture: its latents take 35 bytes for each, and several are held at once.
MOST_PIXELS = 1 << 24
# The longer side of each picture of a strip, in pixels; smaller ones are enlarged to about it.
PANEL = 256

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """One step. share: 0 is the first picture. latent: of mixed latents, pixel: of mixed samples; uint8 (H, W, 3)."""

    share: float
    latent: Array
    pixel: Array

    @property
    def psnr(self) -> float:
        """How near the two are, in dB."""
        return metrics.psnr(self.latent, self.pixel)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture and its latents. deep, linear: (C, 4r, 4s). pixels: uint8 (H, W, 3), over white."""

    pixels: Array
    latents: Latents

    @classmethod
    def of(cls, picture: Picture, codec: Codec, quality: float) -> Seen:
        """Encoded with loss at a quality. Raises LimitExceeded over `MOST_PIXELS`, and as `Codec.encode`."""
        height, width = picture.pixels.shape[:2]
        if height * width > MOST_PIXELS:
            raise LimitExceeded(f"a picture of {width}x{height} is too large: {MOST_PIXELS:,} pixels at most")
        pixels = sketch.shown(picture)
        return cls(pixels, codec.latents(codec.encode(Picture(pixels), quality=quality, lossless=False)))

    @property
    def parts(self) -> tuple[Floats, Floats, Floats]:
        """Deep channels, linear channels and samples, float64."""
        deep, linear = self.latents.deep.astype(np.float64), self.latents.linear.astype(np.float64)
        return deep, linear, self.pixels.astype(np.float64)

    def changed(self, codec: Codec, share: float, parts: Iterable[Floats]) -> Step:
        """The step of new deep channels, linear channels and samples."""
        deep, linear, pixels = parts
        mixed = replace(self.latents, deep=deep.astype(np.float32), linear=linear.astype(np.float32))
        height, width = self.pixels.shape[:2]
        made = np.ascontiguousarray(codec.from_latents(mixed)[:height, :width])
        return Step(share, made, np.rint(pixels).clip(0, 255).astype(np.uint8))


def between(first: Seen, second: Seen, codec: Codec, steps: int) -> list[Step]:
    """From the first picture to the second in so many steps, at least two. Raises NicError for two sizes."""
    sizes = [f"{seen.pixels.shape[1]}x{seen.pixels.shape[0]}" for seen in (first, second)]
    if sizes[0] != sizes[1]:
        raise NicError(f"only pictures of one size have a way between them, not {sizes[0]} and {sizes[1]}")
    ends = list(zip(first.parts, second.parts, strict=True))
    shares = np.linspace(0, 1, steps).tolist()
    return [first.changed(codec, share, ((1 - share) * a + share * b for a, b in ends)) for share in shares]


class Mean:
    """The mean of pictures, of one size or of several.

    Of one size it has a value for each place; of several, one for each channel, over all places.
    """

    def __init__(self) -> None:
        self._count, self._sums, self._flat = 0, None, None

    _sums: list[Floats] | None
    _flat: list[Floats] | None

    def add(self, seen: Seen) -> None:
        """One more picture."""
        parts = list(seen.parts)
        flat = [parts[0].mean((1, 2), keepdims=True), parts[1].mean((1, 2), keepdims=True), parts[2].mean((0, 1))]
        same = self._sums is not None and all(a.shape == b.shape for a, b in zip(self._sums, parts, strict=True))
        if self._count == 0:
            self._sums, self._flat = parts, flat
        else:
            assert self._flat is not None
            self._sums = [a + b for a, b in zip(self._sums or (), parts, strict=True)] if same else None
            self._flat = [a + b for a, b in zip(self._flat, flat, strict=True)]
        self._count += 1

    def parts(self, like: Seen | None) -> list[Floats] | None:
        """The mean deep channels, linear channels and samples: for each place of a picture, or for each channel.

        None if there are no pictures, or none of the size of `like`.
        """
        sums = self._flat if like is None else self._sums
        if sums is None or (like is not None and sums[2].shape != like.pixels.shape):
            return None
        return [part / self._count for part in sums]


def along(start: Seen, plus: Mean, minus: Mean, codec: Codec, amounts: Sequence[float]) -> tuple[list[Step], bool]:
    """A picture plus amounts of (mean of `plus` - mean of `minus`), and whether each place has a change of its own.

    That is so if all pictures have the size of the first; else each channel changes by one number everywhere. Raises
    NicError where a mean has no pictures.
    """
    high, low = plus.parts(start), minus.parts(start)
    placed = high is not None and low is not None
    if not placed:
        high, low = plus.parts(None), minus.parts(None)
    if high is None or low is None:
        raise NicError("a direction needs pictures on both of its sides")
    ways = [a - b for a, b in zip(high, low, strict=True)]
    own = list(zip(start.parts, ways, strict=True))
    return [start.changed(codec, amount, (a + amount * way for a, way in own)) for amount in amounts], placed


def strip(steps: Sequence[Step], sign: str = "") -> bytes:
    """PNG of the steps: those of latents above those of pixels. sign: before each share."""
    rows = [
        [(f"{name} {sign}{step.share:g}", writer.to_pil(Picture(_panel(getattr(step, kind))))) for step in steps]
        for name, kind in (("latents", "latent"), ("pixels", "pixel"))
    ]
    return sheet.side_by_side(rows, panel_width=PANEL)


def _panel(pixels: Array) -> Array:
    height, width = pixels.shape[:2]
    factor = PANEL / max(height, width)
    if factor >= 1:
        return pixels
    return writer.resized(pixels, max(1, round(width * factor)), max(1, round(height * factor)))
