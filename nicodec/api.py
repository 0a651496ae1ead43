"""The functions of the package: each finds or keeps the codec that a call needs, then calls it.

Above `codec`; below the command line, the benchmark and the Pillow plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias, overload

from numpy.typing import DTypeLike

from nicodec.bitstream import container, tiles
from nicodec.bitstream.container import File, Kind
from nicodec.choice import Choice
from nicodec.codec import Codec
from nicodec.coding import decoding
from nicodec.coding.beside import METADATA
from nicodec.coding.encoded import Encoded
from nicodec.coding.painting import Region
from nicodec.model import backends, checkpoint
from nicodec.picture import Picture, PilImage, Samples, Source
from nicodec.storage.files import Data, Files, data_of, naming


@dataclass(frozen=True)
class Info:
    """The facts that a file states about itself.

    width, height: pixels. mode: L, LA, RGB or RGBA. depth: bits of each sample of the source, 8 or 16. quality: 0..100.
    lossless: whether all samples come back as they were. drawing: whether the file holds samples in few colours.
    model: name of the model that decodes the file, or None if it is not found or none is needed. model_id: first 8
    bytes of the model's id, hexadecimal. size: bytes of the file. bpp: bits of the file for each pixel. version: of the
    format. tiles: numbers of columns and rows. chunks: kind of each, and bytes of its payload, in order. metadata: the
    kinds of metadata in the file.
    """

    width: int
    height: int
    mode: str
    depth: int
    quality: float
    lossless: bool
    drawing: bool
    model: str | None
    model_id: str
    size: int
    bpp: float
    version: str
    tiles: tuple[int, int]
    chunks: tuple[tuple[str, int], ...]
    metadata: tuple[str, ...]


# One model by name, id or path, or several to choose from.
Models: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# A checkpoint stays one object while its file stays the same, so its codec is kept too.
_shared = lru_cache(maxsize=4)(Codec)


def codec_for(
    file: File,
    model: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    near: str | os.PathLike[str] | None = None,
    backend: str | None = None,
) -> Codec:
    """The codec to decode a file with: that of `model` if the file was made with it, else of the model that is found.

    A model that restores files of another one decodes these, and its own. A lossless file names no model, and any codec
    decodes it. model, threads, backend: as for `Codec`. near: the path of the file, if it has one: a model may lie
    beside it (`shelf.shelves`). The codec is kept for the next call. Raises as `Codec`.
    """
    backend = backends.chosen(backend)
    if model is not None or file.of_samples:
        given = checkpoint.load(checkpoint.find(model or "photo"))
        if given.decodes and not file.of_samples:
            given.expect(file.header.model)  # who asks for a restored picture gets no other one
        if file.of_samples or given.id == file.header.model or given.decodes:
            return _shared(given, threads=threads, backend=backend)
    found = checkpoint.load(checkpoint.find_id(file.header.model, near))
    return _shared(found, threads=threads, backend=backend)


def decoder_for(
    file: File,
    model: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    near: str | os.PathLike[str] | None = None,
    backend: str | None = None,
) -> Callable[..., Any]:
    """The function that decodes a file, `Codec.decode` of its codec. Arguments and errors as for `codec_for`.

    A file of samples names no model, and none is loaded for it unless one is given.
    """
    if model is not None or not file.of_samples:
        return codec_for(file, model, threads, near, backend).decode
    backends.chosen(backend)
    return partial(decoding.decode, None)


def codec_of(model: str | os.PathLike[str] = "photo", threads: int | None = None, backend: str | None = None) -> Codec:
    """The codec of a model, kept for the next call. Arguments and errors are those of `Codec`."""
    return _shared(checkpoint.load(checkpoint.find(model)), threads=threads, backend=backends.chosen(backend))


def _encoder(model: Models, backend: str | None) -> Choice:
    names = [model] if isinstance(model, str | os.PathLike) else model
    return Choice(*(codec_of(name, backend=backend) for name in names))


def encode(
    source: Source | Picture,
    *,
    quality: float | str | None = None,
    target_bytes: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    effort: int = 1,
    lossless: bool | None = None,
    model: Models = "photo",
    strip: bool = False,
    strip_gps: bool = False,
    check: bool = False,
    max_pixels: int | None = None,
    progress: Callable[[float, float], None] | None = None,
    backend: str | None = None,
) -> Encoded:
    """A picture -> the bytes of a .nic file. Arguments and errors are those of `Codec.encode` and `Codec`.

    model: the name, id or path of a model. Of several, the one that suits the picture best is kept (`Choice`). backend:
    as for `Codec`.
    """
    return _encoder(model, backend).encode(
        source,
        quality=quality,
        target_bytes=target_bytes,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        effort=effort,
        lossless=lossless,
        strip=strip,
        strip_gps=strip_gps,
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
    natural: float = 0,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    progress: Callable[[float], None] | None = None,
    backend: str | None = None,
) -> PilImage: ...
@overload
def decode(
    data: Data,
    *,
    dtype: DTypeLike,
    region: Region = None,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    progress: Callable[[float], None] | None = None,
    backend: str | None = None,
) -> Samples: ...
def decode(
    data: Data,
    *,
    dtype: DTypeLike = None,
    region: Region = None,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    progress: Callable[[float], None] | None = None,
    backend: str | None = None,
) -> PilImage | Samples:
    """A .nic file -> a Pillow image. Arguments and errors are those of `Codec.decode` and `Codec`.

    dtype: np.uint8 or np.uint16, for an array in place of an image. region: (x, y, width, height) in pixels, the only
    part to decode. scale: 1, or 1/8 for a preview. natural: 0..1, how much of the texture that the file leaves out is
    drawn at random. seed: of these draws. model: the name, id or path of a model to try first. The model
    that the file names is looked for among those that are installed, and beside `data` if that is a path. progress:
    takes the share done, after each window. backend: as for `Codec`. Raises ModelNotFound, which names the places, if
    the model is nowhere.
    """
    with naming(data):
        file = container.unpack(data_of(data), max_pixels)
    made: PilImage | Samples = decoder_for(file, model, near=_path(data), backend=backend)(
        file, dtype=dtype, region=region, scale=scale, natural=natural, seed=seed, progress=progress
    )
    return made


def info(data: Data, *, max_pixels: int | None = None) -> Info:
    """The facts that a file states about itself, without decoding it.

    data: as for `decode`; its model is looked for in the same places. Raises as `files.data_of` and `container.unpack`,
    and BadModel for a damaged manifest.
    """
    with naming(data):
        file = container.unpack(held := data_of(data), max_pixels)
    header, kinds = file.header, {chunk.kind for chunk in file.chunks}
    grid = list(tiles.grid(tiles.cells(header.width, header.height), header.tile))
    return Info(
        width=header.width,
        height=header.height,
        mode=file.mode,
        depth=header.depth,
        lossless=file.lossless,
        drawing=file.of_samples and not file.lossless,
        quality=header.quality / 100,
        model=None if file.of_samples else checkpoint.named(header.model, _path(data)),
        model_id=header.model.hex(),
        size=len(held),
        bpp=8 * len(held) / (header.width * header.height),
        version=".".join(map(str, header.version)),
        tiles=(len({t.left for t in grid}), len({t.top for t in grid})),
        chunks=tuple((_kind_name(c.kind), len(c.payload)) for c in file.chunks),
        metadata=tuple(_kind_name(k) for k in METADATA if k in kinds),
    )


def is_nic(source: object) -> bool:
    """Whether a source is the path of a .nic file, or its bytes, by the first bytes. A stream is not looked into."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[: len(container.MAGIC)]) == container.MAGIC
    return isinstance(source, str | os.PathLike) and Files().start(os.fspath(source)).startswith(container.MAGIC)


def _path(data: Data) -> str | os.PathLike[str] | None:
    return data if isinstance(data, str | os.PathLike) else None


def _kind_name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"unknown-{kind}"
