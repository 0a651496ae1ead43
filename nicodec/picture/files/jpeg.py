"""A JPEG, and pixels -> these pixels, compressed in the same way.

Under `explore.evidence`, which asks whether one JPEG was made of another picture.
"""

from __future__ import annotations

import io

from PIL import Image, JpegImagePlugin

from nicodec.errors import BadImage
from nicodec.picture import Array
from nicodec.storage.files import shown


def like(path: str, pixels: Array) -> bytes:
    """uint8 (H, W, 3) -> a JPEG with the tables and the subsampling of another one.

    Raises BadImage for what is no JPEG, and for one in other colours than gray and RGB; OSError if it cannot be read.
    """
    with Image.open(path) as image:
        if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
            raise BadImage(f"{shown(path)}: not a JPEG in gray or RGB")
        tables, sampling, mode = image.quantization, JpegImagePlugin.get_sampling(image), image.mode
    made = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(made, "JPEG", qtables=tables, subsampling=sampling)
    return made.getvalue()
