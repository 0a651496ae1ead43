"""The codec: picture -> bytes and back, all steps in order, both ways on one screen.

Below the functions of `api`; above image, tiles, transform, quantize, prior, entropy and container.
"""

from __future__ import annotations

import math
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nicodec import (
    alpha,
    checkpoint,
    container,
    entropy,
    image,
    look,
    metrics,
    patches,
    prior,
    quantize,
    rate,
    tiles,
)
from nicodec.checkpoint import Checkpoint
from nicodec.container import CELL, Chunk, Header, Kind
from nicodec.errors import ModelNotFound, NicError
from nicodec.extras import from_torch
from nicodec.files import read_bytes, shown
from nicodec.hyper import HyperTables
from nicodec.image import Picture, Source
from nicodec.symbols import Residual, Symbols, SymbolsCrc
from nicodec.tiles import Y_CELL, Box, Rows
from nicodec.transform import Networks, Planes
from nicodec.windows import PREVIEW_WINDOW, Windows, pieces
from nicodec.workers import attempts, cores

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Result = TypeVar("Result")

# Width and height, in cells of 64 pixels, of an entropy-coded tile. A row of tiles is in memory at once, so
# those of wide pictures are lower: no more than BAND cells in a row, but not lower than LOWEST.
TILE = (16, 8)
BAND, LOWEST = 1536, 4
# So many cells are analysed and coded at a time where rows of tiles are shorter: more for threads to share.
SHARED = 768
# The most windows at once, each of which takes about 50 MB; of more threads several share one.
CREW = 8
# Bytes of symbols that an encoder keeps for its look at what they decode to. It decodes the others anew.
KEPT = 2**26
# A preview shows one sample for so many pixels each way.
PREVIEW = 8


class Encoded(bytes):
    """The bytes of a .nic file, and what the encoder saw of the picture that they decode to.

    worst_cell: the worst cell of 16 x 16 pixels among those that it looked at; None if it did not have to.
    psnr: in dB, over all samples without alpha; None unless the encoder was to check.
    """

    worst_cell: metrics.Cell | None = None
    psnr: float | None = None


class Codec:
    """One model, loaded once; safe to share between threads.

    model: a released name, the hash of one, the path of a .nicmodel file, or a checkpoint already loaded.
    threads: how many each call may use; None means all cores. device: "cpu", ONNX Runtime; or torch, if it is
    installed (MissingExtra): "cuda", "cuda:1", or "cpu-torch". All devices write and read the same files.
    Raises ModelNotFound or BadModel.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Checkpoint = "photo",
        *,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        found = model if isinstance(model, Checkpoint) else checkpoint.load(checkpoint.find(model))
        self.checkpoint, self.threads, self.device = found, threads, device
        self.networks = Networks(found, threads) if device == "cpu" else self._torch_networks()
        self.y_tables = prior.tables(self.checkpoint, "y", quantize.MAX_SYMBOL, escape=True)
        self.z_tables = HyperTables.of(found)
        self.windows = Windows(found, self.networks)
        self._refines: Any = None

    def _torch_networks(self) -> Networks:
        """The same networks through torch."""
        module = from_torch("networks", f"device={self.device!r}")
        networks: Networks = module.TorchNetworks(self.checkpoint, self.device.removesuffix("-torch"))
        return networks

    def encode(
        self,
        source: Source | Picture,
        *,
        quality: float | None = None,
        target_bytes: float | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        effort: int = 1,
        strip: bool = False,
        check: bool = False,
        max_pixels: int | None = None,
        progress: Callable[[float, float], None] | None = None,
    ) -> Encoded:
        """A picture -> the bytes of a .nic file.

        source: a path, a Pillow image, a uint8 array (H, W), (H, W, 3) or (H, W, 4), or what
        `image.read` made of one. strip: leave out ICC, EXIF and XMP. check: decode all of it and compare, not
        only what is unlike photographs; what comes out badly is sent as patches. max_pixels: as for `decode`.
        At most one of: quality, 0..100, else 50; target_bytes, the most that the file may take, met within
        2 %; target_bpp, the same for each pixel, met within 1 %; target_psnr, the least in dB over the
        samples without alpha, met within 0.1 dB. For a target the picture is coded about three times.
        effort: 1..9. From 2 on the latent is refined for this one picture, by steps of gradient whose number
        doubles from each effort to the next. That needs torch (MissingExtra), and is kept only where bits and
        squared error together, weighed as `quality` weighs them, come out lower. progress: called at each of
        those steps with the share that is done, and the share of the cost that is left.
        Raises BadImage or LimitExceeded; NicError for an impossible quality or effort, and TargetMissed if no
        quality keeps to a target. Warns of anything that had to be converted, and of targets that were only
        kept to.
        """
        picture = read(source)
        height, width, _ = picture.pixels.shape
        container.check_size(width, height, max_pixels)
        target = rate.target(height * width, size=target_bytes, bpp=target_bpp, psnr=target_psnr)
        code = self._coder(picture, strip, check, effort, progress)
        if target is None:
            return code(quantize.quality_index(50 if quality is None else quality))
        if quality is not None:
            raise NicError("quality and a target exclude each other")

        trials: dict[int, tuple[Encoded, float]] = {}

        def trial(q: int) -> float:
            data = code(q)
            value = math.log(len(data)) if target.size else self._psnr(picture, data)
            trials[q] = data, value
            return value

        q, hit = rate.search(trial, target)
        data, value = trials[q]
        if not hit:
            rate.explain(target, q, value, 8 * len(data) / (height * width))
        return data

    def _psnr(self, picture: Picture, data: bytes) -> float:
        """PSNR in dB of a file's samples, without alpha."""
        height, width, _ = picture.pixels.shape
        back = np.asarray(self.decode(data, max_pixels=height * width)).reshape(height, width, -1)
        return metrics.psnr(picture.pixels, back[:, :, : picture.pixels.shape[2]])

    def _coder(
        self,
        picture: Picture,
        strip: bool,
        check: bool,
        effort: int,
        progress: Callable[[float, float], None] | None,
    ) -> Callable[[int], Encoded]:
        """What makes a file of a picture, given a quality in hundredths."""
        whole = isinstance(effort, int | np.integer) and not isinstance(effort, bool)
        if not whole or not 1 <= effort <= 9:
            raise NicError(f"effort must be a whole number from 1 to 9, not {effort!r}")
        if effort == 1:
            return lambda q: self._encode(picture, q, strip, check)
        refiner = self._refiner(effort)

        def refined(q: int) -> Encoded:
            refine = refiner.picture(picture.pixels, q, effort, progress)
            files = (self._encode(picture, q, strip, check, r) for r in (None, refine))
            return min(files, key=lambda data: refine.cost(len(data), self._psnr(picture, data)))

        return refined

    def _refiner(self, effort: int) -> Any:
        """The `train.refine.Refiner` of this codec, kept for the next picture."""
        if self._refines is None:
            module = from_torch("refine", f"effort={effort}")
            device = self.device.removesuffix("-torch")
            self._refines = module.Refiner(self.checkpoint, self.networks, self.y_tables, device)
        return self._refines

    def _encode(
        self,
        picture: Picture,
        q: int,
        strip: bool,
        check: bool,
        refine: Callable[[Box, Rows, npt.NDArray[np.int8]], None] | None = None,
    ) -> Encoded:
        """The steps, at one quality in hundredths. refine: changes the latent of a band."""
        height, width, channels = picture.pixels.shape
        whole, ranges = tiles.cells(width, height), self.z_tables.ranges(q)
        size, crc, windows = _tile(whole), SymbolsCrc(), self._windows(pieces(whole))
        z = np.zeros((1, self.z_tables.channels, whole.rows, whole.columns), np.int8)
        rows = size[1] * max(1, SHARED // (size[1] * whole.columns))
        # A picture of less than a cell costs next to nothing to look at, and is seldom a photograph.
        strange = np.full((whole.rows, whole.columns), check or min(height, width) < CELL)

        payloads: list[Chunk] = []
        known: dict[int, Residual] = {}
        for band, y in windows.analysis(picture.pixels, q, ranges, z, rows):
            if refine is not None:
                refine(band, y, z)
            drawn = look.drawn(tiles.cut(picture.pixels, band.times(CELL)))
            here = tiles.crop(strange[None, None], whole, band)[0, 0]
            here |= windows.strange(band, y, q) | drawn
            for tile, r, chunk in self._coded(windows, band, y, z, q, size, crc):
                if here[tile.within(band)].any() and sum(a.nbytes for a in known.values()) < KEPT:
                    known[len(payloads)] = r
                payloads.append(chunk)
        header = Header(width, height, channels, q, size, self.checkpoint.id, crc.value(z))
        chunks = [Chunk(Kind.Z, self.z_tables.write(z, q))]
        chunks += payloads
        seen = self._look(picture.pixels, header, chunks, strange, known)
        mended = seen.mend()
        if picture.alpha is not None:
            chunks.append(Chunk(Kind.ALPHA, alpha.encode(picture.alpha)))
        if mended is not None:
            chunks.append(Chunk(Kind.PATCHES, patches.encode(mended)))
        for kind, blob in ((Kind.ICC, picture.icc), (Kind.EXIF, picture.exif), (Kind.XMP, picture.xmp)):
            if blob and not strip:
                chunks.append(Chunk(kind, container.deflate(blob)))
        data = Encoded(container.pack(header, chunks))
        data.worst_cell, data.psnr = seen.worst, seen.psnr if check else None
        return data

    def _look(
        self,
        pixels: npt.NDArray[np.uint8],
        header: Header,
        chunks: list[Chunk],
        strange: npt.NDArray[np.bool_],
        known: dict[int, Residual],
    ) -> look.Look:
        """Decodes the strange cells of a picture and compares them, and then what lies around bad ones."""
        seen = look.Look(pixels, header.quality)
        windows = pieces(tiles.cells(header.width, header.height))
        area = Box(0, 0, header.height, header.width)
        while wanted := list(look.boxes(strange, windows)):
            for part, painted in self._painted(
                header, chunks, area, CELL, wanted, Windows.synthesis, check=False, known=known
            ):
                seen.see(part, painted)
            strange = seen.spread(self.windows.reach)
        return seen

    def _coded(
        self,
        windows: Windows,
        band: Box,
        y: Rows,
        z: npt.NDArray[np.int8],
        q: int,
        size: tuple[int, int],
        crc: SymbolsCrc,
    ) -> list[tuple[Box, Residual, Chunk]]:
        """The tiles of a band of cells, their symbols, and the chunk of each; adds them to the checksum."""
        here = band.times(Y_CELL)
        r = np.empty((1, y.channels, here.rows, here.columns), np.int16)

        def coded(tile: Box) -> tuple[Box, Residual, Chunk]:
            part, index = windows.residual(tile, y, z, q, self.y_tables)
            tiles.crop(r, here, tile.times(Y_CELL))[...] = part
            payload = entropy.encode(part.reshape(-1), index.reshape(-1), self.y_tables)
            return tile, part, Chunk(Kind.Y, payload)

        chunks = list(windows.beside(coded, tiles.grid(band, size)))
        crc.add(r)
        return chunks

    def decode(
        self,
        data: bytes,
        *,
        region: tuple[int, int, int, int] | None = None,
        scale: float = 1,
        max_pixels: int | None = None,
    ) -> Image.Image:
        """The bytes of a .nic file -> a Pillow image, mode L, LA, RGB or RGBA, with its metadata in `info`.

        region: (x, y, width, height) in pixels, inside the picture: only that, at the cost of that. It is the
        crop of the whole, each sample within 1, if an encoder made the file; but only the whole is held
        against the checksum of all symbols.
        scale: 1, or 1/8 for a preview: about what the whole comes to when reduced, without making it.
        max_pixels: the largest picture, however few its bytes. None: NICODEC_MAX_PIXELS in the environment,
        or 2^27 and no more than the bytes of the file make credible.
        Raises BadFile, ChecksumMismatch, UnsupportedVersion or LimitExceeded; ModelNotFound if the file
        was made with another model than this; NicError for an impossible region or scale.
        """
        header, chunks = container.unpack(data, max_pixels)
        if scale != 1:
            if scale != 1 / PREVIEW or region is not None:
                raise NicError(f"scale must be 1 or 1/{PREVIEW}, and does not go with a region")
            return self._preview(header, chunks)
        area = _area(header, region)
        wanted = pieces(area.over(CELL))
        painted = self._painted(header, chunks, area, CELL, wanted, Windows.synthesis, check=region is None)
        canvas = _canvas(area, header.channels, painted)

        extra = {c.kind: c.payload for c in chunks}
        plane = extra.get(Kind.ALPHA)
        clear = None if plane is None else alpha.decode(plane, header.width, header.height)
        clear = None if clear is None else clear[area.top : area.bottom, area.left : area.right]
        return canvas.finish(clear, *_metadata(extra))

    def _preview(self, header: Header, chunks: list[Chunk]) -> Image.Image:
        """A picture at an eighth of its size, its sides rounded up."""
        whole = Box(0, 0, -(-header.height // PREVIEW), -(-header.width // PREVIEW))
        cell = CELL // PREVIEW
        wanted = list(tiles.windows(whole.over(cell), PREVIEW_WINDOW))
        painted = self._painted(header, chunks, whole, cell, wanted, Windows.preview, check=True)
        canvas = _canvas(whole, header.channels, painted)
        extra = {c.kind: c.payload for c in chunks}
        clear = None
        if Kind.ALPHA in extra:
            clear = image.reduced(alpha.decode(extra[Kind.ALPHA], header.width, header.height), PREVIEW)
        return canvas.finish(clear, *_metadata(extra))

    def _painted(
        self,
        header: Header,
        chunks: list[Chunk],
        area: Box,
        cell: int,
        wanted: list[Box],
        render: Callable[[Windows, Box, Symbols, int], Callable[[], Planes]],
        *,
        check: bool,
        known: dict[int, Residual] | None = None,
    ) -> Iterator[tuple[Box, npt.NDArray[np.uint8]]]:
        """Samples of windows of cells, as far as they lie in an area, each with its place.

        cell: samples for each cell of what `render` makes. check: all symbols are read; hold them against
        their checksum. known: as for `Symbols`.
        """
        if not wanted:
            return
        windows = self._windows(wanted)
        found = self.symbols_of(header, chunks, windows.networks, known)
        sent = [c.payload for c in chunks if c.kind == Kind.PATCHES]
        over = [patches.decode(p, header.width, header.height, header.channels) for p in sent]

        def decoded() -> Iterator[tuple[Box, Callable[[], Planes]]]:
            for window in wanted:
                found.forget(window.top - windows.halo)
                yield window.times(cell), render(windows, window, found, header.quality)

        def painted(job: tuple[Box, Callable[[], Planes]]) -> tuple[Box, npt.NDArray[np.uint8]]:
            seen, paint = job
            part = seen.cut(area)
            pixels = quantize.samples(tiles.crop(paint(), seen, part), header.channels)
            for laid in over:
                laid.lay(pixels, part, shrink=CELL // cell)
            return part, pixels

        yield from windows.beside(painted, decoded())
        if check:
            found.check()

    def _windows(self, wanted: list[Box]) -> Windows:
        """What computes so many windows: one with all threads at each layer, several with one each."""
        return self.windows if len(wanted) == 1 else self._crew

    @cached_property
    def _crew(self) -> Windows:
        """As `windows`, for several at once: threads that share a layer wait for each other at its end."""
        threads = self.threads or cores()
        crew = min(threads, CREW)
        apart = self.device == "cpu" and crew > 1
        networks = Networks(self.checkpoint, threads // crew) if apart else self.networks
        return Windows(self.checkpoint, networks, crew)

    def encode_many(
        self,
        sources: Iterable[Source | Picture],
        *,
        quality: float | None = None,
        target_bytes: float | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        effort: int = 1,
        strip: bool = False,
        check: bool = False,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Encoded | NicError]:
        """Pictures -> for each, in order, the bytes of its file, or the NicError that stands in its way.

        As `encode`, on several pictures at once: workers, None for all cores, are processes of one thread
        each, which never import the caller's program and end with the iterator. One alone is a thread, as
        are those of torch, where pictures of one size are computed in one batch. No more sources are taken
        ahead than two for each worker. progress: called with the number done, in the caller's thread.
        """
        work = partial(
            self._single.encode,
            quality=quality,
            target_bytes=target_bytes,
            target_bpp=target_bpp,
            target_psnr=target_psnr,
            effort=effort,
            strip=strip,
            check=check,
        )
        return self._many(work, _ready, sources, workers, progress)

    def decode_many(
        self,
        files: Iterable[bytes | str | os.PathLike[str]],
        *,
        scale: float = 1,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Image.Image | NicError]:
        """The bytes or the paths of .nic files -> for each, in order, its picture or its NicError.

        As `decode`; workers and progress as in `encode_many`.
        """
        work = partial(self._single.decode, scale=scale)
        return self._many(work, _bytes_of, files, workers, progress)

    def _many(
        self,
        work: Callable[[Ready], Result],
        ready: Callable[[Item], Ready],
        items: Iterable[Item],
        workers: int | None,
        progress: Callable[[int], None] | None,
    ) -> Iterator[Result | NicError]:
        """work(ready(item)) for each, with errors as results; `ready` in this process."""
        if workers is not None and workers < 1:
            raise NicError(f"workers must be at least 1, not {workers}")
        crew = workers or cores()
        # On a device of torch threads meet in one batch; processes would each need their share of its memory.
        apart = crew > 1 and self.device == "cpu"
        return attempts(work, ready, items, crew, apart, progress or (lambda done: None))

    def __reduce__(self) -> tuple[Callable[..., Codec], tuple[Checkpoint]]:
        """Pickled as its model: sessions and locks are made anew where it is unpickled."""
        return partial(Codec, threads=self.threads, device=self.device), (self.checkpoint,)

    @cached_property
    def _single(self) -> Codec:
        """This codec with one thread for each call."""
        alone = self.device != "cpu" or self.threads == 1
        return self if alone else Codec(self.checkpoint, threads=1)

    def symbols_of(
        self,
        header: Header,
        chunks: list[Chunk],
        networks: Networks | None = None,
        known: dict[int, Residual] | None = None,
    ) -> Symbols:
        """The integers of a file that `container.unpack` took apart, decoded as they are asked for.

        networks: what computes their tables, unless it is those of this codec. known: as for `Symbols`.

        Raises ModelNotFound if the file was made with another model.
        """
        if header.model != self.checkpoint.id:
            raise ModelNotFound(
                f"the file was made with the model {header.model.hex()},"
                f" not with {shown(self.checkpoint.name)} ({self.checkpoint.id.hex()})"
            )
        return Symbols(header, chunks, networks or self.networks, self.y_tables, self.z_tables, known)


def _canvas(area: Box, channels: int, painted: Iterable[tuple[Box, npt.NDArray[np.uint8]]]) -> image.Canvas:
    """An area of samples, made of pieces with their places."""
    canvas = image.Canvas(area.columns, area.rows, channels)
    for part, pixels in painted:
        canvas.paste(pixels, part.left - area.left, part.top - area.top)
    return canvas


def _tile(whole: Box) -> tuple[int, int]:
    """Width and height of the tiles of a picture: the wider it is, the lower."""
    return TILE[0], min(TILE[1], max(LOWEST, BAND // whole.columns))


def _ready(source: Source | Picture) -> Source | Picture:
    """What reaches another process whole: no stream, and no Pillow image, which may lose its metadata."""
    return (
        source
        if isinstance(source, str | os.PathLike | bytes | bytearray | np.ndarray | Picture)
        else read(source)
    )


def _bytes_of(file: bytes | str | os.PathLike[str]) -> bytes:
    return file if isinstance(file, bytes) else read_bytes(file)


def _metadata(extra: dict[int, bytes]) -> Iterator[bytes | None]:
    """ICC, EXIF and XMP of a file, from its chunks by kind."""
    return (container.inflate(extra[k]) if k in extra else None for k in (Kind.ICC, Kind.EXIF, Kind.XMP))


def _area(header: Header, region: tuple[int, int, int, int] | None) -> Box:
    """The pixels that are wanted."""
    whole = Box(0, 0, header.height, header.width)
    if region is None:
        return whole
    try:
        x, y, width, height = map(operator.index, region)
    except (TypeError, ValueError):
        raise NicError(f"a region is four whole numbers (x, y, width, height), not {region!r}") from None
    area = Box(y, x, y + height, x + width)
    if width < 1 or height < 1 or area.cut(whole) != area:
        raise NicError(f"the region {width}x{height} at {x},{y} is not inside {header.width}x{header.height}")
    return area


def read(source: Source | Picture) -> Picture:
    """Whatever shows a picture -> the picture; what reading lost becomes warnings at the caller's caller."""
    if isinstance(source, Picture):
        return source
    picture = image.read(source)
    for note in picture.notes:
        warnings.warn(note, stacklevel=3)
    return picture
