"""The codec: a picture -> the bytes of a .nic file and back, in five steps each way.

Below the functions of `api`. Above `picture`, `model`, `coding` and `bitstream`, which do the steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property, partial

import numpy as np

from nicodec import effort as refining
from nicodec import many
from nicodec.bitstream import container, tiles
from nicodec.bitstream.container import Chunk, File, Header, Kind
from nicodec.bitstream.symbols import Known, Symbols
from nicodec.bitstream.tiles import Y_CELL, Box
from nicodec.coding import beside, cleaning, decoding, fitting, latents, layout, painting, prior, targets
from nicodec.coding.bands import Bands
from nicodec.coding.crew import Crew, in_turn
from nicodec.coding.encoded import Coded, Encoded
from nicodec.coding.fitting import Fit
from nicodec.coding.look import Familiar
from nicodec.coding.lossless import Lossless
from nicodec.coding.painting import Nic
from nicodec.coding.targets import Wish
from nicodec.model import backends, checkpoint, tables
from nicodec.model.backends import Networks
from nicodec.model.checkpoint import Checkpoint
from nicodec.parallel.threads import aside, cores
from nicodec.picture import Picture, Samples, Source, invisible, metrics, reader


class Codec:
    """One model, loaded once; safe to share between threads.

    model: a released name, an id, the path of a .nicmodel file, or a loaded checkpoint. threads: those of each call;
    None means all cores. backend: what computes g_a and g_s: "cpu", "openvino", "cuda" and others (`backends.NAMES`);
    None: NICODEC_BACKEND in the environment, or "cpu". Each decodes the files of every other. Raises ModelNotFound,
    BadModel, MissingExtra, or NicError for impossible arguments.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Checkpoint = "photo",
        *,
        threads: int | None = None,
        backend: str | None = None,
    ) -> None:
        found = model if isinstance(model, Checkpoint) else checkpoint.load(checkpoint.find(model))
        self.checkpoint, self.threads, self.backend = found, threads, backends.chosen(backend)
        self.networks = backends.load(found, threads, self.backend)
        self.y_tables, self.z_tables = tables.y_tables(found), tables.z_tables(found)
        self.crew, self.familiar = Crew(found, self.networks, threads), Familiar(found)
        self._effort = refining.Effort(self.crew, self.y_tables)

    def encode(
        self,
        source: Source | Picture,
        *,
        quality: float | str | None = None,
        target_bytes: float | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        effort: int = 1,
        lossless: bool | None = None,
        strip: bool = False,
        strip_gps: bool = False,
        check: bool = False,
        max_pixels: int | None = None,
        progress: Callable[[float, float], None] | None = None,
    ) -> Encoded:
        """A picture -> the bytes of a .nic file.

        source: as for `reader.read`, or its `Picture`. quality: 0..100, or "lossless"; 50 without a target. One target
        may take its place, in about three encodes. target_bytes, target_bpp: the most bytes, or bits for each pixel,
        met within 2 % and 1 %. target_psnr: the least dB over samples that are not under alpha 0, met within 0.1 dB.
        effort: 1..9. From 2 on the latent is refined by gradient, in steps that double with each effort. The
        result is kept if bits + lambda * squared error fall. lossless: True keeps all samples as they are; None does
        so where that costs less, in the same measure. progress: takes the share done and the share of the cost left,
        after each such step; with effort 1, after each band of each trial. strip: leave out all metadata and the
        profile. strip_gps: leave out the place. check: look at all cells, not only strange ones; bad ones are sent as
        patches. max_pixels: the largest picture; None: NICODEC_MAX_PIXELS in the environment, or 2^27.
        Raises BadImage, LimitExceeded, MissingExtra, TargetMissed, or NicError for impossible arguments. Warns of each
        conversion, and of a target that is kept to but not met.
        """
        picture = reader.taken(source, strip=strip, strip_gps=strip_gps)
        height, width, _ = picture.pixels.shape
        container.check_size(width, height, max_pixels)
        wish = Wish.of(height * width, quality, target_bytes, target_bpp, target_psnr, lossless)
        wish = cleaning.asked(self.checkpoint, wish, effort, check)
        refining.check(effort, self.checkpoint)
        without_loss = Lossless(picture, self.threads or cores())
        if wish.lossless:
            return Encoded.of(without_loss.coded, checked=check)
        seen = invisible.filled(picture)
        psnr, code_at = partial(self.psnr, seen), partial(self._code, seen, check, check or effort > 1)
        code = self._effort.coder(code_at, psnr, seen.eight, effort, progress)
        return Encoded.of(targets.meet(wish, code, psnr, height * width, without_loss), checked=check)

    @in_turn
    def _code(self, picture: Picture, check: bool, patient: bool, q: int, see: Callable[..., None] | None) -> Coded:
        """The five steps. patient: fit a correction to all cells. see: takes each band, its latent to change, and z."""
        height, width, channels = picture.pixels.shape
        whole = tiles.cells(width, height)
        size, windows = layout.tile_size(whole), self.crew.of(len(layout.windows(whole)))
        threads = self.threads or cores()
        look = cleaning.look_of(self.checkpoint)(picture, q, self.familiar, everywhere=check, threads=threads)
        share, within = fitting.share(self.checkpoint, picture, patient=patient), tiles.positions(width, height)
        fit = Fit(self.crew, picture, q, look, size, share)
        bands = Bands(windows, self.y_tables, size, q, fit, within)
        z = np.zeros((1, self.z_tables.channels, whole.rows, whole.columns), np.int8)
        coded: list[Chunk] = []
        rows, ranges = layout.band_rows(whole, size), self.z_tables.ranges(q)
        for band, y in windows.analysis(picture.pixels, q, ranges, z, rows):  # 1. pixels -> latents
            if see is not None:
                see(band, y, z)
            noticed = aside(partial(look.notice, band, y.view(band.times(Y_CELL))), threads)
            if band.bottom == whole.bottom:  # z is complete
                hyper = aside(partial(self.z_tables.write, z, q), threads)
            for tile, r, payload in bands.coded(band, y, z):  # 2. latents -> symbols, 3. symbols -> bytes
                noticed()
                look.keep(len(coded), tile, r)
                coded.append(Chunk(Kind.Y, payload))
            del noticed  # which holds the latents of this band
        depth, crc = picture.depth, bands.crc.value(z)
        header = Header(width, height, channels, depth, q, size, self.checkpoint.id, crc)
        file = File(header, [Chunk(Kind.Z, hyper()), *coded])
        paint = partial(self._painted, file, look.known)
        corrected, mended = look.settle(fit.chunks(), paint, windows.reach)  # 4. the look
        look.known.clear()  # a search for a target keeps the look of each trial
        file.chunks.extend(beside.chunks(picture, mended, look.flats, corrected))  # 5. data beside the tiles
        return Coded(file, look)

    def _painted(self, file: File, known: Known, more: list[Chunk], wanted: list[Box]) -> Iterator[tuple[Box, Samples]]:
        """Samples of windows of cells of an unfinished file with more chunks, in 8 bits, each with its place."""
        windows, whole = self.crew.of(len(wanted)), painting.view(file.header)
        symbols = self.symbols_of(file, windows.networks, known)
        return painting.paint(windows, symbols, file.more(more), whole._replace(windows=wanted))

    def psnr(self, picture: Picture, data: Nic) -> float:
        """PSNR in dB of a file's visible samples against the picture that it was made of."""
        height, width, channels = picture.pixels.shape
        back = self.decode(data, dtype=picture.pixels.dtype, max_pixels=height * width)
        return metrics.psnr(picture.pixels, back.reshape(height, width, -1)[:, :, :channels], picture.alpha)

    decode, restore = decoding.decode, cleaning.restore
    encode_many, decode_many = many.encode_many, many.decode_many
    latents, latent_windows, from_latents = latents.whole, latents.windows, latents.painted

    def symbols_of(self, file: File, networks: Networks | None = None, known: Known | None = None) -> Symbols:
        """The symbols of a file, decoded on demand. Raises ModelNotFound if the file has another model.

        networks: those that find the tables; None means those of this codec. known: as for `Symbols`.
        """
        self.checkpoint.expect(file.header.model)
        find = partial(prior.tables_of, networks or self.networks, q=file.header.quality)
        return Symbols(file.header, file.chunks, find, self.y_tables, self.z_tables, known)

    @cached_property
    def single(self) -> Codec:
        """This codec with one thread for each call."""
        return self if self.threads == 1 else Codec(self.checkpoint, threads=1, backend=self.backend)

    def __repr__(self) -> str:
        return f"Codec({self.checkpoint.name!r}, threads={self.threads}, backend={self.backend!r})"

    def __reduce__(self) -> tuple[Callable[..., Codec], tuple[Checkpoint]]:
        """Pickled as its arguments: sessions and locks are made anew where it is unpickled."""
        return partial(Codec, threads=self.threads, backend=self.backend), (self.checkpoint,)
