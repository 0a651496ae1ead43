"""The bytes of a .nic file -> a picture, in five steps: the decoder.

A method of `codec`, above `painting`, which makes the pixels, and `beside`, which reads what travels with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, overload

import numpy as np
from numpy.typing import DTypeLike

from nicodec.bitstream import container
from nicodec.bitstream.container import File
from nicodec.bitstream.symbols import Symbols
from nicodec.coding import beside, cleaning, lossless, painting
from nicodec.coding.crew import Crew, in_turn
from nicodec.coding.painting import Limit, Nic, Region, View
from nicodec.model.checkpoint import Checkpoint
from nicodec.picture import Depth, PilImage, Samples, writer
from nicodec.storage.files import data_of, naming


class Codec(Protocol):
    """What of a codec decodes a file."""

    @property
    def checkpoint(self) -> Checkpoint: ...
    @property
    def crew(self) -> Crew: ...
    @property
    def symbols_of(self) -> Callable[..., Symbols]: ...


@overload
def decode(
    codec: Codec | None,
    data: Nic,
    *,
    region: Region = None,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    max_pixels: Limit = None,
    progress: Callable[[float], None] | None = None,
) -> PilImage: ...
@overload
def decode(
    codec: Codec | None,
    data: Nic,
    *,
    dtype: DTypeLike,
    region: Region = None,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    max_pixels: Limit = None,
    progress: Callable[[float], None] | None = None,
) -> Samples: ...
def decode(
    codec: Codec | None,
    data: Nic,
    *,
    dtype: DTypeLike = None,
    region: Region = None,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    max_pixels: Limit = None,
    progress: Callable[[float], None] | None = None,
) -> PilImage | Samples:
    """The bytes of a .nic file -> a Pillow image, mode L, LA, RGB or RGBA, with its metadata in `info`.

    codec: None will do for a file of samples, which needs no model. data: a path, bytes, a binary stream, or the result
    of `container.unpack`. region: (x, y, width, height) in pixels inside the picture; only this part is decoded,
    without the checksum of all symbols. If an encoder made the file, it is the crop of the whole, each sample within 1.
    scale: 1, or 1/8 for a preview, about the whole at an eighth. natural: 0..1. Above 0, fine texture that the file
    leaves out is drawn at random, as strong as the file says that it was; its PSNR is lower. seed: of the draws,
    0..2^32 - 1; the same seed gives the same picture. Previews and files of samples (lossless ones, drawings) have
    nothing to draw. dtype: np.uint8 or np.uint16, for an array (H, W) or (H, W, 2 to 4) in place of an image.
    max_pixels: the largest picture; None: NICODEC_MAX_PIXELS in the environment, or 2^27 and no more than fit the bytes
    of the file. progress: takes the share done, after each window. Raises BadFile, ChecksumMismatch,
    UnsupportedVersion, LimitExceeded, BadModel, ModelNotFound for a file of another model, or NicError for an
    impossible region, scale, natural, seed or dtype.
    """
    with naming(data):
        file = data if isinstance(data, File) else container.unpack(data_of(data), max_pixels)  # 1. bytes -> chunks
    if codec is not None:
        file = cleaning.opened(codec.checkpoint, file)
    deep = None if dtype is None else painting.depth(dtype)
    wanted = painting.view(file.header, region, scale, natural, seed)
    return _decoded(codec, file, wanted, deep, progress or (lambda done: None), check=region is None)


@in_turn
def _decoded(
    codec: Codec | None,
    file: File,
    wanted: View,
    dtype: Depth | None,
    progress: Callable[[float], None],
    *,
    check: bool,
) -> PilImage | Samples:
    """The other steps. check: hold what is decoded against its checksum."""
    canvas = writer.canvas(wanted.area.columns, wanted.area.rows, file.header.channels, dtype)
    if codec is None or file.of_samples:
        parts = lossless.paint(file, wanted, check=check)
    else:
        windows = codec.crew.of(len(wanted.windows))
        symbols = codec.symbols_of(file, windows.networks)  # 2. chunks -> symbols, on demand
        parts = painting.paint(windows, symbols, file, wanted, dtype or np.uint8, check=check)
    done, whole = 0, wanted.area.rows * wanted.area.columns
    for part, pixels in parts:  # 3. -> latents, 4. -> pixels
        canvas.paste(pixels, part.left - wanted.area.left, part.top - wanted.area.top)
        done += part.rows * part.columns
        progress(done / whole)
    found = beside.metadata(file, wanted, bare=dtype is not None)
    return canvas.finish(beside.clear(file, wanted), found)  # 5. data beside the tiles
