"""A Pillow image of any mode -> 8-bit planes, and a note for each loss or conversion.

Under `reader`, before `metadata` turns the planes upright.
"""

import io

import numpy as np
from PIL import Image, ImageCms

from nicodec.errors import BadImage
from nicodec.picture import Array, whole
from nicodec.picture.files.meaning import DIVIDED
from nicodec.picture.files.tiffs import PLAIN, Samples

_STRIP = 256  # rows converted at a time


def planes(image: Image.Image, name: str, notes: list[str], manner: Samples = PLAIN) -> tuple[Array, Array | None]:
    """Pixels uint8 (H, W, 1) or (H, W, 3), and alpha uint8 (H, W) or None, of an image of any mode.

    manner: how gray samples are to be read. Adds a line to `notes` for each loss or conversion. Raises
    BadImage, naming `name`, for samples out of range.
    """
    mode = image.mode
    if mode == "F" or mode == "I" or mode.startswith("I;16"):
        return _wide_gray(image, name, notes, manner)
    if mode == "CMYK" or mode == "LAB":
        image = _to_srgb(image, notes)
    elif mode in ("YCbCr", "HSV"):
        notes.append(f"{mode} was converted to RGB")
    elif mode in ("La", "RGBa"):
        notes.append(DIVIDED)
    gray = mode in ("1", "L", "LA", "La")
    clear = image.has_transparency_data
    target = ("LA" if gray else "RGBA") if clear else ("L" if gray else "RGB")
    height, width = image.height, image.width
    pixels = np.empty((height, width, 1 if gray else 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if clear else None
    # Strip by strip, because at once Pillow would hold three copies of the picture.
    for top in range(0, height, _STRIP):
        strip = image.crop((0, top, width, min(top + _STRIP, height)))
        samples = np.asarray(strip if strip.mode == target else strip.convert(target))
        samples = samples.reshape(strip.height, width, -1)
        pixels[top : top + _STRIP] = samples[:, :, : pixels.shape[2]]
        if alpha is not None:
            alpha[top : top + _STRIP] = samples[:, :, -1]
    if manner.inverted:
        np.subtract(255, pixels, out=pixels)
    return pixels, alpha


def _wide_gray(image: Image.Image, name: str, notes: list[str], manner: Samples) -> tuple[Array, Array | None]:
    samples = np.asarray(image)
    if manner.white > 2**31:
        samples = samples.view(np.uint32)  # Pillow has no unsigned samples of 32 bits
    low, high = samples.min(), samples.max()
    top = manner.white if image.mode != "F" else 255
    if not (low >= 0 and high <= top):  # negated, so that NaN is refused too
        raise BadImage(f"{name}: samples from {low} to {high} in mode {image.mode}, which must be 0 to {top}")
    if image.mode == "F":
        notes.append("float samples were rounded to 8 bits" + (", scaled by 255" if high <= 1 else ""))
        gray = np.floor(samples * (255 if high <= 1 else 1) + 0.5)
    else:
        notes.append(f"{top.bit_length()}-bit samples were reduced to 8 bits")
        gray = (samples.astype(np.uint64) * 255 + top // 2) // top  # to nearest, without ties, since `top` is odd
    if manner.inverted:
        gray = 255 - gray
    key = image.info.get("transparency")
    alpha = np.where(samples == key, 0, 255) if isinstance(key, int) else None
    return whole(gray)[:, :, None], alpha if alpha is None else whole(alpha)


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """A CMYK image by its colour profile if that is sound, else by plain arithmetic; LAB by its definition."""
    how = ""
    try:
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            icc = image.info.get("icc_profile")
            if not icc:
                raise ImageCms.PyCMSError("no profile")
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            how = " by its colour profile"
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        converted, how = None, ""
    notes.append(f"{image.mode} was converted to RGB{how}")
    return image.convert("RGB") if converted is None else converted
