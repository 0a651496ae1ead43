"""A file -> its picture, its sketch, and its rows in an index.

Between `index`, whose processes run it, and `sketch`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from nicodec import api
from nicodec.codec import Codec
from nicodec.errors import NicError, holding, one_line
from nicodec.explore import sketch
from nicodec.explore.sketch import MODEL, Sketch
from nicodec.picture import Picture, atlas, reader


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
    picture = opened(path, codec)
    return content, sketch.of(picture, codec), atlas.small(sketch.shown(picture))


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
    text = one_line(error)
    return os.fsencode(path), size, changed, text or "cannot be read", *[None] * 7
