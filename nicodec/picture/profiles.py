"""The colour profile that fits the samples: of a picture that is read, and of an image that is written.

Between `declared` and `reader` on one side, under `writer` on the other. Pillow's LittleCMS converts.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from nicodec.errors import warn
from nicodec.picture import icc
from nicodec.picture.declared import Declared

# Formats of Pillow in which gray becomes RGB when it is written.
_WITHOUT_GRAY = ("WEBP", "AVIF")
_DAMAGED = (ImageCms.PyCMSError, OSError, ValueError, TypeError)  # what LittleCMS raises about a profile


def incoming(image: Image.Image, said: Declared, channels: int, notes: list[str]) -> bytes | None:
    """The profile of samples that were read, gray or RGB as `channels` says; None means sRGB.

    said: what the file says beside its profile. A line is added to `notes` where a profile does not fit the samples.
    The profile of a CMYK or LAB image is never kept, because its samples were converted to sRGB.
    """
    if image.mode in ("CMYK", "LAB"):
        return None
    space = icc.GRAY if channels == 1 else icc.RGB
    own = image.info.get("icc_profile") or said.icc
    if isinstance(own, bytes) and own and not said.wins:
        if icc.space_of(own) == space:
            return own
        notes.append("a colour profile that does not fit the pixels was dropped")
    if said.colours is None or said.colours.is_srgb:
        return None
    try:
        return icc.profile(said.colours, space, "the colours that the file states")
    except ValueError:
        notes.append("a damaged description of the colours was left out")
        return None


def outgoing(image: Image.Image, format: str, *, held: bool) -> Image.Image:
    """The image for a file of a format, with a profile in `info` that fits its samples there, or none.

    format: Pillow's name. held: whether such files hold a profile; if not, the samples become sRGB.
    Warns of a conversion, and of a profile that cannot be used. The image itself is not changed.
    """
    own = image.info.get("icc_profile")
    if not own:
        return image
    gray = image.mode in ("1", "L", "LA")
    fits = icc.space_of(own) == (icc.GRAY if gray else icc.RGB)
    if fits and held and not (gray and format in _WITHOUT_GRAY):
        return image
    made = image.copy()
    del made.info["icc_profile"]
    if not fits:
        warn("a colour profile that does not fit the pixels was left out")
        return made
    if held and (as_rgb := icc.rgb_from_gray(own)):
        made.info["icc_profile"] = as_rgb
        return made
    return _as_srgb(made, own, format)


def _as_srgb(image: Image.Image, own: bytes, format: str) -> Image.Image:
    mode, space = ("L", icc.GRAY) if image.mode in ("1", "L", "LA") else ("RGB", icc.RGB)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(own))
        target = ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(icc.Colours(), space, "sRGB")))
        way = ImageCms.buildTransform(source, target, mode, mode, ImageCms.Intent.RELATIVE_COLORIMETRIC,
                                      ImageCms.Flags.BLACKPOINTCOMPENSATION)  # fmt: skip
        probe = _probe(mode)
        moved = np.asarray(ImageCms.applyTransform(probe, way), np.int16) - np.asarray(probe, np.int16)
        if np.abs(moved).max() <= 1:
            return image  # the profile is that of sRGB, under any name
        converted = ImageCms.applyTransform(image if image.mode == mode else image.convert(mode), way)
    except _DAMAGED:
        warn("a damaged colour profile was left out")
        return image
    assert converted is not None
    if image.mode in ("LA", "RGBA"):
        converted.putalpha(image.getchannel("A"))
    converted.info = image.info
    warn(f"the colours were converted to sRGB, because {format} files hold no colour profile")
    return converted


def _probe(mode: str) -> Image.Image:
    """Samples from all over the space of a mode."""
    steps = np.arange(0, 256, 15, np.uint8)
    if mode == "L":
        return Image.fromarray(steps[None])
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3))
