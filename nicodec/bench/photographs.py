"""The pictures to measure on: which files, and each as plain 8-bit RGB.

Below the benchmark: paths in, pixels and the digest of the file out; nothing of a picture's metadata passes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nicodec import image, metrics
from nicodec.errors import BadImage, LimitExceeded, NicError
from nicodec.files import shown

_PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)
_MODES = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}
)  # what 8-bit RGB can hold; alpha is left out
_MAX_FILE_BYTES = 1 << 29


def photographs() -> list[Path]:
    """The six photographs inside the scikit-image wheel, found without importing it. Raises MissingExtra."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        metrics.import_extra("skimage")
        raise NicError("scikit-image is installed without its data folder")
    found = [Path(spec.origin).parent / "data" / name for name in _PHOTOGRAPHS]
    found = [path for path in found if path.is_file()]
    if not found:
        raise NicError(
            "this scikit-image carries none of the benchmark's photographs: give a folder of images"
        )
    return found


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and of each folder the pictures directly in it, by name. Raises BadImage if none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if image.is_picture(p.name) and p.is_file())
            if not inside:
                raise BadImage(f"{shown(path)}: no pictures in this folder")
            found += inside
        else:
            found.append(path)
    if not found:
        raise BadImage("no pictures given")
    return list(dict.fromkeys(found))


def load(path: Path) -> tuple[Image.Image, str]:
    """A picture as plain 8-bit RGB, without metadata, and the SHA-256 of its file.

    Raises BadImage naming the file where it is none, or holds what 8-bit RGB cannot (16 bits, CMYK), and
    LimitExceeded past half a gigabyte of file or Pillow's own limit of pixels.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise LimitExceeded(f"{shown(path)}: more than {_MAX_FILE_BYTES >> 20} MiB")
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                if opened.mode not in _MODES:
                    raise BadImage(f"{shown(path)}: mode {opened.mode}; the benchmark measures 8-bit RGB")
                plain = Image.fromarray(np.asarray(opened.convert("RGB")))  # a new image carries no metadata
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise LimitExceeded(f"{shown(path)}: too many pixels") from error
    except UnidentifiedImageError as error:
        raise BadImage(f"{shown(path)}: not a picture") from error
    except NicError:
        raise
    except Exception as error:  # a damaged file can raise almost anything from inside its decoder
        raise BadImage(f"{shown(path)}: cannot be read: {error}") from error
    return plain, hashlib.sha256(data).hexdigest()
