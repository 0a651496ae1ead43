"""A file -> its picture, its sketch, and its rows in an index.

Between `index`, whose processes run it, and `sketch`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

from nicodec import api
from nicodec.codec import Codec
from nicodec.errors import NicError, holding, one_line
from nicodec.explore import sketch
from nicodec.explore.sketch import MODEL, Sketch
from nicodec.picture import Picture, atlas, reader
from nicodec.storage.files import shown

# From this many pixels on, a .nic file of latents is sketched from its preview, which has twice the pixels of a sketch.
LARGE = 2 * 64 * sketch.AREA


@dataclass(frozen=True)
class Reading:
    """Path of a picture below a folder -> its row, and the picture small.

    What cannot be read has a row too, so it is not tried again.
    """

    folder: str

    def __call__(self, path: str) -> tuple[object, ...]:
        whole = os.path.join(self.folder, path)
        try:
            state = os.stat(whole)
            content, made, small = sketched(whole)
        except (NicError, OSError) as error:
            return failed(whole, path, error)
        kept = made.width, made.height, content, made.samples, made.hash.tobytes(), made.vector.astype("<f2").tobytes()
        return os.fsencode(path), state.st_size, state.st_mtime_ns, None, *kept, small


def sketched(path: str) -> tuple[bytes, Sketch, bytes]:
    """SHA-256 of a file, the sketch of its picture, and the picture small. Raises NicError, OSError."""
    with open(path, "rb") as file:
        content = hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest") else _digest(file)
    codec = api.codec_of(MODEL, 1)
    about = api.info(path) if api.is_nic(path) else None
    if about is None or about.lossless or about.drawing or about.width * about.height < LARGE:
        picture = opened(path, codec)
        made = sketch.of(picture, codec)
    else:
        with holding():
            picture = reader.read(api.decode(path, scale=1 / 8))
        # Nothing has the samples of what is not decoded but the same file.
        made = replace(sketch.of(picture, codec), width=about.width, height=about.height, samples=content)
    return content, made, atlas.small(sketch.shown(picture))


def opened(source: str | bytes, codec: Codec) -> Picture:
    """The picture of a file or its bytes; a .nic file is decoded. Raises NicError."""
    with holding():  # how a picture was converted bears on nothing here
        if not api.is_nic(source):
            return reader.read(source, strip=True)
        return reader.read(api.decode(source))


def _digest(file: object) -> bytes:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):  # type: ignore[attr-defined]
        digest.update(chunk)
    return digest.digest()


def failed(whole: str, path: str, error: Exception) -> tuple[object, ...]:
    """The row of a file that cannot be read."""
    try:
        state = os.stat(whole)
        size, changed = state.st_size, state.st_mtime_ns
    except OSError:
        size = changed = 0
    text = one_line(error).removeprefix(f"{shown(whole)}: ")
    return os.fsencode(path), size, changed, text, *[None] * 7
