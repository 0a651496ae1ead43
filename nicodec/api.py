"""The functions of the package: find or keep the codec that a call needs, then call it.

Below the command line and the Pillow plugin, above `codec`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from nicodec import checkpoint, container, tiles
from nicodec.codec import Codec, Encoded, read
from nicodec.container import Kind
from nicodec.image import Picture, Source


@dataclass(frozen=True)
class Info:
    """What a file says of itself.

    width, height: pixels. mode: L, LA, RGB or RGBA. quality: 0..100. model: name of the installed model
    that decodes it, or None. model_id: first 8 bytes of its sha256, hexadecimal. size: bytes of the
    file. bpp: its bits for each pixel. version: of the format. tiles: columns and rows. chunks: kind and
    bytes of each, in order. metadata: the kinds carried.
    """

    width: int
    height: int
    mode: str
    quality: float
    model: str | None
    model_id: str
    size: int
    bpp: float
    version: str
    tiles: tuple[int, int]
    chunks: tuple[tuple[str, int], ...]
    metadata: tuple[str, ...]


# A checkpoint is one object as long as its file stays the same, and so is its codec.
_shared = lru_cache(maxsize=4)(Codec)


def codec_for(
    data: bytes,
    model: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    max_pixels: int | None = None,
) -> Codec:
    """The codec to decode a file with: that of `model`, or of the installed model that the file names.

    Kept for the next call. Raises what `Codec` and `container.unpack` raise.
    """
    if model is None:
        path = checkpoint.find_id(container.unpack(data, max_pixels)[0].model)
    else:
        path = checkpoint.find(model)
    return _shared(checkpoint.load(path), threads=threads)


def encode(
    source: Source | Picture,
    *,
    quality: float | None = None,
    target_bytes: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    effort: int = 1,
    model: str | os.PathLike[str] = "photo",
    strip: bool = False,
    check: bool = False,
    max_pixels: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Encoded:
    """A picture -> the bytes of a .nic file; see `Codec.encode` and `Codec`."""
    codec = _shared(checkpoint.load(checkpoint.find(model)), threads=None)
    return codec.encode(
        read(source),
        quality=quality,
        target_bytes=target_bytes,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        effort=effort,
        strip=strip,
        check=check,
        max_pixels=max_pixels,
        progress=progress,
    )


def decode(
    data: bytes,
    *,
    region: tuple[int, int, int, int] | None = None,
    scale: float = 1,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
) -> Image.Image:
    """The bytes of a .nic file -> a Pillow image; see `Codec.decode`.

    region: (x, y, width, height) in pixels: decode only that. scale: 1, or 1/8 for a preview. model: a model
    file to use; None finds the one that the file names among those installed, and raises ModelNotFound if it
    is not there.
    """
    codec = codec_for(data, model, max_pixels=max_pixels)
    return codec.decode(data, region=region, scale=scale, max_pixels=max_pixels)


def info(data: bytes, *, max_pixels: int | None = None) -> Info:
    """What a file says of itself, without decoding it. Raises what `container.unpack` raises."""
    header, chunks = container.unpack(data, max_pixels)
    kinds = {c.kind for c in chunks}
    grid = list(tiles.grid(tiles.cells(header.width, header.height), header.tile))
    names = [
        e["name"]
        for e, _ in checkpoint.installed()
        if bytes.fromhex(e["sha256"])[: checkpoint.ID_BYTES] == header.model
    ]
    return Info(
        width=header.width,
        height=header.height,
        mode=("L" if header.channels == 1 else "RGB") + ("A" if Kind.ALPHA in kinds else ""),
        quality=header.quality / 100,
        model=names[0] if names else None,
        model_id=header.model.hex(),
        size=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        version=".".join(map(str, header.version)),
        tiles=(len({t.left for t in grid}), len({t.top for t in grid})),
        chunks=tuple((_kind_name(c.kind), len(c.payload)) for c in chunks),
        metadata=tuple(_kind_name(k) for k in (Kind.ICC, Kind.EXIF, Kind.XMP) if k in kinds),
    )


def _kind_name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"unknown-{kind}"
