"""The functions of the package: each finds or keeps the codec that a call needs, then calls it.

Above `codec`; below the command line, the benchmark and the Pillow plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

from numpy.typing import DTypeLike

from nicodec.bitstream import container, tiles
from nicodec.bitstream.container import File, Kind
from nicodec.codec import Codec
from nicodec.coding.beside import METADATA
from nicodec.coding.encoded import Encoded
from nicodec.coding.painting import Region
from nicodec.model import checkpoint
from nicodec.picture import Picture, PilImage, Samples, Source, reader
from nicodec.storage.files import Data, data_of


@dataclass(frozen=True)
class Info:
    """The facts that a file states about itself.

    width, height: pixels. mode: L, LA, RGB or RGBA. depth: bits of each sample of the source, 8 or 16. quality: 0..100.
    lossless: whether all samples come back as they were. model: name of the installed model that decodes the file, or
    None. model_id: first 8 bytes of the model's id, hexadecimal. size: bytes of the file. bpp: bits of
    the file for each pixel. version: of the format. tiles: numbers of columns and rows. chunks: kind of each, and bytes
    of its payload, in order. metadata: the kinds of metadata in the file.
    """

    width: int
    height: int
    mode: str
    depth: int
    quality: float
    lossless: bool
    model: str | None
    model_id: str
    size: int
    bpp: float
    version: str
    tiles: tuple[int, int]
    chunks: tuple[tuple[str, int], ...]
    metadata: tuple[str, ...]


# A checkpoint stays one object while its file stays the same, so its codec is kept too.
_shared = lru_cache(maxsize=4)(Codec)


def codec_for(file: File, model: str | os.PathLike[str] | None = None, threads: int | None = None) -> Codec:
    """The codec to decode a file with: that of `model`, or of the installed model that the file names.

    A lossless file names no model, and any codec decodes it. model, threads: as for `Codec`. The codec is kept for the
    next call. Raises as `Codec`.
    """
    model = "photo" if model is None and file.lossless else model
    path = checkpoint.find_id(file.header.model) if model is None else checkpoint.find(model)
    return _shared(checkpoint.load(path), threads=threads)


def encode(
    source: Source | Picture,
    *,
    quality: float | str | None = None,
    target_bytes: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    effort: int = 1,
    lossless: bool | None = None,
    model: str | os.PathLike[str] = "photo",
    strip: bool = False,
    strip_gps: bool = False,
    check: bool = False,
    max_pixels: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Encoded:
    """A picture -> the bytes of a .nic file. Arguments and errors are those of `Codec.encode` and `Codec`."""
    codec = _shared(checkpoint.load(checkpoint.find(model)), threads=None)
    return codec.encode(
        reader.taken(source, strip=strip, strip_gps=strip_gps),
        quality=quality,
        target_bytes=target_bytes,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        effort=effort,
        lossless=lossless,
        check=check,
        max_pixels=max_pixels,
        progress=progress,
    )


@overload
def decode(
    data: Data,
    *,
    region: Region = None,
    scale: float = 1,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
) -> PilImage: ...
@overload
def decode(
    data: Data,
    *,
    dtype: DTypeLike,
    region: Region = None,
    scale: float = 1,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
) -> Samples: ...
def decode(
    data: Data,
    *,
    dtype: DTypeLike = None,
    region: Region = None,
    scale: float = 1,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
) -> PilImage | Samples:
    """A .nic file -> a Pillow image. Arguments and errors are those of `Codec.decode` and `Codec`.

    dtype: np.uint8 or np.uint16, for an array in place of an image. region: (x, y, width, height) in pixels, the only
    part to decode. scale: 1, or 1/8 for a preview. model: the name, id or path of a model. None takes the installed
    model that the file names, or raises ModelNotFound.
    """
    file = container.unpack(data_of(data), max_pixels)
    return codec_for(file, model).decode(file, dtype=dtype, region=region, scale=scale)


def info(data: Data, *, max_pixels: int | None = None) -> Info:
    """The facts that a file states about itself, without decoding it.

    data: as for `decode`. Raises as `files.data_of` and `container.unpack`, and BadModel for a damaged manifest.
    """
    data = data_of(data)
    file = container.unpack(data, max_pixels)
    header, kinds = file.header, {chunk.kind for chunk in file.chunks}
    grid = list(tiles.grid(tiles.cells(header.width, header.height), header.tile))
    names = [e["name"] for e, _ in checkpoint.installed() if bytes.fromhex(e["id"]).startswith(header.model)]
    return Info(
        width=header.width,
        height=header.height,
        mode=file.mode,
        depth=header.depth,
        lossless=file.lossless,
        quality=header.quality / 100,
        model=names[0] if names else None,
        model_id=header.model.hex(),
        size=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        version=".".join(map(str, header.version)),
        tiles=(len({t.left for t in grid}), len({t.top for t in grid})),
        chunks=tuple((_kind_name(c.kind), len(c.payload)) for c in file.chunks),
        metadata=tuple(_kind_name(k) for k in METADATA if k in kinds),
    )


def _kind_name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"unknown-{kind}"
