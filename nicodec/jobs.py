"""One job: the file, URL or stream that it names -> the one that it makes, and what to say of it.

Between `console`, which runs jobs, and `codec`. Jobs can be pickled, so that they work in any process.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nicodec import buckets, files
from nicodec.batch import Job
from nicodec.errors import BadFile, LimitExceeded, NicError
from nicodec.files import MAX_BYTES, atomic_write

if TYPE_CHECKING:
    from nicodec.codec import Codec


@dataclass(frozen=True)
class Done:
    """What a job made. said: of one file, for a person; facts: the same for programs."""

    width: int
    height: int
    bytes_in: int
    bytes_out: int
    said: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Encode:
    """Encodes pictures. options: of `Codec.encode`. Raises what that raises, and NicError of files.

    force, again: of `write_bytes`.
    """

    codec: Codec
    options: dict[str, Any]
    force: bool = False
    again: bool = False

    def __call__(self, job: Job) -> Done:
        from nicodec import container

        is_file = job.source != "-" and not buckets.is_url(job.source)
        read = job.source if is_file else read_bytes(job.source)
        data = self.codec.encode(read, **self.options)
        write_bytes(job.target, data, self.force, self.again)
        made, _ = container.unpack(data)
        coded_at = made.quality / 100
        bpp, worst = 8 * len(data) / (made.width * made.height), data.worst_cell
        facts: dict[str, Any] = {"quality": coded_at, "bpp": bpp}
        facts["worst_cell"] = None if worst is None else {**worst._asdict(), "psnr": finite(worst.psnr)}
        said = f"{made.width}x{made.height}, {len(data):,} bytes, {bpp:.3f} bpp"
        if data.psnr is not None and worst is not None:
            facts["psnr"] = finite(data.psnr)
            said += f", {data.psnr:.2f} dB, worst cell {worst.psnr:.1f} dB at {worst.x},{worst.y}"
        if any(value for option, value in self.options.items() if option.startswith("target")):
            said += f", quality {coded_at:g}"
        taken = _size_of(read) if isinstance(read, str) else len(read)
        return Done(made.width, made.height, taken, len(data), said, facts)


@dataclass(frozen=True)
class Decode:
    """Decodes .nic files. model: one to use, or None for that of each file; options: of `Codec.decode`.

    format: of the results; None is that of the target's suffix, or PNG. force, again: of `write_bytes`.
    Raises what `Codec.decode` raises, and NicError of files.
    """

    model: str | None
    threads: int | None
    options: dict[str, Any]
    format: str | None = None
    force: bool = False
    again: bool = False

    def __call__(self, job: Job) -> Done:
        from nicodec import image
        from nicodec.api import codec_for

        data = read_bytes(job.source)
        picture = codec_for(data, self.model, self.threads).decode(data, **self.options)
        made = image.encoded(picture, self.format, None if job.target == "-" else job.target)
        write_bytes(job.target, made, self.force, self.again)
        said = f"{picture.width}x{picture.height} {picture.mode}"
        return Done(picture.width, picture.height, len(data), len(made), said, {"mode": picture.mode})


def finite(decibels: float) -> float | None:
    """Decibels as JSON has them, which knows no infinity: None where nothing was lost."""
    return decibels if math.isfinite(decibels) else None


def read_bytes(path: str) -> bytes:
    """The bytes of a file or URL; - is stdin."""
    if path != "-":
        return buckets.read_bytes(path) if buckets.is_url(path) else files.read_bytes(path)
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFile(error.strerror) from None
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"larger than {MAX_BYTES:,} bytes")
    return data


def write_bytes(path: str, data: bytes, force: bool, again: bool = False) -> None:
    """Bytes to a file or URL, whole or not at all; - is stdout.

    again: nothing stood there when the work was handed out, and what does now may be the job's own, of a
    machine that was lost before it could tell. The same bytes are left, others replaced.
    """
    if buckets.is_url(path):
        return buckets.write_bytes(path, data)
    if path != "-":
        if again and _size_of(path) == len(data) and files.read_bytes(path) == data:
            return None
        return atomic_write(path, data, overwrite=force or again)
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # whoever read has enough
    except OSError as error:
        raise NicError(f"stdout: cannot be written: {error.strerror}") from None


def _size_of(path: str) -> int:
    """Bytes of a file; 0 if it is gone meanwhile, which is no fault of what was made."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
