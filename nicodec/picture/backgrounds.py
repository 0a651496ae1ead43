"""Transparent images -> images without alpha, laid over a colour or over squares that show what is clear.

Under `writer`, which knows the formats that have no alpha, and `sheet`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from PIL import Image, ImageColor

from nicodec.errors import BadImage, NicError, warn

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# The grays of the squares that show what is clear; the page of `compare` has the same.
SQUARES = (240, 200)


def colour(text: str) -> Colour:
    """A colour of CSS, by its name or as #rrggbb or #rgb. Raises NicError for any other text."""
    try:
        # Pillow takes more: rgb(), hsl(), and colours with alpha.
        found = ImageColor.getrgb(text) if text.isalnum() or text[:1] == "#" else ()
    except ValueError:
        found = ()
    if len(found) != 3:
        raise NicError(f"a colour is a name of CSS, such as white, or #rrggbb, not {text!r}")
    return found


def flat(image: Image.Image, background: Colour) -> Image.Image:
    """An image without alpha: the image over a colour. Its metadata stays; gray over a gray colour stays gray.

    The colour is taken as samples of the image, whatever its colour profile is.
    """
    if not image.has_transparency_data:
        return image
    gray = image.mode in ("L", "LA", "La")
    with_alpha = image.convert("LA" if gray else "RGBA")
    if gray and len(set(background)) > 1:
        with_alpha = with_alpha.convert("RGBA")
        gray = False
        if with_alpha.info.pop("icc_profile", None):
            warn("the gray colour profile was dropped, because it does not fit a background of colour")
    alpha = with_alpha.getchannel("A")
    result = Image.new("L" if gray else "RGB", image.size, background[0] if gray else background)
    result.paste(with_alpha.convert(result.mode), mask=alpha)
    result.info = {key: value for key, value in with_alpha.info.items() if key != "transparency"}
    return result


def checkered(image: Image.Image, side: int = 8) -> Image.Image:
    """An RGB image: the image over gray squares, as programs show what is clear. side: of a square, in pixels."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    rows, columns = (np.arange(n) // side % 2 for n in (image.height, image.width))
    squares = Image.fromarray(np.where(rows[:, None] == columns, *SQUARES).astype(np.uint8)).convert("RGB")
    with_alpha = image.convert("RGBA")
    squares.paste(with_alpha.convert("RGB"), mask=with_alpha.getchannel("A"))
    return squares


def opaque(image: Image.Image, name: str, format: str) -> Image.Image:
    """The image without its alpha, which must be 255 everywhere.

    Raises BadImage, naming `name`, for an image that is transparent anywhere. format: one that has no alpha.
    """
    if not image.has_transparency_data:
        return image
    # Pillow turns the clear colour of an image of mode L, P or RGB into alpha.
    gray = image.mode in ("L", "LA", "La")
    if image.convert("LA" if gray else "RGBA").getchannel("A").getextrema() != (255, 255):
        raise BadImage(
            f"{name}: the picture is transparent, and {format} has no alpha: give a colour to lay it over"
            " (--background white; background= in Python), or write PNG, WebP, AVIF or TIFF"
        )
    return flat(image, (0, 0, 0))
