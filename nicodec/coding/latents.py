"""The bytes of a .nic file -> its latents as data: channels, width and bits of every symbol; and latents -> pixels.

Beside `painting`, which makes pixels of the same symbols. `explore` stands on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.bitstream import container, entropy, tiles
from nicodec.bitstream.container import CELL, File
from nicodec.bitstream.entropy import Tables
from nicodec.bitstream.hyper import HyperTables
from nicodec.bitstream.symbols import Symbols
from nicodec.bitstream.tiles import STRIDE, Y_CELL, Box
from nicodec.coding import layout, margin, painting, prior, quantize
from nicodec.coding.crew import Crew, in_turn
from nicodec.coding.look import Familiar
from nicodec.coding.painting import Limit, Nic, Region
from nicodec.errors import NicError
from nicodec.model.checkpoint import Checkpoint
from nicodec.storage.files import data_of, naming

Floats: TypeAlias = npt.NDArray[np.float32]
# The arrays of `Latents`, and their rows for each row of cells.
SIDES = dict.fromkeys(("deep", "linear", "scale", "bits"), Y_CELL) | dict.fromkeys(("z", "z_bits"), 1)

# The most pixels whose features are computed in one piece.
MOST_PIXELS = 2**20


class Codec(Protocol):
    """What of a codec opens a file."""

    @property
    def checkpoint(self) -> Checkpoint: ...
    @property
    def y_tables(self) -> Tables: ...
    @property
    def z_tables(self) -> HyperTables: ...
    @property
    def crew(self) -> Crew: ...
    @property
    def familiar(self) -> Familiar: ...
    @property
    def symbols_of(self) -> Callable[..., Symbols]: ...


@dataclass(frozen=True, eq=False)
class Latents:
    """The latents of r x s cells of 64 pixels of a picture; 4r x 4s positions, one for each 16 x 16 pixels.

    deep: float32 (D, 4r, 4s), the deep channels as decoded. linear: int16 (L - D, 4r, 4s), the linear ones. z: int8
    (Z, r, s), the hyper latent. scale: float32 (L, 4r, 4s), the standard deviation of each symbol's table. All four are
    in quantiser steps; D deep channels come first in all arrays of L. bits: float32 (L, 4r, 4s), at least 0, the bits
    of each symbol by its table. z_bits: float32 (Z, r, s), those of z. Their sum is that of the file without headers,
    patches and all else beside the symbols, within a few bytes.
    area: x, y, width and height of these cells in pixels of the picture; cells may reach beyond its right and bottom
    edge. quality: 0..100. model_id: first 8 bytes of the model's id, hexadecimal.
    """

    deep: Floats
    linear: npt.NDArray[np.int16]
    z: npt.NDArray[np.int8]
    scale: Floats
    bits: Floats
    z_bits: Floats
    area: tuple[int, int, int, int]
    quality: float
    model_id: str


def distance(first: Latents, second: Latents) -> Floats:
    """Root mean square difference of the deep channels at each position, float32 (4r, 4s), in quantiser steps.

    Raises NicError for latents of two models, of two qualities, whose steps differ, or of two sizes.
    """
    for name, pair in {
        "models": (first.model_id, second.model_id),
        "qualities": (first.quality, second.quality),
        "sizes": (first.deep.shape, second.deep.shape),
    }.items():
        if pair[0] != pair[1]:
            raise NicError(f"latents of two {name} cannot be compared: {pair[0]} and {pair[1]}")
    result: Floats = np.sqrt(np.square(first.deep - second.deep).mean(axis=0))
    return result


@in_turn
def whole(codec: Codec, data: Nic, region: Region = None, *, max_pixels: Limit = None) -> Latents:
    """The latents of a .nic file, or of the cells that cover a region (x, y, width, height) in pixels.

    data, max_pixels: as for `Codec.decode`. They take about 35 bytes for each pixel: `windows` gives large pictures
    piece by piece. No pixel is decoded. Raises as `Codec.decode`, and NicError for a file of samples, which has none.
    """
    file = _opened(data, max_pixels)
    area = painting.view(file.header, region).area.over(CELL)
    found: dict[str, npt.NDArray[Any]] = {}
    for part in windows(codec, file, region):
        x, y, width, height = part.area
        box = Box(y, x, y + height, x + width).over(CELL)
        for name, times in SIDES.items():
            own = getattr(part, name)
            if name not in found:
                found[name] = np.empty((len(own), area.rows * times, area.columns * times), own.dtype)
            tiles.crop(found[name][None], area.times(times), box.times(times))[0] = own
    return Latents(**found, area=_pixels(area), quality=part.quality, model_id=part.model_id)


def windows(codec: Codec, data: Nic, region: Region = None, *, max_pixels: Limit = None) -> Iterator[Latents]:
    """As `whole`, window by window, row-major. Only the symbols around a window are in memory.

    The checksum of all symbols is checked after the last window, unless a region is given.
    """
    file = _opened(data, max_pixels)
    wanted, q = painting.view(file.header, region), file.header.quality
    crew = codec.crew.of(len(wanted.windows))
    symbols = codec.symbols_of(file, crew.networks)
    z, z_bits = symbols.z, _hyper_bits(codec.z_tables, symbols.z, q)

    def read() -> Iterator[tuple[Box, Callable[[], Any], npt.NDArray[np.int16]]]:
        for window in wanted.windows:
            symbols.forget(window.top - crew.halo)
            yield window, crew.latent(window, symbols, q), symbols.residual(window)

    def opened(job: tuple[Box, Callable[[], Any], npt.NDArray[np.int16]]) -> Latents:
        window, decoded, r = job
        deep, linear = decoded()
        index = prior.tables_of(crew.networks, z, window, q)
        beyond = margin.beyond(window.times(Y_CELL), tiles.positions(file.header.width, file.header.height))
        return Latents(
            deep=deep[0],
            # What a caller changes must not change what is still to be decoded.
            linear=linear[0].copy(),
            z=tiles.crop(z, symbols.cells, window)[0].copy(),
            scale=codec.y_tables.deviation[index[0]],
            bits=np.where(beyond, np.float32(0), entropy.bits(r, index, codec.y_tables)[0]),
            z_bits=tiles.crop(z_bits, symbols.cells, window)[0],
            area=_pixels(window),
            quality=q / 100,
            model_id=file.header.model.hex(),
        )

    yield from crew.beside(opened, read())
    if region is None:
        symbols.check()


@in_turn
def painted(codec: Codec, latents: Latents) -> npt.NDArray[np.uint8]:
    """The picture that g_s makes of latents, which a caller may have changed: uint8 (64r, 64s, 3), whole cells.

    deep and linear may hold any finite numbers; g_s has never met unusual ones, and caps bound what it makes of them.
    No file says what lies beside the symbols: patches, flat cells, a correction, transparency. Raises NicError for
    latents of another model or shape, LimitExceeded for too many pixels, BadModel if the network fails.
    """
    own = latents.model_id == codec.checkpoint.id.hex()
    if not own and not codec.checkpoint.restores_files_of(bytes.fromhex(latents.model_id)):
        raise NicError(f"these latents are of the model {latents.model_id}, not of {codec.checkpoint.id.hex()}")
    config, (_, rows, columns) = codec.checkpoint.config, latents.z.shape
    shapes = latents.deep.shape, latents.linear.shape
    channels = config.deep, config.latent - config.deep
    if shapes != tuple((each, Y_CELL * rows, Y_CELL * columns) for each in channels):
        raise NicError(f"latents of {columns}x{rows} cells cannot have the shapes {shapes[0]} and {shapes[1]}")
    latent = np.concatenate([latents.deep, latents.linear], dtype=np.float32)[None]
    if not np.isfinite(latent).all():
        raise NicError("latents must be finite numbers")
    container.check_size(CELL * columns, CELL * rows)
    q, wanted = quantize.quality_index(latents.quality), layout.windows(Box(0, 0, rows, columns))
    result = np.empty((CELL * rows, CELL * columns, 3), np.uint8)
    crew = codec.crew.of(len(wanted))
    for window, planes in crew.beside(lambda window: (window, crew.pixels(latent, window, q)), wanted):
        box = window.times(CELL)
        quantize.samples(planes, result[box.top : box.bottom, box.left : box.right])
    return result


def features(codec: Codec, pixels: npt.NDArray[np.uint8], quality: float = 50) -> Floats:
    """The deep channels that g_a gives a small picture, float32 (D, H / 16, W / 16), in units of their usual spread.

    pixels: uint8 (H, W, 1 or 3), H and W multiples of 16, seen in one piece. Nothing is rounded or coded. Raises
    NicError for other sizes, and BadModel if the network fails.
    """
    height, width = pixels.shape[:2]
    if height % STRIDE or width % STRIDE or not 0 < height * width <= MOST_PIXELS:
        raise NicError(
            f"features are those of at most {MOST_PIXELS:,} pixels in whole cells of 16, not {width}x{height}"
        )
    unit = codec.familiar.unit(quantize.quality_index(quality))
    y = codec.crew.alone.networks.g_a(quantize.planes(pixels, codec.checkpoint.config.colours), quality)[0, : len(unit)]
    result: Floats = (y / unit[:, None, None]).astype(np.float32)
    return result


def encoder_of(codec: Codec) -> str:
    """SHA-256 of what `features` depend on, hexadecimal: the tensors of g_a, and the spread and gain of channels."""
    digest = hashlib.sha256()
    for name, array in sorted(codec.checkpoint.tensors.items()):
        if name.startswith("g_a.") or name in ("log_gain", "spread"):
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def _opened(data: Nic, max_pixels: Limit) -> File:
    with naming(data):
        file = data if isinstance(data, File) else container.unpack(data_of(data), max_pixels)
    if file.of_samples:
        kind = "lossless file" if file.lossless else "drawing in few colours"
        raise NicError(f"a {kind} has no latents: it holds the samples themselves")
    return file


def _hyper_bits(tables: HyperTables, z: npt.NDArray[np.int8], q: int) -> Floats:
    """The bits of each symbol of z, float32 (1, Z, R, S). q: quality in hundredths."""
    result = np.empty(z.shape, np.float32)
    for cells, index in tables.groups(z, q):
        result[0][:, cells] = entropy.bits(z[0][:, cells], index, tables.tables)
    return result


def _pixels(cells: Box) -> tuple[int, int, int, int]:
    """x, y, width and height in pixels of a box of cells."""
    box = cells.times(CELL)
    return box.left, box.top, box.columns, box.rows
