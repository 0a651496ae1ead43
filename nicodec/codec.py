"""The codec: picture -> bytes and back, all steps in order, both ways on one screen.

Below batch and the command line; above image, tiles, transform, quantize, prior, entropy and container.
"""

from __future__ import annotations

import os
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nicodec import alpha, checkpoint, container, entropy, image, prior, quantize, tiles
from nicodec.checkpoint import Checkpoint
from nicodec.container import Chunk, Header, Kind
from nicodec.errors import ChecksumMismatch, ModelNotFound
from nicodec.image import Picture, Source
from nicodec.transform import Networks

# Width and height, in cells of 64 pixels, of an entropy-coded tile.
TILE = (16, 16)


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


class Codec:
    """One model, loaded once; safe to share between threads.

    model: a released name, the hash of one, the path of a .nicmodel file, or a checkpoint already loaded.
    threads: how many each call may use; None means all cores. Raises ModelNotFound or BadModel.
    """

    def __init__(
        self, model: str | os.PathLike[str] | Checkpoint = "photo", *, threads: int | None = None
    ) -> None:
        found = model if isinstance(model, Checkpoint) else checkpoint.load(checkpoint.find(model))
        self.checkpoint = found
        self.networks = Networks(self.checkpoint, threads)
        self.y_tables = prior.tables(self.checkpoint, "y", quantize.MAX_SYMBOL, escape=True)
        self.z_tables = prior.tables(self.checkpoint, "z", quantize.MAX_HYPER, escape=False)
        self._hyper_channels = len(self.z_tables.low) // prior.ANCHORS

    def encode(self, source: Source | Picture, *, quality: float = 50, strip: bool = False) -> bytes:
        """A picture -> the bytes of a .nic file.

        source: a path, a Pillow image, a uint8 array (H, W), (H, W, 3) or (H, W, 4), or what
        `image.read` made of one. quality: 0..100. strip: leave out ICC, EXIF and XMP.
        Raises BadImage or LimitExceeded, and NicError for another quality; warns of anything that had to
        be converted.
        """
        q = quantize.quality_index(quality)
        picture = _read(source)
        height, width, channels = picture.pixels.shape
        container.check_size(width, height)

        y = self.networks.g_a(quantize.planes(tiles.pad(picture.pixels)), q / 100)

        z_tables = prior.hyper_index(q, self._hyper_channels)
        low, high = self.z_tables.low[z_tables], self.z_tables.high[z_tables]
        z = quantize.hyper_symbols(self.networks.h_a(y, q / 100), low, high)
        index = self.networks.h_sigma(z, prior.integer_hats(q))
        features, mu = self.networks.h_mu(z, q / 100)
        first = quantize.phase0(y.shape)
        y0 = np.where(first, quantize.residual(y, mu) + mu, np.float32(0))
        mu = np.where(first, mu, self.networks.context(y0, features, q / 100))
        r = quantize.residual(y, mu)

        header = Header(width, height, channels, q, TILE, self.checkpoint.id, _symbols_crc(z, r))
        chunks = [Chunk(Kind.Z, entropy.encode(z.reshape(-1), _each(z_tables, z), self.z_tables))]
        for rows, columns in tiles.grid(width, height, TILE):
            part = np.s_[0, :, rows, columns]
            coded = entropy.encode(r[part].reshape(-1), index[part].reshape(-1), self.y_tables)
            chunks.append(Chunk(Kind.Y, coded))
        if picture.alpha is not None:
            chunks.append(Chunk(Kind.ALPHA, alpha.encode(picture.alpha)))
        for kind, blob in ((Kind.ICC, picture.icc), (Kind.EXIF, picture.exif), (Kind.XMP, picture.xmp)):
            if blob and not strip:
                chunks.append(Chunk(kind, container.deflate(blob)))
        return container.pack(header, chunks)

    def decode(self, data: bytes) -> Image.Image:
        """The bytes of a .nic file -> a Pillow image, mode L, LA, RGB or RGBA, with its metadata in `info`.

        Raises BadFile, ChecksumMismatch, UnsupportedVersion or LimitExceeded; ModelNotFound if the file
        was made with another model than this.
        """
        header, chunks = container.unpack(data)
        if header.model != self.checkpoint.id:
            raise ModelNotFound(
                f"the file was made with the model {header.model.hex()},"
                f" not with {self.checkpoint.name} ({self.checkpoint.id.hex()})"
            )
        z, r = self._symbols(header, chunks)

        quality = header.quality / 100
        features, mu = self.networks.h_mu(z, quality)
        first = quantize.phase0(r.shape)
        y0 = np.where(first, r + mu, np.float32(0))
        mu = np.where(first, mu, self.networks.context(y0, features, quality))
        x = self.networks.g_s(r + mu, quality)

        pixels = quantize.samples(x, header.height, header.width, header.channels)
        extra = {c.kind: c.payload for c in chunks}
        plane = extra.get(Kind.ALPHA)
        clear = None if plane is None else alpha.decode(plane, header.width, header.height)
        icc, exif, xmp = (
            container.inflate(extra[k]) if k in extra else None for k in (Kind.ICC, Kind.EXIF, Kind.XMP)
        )
        return image.to_pil(Picture(pixels, clear, icc, exif, xmp))

    def _symbols(
        self, header: Header, chunks: list[Chunk]
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
        """The integers of a file, proven by their checksum: z (1, Z, h/4, w/4) and r (1, L, h, w)."""
        columns, rows = tiles.cells(header.width, header.height)
        z_tables = prior.hyper_index(header.quality, self._hyper_channels)
        z = np.empty((1, self._hyper_channels, rows, columns), np.int8)
        z.reshape(-1)[:] = entropy.decode(chunks[0].payload, _each(z_tables, z), self.z_tables)
        index = self.networks.h_sigma(z, prior.integer_hats(header.quality))
        r = np.empty(index.shape, np.int16)
        grid = tiles.grid(header.width, header.height, header.tile)
        for (tile_rows, tile_columns), chunk in zip(grid, chunks[1:], strict=False):  # others may follow
            part = np.s_[0, :, tile_rows, tile_columns]
            symbols = entropy.decode(chunk.payload, index[part].reshape(-1), self.y_tables)
            r[part] = symbols.reshape(r[part].shape)
        if _symbols_crc(z, r) != header.symbols_crc:
            raise ChecksumMismatch("the decoded symbols are not those that were encoded")
        return z, r


def _read(source: Source | Picture) -> Picture:
    """Whatever shows a picture -> the picture; what reading lost becomes warnings at the caller's caller."""
    if isinstance(source, Picture):
        return source
    picture = image.read(source)
    for note in picture.notes:
        warnings.warn(note, stacklevel=3)
    return picture


def _each(tables: npt.NDArray[np.integer[Any]], z: npt.NDArray[np.int8]) -> npt.NDArray[np.integer[Any]]:
    """The table of every symbol of z, from the table of each channel."""
    return np.repeat(tables, z.shape[2] * z.shape[3])


def _symbols_crc(z: npt.NDArray[np.int8], r: npt.NDArray[np.int16]) -> int:
    """CRC-32 over z as int8 and then r as little-endian int16, both in channel, row, column order."""
    return zlib.crc32(r.astype("<i2").tobytes(), zlib.crc32(z.tobytes()))


# A checkpoint is one object as long as its file stays the same, and so is its codec.
_shared = lru_cache(maxsize=4)(Codec)


def codec_for(data: bytes, model: str | os.PathLike[str] | None = None, threads: int | None = None) -> Codec:
    """The codec to decode a file with: that of `model`, or of the installed model that the file names.

    Kept for the next call. Raises what `Codec` and `container.unpack` raise.
    """
    path = checkpoint.find_id(container.unpack(data)[0].model) if model is None else checkpoint.find(model)
    return _shared(checkpoint.load(path), threads=threads)


def encode(
    source: Source | Picture,
    *,
    quality: float = 50,
    model: str | os.PathLike[str] = "photo",
    strip: bool = False,
) -> bytes:
    """A picture -> the bytes of a .nic file; see `Codec.encode` and `Codec`."""
    codec = _shared(checkpoint.load(checkpoint.find(model)), threads=None)
    return codec.encode(_read(source), quality=quality, strip=strip)


def decode(data: bytes, *, model: str | os.PathLike[str] | None = None) -> Image.Image:
    """The bytes of a .nic file -> a Pillow image; see `Codec.decode`.

    model: a model file to use; None finds the one that the file names among those installed, and raises
    ModelNotFound if it is not there.
    """
    return codec_for(data, model).decode(data)


def info(data: bytes) -> Info:
    """What a file says of itself, without decoding it. Raises what `container.unpack` raises."""
    header, chunks = container.unpack(data)
    kinds = {c.kind for c in chunks}
    columns, rows = tiles.cells(header.width, header.height)
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
        tiles=(-(-columns // header.tile[0]), -(-rows // header.tile[1])),
        chunks=tuple((_kind_name(c.kind), len(c.payload)) for c in chunks),
        metadata=tuple(_kind_name(k) for k in (Kind.ICC, Kind.EXIF, Kind.XMP) if k in kinds),
    )


def _kind_name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"unknown-{kind}"
