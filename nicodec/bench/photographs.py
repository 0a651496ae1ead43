"""The pictures of a benchmark: their files, and each as plain 8-bit gray or RGB.

Under `run` and `crops`: paths in, pixels and the digest of the file out. No metadata of a picture passes.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nicodec import extras
from nicodec.errors import BadImage, NicError, warn
from nicodec.picture import Picture, PilImage, invisible, reader, whole, writer
from nicodec.storage.files import read_bytes, shown

_PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
)


def photographs() -> list[Path]:
    """The six photographs in the wheel of scikit-image, found without importing it.

    Raises MissingExtra without scikit-image, and NicError if it lacks the photographs.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        extras.load("skimage", "bench", "the default run")
        raise NicError("scikit-image is installed without its data folder")
    found = [Path(spec.origin).parent / "data" / name for name in _PHOTOGRAPHS]
    found = [path for path in found if path.is_file()]
    if not found:
        raise NicError("this scikit-image carries none of the benchmark's photographs: give a folder of images")
    return found


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the pictures directly in each folder, by name. Raises BadImage if there are none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if writer.is_picture(p.name) and p.is_file())
            if not inside:
                raise BadImage(f"{shown(path)}: no pictures in this folder")
            found += inside
        else:
            found.append(path)
    if not found:
        raise BadImage("no pictures given")
    return list(dict.fromkeys(found))


def load(path: Path, *, alpha: bool = False) -> tuple[PilImage, str]:
    """A picture as plain 8-bit RGB, or gray where its file is, without metadata; and the SHA-256 of its file.

    alpha: a transparent picture becomes RGBA. Without it alpha is left out, with a warning. Raises BadImage naming the
    file if it is no picture, or if 8 bits cannot hold it (16 bits, CMYK). Raises LimitExceeded beyond the sizes that
    `reader.read` takes.
    """
    picture = reader.read(path, strip=True)
    if picture.notes:
        raise BadImage(f"{shown(path)}: {picture.notes[0]}; the benchmark measures 8-bit RGB")
    pixels = picture.pixels
    clear = None if picture.alpha is None or picture.alpha.min() == 255 else picture.alpha
    if clear is not None and not alpha:
        warn(f"{shown(path)}: its transparency is left out; the benchmark measures 8-bit RGB")
        pixels, clear = invisible.filled(Picture(pixels, clear)).pixels, None
    if clear is not None:
        pixels = whole(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    return writer.to_pil(Picture(pixels, clear)), hashlib.sha256(read_bytes(path)).hexdigest()
