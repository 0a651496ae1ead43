"""The table of codecs with their settings, and the function that measures a real file.

Under `run`, `crops` and `comparison`: a picture and a setting in, one point of rate, distortion and time out.
"""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

# Pillow is imported here because it is measured: the other codecs are its encoders, which `picture` hides.
from PIL import Image, features

from nicodec.errors import BadModel, ModelNotFound, NicError
from nicodec.picture import invisible, metrics, reader, writer

# The beginning of the name of a row for a further model of nicodec.
FURTHER = "nicodec:"


@dataclass(frozen=True)
class Coder:
    """One row of the table of codecs: its names, its settings, and its functions."""

    name: str
    label: str
    how: str
    """Settings in words, for the report."""
    ladder: tuple[float, ...]
    """Settings by rising rate, about 0.1 to 2.5 bits per pixel; settings between them are interpolated."""
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]
    whole: bool = True
    """Whether only whole numbers are settings."""
    alpha: bool = True
    """Whether its files hold alpha."""
    missing: str = ""
    """The reason why it cannot run here; empty where it can."""

    @property
    def codec(self) -> str:
        """The name by which a user asks for the row; all models of nicodec share one."""
        return self.name.split(":")[0]

    def given(self, image: Image.Image) -> Image.Image:
        """What its encoder gets of a gray, RGB or RGBA image: where its files have no alpha, only the colours.

        These are made smooth where they are clear, so that no codec pays for what nobody sees.
        """
        if self.alpha or image.mode != "RGBA":
            return image
        return writer.to_pil(replace(invisible.filled(reader.read(image)), alpha=None))

    def back(self, data: bytes, source: Image.Image) -> Image.Image:
        """The decoded file of `source`, which is gray where that is: some codecs give gray back as RGB."""
        image = self.decode(data)
        return image.convert("L") if (source.mode, image.mode) == ("L", "RGB") else image

    def setting(self, position: float) -> float:
        """The setting at a position from 0 (smallest files) to 1 (largest)."""
        steps = len(self.ladder) - 1
        value = float(np.interp(position * steps, range(steps + 1), self.ladder))
        return round(value) if self.whole else round(value, 4)

    def settings(self, points: int) -> list[float]:
        """At most `points` settings, evenly over the ladder, by rising rate; equal ones count once."""
        return list(dict.fromkeys(self.setting(i / (points - 1)) for i in range(points)))


def nicodec(model: str, threads: int, *, further: bool = False, **manner: float) -> Coder:
    """The row of one model, which is loaded at its first use. further: whether it is another than the judged one.

    manner: arguments of `decode`.
    """
    ours: list[Any] = []

    def codec() -> Any:
        if not ours:
            from nicodec import Codec

            ours.append(Codec(model, threads=threads))
        return ours[0]

    def encode(image: Image.Image, quality: float) -> bytes:
        data: bytes = codec().encode(image, quality=quality, lossless=False)
        return data

    def decode(data: bytes) -> Image.Image:
        image: Image.Image = codec().decode(data, **manner)
        return image

    name, label = (FURTHER + model, f"nicodec {Path(model).stem}") if further else ("nicodec", "nicodec")
    return Coder(name, label, f"model {model}", (0, 100), encode, decode)


def coders(
    model: str = "photo", threads: int = 1, further: Sequence[str] = (), tunes: Sequence[str] = ("psnr", "iq")
) -> list[Coder]:
    """The table of codecs. threads: for every codec that can be told. further: more models, each with its own row.

    tunes: those of AVIF; each has its own row.
    """
    avif, jxl = _plugin("PIL.AvifImagePlugin"), _plugin("pillow_jxl.JpegXLImagePlugin")

    def pillow(kind: str, **options: Any) -> Callable[[Image.Image, float], bytes]:
        return lambda image, quality: _save(image, kind, quality=quality, **options)

    def jpeg2000(image: Image.Image, rate: float) -> bytes:
        # Without `mct` Pillow leaves the colour transform off, which costs 4 dB.
        colours = 1 if image.mode == "L" else 3
        layers = [8 * colours / rate]
        return _save(
            image, "JPEG2000", irreversible=True, mct=int(colours > 1), quality_mode="rates", quality_layers=layers,
            no_jp2=True,
        )  # fmt: skip

    def avif_encode(tune: str) -> Callable[[Image.Image, float], bytes]:
        advanced = {"tune": tune}
        return lambda image, quality: _save(
            image, "AVIF", quality=quality, subsampling="4:0:0" if image.mode == "L" else "4:4:4", speed=6, codec="aom",
            max_threads=threads, advanced=advanced,
        )  # fmt: skip

    def avif_decode(data: bytes) -> Image.Image:
        with _set(avif, "DEFAULT_MAX_THREADS", threads):
            return _open(data, "AVIF")

    def jxl_decode(data: bytes) -> Image.Image:
        with _set(jxl, "DECODE_THREADS", threads):
            return _open(data, "JXL")

    def opened(kind: str) -> Callable[[bytes], Image.Image]:
        return lambda data: _open(data, kind)

    no_avif = "" if avif and features.check("avif") else "this Pillow has no AVIF"
    q_jpeg = (3, 5, 10, 20, 35, 50, 65, 75, 85, 90, 95)
    q_avif = (8, 14, 20, 28, 36, 44, 52, 60, 68, 77, 86)
    return [
        Coder(
            "jpeg", "JPEG", "Pillow's default: 4:2:0, baseline, standard Huffman tables",
            q_jpeg, pillow("JPEG"), opened("JPEG"), alpha=False,
        ),
        Coder(
            "jpeg-444", "JPEG 4:4:4", "4:4:4, optimised Huffman tables, progressive",
            q_jpeg, pillow("JPEG", subsampling="4:4:4", optimize=True, progressive=True), opened("JPEG"),
            alpha=False,
        ),
        Coder(
            "webp", "WebP", "lossy, method 6",
            (0, 5, 15, 30, 50, 65, 75, 84, 90, 93, 96), pillow("WEBP", method=6), opened("WEBP"),
            missing="" if features.check("webp") else "this Pillow has no WebP",
        ),
        *(
            Coder(
                "avif" if tune == "psnr" else f"avif-{tune}", "AVIF" if tune == "psnr" else f"AVIF tune {tune}",
                f"libaom, 4:4:4, gray 4:0:0, speed 6, tune {tune}" + " (the library's default)" * (tune == "iq"),
                q_avif, avif_encode(tune), avif_decode,
                missing=no_avif,
            )
            for tune in tunes
        ),
        Coder(
            "jpeg2000", "JPEG 2000", "OpenJPEG, 9/7 irreversible, colour transform, one layer",
            (0.1, 0.15, 0.25, 0.4, 0.6, 0.85, 1.2, 1.6, 2.0, 2.4, 2.8), jpeg2000, opened("JPEG2000"),
            whole=False, missing="" if features.check("jpg_2000") else "this Pillow has no JPEG 2000",
        ),
        Coder(
            "jxl", "JPEG XL", "libjxl VarDCT, effort 7",
            (1, 5, 10, 20, 35, 50, 62, 72, 80, 87, 93), pillow("JXL", effort=7, num_threads=threads),
            jxl_decode, missing="" if jxl else "pip install pillow-jxl-plugin",
        ),
        nicodec(model, threads),
        *(nicodec(other, threads, further=True) for other in further),
    ]  # fmt: skip


def _plugin(module: str) -> Any:
    """A plugin of Pillow, which registers itself when imported; None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _open(data: bytes, kind: str) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=[kind])
    return image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "L" else "RGB")


@contextmanager
def _set(module: Any, name: str, value: object) -> Iterator[None]:
    """Set a name in a module for the block: some plugins of Pillow take a setting only from there."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def versions() -> dict[str, str]:
    """Versions of the libraries behind Pillow's codecs."""
    return {name: str(features.version(name)) for name in ("libjpeg_turbo", "webp", "avif", "jpg_2000")}


@dataclass(frozen=True)
class Point:
    """One picture through one codec at one setting."""

    codec: str
    setting: float
    image: str
    n_bytes: int
    bpp: float
    psnr: float
    """dB, RGB; inf where the picture came back unchanged."""
    msssim: float | None
    """0 to 1; None for a picture that is too small or transparent."""
    worst_psnr: float
    """Of the worst cell of 16 x 16 pixels."""
    worst_x: int
    worst_y: int
    """Its top left corner, in pixels."""
    encode_s: float
    decode_s: float


def round_trip(coder: Coder, setting: float, image: Image.Image, name: str) -> tuple[bytes, Image.Image, float, float]:
    """A real file, what it decodes to, and the seconds of both. Arguments and errors are those of `measure`."""
    source = coder.given(image)
    try:
        start = time.perf_counter()
        data = coder.encode(source, setting)
        between = time.perf_counter()
        back = coder.back(data, source)
        end = time.perf_counter()
    except (ModelNotFound, BadModel):
        raise  # not the fault of this picture
    except Exception as error:  # a codec's library may raise any error; the message must name codec and picture
        kind = type(error) if isinstance(error, NicError) else NicError
        raise kind(f"{name}: {coder.name} at {setting:g} failed: {error}") from error
    if (back.mode, back.size) != (source.mode, source.size):
        raise NicError(f"{name}: {coder.name} at {setting:g} gave back {back.mode} {back.size}, not {image.size}")
    return data, back, between - start, end - between


def measure(coder: Coder, setting: float, image: Image.Image, name: str) -> Point:
    """Encode to a real file, decode that file, and compare. The wall times are those of these calls.

    image: gray (L), RGB, or RGBA: then samples that are not clear are compared, and alpha is coded where files hold it.
    name: of the picture. Raises NicError naming codec and picture where the codec fails, or gives another size or
    mode. Raises ModelNotFound and BadModel unchanged.
    """
    data, back, encode_s, decode_s = round_trip(coder, setting, image, name)
    before, after = (np.atleast_3d(np.asarray(one))[:, :, :3] for one in (image, back))
    alpha = np.asarray(image)[:, :, 3] if image.mode == "RGBA" else None
    worst = metrics.worst_cell(before, after, alpha)
    similar = alpha is None and min(image.size) >= metrics.MSSSIM_MIN_SIDE
    return Point(
        coder.name, setting, name, len(data),
        bpp=metrics.bpp(len(data), *image.size),
        psnr=metrics.psnr(before, after, alpha),
        msssim=metrics.msssim(before, after) if similar else None,
        worst_psnr=worst.psnr, worst_x=worst.x, worst_y=worst.y,
        encode_s=encode_s, decode_s=decode_s,
    )  # fmt: skip
