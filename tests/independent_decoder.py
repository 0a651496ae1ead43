"""A second decoder of .nic files, written from docs/FORMAT.md with NumPy alone: FILE MODEL -> what is in it.

Shares nothing with the package: if both agree on every conformance vector, the document says enough, and no
library underneath the package has a say in what a file means. Only the VP8L streams of lossless files, which have a
document of their own, are left to Pillow. It is slow, and strict.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from bisect import bisect_right
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
Z, Y, ALPHA, PATCHES, FLATS, SAMPLES, CORRECTION = 1, 2, 3, 4, 5, 6, 7
METADATA = {0x81: "ICC", 0x82: "EXIF", 0x83: "XMP", 0x84: "IPTC", 0x85: "TEXT", 0x86: "DENSITY"}
DTYPES = {"F16": "<f2", "F32": "<f4", "I8": "<i1", "U8": "<u1", "I16": "<i2", "U16": "<u2", "I32": "<i4"}


class Decoded(NamedTuple):
    """z: int8 (Z, h, w). r: int16 (L, 4h, 4w). pixels: uint8 or uint16 (H, W, 1 or 3). alpha: (H, W) or None."""

    z: Array
    r: Array
    pixels: Array
    alpha: Array | None
    metadata: dict[int, bytes]


Header = namedtuple(
    "Header", "major minor channels depth symbols_crc model width height quality tile_width tile_height chunks"
)


def require(condition: bool, why: str) -> None:
    if not condition:
        raise ValueError(why)


def parse_file(data: bytes) -> tuple[Header, list[tuple[int, bytes]]]:
    require(data[:4] == b"\x89NIC" and len(data) >= 18, "magic, or short")
    version, samples, *rest = struct.unpack_from("<BBI8s", data, 4)
    require(version >> 4 == 1, "version")
    require(samples in (0x01, 0x03, 0x11, 0x13), "samples")
    at = 18
    for _ in range(6):
        number, at = varint(data, at)
        rest.append(number)
    head, table = Header(1, version & 15, samples & 15, 16 if samples & 16 else 8, *rest), []
    for _ in range(head.chunks):
        length, end = varint(data, at + 1)
        table.append((data[at], length, data[end : end + 4]))
        at = end + 4
    require(data[at : at + 4] == zlib.crc32(data[:at]).to_bytes(4, "little"), "CRC of the header")
    require(min(head.width, head.height, head.tile_width, head.tile_height) > 0, "a size of zero")
    require(head.quality <= 10000, "quality")
    chunks, body = [], at + 4
    for kind, length, crc in table:
        chunks.append((kind, data[body : body + length]))
        body += length
        require(body <= len(data) and zlib.crc32(chunks[-1][1]).to_bytes(4, "little") == crc, "a chunk")
        require(1 <= kind <= CORRECTION or kind >= 0x80, "a chunk that must be known and is not")
    require(body == len(data), "bytes left over")
    require(bool(chunks), "no chunks")
    kinds, tiles = [kind for kind, _ in chunks], len(tile_grid(head))
    of_samples = kinds[0] == SAMPLES
    coded = [SAMPLES] * tiles if of_samples else [Z] + [Y] * tiles
    extra = kinds[len(coded) :]
    require(kinds[: len(coded)] == coded, "tiles")
    require(extra == sorted(set(extra)) and not {Z, Y, SAMPLES} & set(extra), "order of chunks")
    plain = not {PATCHES, FLATS, CORRECTION} & set(extra) and head.model == bytes(8)
    require(not of_samples or plain, "patches, flats, a correction or a model of a file of samples")
    return head, chunks


def tile_grid(head: Header) -> list[tuple[slice, slice]]:
    """Rows and columns of y that each tile holds, as far as the picture goes."""
    columns, rows = -(-head.width // 16), -(-head.height // 16)
    tops, lefts = range(0, rows, 4 * head.tile_height), range(0, columns, 4 * head.tile_width)
    across = [slice(left, min(columns, left + 4 * head.tile_width)) for left in lefts]
    return [(slice(top, min(rows, top + 4 * head.tile_height)), part) for top in tops for part in across]


def unzipped(stream: bytes, most: int) -> bytes:
    """A zlib stream that ends where its chunk ends."""
    engine = zlib.decompressobj()
    try:
        found = engine.decompress(stream, most + 1)
    except zlib.error as error:
        raise ValueError("a zlib stream") from error
    require(engine.eof and not engine.unused_data and len(found) <= most, "end or length of a zlib stream")
    return found


def inflate(stored: bytes, most: int = 2**26) -> bytes:
    require(stored[:1] in (b"\0", b"\1") and len(stored) - 1 <= most, "method or length of a chunk")
    return unzipped(stored[1:], most) if stored[0] else stored[1:]


def decode_alpha(stored: bytes, head: Header) -> Array:
    require(stored[:1] in (b"\1", b"\2", b"\3") or (stored[:1] == b"\0" and len(stored) == 2), "method of alpha")
    if stored[0] == 0:
        return np.full((head.height, head.width), stored[1], np.uint8)
    samples = head.height * head.width * (2 if stored[0] == 3 else 1)
    plain = unzipped(stored[1:], samples)
    require(len(plain) == samples, "size of alpha")
    if stored[0] == 3:
        high, low = np.frombuffer(plain, np.uint8).reshape(2, head.height, head.width)
        return np.cumsum(high.astype(np.uint16) * 256 + low, axis=0, dtype=np.uint16)
    plane = np.frombuffer(plain, np.uint8).reshape(head.height, head.width)
    return plane if stored[0] == 1 else np.cumsum(plane, axis=0, dtype=np.uint8)


def lay_patches(stored: bytes, pixels: Array) -> None:
    data, (height, width, channels) = inflate(stored), pixels.shape
    rows, columns = -(-height // 16), -(-width // 16)
    size = -(-rows * columns // 8)
    bits = np.unpackbits(np.frombuffer(data[1 : 1 + size], np.uint8))
    require(data[0] > 0 and bits.any() and not bits[rows * columns :].any(), "steps or bits of patches")
    require(len(data) == 1 + size + int(bits.sum()) * channels * 256, "size of patches")
    levels = np.frombuffer(data[1 + size :], np.uint8).reshape(-1, channels, 16, 16).astype(int)
    levels[:, :, 0] = np.cumsum(levels[:, :, 0], axis=2)
    levels = np.cumsum(levels, axis=2) % 256
    for number, patch in zip(np.flatnonzero(bits), levels, strict=True):
        i, j = divmod(int(number), columns)
        place = pixels[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
        values = np.minimum((510 * patch + data[0]) // (2 * data[0]), 255)
        values = values * (257 if pixels.dtype == np.uint16 else 1)
        place[...] = values.transpose(1, 2, 0)[: place.shape[0], : place.shape[1]]


def lay_flats(stored: bytes, pixels: Array) -> None:
    data, (height, width, channels) = inflate(stored), pixels.shape
    rows, columns = -(-height // 8), -(-width // 8)
    size = -(-rows * columns // 8)
    bits = np.unpackbits(np.frombuffer(data[:size], np.uint8))
    require(bits.any() and not bits[rows * columns :].any(), "bits of flats")
    require(len(data) == size + int(bits.sum()) * channels, "size of flats")
    colours = np.cumsum(np.frombuffer(data[size:], np.uint8).reshape(-1, channels).astype(int), axis=0) % 256
    for number, colour in zip(np.flatnonzero(bits), colours, strict=True):
        i, j = divmod(int(number), columns)
        pixels[8 * i : 8 * i + 8, 8 * j : 8 * j + 8] = colour * (257 if pixels.dtype == np.uint16 else 1)


class Model:
    """A .nicmodel file: config and tensors."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__")
        require(metadata["format"] == "nicmodel-1", "not a model")
        self.config: dict[str, Any] = json.loads(metadata["config"])
        self.way, self.transform = self.config.get("upsample", "shuffle"), self.config.get("transform", "deep+linear")
        self.colours = self.config.get("colours", 3)
        require(self.colours in (1, 3), "colours")
        self.tensors: dict[str, Array] = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + size + begin : 8 + size + end], DTYPES[entry["dtype"]])
            self.tensors[name] = values.reshape(entry["shape"])
        place = data.index(metadata["sha256"].encode())
        unsealed = data[:place] + b"0" * 64 + data[place + 64 :]
        require(hashlib.sha256(unsealed).hexdigest() == metadata["sha256"], "a damaged model")
        self.id = self._id({name: entry["dtype"] for name, entry in header.items()})

    def _id(self, kinds: dict[str, str]) -> bytes:
        """The first 8 bytes of the id: of what decides how a file decodes, and nothing else."""
        beginnings = ("context.", "correction.", "g_s.", "h_mu.", "h_sigma.", "log_gain", "spread", "tables.")
        names = sorted(name for name in self.tensors if name.startswith(beginnings))
        usual = {"colours": 3, "upsample": "shuffle", "transform": "deep+linear"}
        left_out = {"blocks_a", "latent_blocks_a", "repair"} | {
            name for name, n in usual.items() if self.config.get(name, n) == n
        }
        config = {name: n for name, n in self.config.items() if name not in left_out}
        listed = [[name, kinds[name], list(self.tensors[name].shape)] for name in names]
        text = json.dumps([config, listed], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode() + b"".join(self.tensors[name].tobytes() for name in names)).digest()[:8]

    def floats(self, name: str) -> Array:
        return self.tensors[name].astype(np.float32)

    def table(self, name: str, number: int) -> tuple[list[int], int]:
        """Cumulative frequencies of one table, in 2^-24, and the symbol of its first entry."""
        parts = ("frequencies", "start", "low")
        frequencies, start, low = (self.tensors[f"tables.{name}.{p}"].astype(np.int64) for p in parts)
        sums = np.cumsum([0, *frequencies[start[number] : start[number + 1]]])
        return (sums * (2**24 - len(sums) + 1) // 2**16 + np.arange(len(sums))).tolist(), int(low[number])


def decode_correction(payload: bytes, model: Model) -> Array:
    """What is added to each colour of each feature: (C, 12 C + 1)."""
    basis, widths = (model.tensors[f"correction.{name}"] for name in ("basis", "widths"))
    require(len(payload) > 2 and 1 <= payload[1] <= len(widths), "number of coefficients")
    step, wider = divmod(payload[0], 8)
    bits, weights = "".join(f"{byte:08b}" for byte in payload[2:]), np.zeros((model.colours, 12 * model.colours + 1))
    for k in range(payload[1]):
        ones, low = len(bits) - len(bits.lstrip("1")), max(0, int(widths[k]) + wider)
        require(ones < 64 and len(bits) > ones + low, "code of a coefficient")
        value = (ones << low) + int(bits[ones : ones + 1 + low], 2)
        value, bits = value >> 1 ^ -(value & 1), bits[ones + 1 + low :]
        require(4 * abs(value) <= 1 << step, "size of a coefficient")
        weights += value / 2**step * basis[k].astype(np.float64)
    require(len(bits) < 8 and "1" not in bits, "end of the correction")
    return weights


def corrected(x: Array, weights: Array) -> Array:
    """Planes (C, h, w), the correction added. weights: (C, 12 C + 1), by feature and colour."""
    around, (c, h, w) = np.pad(x, ((0, 0), (2, 2), (2, 2)), mode="edge"), x.shape

    def at(i: int, j: int) -> Array:
        return around[:, 2 + i : 2 + i + h, 2 + j : 2 + j + w]

    def cut(difference: Array) -> Array:
        return np.clip(difference, -1 / 32, 1 / 32)

    features = np.zeros((12, c, h, w))
    for i, j in np.ndindex(5, 5):
        features[3 * abs(i - 2) + abs(j - 2)] += at(i - 2, j - 2)
    for i, j in (-1, 0), (1, 0), (0, -1), (0, 1):
        features[9] += cut(at(i, j) - x)
        features[10] += cut(at(i + j, j - i) - x)
        features[11] += cut(at(2 * i, 2 * j) - at(i, j))
    return np.float32(x + np.tensordot(weights[:, :-1], features.reshape(-1, h, w), 1) + weights[:, -1:, None])


def varint(data: bytes, at: int) -> tuple[int, int]:
    size = next((i + 1 for i, byte in enumerate(data[at : at + 5]) if byte < 128), 0)
    require(size == 1 or (size > 0 and data[at + size - 1] > 0), "varint")
    value = sum((data[at + i] & 127) << 7 * i for i in range(size))
    require(value < 2**32, "varint")
    return value, at + size


class Payload:
    """Groups of symbols. offset: where in the current interval, of `size`, the coded number lies."""

    def __init__(self, payload: bytes, model: Model, name: str) -> None:
        self.model, self.name, self.escaped = model, name, 0
        self.length, at = varint(payload, 0)
        self.escapes, self.coded = payload[at : at + self.length], payload[at + self.length :]
        require(len(self.escapes) == self.length and len(self.coded) % 4 == 0, "escapes or words")
        self.words = iter(struct.unpack(f"<{len(self.coded) // 4}I", self.coded))
        self.size, self.offset = 2**64 - 1, next(self.words, 0) << 32 | next(self.words, 0)

    def entry(self, cumulative: list[int]) -> int:
        scale = self.size >> 24
        require(self.offset // scale < 2**24, "words that no encoder writes")
        i = bisect_right(cumulative, self.offset // scale) - 1
        self.offset -= scale * cumulative[i]
        self.size = scale * (cumulative[i + 1] - cumulative[i])
        if self.size < 2**32:
            self.size, self.offset = self.size << 32, self.offset << 32 | next(self.words, 0)
        return i

    def symbols(self, index: Array) -> Array:
        """The next group; index: the table of each symbol, in the order of the symbols."""
        symbols = np.zeros(index.size, np.int16)
        for number in np.unique(index).tolist():
            cumulative, low = self.model.table(self.name, number)
            places = np.flatnonzero(index == number) if len(cumulative) > 2 else ()  # no choice: zero
            for place in places:
                value = low + (i := self.entry(cumulative))
                if self.name == "y" and i == len(cumulative) - 2:
                    zigzag, self.escaped = varint(self.escapes, self.escaped)
                    value = zigzag >> 1 ^ -(zigzag & 1)
                    require(not low <= value < low + i and abs(value) < 2**15, "escape")
                symbols[place] = value
        return symbols.reshape(index.shape)

    def finish(self) -> None:
        require(next(self.words, None) is None and self.escaped == self.length, "words or escapes left over")
        require(self.offset < 2**33 - 1 if self.size < 2**64 - 1 else not self.coded, "the last word")


def moved(x: Array, m: int, n: int) -> Array:
    """(C, h, w): what lies m - 2 rows below and n - 2 columns right of each place; zero outside."""
    return np.pad(x, ((0, 0), (2, 2), (2, 2)))[:, m : m + x.shape[1], n : n + x.shape[2]]


def decode_z(payload: bytes, model: Model, head: Header, z: Array) -> Array:
    """z: int64 (Z, h, w), zero."""
    coded, bounds, known = Payload(payload, model, "z"), model.tensors["tables.z.bounds"], z[:1] * 0
    own = (head.quality + 500) // 1000 * len(z) + np.arange(len(z))
    tables, (i, j) = own[:, None, None] + z, np.ogrid[: z.shape[1], : z.shape[2]]
    for step, odd in ((2, 0), (2, 2), (2, 1), (1, 2), (1, 1)):
        here = (i % step == 0) & (j % step == 0) & (i // step % 2 + j // step % 2 == odd)
        near = [(m, n) for m, n in np.ndindex(5, 5) if abs(m - 2) + abs(n - 2) == odd * step]
        total, count = (sum(moved(x, m, n) for m, n in near) for x in (z, known))
        reached = [12 * total >= bound[:, None, None] * count for bound in bounds[own].T]
        z[:, here] = coded.symbols((tables + 11 * len(z) * (1 + sum(reached)) * (odd > 0))[:, here])
        known[:, here] = 1
    coded.finish()
    return z.astype(np.int8)


def up(x: Array, r: int) -> Array:
    """Channels, in the order (row, column, channel), to r x r positions."""
    c, h, w = len(x) // r**2, *x.shape[1:]
    return x.reshape(r, r, c, h, w).transpose(2, 3, 0, 4, 1).reshape(c, h * r, w * r)


def shifted(x: Array) -> Array:
    """(C, h, w) -> (9, C, h, w): the 3x3 neighbourhood, row by row, zeros outside."""
    return np.stack([moved(x, m, n) for m in (1, 2, 3) for n in (1, 2, 3)])


def matrix(weight: Array, x: Array) -> Array:
    """1x1 convolution."""
    return np.asarray(np.tensordot(weight.reshape(len(weight), -1), x.reshape(-1, *x.shape[-2:]), 1))


def leaky(x: Array) -> Array:
    return np.where(x < 0, np.float32(0.01) * x, x)


def scale_index(model: Model, z: Array, quality: int) -> Array:
    """h_sigma, in integers: the table of each symbol of y."""
    hats = np.array([(max(0, 1000 - abs(quality - 1000 * k)) * 16 + 500) // 1000 for k in range(11)])
    a = z.astype(np.int64)
    for i in range(4):
        if i == 2:
            a = shifted(a)
        weight, bias, scale = (model.tensors[f"h_sigma.layers.{i}.{p}"] for p in ("weight", "bias", "scale"))
        shift = -np.log2(scale.reshape(-1)).astype(np.int64)
        require(bool((shift >= 1).all() and (2.0**-shift == scale.reshape(-1)).all()), "scale")
        acc = matrix(weight.astype(np.int64), a) + (hats @ bias.astype(np.int64) + 8 >> 4)[:, None, None]
        a = np.clip(acc + (1 << shift - 1)[:, None, None] >> shift[:, None, None], 0, 63 if i == 3 else 255)
        a = up(a, 2) if i < 2 else a
    return a


class Networks:
    """The float networks at one quality; arrays are (channels, rows, columns)."""

    def __init__(self, model: Model, quality: int) -> None:
        self.model = model
        q = np.float32(quality / 1000)
        self.hats = np.maximum(0, 1 - np.abs(q - np.arange(11, dtype=np.float32)))
        self.gain = np.exp(self.hats @ model.floats("log_gain"))[:, None, None]
        self.spread = model.floats("spread")[:, None, None]
        self.deep = model.config["latent"] - model.config["linear"]
        self.unit = (self.gain * self.spread)[: self.deep]

    def bias(self, name: str) -> Array:
        return self.model.floats(name + ".bias")[:, None, None]

    def linear(self, x: Array, name: str) -> Array:
        return np.asarray(matrix(self.model.floats(name + ".weight"), x) + self.bias(name))

    def modulation(self, x: Array, name: str) -> Array:
        scale, shift = (self.hats @ self.model.floats(f"{name}.{part}") for part in ("scale", "shift"))
        return np.asarray(x * (1 + scale)[:, None, None] + shift[:, None, None])

    def cap(self, x: Array, name: str) -> Array:
        limit = self.model.floats(name + ".limit")[:, None, None]
        require(bool((limit > 0).all()), "limit")
        return np.maximum(-limit, np.minimum(limit, x))

    def block(self, x: Array, name: str) -> Array:
        t = leaky(self.linear(x, name + ".mix_in"))
        kernel = self.model.floats(name + ".depthwise.weight").reshape(-1, 9)
        t = np.einsum("ck,kchw->chw", kernel, shifted(t)) + self.bias(name + ".depthwise")
        x = x + self.cap(self.linear(t, name + ".mix_out"), name + ".mix_cap")
        a, b = np.split(leaky(self.linear(x, name + ".expand")), 2)
        return np.asarray(x + self.cap(self.linear(a + b, name + ".project"), name + ".project_cap"))

    def features(self, z: Array) -> Array:
        t = up(self.linear(z.astype(np.float32), "h_mu.up1"), 2)
        t = self.cap(leaky(self.modulation(t, "h_mu.quality")), "h_mu.cap1")
        t = self.cap(leaky(up(self.linear(t, "h_mu.up2"), 2)), "h_mu.cap2")
        kernel = self.model.floats("h_mu.spatial.weight").transpose(0, 2, 3, 1)
        return self.cap(leaky(matrix(kernel, shifted(t)) + self.bias("h_mu.spatial")), "h_mu.cap3")

    def latent(self, z: Array, r: Array) -> Array:
        """The two phases: symbols -> y in quantiser steps."""
        features, (r, rare) = self.features(z), np.split(r, [self.deep])
        c, i, j = np.ogrid[: r.shape[0], : r.shape[1], : r.shape[2]]
        first = (c + i + j) % 2 == 0
        y0 = np.float32(np.where(first, r + self.linear(features, "context.mean0") * self.unit, 0))
        t = self.linear(np.concatenate([np.arcsinh(y0 / self.unit), features]), "context.fuse")
        for n in range(self.model.config["context_blocks"]):
            t = self.block(t, f"context.blocks.{n}")
        return np.concatenate([np.where(first, y0, r + self.linear(t, "context.mean1") * self.unit), rare])

    def doubled(self, x: Array, name: str) -> Array:
        """The ways up other than the shuffle."""
        kernel = self.model.floats(name + ".depthwise.weight")[:, 0]
        c, h, w = x.shape
        t = np.zeros((c, 2 * h + 2, 2 * w + 2), np.float32)
        if self.model.way in ("transposed", "transposed-3"):
            for m, n in np.ndindex(kernel.shape[1:]):
                t[:, m : m + 2 * h : 2, n : n + 2 * w : 2] += kernel[:, m, n, None, None] * x
            t = t[:, 1:-1, 1:-1] + self.bias(name + ".depthwise")
        else:
            if self.model.way == "nearest":
                t = x.repeat(2, 1).repeat(2, 2)
            elif self.model.way == "bed-of-nails":
                t = t[:, 2:, 2:]
                t[:, ::2, ::2] = x
            else:
                require(self.model.way == "bilinear", "upsample")
                for axis in (1, 2):
                    first, last = x.take([0], axis), x.take([-1], axis)
                    before = np.concatenate([first, x], axis).take(range(x.shape[axis]), axis)
                    after = np.concatenate([x, last], axis).take(range(1, x.shape[axis] + 1), axis)
                    pair = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
                    x = pair.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
                t = x
            t = np.einsum("ck,kchw->chw", kernel.reshape(c, 9), shifted(t)) + self.bias(name + ".depthwise")
        return self.linear(t, name + ".mix")

    def painted(self, y: Array) -> Array:
        """The deep branch of g_s."""
        shuffle = self.model.way == "shuffle"
        t = up(self.linear(y, "g_s.embed"), 2) if shuffle else self.doubled(y, "g_s.up.0")
        t = self.modulation(t, "g_s.quality")
        for n in range(self.model.config["blocks_s"]):
            t = self.block(t, f"g_s.blocks.{n}")
        if shuffle:
            return up(self.linear(t, "g_s.head"), 8)
        return self.doubled(leaky(self.doubled(leaky(self.doubled(t, "g_s.up.1")), "g_s.up.2")), "g_s.up.3")

    def pixels(self, y: Array, head: Header, correction: bytes | None) -> Array:
        y, rare = np.split(np.float32(y / self.gain), [self.deep])
        y = y / self.spread[: self.deep]
        for n in range(self.model.config["latent_blocks_s"]):
            y = self.block(y, f"g_s.latent_blocks.{n}")
        x = up(self.linear(np.concatenate([y * self.spread[: self.deep], rare]), "g_s.shortcut"), 16)
        x = x if self.model.transform == "linear" else x + self.painted(y)
        if correction is not None:
            x = corrected(x, decode_correction(correction, self.model))
        if head.depth == 16:
            around = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
            h, w = x.shape[1:]
            nine = np.stack([around[:, i : i + h, j : j + w] for i in range(3) for j in range(3)])
            x = np.where((np.abs(nine - x) <= np.float32(1.5 / 255)).all(0), nine.mean(0), x)
        x = x[:, : head.height, : head.width].transpose(1, 2, 0)
        x = x.mean(2, keepdims=True) if head.channels == 1 else x + np.zeros(3, np.float32)
        top = 2**head.depth - 1
        return np.asarray(np.clip(np.rint(x * top + top / 2), 0, top), np.uint16 if head.depth == 16 else np.uint8)


def decode_lossless(chunks: list[tuple[int, bytes]], head: Header) -> Array:
    """The samples of a lossless file. The streams of VP8L, which RFC 9649 describes, are left to Pillow."""
    pixels = np.empty((head.height, head.width, head.channels), np.uint16 if head.depth == 16 else np.uint8)
    crc = 0
    for (_, payload), (rows, columns) in zip(chunks, tile_grid(head), strict=False):
        place = pixels[16 * rows.start : 16 * rows.stop, 16 * columns.start : 16 * columns.stop]
        length = int.from_bytes(payload[:4], "little")
        streams = [payload] if head.depth == 8 else [payload[4 : 4 + length], payload[4 + length :]]
        parts = [vp8l(stream)[:, :, : head.channels] for stream in streams]
        if head.channels == 1:
            parts = [vp8l(stream)[:, :, 1:2] for stream in streams]
        require(all(part.shape == place.shape for part in parts), "size of a tile")
        place[...] = parts[0] if head.depth == 8 else parts[0].astype(np.uint16) * 256 + parts[1]
        crc = zlib.crc32(place.astype(f"<u{head.depth // 8}").tobytes(), crc)
    require(crc == head.symbols_crc, "samples")
    return pixels


def vp8l(stream: bytes) -> Array:
    """A VP8L stream -> samples uint8 (h, w, 3)."""
    body = b"VP8L" + struct.pack("<I", len(stream)) + stream + bytes(len(stream) % 2)
    with Image.open(io.BytesIO(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)) as image:
        return np.asarray(image.convert("RGB"))


def decode(data: bytes, model: Model) -> Decoded:
    """Raises ValueError for anything but a whole file made with this model."""
    head, chunks = parse_file(data)
    extra = dict(chunks)
    alpha = decode_alpha(extra[ALPHA], head) if ALPHA in extra else None
    metadata = {kind: inflate(extra[kind]) for kind in METADATA if kind in extra}
    if chunks[0][0] == SAMPLES:
        none = np.zeros((0, 0, 0), np.int16)
        return Decoded(none, none, decode_lossless(chunks, head), alpha, metadata)
    require(head.model == model.id, "another model")
    rows, columns = -(-head.height // 64), -(-head.width // 64)
    z = decode_z(chunks[0][1], model, head, np.zeros((model.config["z"], rows, columns), int))
    index = scale_index(model, z, head.quality)
    r = np.zeros((model.config["latent"], 4 * rows, 4 * columns), np.int16)
    for (_, payload), part in zip(chunks[1:], tile_grid(head), strict=False):
        coded = Payload(payload, model, "y")
        r[:, part[0], part[1]] = coded.symbols(index[:, part[0], part[1]])
        coded.finish()
    require(zlib.crc32(r.astype("<i2").tobytes(), zlib.crc32(z.tobytes())) == head.symbols_crc, "symbols")
    networks = Networks(model, head.quality)
    pixels = networks.pixels(networks.latent(z, r), head, extra.get(CORRECTION))
    if PATCHES in extra:
        lay_patches(extra[PATCHES], pixels)
    if FLATS in extra:
        lay_flats(extra[FLATS], pixels)
    return Decoded(z, r, pixels, alpha, metadata)
