"""Many pictures: one call of the codec for each, and results in order.

Methods of `codec`, above `parallel` with its processes and threads. The result of a bad picture is a NicError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from nicodec.coding.encoded import Encoded
from nicodec.errors import NicError
from nicodec.model import backends
from nicodec.parallel.processes import Apart, can_spawn
from nicodec.parallel.threads import MOST, as_they_come, cores
from nicodec.picture import Picture, PilImage, Source, reader
from nicodec.storage.files import Data, data_of

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Result = TypeVar("Result")


class Encoder(Protocol):
    """A codec, or several to choose from. single: the same with one thread for each call."""

    @property
    def backend(self) -> str: ...
    @property
    def single(self) -> Encoder: ...
    @property
    def encode(self) -> Callable[..., Encoded]: ...


class Codec(Encoder, Protocol):
    """The codec that has these methods."""

    @property
    def single(self) -> Codec: ...
    @property
    def decode(self) -> Callable[..., PilImage]: ...


def encode_many(
    codec: Encoder,
    sources: Iterable[Source | Picture],
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
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Encoded | NicError]:
    """Pictures -> for each, in order, the bytes of its file or its NicError.

    Options are those of `Codec.encode`. workers: the number of pictures at once; None means all cores. Workers are
    processes with one thread each, which never import the caller's program and end with the iterator. They are threads
    on a backend that is not the CPU, and in a program that cannot begin processes.
    A single worker is the caller's own thread. At most two sources for each worker are taken ahead.
    progress: called with the number of pictures done, in the caller's thread. Raises NicError for an impossible
    number of workers.
    """
    work = partial(
        codec.single.encode,
        quality=quality,
        target_bytes=target_bytes,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        effort=effort,
        lossless=lossless,
        strip=strip,
        strip_gps=strip_gps,
        check=check,
    )
    return _many(codec, work, _ready, sources, workers, progress)


def decode_many(
    codec: Codec,
    files: Iterable[Data],
    *,
    scale: float = 1,
    natural: float = 0,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PilImage | NicError]:
    """Paths, bytes or binary streams of .nic files -> for each, in order, its picture or its NicError.

    scale, natural, seed: as for `Codec.decode`. workers, progress: as for `encode_many`.
    """
    work = partial(codec.single.decode, scale=scale, natural=natural, seed=seed)
    return _many(codec, work, data_of, files, workers, progress)


def _many(
    codec: Encoder,
    work: Callable[[Ready], Result],
    ready: Callable[[Item], Ready],
    items: Iterable[Item],
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> Iterator[Result | NicError]:
    """work(ready(item)) for each item, `ready` in this process.

    Raises NicError for an impossible number of workers, and for one item in place of several, which would be taken
    apart into letters, bytes or lines.
    """
    alone = isinstance(items, str | bytes | bytearray | memoryview) or hasattr(items, "read")
    if alone or not isinstance(items, Iterable):
        raise NicError("give a list of pictures, not one")
    if workers is not None and not 1 <= workers <= MOST:
        raise NicError(f"workers must be from 1 to {MOST}, not {workers}")
    crew = workers or cores()
    apart = crew > 1 and backends.in_processes(codec.backend) and can_spawn()
    return _attempts(work, ready, items, crew, apart, progress or (lambda done: None))


def _attempts(
    work: Callable[[Ready], Result],
    ready: Callable[[Item], Ready],
    items: Iterable[Item],
    crew: int,
    apart: bool,
    progress: Callable[[int], None],
) -> Iterator[Result | NicError]:
    """As `_many`, as a generator. crew: the number of items at once. apart: in processes of their own."""
    with Apart(work) if apart else nullcontext(work) as do:

        def attempt(item: Item) -> Result | NicError:
            try:
                return do(ready(item))
            except NicError as error:
                return error

        stop = do.stop if isinstance(do, Apart) else None
        results = map(attempt, items) if crew == 1 else as_they_come(attempt, items, crew, stop=stop)
        for done, result in enumerate(results, 1):
            progress(done)
            yield result


def _ready(source: Source | Picture) -> Source | Picture:
    """A source that can be pickled without loss. A stream cannot, and a Pillow image may lose its metadata."""
    whole = isinstance(source, str | os.PathLike | bytes | bytearray | np.ndarray | Picture)
    return source if whole else reader.taken(source)
