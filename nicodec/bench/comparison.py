"""An original and its versions by codecs -> one HTML page that shows them beside each other, offline.

Between the command line and `api`. `coders` runs the other codecs, as in the benchmark.
"""

from __future__ import annotations

import html
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from nicodec import __version__, extras
from nicodec.api import decoder_for
from nicodec.bench import template
from nicodec.bench.coders import coders
from nicodec.bitstream import container
from nicodec.codec import Codec
from nicodec.coding import targets
from nicodec.errors import LimitExceeded, NicError, one_line
from nicodec.picture import Array, Beside, Picture, metrics, reader, web, writer
from nicodec.storage.files import shown

MAX_PIXELS = 40_000_000
"""The most pixels of all pictures of a page together: 50 to 100 MB, which a browser still opens."""

RIVALS = ("jpeg", "webp", "avif")
"""The codecs of the benchmark that are shown at the size of the .nic file."""

NATURAL_RIVALS = ("avif-ssim",)
"""Beside a natural picture: AVIF, tuned for what people see."""

Region = tuple[int, int, int, int]
"""x, y, width and height, in pixels."""

_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # bare, and in its box
_LEAST_SCALE = 8  # levels of a sample: a map of a smaller scale would show differences that nobody sees


@dataclass(frozen=True, eq=False)
class Version:
    """One version of the picture: the original, or the result of a codec.

    name: any text. n_bytes: the length of its file. picture: the decoded file. note: the settings of a version that
    was made here, else empty. nic: the bytes of a .nic file, None of any other.
    """

    name: str
    n_bytes: int
    picture: Picture
    note: str = ""
    nic: bytes | None = field(default=None, repr=False)


def load(
    name: str, data: bytes, model: str | None = None, threads: int | None = None, near: str | None = None
) -> Version:
    """The bytes of a .nic file, or of a picture in any format that Pillow reads, as a version called `name`.

    model, threads, near: of the decoder of a .nic file, as for `api.decoder_for`. Warns of each conversion. Raises as
    `Codec.decode` and `reader.read`, and MissingExtra for JPEG XL without its plugin.
    """
    is_nic = data.startswith(container.MAGIC) or name.endswith(".nic")
    if is_nic:
        file = container.unpack(data)
        picture = reader.read(decoder_for(file, model, threads, near)(file))
    else:
        if data.startswith(_JXL):
            extras.load("pillow_jxl", "bench", "JPEG XL")  # the plugin registers itself with Pillow
        picture = reader.read(data)
    for note in picture.notes:
        warnings.warn(note, stacklevel=2)
    return Version(name, len(data), picture, nic=data if is_nic else None)


def ours(
    original: Version, quality: float = 50, model: str | os.PathLike[str] = "photo", threads: int | None = None
) -> Version:
    """The original through nicodec, with alpha and without metadata, so that sizes can be compared.

    quality: 0..100. model, threads: as for `Codec`. Raises as `Codec`, `Codec.encode` and `Codec.decode`.
    """
    codec = Codec(model, threads=threads)
    data = codec.encode(_plain(original), quality=quality, lossless=False)
    return replace(_made(original, "nicodec", quality, len(data), reader.read(codec.decode(data))), nic=bytes(data))


def natural(version: Version, model: str | None = None, threads: int | None = None, near: str | None = None) -> Version:
    """The natural picture of the file of a version, which is a .nic file. Arguments and errors are those of `load`."""
    file = container.unpack(version.nic or b"")
    drawn = reader.read(decoder_for(file, model, threads, near)(file, natural=1)).pixels
    what = "natural: nothing to draw" if file.of_samples else "natural: texture is drawn"
    note = ", ".join(filter(None, (version.note, what)))
    return replace(version, picture=replace(version.picture, pixels=drawn), note=note)


def rivals(
    original: Version, budget: int, threads: int | None = None, names: Sequence[str] = RIVALS
) -> Iterator[Version]:
    """The original through each of these codecs, at the highest quality whose file has at most `budget` bytes.

    names: as in the benchmark. Metadata is left out, and alpha by a codec without it. If the smallest file is larger,
    it is shown, and its note says so. A codec or a tuning that this Pillow lacks is left out with a warning.
    """
    source = writer.to_pil(_plain(original))
    for coder in coders(threads=threads or os.cpu_count() or 1, tunes=("psnr", "ssim")):
        if coder.name not in names:
            continue
        try:
            if coder.missing:
                raise ValueError(coder.missing)
            quality, data = best_within(partial(coder.encode, coder.given(source)), budget)
        except ValueError as error:  # of a libavif without this tuning too
            warnings.warn(f"{coder.label} was left out: {one_line(error)}", stacklevel=2)
            continue
        version = _made(original, coder.label, quality, len(data), reader.read(data))
        larger = ", its smallest file" if len(data) > budget else ""
        yield replace(version, note=version.note + larger)


def best_within(encode: Callable[[int], bytes], budget: int) -> tuple[int, bytes]:
    """The highest quality, 0 to 100, at which `encode` gives at most `budget` bytes, and that file.

    encode: quality -> a file, whose size is assumed to grow with quality. If the file of quality 0 is larger than
    `budget`, the result is that file.
    """
    made: dict[int, bytes] = {}

    def size(quality: int) -> float:
        made[quality] = encode(quality)
        return math.log(len(made[quality]))

    quality = targets.crossing(size, math.log(budget), 100)
    return quality, made[quality] if quality in made else encode(quality)


def area(original: Version, candidates: Sequence[Version], region: Region | None = None, more: int = 0) -> Region:
    """The part that the page shows of every picture: `region`, or the whole.

    more: the number of candidates that are still to be made, so that a page is refused before that work. Raises
    NicError for a region outside the picture, or for a candidate of another size than the original. Raises
    LimitExceeded if all pictures together have more than `MAX_PIXELS`.
    """
    height, width = original.picture.pixels.shape[:2]
    for candidate in candidates:
        h, w = candidate.picture.pixels.shape[:2]
        if (w, h) != (width, height):
            sizes = f"is {w}x{h}, but {shown(original.name)} is {width}x{height}"
            raise NicError(f"{shown(candidate.name)} {sizes}")
    x, y, columns, rows = region or (0, 0, width, height)
    if not (columns > 0 <= x <= width - columns and rows > 0 <= y <= height - rows):
        raise NicError(f"the region {columns}x{rows} at {x},{y} is not inside {width}x{height}")
    most = MAX_PIXELS // (count := 1 + len(candidates) + more)
    if columns * rows > most:
        w, h = (min(side, math.isqrt(most)) for side in (columns, rows))
        middle = f"{x + (columns - w) // 2},{y + (rows - h) // 2},{w},{h}"
        raise LimitExceeded(
            f"{count} pictures of {columns}x{rows} are too much for one page: show a part, such as --region {middle}"
        )
    return x, y, columns, rows


def page(original: Version, candidates: Sequence[Version], region: Region | None = None) -> str:
    """The HTML page: the pictures without loss, their differences from the original, and their numbers.

    The page holds all its content, and its security policy forbids the network. region: the part that is shown, by
    default the whole; the numbers are always of the whole. Colours are compared as stored. Gray counts as RGB where
    only one of two pictures is gray. Where the original is clear, nothing is compared. Raises as `area`.
    """
    candidates = [replace(c, note=", ".join(filter(None, (c.note, _alpha_note(original, c))))) for c in candidates]
    x, y, columns, rows = area(original, candidates, region)
    height, width = original.picture.pixels.shape[:2]
    window = np.s_[y : y + rows, x : x + columns]
    versions = [original, *candidates]
    differences = [_difference(original, c, window) for c in candidates]
    # All maps have one scale, so that they can be compared. The few pixels above it would darken all others.
    scale = max([_LEAST_SCALE, *(math.ceil(np.percentile(d, 99.8)) for d in differences)])
    shots = [_img("picture", _title(version), web.embedded(_crop(version.picture, window))) for version in versions]
    maps = [
        _img("map", f"Difference of {_title(version)} from the original", web.heat_map(found, scale))
        for version, found in zip(candidates, differences, strict=True)
    ]
    part = "" if region is None else f"Shown are {columns}×{rows} at {x},{y}. The numbers are of the whole. "
    clear = any(_seen(v) is not None for v in versions)
    told = (
        "What is clear shows gray squares. Only samples that are not clear in the original are compared, and MS-SSIM"
        " is not told of a transparent original. Bytes of alpha count. "
    )
    return template.fill(
        "comparison.html",
        title=html.escape(_title(original)),
        size=f"{width} × {height}",
        columns=str(columns),
        rows=str(rows),
        options="".join(f'<option value="{i}">{html.escape(_title(v))}</option>' for i, v in enumerate(versions)),
        pictures="\n".join(shots + maps),
        table="\n".join(_row(i, original, version) for i, version in enumerate(versions)),
        legend=web.heat_map(np.arange(scale + 1, dtype=np.uint8)[None], scale),
        scale=str(scale),
        ground="checkered" if clear else "",
        notes=part + told * clear,
        version=html.escape(__version__),
    )


def _seen(version: Version) -> Array | None:
    """The alpha of a version, None where all of it is opaque."""
    alpha = version.picture.alpha
    return None if alpha is None or alpha.min() == 255 else alpha


def _plain(version: Version) -> Picture:
    return Picture(version.picture.pixels, _seen(version))


def _alpha_note(original: Version, version: Version) -> str:
    """What became of the alpha of the original; nothing if it is exact."""
    wanted, found = _seen(original), _seen(version)
    if wanted is None or found is None:
        return "" if wanted is found else "without alpha" if found is None else "transparent"
    return "" if (off := np.abs(wanted.astype(np.int16) - found).max()) == 0 else f"alpha off by up to {off}"


def _made(original: Version, name: str, quality: float, n_bytes: int, decoded: Picture) -> Version:
    """A version that was made here, shown with the colour profile of the original if that fits."""
    fits = decoded.pixels.shape[2] == original.picture.pixels.shape[2]
    picture = Picture(decoded.pixels, decoded.alpha, Beside(icc=original.picture.beside.icc if fits else None))
    return Version(name, n_bytes, picture, f"quality {quality:g}")


def _colours_of_both(a: Version, b: Version, window: tuple[slice, slice]) -> tuple[Array, Array]:
    """The samples of both in a window, uint8 (H, W, C) each; C is 3 where one of them is RGB."""
    channels = max(v.picture.pixels.shape[2] for v in (a, b))
    both = (v.picture.pixels[window] for v in (a, b))
    first, second = (np.broadcast_to(pixels, (*pixels.shape[:2], channels)) for pixels in both)
    return first, second


def _difference(original: Version, version: Version, window: tuple[slice, slice]) -> Array:
    """The largest difference over the channels, uint8 (H, W): of colours where the original is not clear, and of alpha.

    A version without alpha is no different in it, because all of the map would be.
    """
    a, b = _colours_of_both(original, version, window)
    found: Array = (np.maximum(a, b) - np.minimum(a, b)).max(axis=2)
    wanted, made = _seen(original), _seen(version)
    if wanted is not None:
        found[wanted[window] == 0] = 0
        if made is not None:
            both = wanted[window], made[window]
            found = np.maximum(found, np.maximum(*both) - np.minimum(*both))
    return found


def _crop(picture: Picture, window: tuple[slice, slice]) -> Picture:
    """A window of a picture, without EXIF and XMP: people pass the page on, and EXIF may hold a place."""
    alpha = None if picture.alpha is None else picture.alpha[window]
    return Picture(np.ascontiguousarray(picture.pixels[window]), alpha, Beside(icc=picture.beside.icc))


def _title(version: Version) -> str:
    """The name and the note on one line, also for a name with line ends."""
    return " · ".join(filter(None, (shown(version.name), version.note)))


def _img(kind: str, alt: str, uri: str) -> str:
    return f'<img class="{kind}" alt="{html.escape(alt)}" draggable="false" hidden src="{uri}">'


def _row(index: int, original: Version, version: Version) -> str:
    height, width = original.picture.pixels.shape[:2]
    psnr = worst = msssim = "–"
    if version is not original:
        pair, alpha = _colours_of_both(original, version, np.s_[:, :]), _seen(original)
        psnr, cell = _decibels(metrics.psnr(*pair, alpha)), metrics.worst_cell(*pair, alpha)
        worst = _decibels(cell.psnr)
        if math.isfinite(cell.psnr):
            worst += f" <small>at {cell.x},{cell.y}</small>"
        if alpha is None and min(width, height) >= metrics.MSSSIM_MIN_SIDE:
            msssim = f"{metrics.msssim(*pair):.4f}"
    cells = (
        f"{version.n_bytes:,}",
        f"{100 * version.n_bytes / original.n_bytes:.1f} %",
        f"{metrics.bpp(version.n_bytes, width, height):.3f}",
        psnr,
        worst,
        msssim,
    )
    note = f" <small>{html.escape(version.note or ('' if index else 'original'))}</small>"
    name = f'<th scope="row" role="rowheader">{html.escape(shown(version.name))}{note}</th>'
    return f'<tr role="row">{name}{"".join(f"<td role=cell>{cell}</td>" for cell in cells)}</tr>'


def _decibels(db: float) -> str:
    return "∞" if math.isinf(db) else f"{db:.2f}"
