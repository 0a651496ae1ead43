"""Samples -> a few colours and the number of the nearest one for each pixel, by Pillow.

Under `coding.drawing`, which smooths the numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nicodec.picture import Array

# The colours are found on at most this many pixels, evenly spaced.
MOST = 2**16
# The rounds of k-means end when less than this share of the pixels gets another colour.
_FEW = 1 / 512


def reduced(pixels: Array, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """uint8 (H, W, 1 or 3) -> labels uint8 (H, W), and colours float32 (count, 1 or 3) on the scale 0..255.

    count: 2..256. Fewer colours may be in use. Source: median cut, P. Heckbert, "Color image quantization for frame
    buffer display" (1982), refined by k-means.
    """
    height, width, channels = pixels.shape
    step = max(1, int((height * width / MOST) ** 0.5))
    sample = _image(pixels[::step, ::step])
    few = max(1, round(_FEW * sample.width * sample.height))
    found = sample.quantize(count, Image.Quantize.MEDIANCUT, kmeans=few, dither=Image.Dither.NONE)
    labels = _image(pixels).quantize(palette=found, dither=Image.Dither.NONE)
    table: list[Any] = found.getpalette("RGB") or []
    colours = np.zeros((256, 3), np.float32)
    colours.reshape(-1)[: len(table)] = table
    return np.array(labels), colours[:count, :channels]


def _image(pixels: Array) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]))
    return image.convert("RGB")
