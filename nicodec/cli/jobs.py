"""One job: its source file -> its target file, and a `Done` that describes it.

Between `run` and `codec`. Jobs can be pickled, so that they work in any process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nicodec import progress
from nicodec.cli.plan import Job
from nicodec.cli.report import Done, finite
from nicodec.storage import files, store_of

if TYPE_CHECKING:
    from nicodec.bitstream.container import File
    from nicodec.choice import Choice
    from nicodec.codec import Codec

# A picture with at least this number of pixels has a progress bar of its own.
LARGE = 2_000_000


@dataclass(frozen=True)
class Writing:
    """How a job writes its file. force: replace an existing file. folders: make those that it needs.

    again: a file that is there now may be the job's own, written by a machine that was lost before it answered. The
    same bytes are left, others replaced. preserve: the file gets the time and the permissions of its source; both
    are on this machine.
    """

    force: bool = False
    again: bool = False
    folders: bool = False
    preserve: bool = False

    def __call__(self, job: Job, data: bytes) -> None:
        """Raises NicError."""
        name, store = job.target, store_of(job.target)
        if not (self.again and store.size(name) == len(data) and store.read(name) == data):
            store.write(name, data, overwrite=self.force or self.again, folders=self.folders)
        if self.preserve:
            files.preserve(job.source, name)


@dataclass(frozen=True)
class Encode:
    """Encodes pictures. options: of `Choice.encode`. measured: decode each file for its PSNR. watched: draw a bar.

    Raises what `Choice.encode` raises, and NicError of files.
    """

    choice: Choice
    options: dict[str, Any]
    write: Writing
    measured: bool = False
    watched: bool = False

    def __call__(self, job: Job) -> Done:
        from nicodec.picture import reader

        store = store_of(job.source)
        source = store.source(job.source)
        picture = reader.taken(source, strip=self.options["strip"], strip_gps=self.options["strip_gps"])
        height, width, _ = picture.pixels.shape
        slow = height * width >= LARGE or self.options["effort"] > 1 or self._has_target
        with progress.bar(1, share=True, hidden=not (self.watched and slow)) as advance:
            data = self.choice.encode(picture, **self.options, progress=_trials(advance, self._has_target))
            psnr = data.psnr
            if psnr is None and self.measured:
                psnr = self.choice.psnr(picture, data)
        self.write(job, data)
        bpp, worst = 8 * len(data) / (data.width * data.height), data.worst_cell
        facts: dict[str, Any] = {"quality": data.quality, "bpp": bpp, "lossless": data.lossless}
        model = None if data.model_id is None else self.choice.maker(data).checkpoint.name
        facts |= {"drawing": data.drawing, "model": model, "model_id": data.model_id}
        facts["worst_cell"] = None if worst is None else {**worst._asdict(), "psnr": finite(worst.psnr)}
        said = f"{data.width}x{data.height}, {len(data):,} bytes, {bpp:.3f} bpp"
        if psnr is not None:
            facts["psnr"] = finite(psnr)
        if model is not None and len(self.choice.codecs) > 1:
            said += f", {files.shown(model)}"
        if data.drawing:
            said += ", few colours"
        if data.lossless:
            said += ", lossless"
        elif psnr is not None:
            said += f", {psnr:.2f} dB"
        if data.psnr is not None and worst is not None:
            said += f", worst cell {worst.psnr:.1f} dB at {worst.x},{worst.y}"
        if self._has_target and not data.lossless:
            said += f", quality {data.quality:g}"
        taken = store.size(job.source) if isinstance(source, str) else len(source)
        return Done(data.width, data.height, taken, len(data), said, facts)

    @property
    def _has_target(self) -> bool:
        return any(value for option, value in self.options.items() if option.startswith("target"))


def _trials(advance: progress.Advance, several: bool) -> Callable[[float, float], None]:
    """A `progress` for `Codec.encode` that moves a bar. several: there are trials; each starts at zero."""
    trial, last = 1, 0.0

    def step(done: float, cost: float) -> None:
        nonlocal trial, last
        trial, last = trial + (done <= last), done
        words = [f"trial {trial}"] * several + [f"cost {100 * cost:.1f} %"] * (cost != 1)
        advance(", ".join(words), done)

    return step


@dataclass(frozen=True)
class Decode:
    """Decodes .nic files. model: one to use, or None for that of each file; options: of `Codec.decode`.

    format: of the results; None is that of the target's suffix, or PNG. quality, background: as for
    `writer.encoded`. backend: as for `Codec`. watched: draw a bar. Raises what `Codec.decode` raises, and NicError of
    files.
    """

    model: str | None
    threads: int | None
    options: dict[str, Any]
    format: str | None
    write: Writing
    quality: int | None = None
    depth: int | None = None
    background: str | None = None
    backend: str | None = None
    watched: bool = False

    def __call__(self, job: Job) -> Done:
        from nicodec.api import decoder_for
        from nicodec.bitstream import container

        data = store_of(job.source).read(job.source)
        file = container.unpack(data)
        decode = decoder_for(file, self.model, self.threads, job.source, self.backend)
        return self.written(job, decode, file, len(data))

    def written(self, job: Job, decode: Callable[..., Any], file: File, taken: int) -> Done:
        """Decodes a file, and writes the picture. decode: as `Codec.decode`. taken: bytes of the source."""
        import numpy as np

        from nicodec.coding import beside, painting
        from nicodec.picture import backgrounds, writer

        path = None if job.target == "-" else job.target
        deep = (self.depth or file.header.depth) == 16 and self.background is None and self.options["scale"] == 1
        view = painting.view(file.header, **self.options)
        width, height = view.area.columns, view.area.rows
        slow = self.watched and height * width >= LARGE
        with progress.bar(1, share=True, hidden=not slow) as advance:
            decode = partial(decode, file, **self.options, progress=partial(advance, ""))
            mode = file.mode
            if deep and writer.holds_deep(self.format, path):
                picture = beside.picture(file, decode(dtype=np.uint16), view)
                made = writer.encoded_deep(picture, self.format, path)
            else:
                image = decode()
                if self.background is not None:
                    image = backgrounds.flat(image, backgrounds.colour(self.background))
                    mode = image.mode  # which has no alpha any more
                made = writer.encoded(image, self.format, path, quality=self.quality)
        self.write(job, made)
        return Done(width, height, taken, len(made), f"{width}x{height} {mode}", {"mode": mode})


@dataclass(frozen=True)
class Restore:
    """Restores pictures. codec: of a model that has learnt to. options: of `Codec.restore`. decode: writes the result.

    Raises what `Codec.restore` raises, and NicError of files.
    """

    codec: Codec
    options: dict[str, Any]
    decode: Decode

    def __call__(self, job: Job) -> Done:
        from nicodec.bitstream import container
        from nicodec.coding import cleaning

        store = store_of(job.source)
        source = store.source(job.source)
        data = cleaning.coded(self.codec, source, **self.options)
        taken = store.size(job.source) if isinstance(source, str) else len(source)
        file = container.unpack(data, data.width * data.height)
        done = self.decode.written(job, self.codec.decode, file, taken)
        return replace(done, facts=done.facts | {"restores": self.codec.checkpoint.restores, "quality": data.quality})
