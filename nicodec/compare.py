"""The original and what codecs made of it → one HTML page that shows them beside each other, offline.

Between the command line and the codec; the other codecs are run as the benchmark runs them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources

import numpy as np

# Pillow stands here as the encoder of what the page shows: `image` has no palettes, and its WebP is slow.
from PIL import Image

from nicodec import __version__, container, image, metrics
from nicodec.api import codec_for
from nicodec.bench.coders import coders
from nicodec.codec import Codec
from nicodec.errors import LimitExceeded, NicError
from nicodec.files import shown
from nicodec.image import Array, Picture

MAX_PIXELS = 40_000_000
"""Most that one page embeds, all its pictures together: 50 to 100 MB, which a browser still opens."""

RIVALS = ("jpeg", "webp", "avif")
"""The benchmark's codecs that are made at the size of the .nic file."""

Region = tuple[int, int, int, int]
"""x, y, width and height, in pixels."""

_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # bare, and in its box
_WEBP_SIDE = 16383  # the longest that WebP has
_LEAST_SCALE = 8  # levels: below it the map would make much of what nobody sees
# Black over red to light yellow, even to the eye: the map is read by its brightness alone.
_HEAT = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39),
     (252, 255, 164)]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Version:
    """One version of the picture: the original, or what a codec made of it.

    name: what it is called, any text. n_bytes: the length of its file. picture: what the file decodes to.
    note: how it was made, where it was made here.
    """

    name: str
    n_bytes: int
    picture: Picture
    note: str = ""


def load(
    name: str, data: bytes, model: str | os.PathLike[str] | None = None, threads: int | None = None
) -> Version:
    """The bytes of a .nic file, or of a picture in any format that Pillow reads, as a version called `name`.

    model, threads: what decodes a .nic file, as `api.codec_for` takes them. Warns of what was converted.
    Raises what `Codec.decode` and `image.read` raise, and MissingExtra for JPEG XL without its plugin.
    """
    if data.startswith(container.MAGIC) or name.endswith(".nic"):
        picture = image.read(codec_for(data, model, threads).decode(data))
    else:
        if data.startswith(_JXL):
            metrics.import_extra("pillow_jxl")  # registers itself with Pillow
        picture = image.read(data)
    for note in picture.notes:
        warnings.warn(note, stacklevel=2)
    return Version(name, len(data), picture)


def ours(
    original: Version,
    quality: float = 50,
    model: str | os.PathLike[str] = "photo",
    threads: int | None = None,
) -> Version:
    """The original through nicodec: its colours alone, without alpha and metadata, so that sizes compare.

    quality: 0..100. model, threads: as `Codec` takes them. Raises what `Codec` and `Codec.encode` raise.
    """
    codec = Codec(model, threads=threads)
    data = codec.encode(_colours(original), quality=quality)
    return _made(original, "nicodec", quality, len(data), image.read(codec.decode(data)))


def rivals(original: Version, budget: int, threads: int | None = None) -> Iterator[Version]:
    """The original through each of `RIVALS`, at the highest quality whose file has at most `budget` bytes.

    Its colours alone, as `ours`. A codec whose smallest file is larger is there with that, and its note says
    so; one that this Pillow lacks is left out with a warning.
    """
    source = image.to_pil(_colours(original))
    for coder in coders(threads=threads or os.cpu_count() or 1):
        if coder.name not in RIVALS:
            continue
        if coder.missing:
            warnings.warn(f"{coder.label} was left out: {coder.missing}", stacklevel=2)
            continue
        quality, data = best_within(partial(coder.encode, source), budget)
        version = _made(original, coder.label, quality, len(data), image.read(data))
        larger = ", its smallest file" if len(data) > budget else ""
        yield replace(version, note=version.note + larger)


def best_within(encode: Callable[[int], bytes], budget: int) -> tuple[int, bytes]:
    """The highest quality, 0 to 100, at which `encode` gives at most `budget` bytes, and these.

    By bisection, which takes files to grow with quality; quality 0 where even that is larger.
    """
    found = None
    low, high = 0, 100
    while low <= high:
        middle = (low + high) // 2
        data = encode(middle)
        if len(data) <= budget:
            found, low = (middle, data), middle + 1
        else:
            high = middle - 1
    return found or (0, encode(0))


def area(
    original: Version, candidates: Sequence[Version], region: Region | None = None, more: int = 0
) -> Region:
    """The part that the page shows of every picture: `region`, or the whole.

    more: candidates that are still to be made, and that will not be for a page that is refused here.
    Raises NicError for a region that is not inside the picture or a candidate of another size than the
    original, and LimitExceeded where all of them together would be more than `MAX_PIXELS`.
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
    count = 1 + len(candidates) + more
    most = MAX_PIXELS // count
    if columns * rows > most:
        w, h = (min(side, math.isqrt(most)) for side in (columns, rows))
        middle = f"{x + (columns - w) // 2},{y + (rows - h) // 2},{w},{h}"
        raise LimitExceeded(
            f"{count} pictures of {columns}x{rows} are too much for one page:"
            f" show a part, such as --region {middle}"
        )
    return x, y, columns, rows


def page(original: Version, candidates: Sequence[Version], region: Region | None = None) -> str:
    """The HTML page: the pictures without loss, their differences from the original, and their numbers.

    It holds all that it shows, and its policy forbids it the network. region: the part that is shown, by
    default all; the numbers are of the whole. Colours are compared as they are stored, gray as RGB where only
    one picture is gray; alpha is shown, not measured.

    Raises what `area` raises.
    """
    x, y, columns, rows = area(original, candidates, region)
    height, width = original.picture.pixels.shape[:2]
    window = np.s_[y : y + rows, x : x + columns]
    versions = [original, *candidates]
    differences = [_difference(*_colours_of_both(original, c, window)) for c in candidates]
    # One scale for all maps, or they could not be compared; the few pixels above it would darken the rest.
    scale = max([_LEAST_SCALE, *(math.ceil(np.percentile(d, 99.8)) for d in differences)])
    shots = [
        _img("picture", _title(version), _encode(_crop(version.picture, window))) for version in versions
    ]
    maps = [
        _img("map", f"Difference of {_title(version)} from the original", _heat_map(found, scale))
        for version, found in zip(candidates, differences, strict=True)
    ]
    part = "" if region is None else f"Shown are {columns}×{rows} at {x},{y}. The numbers are of the whole. "
    clear = "Alpha is shown, not measured. " if any(v.picture.alpha is not None for v in versions) else ""
    return _fill(
        title=html.escape(_title(original)),
        size=f"{width} × {height}",
        columns=str(columns),
        rows=str(rows),
        options="".join(
            f'<option value="{i}">{html.escape(_title(v))}</option>' for i, v in enumerate(versions)
        ),
        pictures="\n".join(shots + maps),
        table="\n".join(_row(i, original, version) for i, version in enumerate(versions)),
        legend=_heat_map(np.arange(scale + 1, dtype=np.uint8)[None], scale),
        scale=str(scale),
        notes=part + clear,
        version=html.escape(__version__),
    )


def _colours(version: Version) -> Picture:
    return Picture(version.picture.pixels)


def _made(original: Version, name: str, quality: float, n_bytes: int, decoded: Picture) -> Version:
    """What was made of bare colours is shown with the colour profile that these have."""
    fits = decoded.pixels.shape[2] == original.picture.pixels.shape[2]
    picture = Picture(decoded.pixels, icc=original.picture.icc if fits else None)
    return Version(name, n_bytes, picture, f"quality {quality:g}")


def _colours_of_both(a: Version, b: Version, window: tuple[slice, slice]) -> tuple[Array, Array]:
    """uint8 (H, W, C) of both in a window, C being 3 where one of them is RGB."""
    channels = max(v.picture.pixels.shape[2] for v in (a, b))
    both = (v.picture.pixels[window] for v in (a, b))
    first, second = (np.broadcast_to(pixels, (*pixels.shape[:2], channels)) for pixels in both)
    return first, second


def _difference(a: Array, b: Array) -> Array:
    """uint8 (H, W): the largest over the channels."""
    found: Array = (np.maximum(a, b) - np.minimum(a, b)).max(axis=2)
    return found


def _crop(picture: Picture, window: tuple[slice, slice]) -> Picture:
    """Without EXIF and XMP: the page is passed on, and where a picture was taken is nobody's business."""
    alpha = None if picture.alpha is None else picture.alpha[window]
    return Picture(np.ascontiguousarray(picture.pixels[window]), alpha, picture.icc)


def _encode(picture: Picture) -> str:
    """Without loss. WebP is the smaller, but has no gray, and a profile must fit its channels."""
    pil = image.to_pil(picture)
    icc = picture.icc or b""
    if picture.pixels.shape[2] == 3 and max(pil.size) <= _WEBP_SIDE:
        # A seventh of the default's time, for 5 % more bytes.
        return _uri(pil, "WEBP", lossless=True, exact=True, method=1, quality=20, icc_profile=icc)
    return _uri(pil, "PNG", icc_profile=icc)


def _heat_map(difference: Array, scale: int) -> str:
    """uint8 (H, W) → a PNG whose palette runs from no difference to `scale` and more."""
    stops = np.linspace(0, len(_HEAT) - 1, scale + 1)
    colours = [np.interp(stops, range(len(_HEAT)), channel) for channel in _HEAT.T]
    pil = Image.fromarray(np.minimum(difference, scale))
    pil.putpalette(np.stack(colours, 1).round().astype(np.uint8).tobytes())
    return _uri(pil, "PNG")


def _uri(pil: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    pil.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _title(version: Version) -> str:
    """One line of text, whatever the name is."""
    return " · ".join(filter(None, (shown(version.name), version.note)))


def _img(kind: str, alt: str, uri: str) -> str:
    return f'<img class="{kind}" alt="{html.escape(alt)}" draggable="false" hidden src="{uri}">'


def _row(index: int, original: Version, version: Version) -> str:
    height, width = original.picture.pixels.shape[:2]
    psnr = worst = msssim = "–"
    if version is not original:
        pair = _colours_of_both(original, version, np.s_[:, :])
        psnr, cell = _decibels(metrics.psnr(*pair)), metrics.worst_cell(*pair)
        worst = _decibels(cell.psnr)
        if math.isfinite(cell.psnr):
            worst += f" <small>at {cell.x},{cell.y}</small>"
        if min(width, height) >= metrics.MSSSIM_MIN_SIDE:
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


def _fill(**values: str) -> str:
    """The template with its places filled, all in one pass: what is put in is not looked at again.

    Style and script are allowed by their hashes, so nothing that a name smuggled in could run.
    """
    template = resources.files("nicodec").joinpath("compare.html").read_text(encoding="utf-8")
    for kind in ("style", "script"):
        text = re.search(f"<{kind}>(.*?)</{kind}>", template, re.DOTALL)
        assert text is not None
        values[kind] = "sha256-" + base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], template)
