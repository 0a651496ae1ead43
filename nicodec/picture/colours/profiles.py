"""The colour profile that fits the samples: of a picture that is read, and of an image that is written.

Between `declared` and `reader` on one side, under `writer` on the other. Pillow's LittleCMS converts.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from nicodec.errors import warn
from nicodec.picture.colours import icc
from nicodec.picture.colours.declared import Declared

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
    gray = image.mode in ("1", "L", "LA")
    mode = "L" if gray else "RGB"
    try:
        probe = _converted(_probe(mode), own)
        if np.abs(np.asarray(probe, np.int16) - np.asarray(_probe(mode), np.int16)).max() <= 1:
            return image  # the profile is that of sRGB, under any name
        plain = image if image.mode == mode else image.convert(mode)
        converted = plain.point(list(probe.tobytes())) if gray else _converted(plain, own)
    except _DAMAGED:
        warn("a damaged colour profile was left out")
        return image
    if image.mode in ("LA", "RGBA"):
        converted.putalpha(image.getchannel("A"))
    converted.info = image.info
    warn(f"the colours were converted to sRGB, because {format} files hold no colour profile")
    return converted


def _converted(image: Image.Image, own: bytes) -> Image.Image:
    """An image of mode L or RGB in sRGB. Raises what LittleCMS raises about a profile."""
    mode = image.mode
    if mode == "L" and (as_rgb := icc.rgb_from_gray(own)):  # LittleCMS is exact for these, and coarse for gray ones
        image, own = image.convert("RGB"), as_rgb
    way = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(own)), ImageCms.createProfile("sRGB"), image.mode, "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip
    made = ImageCms.applyTransform(image, way)
    assert made is not None
    return made.getchannel("G") if mode == "L" else made


def _probe(mode: str) -> Image.Image:
    """All samples of gray, or samples from all over RGB."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.arange(0, 256, 15, np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3))
