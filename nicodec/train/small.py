"""Small pictures for small networks: folders of pictures, files of MNIST's kind -> tensors; and back, as one sheet.

Under `vae`. Whatever a file holds, it is a bounded array of bytes or an error.
"""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nicodec import extras, progress
from nicodec.errors import BadFile, BadImage, LimitExceeded, NicError, one_line
from nicodec.picture import Picture, reader, writer
from nicodec.storage.files import shown
from nicodec.train.sources import listed, sources

MOST_BYTES = 1 << 28


class Data(NamedTuple):
    """uint8 (N, channels, side, side) and labels int64 (N,), to learn from and to test with."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


# Of commands that need no pictures.
NONE = Data(*(torch.zeros(0) for _ in range(4)))


def batches(pixels: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures and their labels, in order, `size` at a time."""
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size], labels[start : start + size]


def seen_of(pixels: Tensor, rng: torch.Generator, *, binarise: bool, hole: float) -> tuple[Tensor, Tensor]:
    """uint8 (B, channels, S, S) -> floats in [0, 1], and what an encoder sees of them.

    binarise: each is drawn as 0 or 1, with its brightness as the probability. hole: the side of a square at a random
    place that is not seen, but gray, as a share of the picture's.
    """
    x = pixels.float() / 255
    x = torch.bernoulli(x, generator=rng) if binarise else x
    side = round(hole * x.shape[-1])
    if not side:
        return x, x
    corner = torch.randint(x.shape[-1] - side + 1, (2, len(x), 1), generator=rng)
    row, column = ((torch.arange(x.shape[-1]) >= k) & (torch.arange(x.shape[-1]) < k + side) for k in corner)
    return x, torch.where((row[:, :, None] & column[:, None, :])[:, None], 0.5, x)


def load(source: str, side: int = 32) -> Data:
    """Pictures to learn from. side: pixels, of the tiles that a folder of pictures is cut into.

    source: a folder of MNIST's files (`*-ubyte.gz`), of arrays (`train-x.npy.xz` …), or of pictures, where the folder
    of a picture is its label; `sklearn`, scikit-learn's digits; `drawn`, shapes. Every tenth picture is for testing.
    Raises NicError for what is missing or damaged, LimitExceeded for more than `MOST_BYTES`.
    """
    folder = Path(source)
    if source == "drawn":
        return _split(*_drawn(4000))
    if source == "sklearn":
        digits = extras.load("sklearn.datasets", "recipes", "reading the digits of scikit-learn").load_digits()
        return _split((digits.images * (255 / 16)).round().astype(np.uint8)[:, None], digits.target)
    for names in (
        ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"),
        ("train-x", "train-y", "test-x", "test-y"),
    ):
        ending = "-ubyte.gz" if "idx" in names[0] else ".npy.xz"
        if (folder / (names[0] + ending)).is_file():
            x, y, tx, ty = (_array(folder / (name + ending)) for name in names)
            if not (x.ndim == tx.ndim == 3 and x.shape[1:] == tx.shape[1:] and x.shape[1] == x.shape[2]):
                raise BadFile(f"{shown(folder)}: pictures of {x.shape[1:]} and {tx.shape[1:]} samples, not one square")
            if len(x) < 20 or len(tx) < 1 or y.shape != x.shape[:1] or ty.shape != tx.shape[:1]:
                raise BadFile(f"{shown(folder)}: too few pictures, or their labels have another number")
            parts = (torch.from_numpy(a.copy()) for a in (x[:, None], y, tx[:, None], ty))
            return Data(*(part if part.ndim == 4 else part.long() for part in parts))
    return _split(*_tiles(folder, side))


def _array(path: Path) -> npt.NDArray[np.uint8]:
    """The uint8 array of an IDX file in gzip, or of an NPY file in xz. No more than `MOST_BYTES` are unpacked."""
    try:
        with path.open("rb") as file:
            packed = file.read(MOST_BYTES + 1)
        if path.suffix == ".xz":
            data = lzma.LZMADecompressor(memlimit=MOST_BYTES).decompress(packed, MOST_BYTES + 1)
        else:
            data = zlib.decompressobj(31).decompress(packed, MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise LimitExceeded(f"{shown(path)}: more than {MOST_BYTES:,} bytes")
        if path.suffix == ".xz":
            stream = io.BytesIO(data)
            if np.lib.format.read_magic(stream) != (1, 0):  # type: ignore[no-untyped-call]
                raise ValueError("not version 1.0 of NPY")
            shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)  # type: ignore[no-untyped-call]
            if fortran or kind != np.uint8:
                raise ValueError("not an array of uint8, row by row")
            return np.frombuffer(data, np.uint8, offset=stream.tell()).reshape(shape)
        if data[:3] != b"\0\0\x08" or not 1 <= data[3] <= 4:
            raise ValueError("not an IDX file of bytes")
        sizes = np.frombuffer(data, ">u4", data[3], 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape([int(n) for n in sizes])
    except (OSError, ValueError, IndexError, OverflowError, MemoryError, zlib.error, lzma.LZMAError) as error:
        raise BadFile(f"{shown(path)}: {one_line(error)}") from None


def _tiles(folder: Path, side: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Squares of all pictures of a folder, their labels, and the number of the picture that each is cut from."""
    if not folder.is_dir():
        raise NicError(f"{shown(folder)}: no folder; `sklearn` and `drawn` name pictures too")
    tiles, names, number, size = list[npt.NDArray[np.uint8]](), list[str](), list[int](), 0
    for count, (name, data) in enumerate(sources(listed([folder]))):
        try:
            picture = reader.read(data, strip=True)
        except (BadImage, LimitExceeded):
            continue
        pixels = picture.pixels if picture.alpha is None else picture.pixels * (picture.alpha[:, :, None] / 255)
        for top in range(0, pixels.shape[0] - side + 1, side):
            for left in range(0, pixels.shape[1] - side + 1, side):
                tiles.append(pixels[top : top + side, left : left + side].astype(np.uint8))
                names.append(Path(name).parent.as_posix())
                number.append(count)
                size += 3 * side * side
        if size > MOST_BYTES:
            progress.say(f"{shown(folder)}: {len(tiles)} tiles are enough; the rest is left out")
            break
    colours = max((tile.shape[2] for tile in tiles), default=1)
    if len(set(number)) < 20:
        raise NicError(f"{shown(folder)}: {len(set(number))} pictures of {side} pixels or more; 20 is the least")
    x = np.stack([np.broadcast_to(tile, (side, side, colours)).transpose(2, 0, 1) for tile in tiles])
    return x, np.unique(names, return_inverse=True)[1].astype(np.int64), np.array(number)


def _split(x: npt.NDArray[np.uint8], y: npt.NDArray[Any], picture: npt.NDArray[np.int64] | None = None) -> Data:
    test = (np.arange(len(x)) if picture is None else picture) % 10 == 9
    test[-1] |= not test.any()
    pixels, labels = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))
    return Data(pixels[~test], labels[~test], pixels[test], labels[test])


def _drawn(count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Disc, square, ring and cross, gray, of many sizes and places."""
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=count)
    row, column = np.mgrid[:28, :28][:, None] - rng.uniform(9, 19, (2, count, 1, 1))
    size, radius = rng.uniform(4, 8, (count, 1, 1)), np.hypot(row, column)
    far, near = np.maximum(abs(row), abs(column)), np.minimum(abs(row), abs(column))
    edge = np.choose(y[:, None, None], [radius, far, 4 * abs(radius - size * 0.7), np.maximum(far, 4 * near)])
    return (255 * np.clip(size - edge, 0, 1)).astype(np.uint8)[:, None], y


def check_out(path: Path, *, force: bool) -> None:
    """Raises NicError, before any work, for a file that could not be written after it."""
    if path.exists() and not force:
        raise NicError(f"{shown(path)}: exists already; -f overwrites it")
    if not path.parent.is_dir():
        raise NicError(f"{shown(path)}: there is no folder {shown(path.parent)}")


def png(pictures: Tensor, longest: int = 720) -> bytes:
    """Pictures (rows, columns, channels, side, side) in [0, 1] -> PNG, each pixel enlarged by a whole factor."""
    gap = F.pad(pictures, (0, 1, 0, 1), value=1.0)
    rows, columns, channels, height, width = gap.shape
    whole = F.pad(
        gap.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels), (0, 0, 1, 0, 1, 0), value=1
    )
    factor = max(1, longest // max(whole.shape[:2]))
    samples = (whole.clamp(0, 1) * 255).round().byte().repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    return writer.encoded(writer.to_pil(Picture(np.ascontiguousarray(samples.numpy()))), "png")


def plot(points: dict[int, tuple[float, float]]) -> bytes:
    """PNG of squared errors by width of the latent: of a network, and of principal axes."""
    figure = extras.load("matplotlib.figure", "train", "the elbow plot").Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, style) in enumerate((("this network", "o-"), ("principal axes", "s--"))):
        axes.plot(list(points), [pair[number] for pair in points.values()], style, label=name)
    axes.set(xscale="log", xlabel="numbers in the latent", ylabel="squared error of a pixel, test pictures")
    axes.set_xticks(list(points), [str(width) for width in points], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
