"""A number for each cell of a picture -> one PNG: the numbers as colours over the picture, and a legend.

Beside `sheet`; the command `cost` draws with it.
"""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nicodec.picture import Array
from nicodec.picture.sheet import INK

# From dark blue over green to yellow: even steps to the eye, and the same order to the colour-blind and in print.
# These are stops of viridis (N. Smith and S. van der Walt, 2015, CC0).
STOPS = np.array(
    [(68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142), (31, 158, 137), (53, 183, 121),
     (110, 206, 88), (181, 222, 43), (253, 231, 37)]
)  # fmt: skip
# The share of the colours; the rest is the picture in gray, by which a reader finds the place.
OVER = 0.68
# The longer side of the picture that is drawn, in pixels.
LEAST, MOST = 512, 2048


def overlay(pixels: Array, values: npt.NDArray[np.float64], title: str) -> bytes:
    """PNG of a picture under the colours of its cells, with a legend below it.

    pixels: uint8 (H, W, 1 or 3). values: (rows, columns), at least 0, one for each cell of 16 pixels. title: the text
    of the legend. Small pictures are enlarged without smoothing, large ones reduced. Colours follow the root of a
    value, since few cells have large ones. The largest 0.5 % have the colour of the end of the scale.
    """
    height, width = pixels.shape[:2]
    longer = max(height, width)
    factor = max(1, LEAST // longer) if longer <= MOST else MOST / longer
    size = max(1, round(width * factor)), max(1, round(height * factor))
    gray = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("L")
    how = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    under = np.asarray(gray.resize(size, how), np.float32)[:, :, None]
    top = max(1.0, float(np.percentile(values, 99.5)))
    rows, columns = (
        np.minimum(np.arange(n) / factor // 16, most - 1).astype(int)
        for n, most in zip(size[::-1], values.shape, strict=True)
    )
    over = colours(values, top)[rows][:, columns]
    shown = Image.fromarray((OVER * over + (1 - OVER) * under).round().astype(np.uint8))
    legend = _legend(max(size[0], 320), top, title, most=float(values.max()))
    sheet = Image.new("RGB", (legend.width, size[1] + legend.height), "white")
    sheet.paste(shown, ((legend.width - size[0]) // 2, 0))
    sheet.paste(legend, (0, size[1]))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def colours(values: npt.NDArray[np.float64], top: float) -> npt.NDArray[np.float32]:
    """Values of any shape, 0 to `top` -> red, green, blue, 0..255, float32 (..., 3); values above count as `top`."""
    place = np.sqrt(np.clip(values / top, 0, 1)) * (len(STOPS) - 1)
    return np.stack([np.interp(place, range(len(STOPS)), channel) for channel in STOPS.T], -1).astype(np.float32)


def _legend(width: int, top: float, title: str, most: float) -> Image.Image:
    """The scale with numbers at even steps of its colours. most: the largest value, named if it is above the end."""
    scale = max(1, round(width / 640))
    margin, bar = 14 * scale, 14 * scale
    image = Image.new("RGB", (width, 68 * scale), "white")
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(14 * scale), ImageFont.load_default(12 * scale)
    draw.text((margin, 7 * scale), title, fill=INK, font=large, anchor="lt")
    length, above = width - 2 * margin, 28 * scale
    steps = np.linspace(0, 1, length) ** 2 * top
    ramp = OVER * colours(steps, top) + (1 - OVER) * 128
    strip = np.broadcast_to(ramp.round().astype(np.uint8), (bar, length, 3))
    image.paste(Image.fromarray(np.ascontiguousarray(strip)), (margin, above))
    for value in marks(top):
        x = margin + round(math.sqrt(value / top) * (length - 1))
        draw.line((x, above + bar, x, above + bar + 4 * scale), fill=INK, width=scale)
        text = f"{value:,.0f}{' and more' * (value == top and most > top)}"
        anchor = "lt" if value == 0 else "rt" if value == top else "mt"
        draw.text((x, above + bar + 7 * scale), text, fill=INK, font=small, anchor=anchor)
    return image


def marks(top: float) -> list[float]:
    """The numbers on a scale from 0 to `top`, at least 1: round ones between the ends, with room for each."""
    found = [0.0]
    for value in (m * 10.0**e for e in range(8) for m in (1, 2, 5)):
        place = math.sqrt(value / top)
        if place - math.sqrt(found[-1] / top) >= 0.12 and place <= 0.75:
            found.append(value)
    return [*found, top]
