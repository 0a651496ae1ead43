"""Pictures without loss, and maps of differences, as data URIs for an HTML page; and the page, filled in.

Beside `writer`; `bench.comparison` and `explore.chart` build their pages with them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re

import numpy as np
from PIL import Image

from nicodec.picture import Array, Picture, backgrounds, writer

_WEBP_SIDE = 16383  # the longest side of a WebP file, in pixels


# From black over red to light yellow, in steps even to the eye, because the map is read by its brightness.
_HEAT = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39),
     (252, 255, 164)]
)  # fmt: skip


def embedded(picture: Picture) -> str:
    """A data URI without loss: WebP, which is smaller, or PNG for gray and for sides over 16,383 pixels.

    WebP has no gray, and the colour profile of a gray picture does not fit RGB.
    """
    pil = writer.to_pil(picture)
    icc = picture.beside.icc or b""
    if picture.pixels.shape[2] == 3 and max(pil.size) <= _WEBP_SIDE:
        # These settings take a seventh of the default's time, for 5 % more bytes.
        return data_uri(pil, "WEBP", lossless=True, exact=True, method=1, quality=20, icc_profile=icc)
    return data_uri(pil, "PNG", icc_profile=icc)


def thumbnail(picture: Picture, side: int) -> str:
    """A data URI of the picture at `side` pixels at most, over gray squares where it is clear, with some loss."""
    pil = backgrounds.checkered(writer.to_pil(picture))
    pil.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
    return data_uri(pil, "WEBP", quality=80)


def heat_map(difference: Array, scale: int) -> str:
    """uint8 (H, W) -> a data URI of a PNG, whose palette runs from 0 to `scale`; larger differences show as `scale`."""
    stops = np.linspace(0, len(_HEAT) - 1, scale + 1)
    colours = [np.interp(stops, range(len(_HEAT)), channel) for channel in _HEAT.T]
    pil = Image.fromarray(np.minimum(difference, scale))
    pil.putpalette(np.stack(colours, 1).round().astype(np.uint8).tobytes())
    return data_uri(pil, "PNG")


def data_uri(pil: Image.Image, kind: str, **options: object) -> str:
    """A Pillow image in one of Pillow's formats, as a data URI."""
    buffer = io.BytesIO()
    pil.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def filled(page: str, **values: str) -> str:
    """A template with all its places `{{name}}` filled in one pass, so that what is filled in is never a place.

    Only the style and the script with the right hashes may run, so no script in a name can.
    """
    for kind in ("style", "script"):
        if (text := re.search(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)) is not None:
            values[kind] = "sha256-" + base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], page)
