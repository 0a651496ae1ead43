"""Hostile files: a valid .nic or .nicmodel taken apart, changed, and put together with its checksums right.

Beside the tests and `fuzz_decode`, which share it. Pure functions of bytes and a seed: a finding is its seed.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from sealing import resealed

# Written out once more, not imported: what the reader believes of the format is under test.
START = struct.Struct("<4sBBI8s")
FIXED = ("magic", "version", "samples", "symbols_crc", "model")
NUMBERS = ("width", "height", "quality", "tile_width", "tile_height", "count")
BITS = {
    "version": 8, "samples": 8, "width": 32, "height": 32, "quality": 32, "tile_width": 32, "tile_height": 32,
    "symbols_crc": 32,
}  # fmt: skip
Z, Y, ALPHA = 1, 2, 3
METADATA = range(0x81, 0x87)
EXTRAS = (ALPHA, *METADATA, 0x80, 0xFE)
CELL = 64
# Most chunks and cells that a change asks for: enough for every path, and quick.
MANY = 60


@dataclass
class Parts:
    """A file taken apart: the header's fields by name, and kind and payload of each chunk."""

    fields: dict[str, Any]
    chunks: list[tuple[int, bytes]]


def apart(data: bytes) -> Parts:
    """The parts of a valid file."""
    fields, table, at = head_of(data)
    at, chunks = at + 4, []
    for kind, length in table:
        chunks.append((kind, data[at : at + length]))
        at += length
    return Parts(fields, chunks)


def head_of(data: bytes) -> tuple[dict[str, Any], list[tuple[int, int]], int]:
    """Fields of the header, kind and length of each chunk, the end of the table. Raises IndexError beyond the data."""
    fields, at = dict(zip(FIXED, START.unpack_from(data), strict=True)), START.size
    for name in NUMBERS:
        fields[name], at = read_varint(data, at)
    table = []
    for _ in range(fields["count"]):
        kind, (length, at) = data[at], read_varint(data, at + 1)
        table.append((kind, length))
        at += 4
    return fields, table, at


def together(parts: Parts) -> bytes:
    """The bytes of a file of these parts: count, lengths and CRCs come out right, whatever the rest says."""
    fields = parts.fields | {"count": len(parts.chunks)}
    head = START.pack(*(fields[name] for name in FIXED)) + b"".join(varint(fields[name]) for name in NUMBERS)
    for kind, body in parts.chunks:
        head += bytes([kind]) + varint(len(body)) + struct.pack("<I", zlib.crc32(body))
    return b"".join([head, struct.pack("<I", zlib.crc32(head)), *(body for _, body in parts.chunks)])


def with_header_crc(data: bytes) -> bytes:
    """The same file, its header's CRC right again, if its table ends within it."""
    try:
        end = head_of(data)[2]
    except IndexError:
        return data
    return data[:end] + struct.pack("<I", zlib.crc32(data[:end])) + data[end + 4 :]


def nic(data: bytes, seed: int, other: bytes | None = None) -> bytes:
    """A valid file -> one with a few changes that its checksums do not show. other: a file to splice from."""
    rng = random.Random(seed)
    parts, donor = apart(data), apart(data if other is None else other)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(CHANGES)(rng, parts, donor)
    if rng.random() < 0.8:
        _fit_grid(rng, parts)
    made = together(parts)
    if rng.random() < 0.1:
        made = _lie(rng, made)
    return made


def _number(rng: random.Random, bits: int, old: int) -> int:
    """A neighbour, an edge, or anything of so many bits."""
    top = (1 << bits) - 1
    near = old + rng.choice((-64, -1, 1, 64))
    edges = (0, 1, 2, 63, 64, 65, 10000, 10001, top >> 1, (top >> 1) + 1, top - 1, top)
    return rng.choice((near, rng.choice(edges), rng.randrange(400), rng.getrandbits(bits))) & top


def _field(rng: random.Random, parts: Parts, donor: Parts) -> None:
    name = rng.choice(list(BITS))
    parts.fields[name] = _number(rng, BITS[name], parts.fields[name])


def _size(rng: random.Random, parts: Parts, donor: Parts) -> None:
    """Another size that has a chance: a few cells, or one long strip."""
    sides = [rng.randrange(1, 6 * CELL), rng.randrange(1, rng.choice((CELL, 6 * CELL, 80 * CELL)))]
    rng.shuffle(sides)
    parts.fields |= dict(zip(("width", "height"), sides, strict=True))


def _foreign_field(rng: random.Random, parts: Parts, donor: Parts) -> None:
    name = rng.choice(("width", "height", "samples", "quality", "model", "symbols_crc", "tile_width"))
    parts.fields[name] = donor.fields[name]


def _payload(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks:
        i = rng.randrange(len(parts.chunks))
        parts.chunks[i] = parts.chunks[i][0], damage(rng, parts.chunks[i][1])


def _foreign_payload(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks and donor.chunks:
        i = rng.randrange(len(parts.chunks))
        kind = parts.chunks[i][0]
        same = [body for k, body in donor.chunks if k == kind]
        parts.chunks[i] = kind, rng.choice(same or [body for _, body in donor.chunks])


def _kind(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks:
        i = rng.randrange(len(parts.chunks))
        kind = rng.choice((rng.choice((Z, Y, *EXTRAS)), rng.getrandbits(8)))
        parts.chunks[i] = kind, parts.chunks[i][1]


def _drop(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks:
        del parts.chunks[rng.randrange(len(parts.chunks))]


def _double(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks and len(parts.chunks) < MANY:
        i = rng.randrange(len(parts.chunks))
        parts.chunks[i:i] = [parts.chunks[i]] * rng.choice((1, 1, 2, MANY))


def _swap(rng: random.Random, parts: Parts, donor: Parts) -> None:
    if parts.chunks:
        i, j = (rng.randrange(len(parts.chunks)) for _ in "ij")
        parts.chunks[i], parts.chunks[j] = parts.chunks[j], parts.chunks[i]


def _extra(rng: random.Random, parts: Parts, donor: Parts) -> None:
    """An alpha plane or metadata, in their place: plain, a zlib stream of some length, or a bomb."""
    size = parts.fields["width"] * parts.fields["height"]
    length = rng.choice((0, 1, rng.randrange(3000), *(max(0, min(size + d, 1 << 18)) for d in (-1, 0, 0, 1))))
    stream = rng.choice((bytes(length), rng.randbytes(min(length, 3000)).ljust(length, b"\7")))
    body = rng.choice((stream, zlib.compress(stream, 1)))
    body = bytes([rng.choice((0, 1, 2, 2, rng.getrandbits(8)))]) + body[: rng.choice((1, 2, len(body)))]
    chunk = rng.choice(EXTRAS), rng.choice((body, body, damage(rng, body)))
    others = [c for c in parts.chunks if c[0] != chunk[0]]
    coded = [c for c in others if c[0] in (Z, Y)]
    parts.chunks = coded + sorted([*(c for c in others if c[0] not in (Z, Y)), chunk])


def _symbols(rng: random.Random, parts: Parts, donor: Parts) -> None:
    """A payload of Z or Y made up: a count of escapes, some escapes, some words."""
    places = [i for i, (kind, _) in enumerate(parts.chunks) if kind in (Z, Y)]
    if places:
        escapes = b"".join(varint(rng.choice((0, 1, 40, 65534, 65535, 2**32 - 1)))
                           for _ in range(rng.choice((0, 0, 1, 3, 300))))  # fmt: skip
        count = rng.choice((len(escapes), len(escapes), len(escapes) + 1, 2**35 - 1, rng.getrandbits(8)))
        words = rng.choice((b"", b"\0" * 4, b"\xff" * 8, rng.randbytes(4 * rng.randrange(60))))
        i = rng.choice(places)
        parts.chunks[i] = parts.chunks[i][0], varint(count) + escapes + words


CHANGES = (
    _field, _size, _foreign_field, _payload, _payload, _foreign_payload, _kind, _drop, _double, _swap, _extra,
    _extra, _symbols,
)  # fmt: skip


def _fit_grid(rng: random.Random, parts: Parts) -> None:
    """As many tiles as the header asks for, where that is few: else the first check would end it."""
    f = parts.fields
    if not (f["tile_width"] and f["tile_height"]):
        return
    columns, rows = (-(-f[side] // CELL) for side in ("width", "height"))
    tiles = -(-columns // f["tile_width"]) * -(-rows // f["tile_height"])
    bodies = [body for kind, body in parts.chunks if kind == Y] or [b"\0"]
    if 0 < tiles <= MANY:
        grid = [(Y, bodies[i] if i < len(bodies) else rng.choice(bodies)) for i in range(tiles)]
        rest = [c for c in parts.chunks if c[0] != Y]
        head = rest[:1] if rest and rest[0][0] == Z else [(Z, b"\0")]
        parts.chunks = head + grid + [c for c in rest if c[0] != Z]


def _lie(rng: random.Random, made: bytes) -> bytes:
    """A table that does not fit the payloads, or bytes too few or too many; the header's CRC stays right."""
    if rng.random() < 0.3:
        return made[: rng.randrange(len(made))] if rng.random() < 0.5 else made + rng.randbytes(3)
    changed = bytearray(made)
    changed[rng.randrange(4, head_of(made)[2])] = rng.getrandbits(8)
    return with_header_crc(bytes(changed))


def varint(value: int) -> bytes:
    """LEB128, as the numbers of a head and escapes are written."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The inverse, of any form -> the value, and the place after it. Raises IndexError beyond the data."""
    value = shift = 0
    while data[at] > 0x7F:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def damage(rng: random.Random, body: bytes) -> bytes:
    """Some bytes changed, cut out, put in, or all of them gone."""
    out = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        fresh = rng.choice((b"\0", b"\xff", rng.randbytes(rng.choice((1, 1, 4, 30)))))
        how = rng.randrange(6)
        if how == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            out[at : at + len(fresh)] = fresh
        elif how == 2:
            out[at:at] = fresh
        elif how == 3:
            del out[at : at + len(fresh)]
        elif how == 4:
            out[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


# Models

ODD_VALUES = (0, 1, -1, 2, 63, 64, 65, 2**14 + 1, 2**31, 2**64, 10**30, 1.5, float("nan"), True, None, "4", [], {})
ODD_FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, 6e4, 1e-8, -1.0, 1e30)
FORMATS = {"F16": "e", "F32": "f", "I8": "b", "U8": "B", "I16": "h", "U16": "H", "I32": "i"}


def model(data: bytes, seed: int) -> bytes:
    """A valid model -> one with a few changes, its arrays without holes again."""
    rng = random.Random(seed)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    meta = header.pop("__metadata__")
    arrays = {name: [e["dtype"], e["shape"], body[slice(*e["data_offsets"])]] for name, e in header.items()}
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(MODEL_CHANGES)(rng, meta, arrays)
    header, at = {"__metadata__": meta}, 0
    for name, (dtype, shape, part) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(part)]}
        at += len(part)
    text = json.dumps(header).encode()
    if rng.random() < 0.1:
        text = damage(rng, text)
    return resealed(len(text).to_bytes(8, "little") + text + b"".join(part for _, _, part in arrays.values()))


def _config(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    config = json.loads(meta["config"])
    key = rng.choice(list(config))
    if rng.random() < 0.2:
        del config[key]
    else:
        old = config[key]
        config[key] = rng.choice((old + 1, old - 1, rng.choice(ODD_VALUES))) if type(old) is int else 1
    meta["config"] = json.dumps(config) if config else '{"latent": 4}'


def _meta(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    meta[rng.choice(("format", "name"))] = rng.choice(("", "nicmodel-1", "a\nb\x1b[2J", *ODD_VALUES))


def _drop_array(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    del arrays[rng.choice(list(arrays))]


def _swap_arrays(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    a, b = (rng.choice(list(arrays)) for _ in "ab")
    arrays[a], arrays[b] = arrays[b], arrays[a]


def _reshape(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    array = arrays[rng.choice(list(arrays))]
    shape = [*array[1]]
    rng.shuffle(shape)
    array[1] = rng.choice((shape, [1, *shape], shape[1:], [len(array[2])], [rng.choice(ODD_VALUES), *shape[1:]]))


def _retype(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    array = arrays[rng.choice(list(arrays))]
    size = struct.calcsize(FORMATS[array[0]])
    array[0] = rng.choice([name for name, f in FORMATS.items() if struct.calcsize(f) == size] or ["F64"])


def _resize(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    """One more or one fewer along an axis, the bytes with it."""
    array = arrays[rng.choice(list(arrays))]
    if array[1] and array[1][0]:
        row = len(array[2]) // array[1][0]
        more = rng.random() < 0.5
        array[1] = [array[1][0] + (1 if more else -1), *array[1][1:]]
        array[2] = array[2] + array[2][:row] if more else array[2][row:]


def _values(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    """Numbers that no training gives, in one place or everywhere."""
    array = arrays[rng.choice([name for name in arrays if not name.startswith("graph.")] or list(arrays))]
    code = FORMATS[array[0]]
    size = struct.calcsize(code)
    if array[2]:
        bits = 8 * size
        if code in "ef":
            value = rng.choice(ODD_FLOATS if code == "f" else ODD_FLOATS[:-1])
        else:
            low = 0 if code.isupper() else -(1 << bits - 1)
            value = rng.choice((low, low + (1 << bits) - 1, 0, 1, 255, rng.randrange(low, low + (1 << bits))))
            value = min(max(value, low), low + (1 << bits) - 1)
        count = len(array[2]) // size
        first, last = rng.choice(((0, count), (i := rng.randrange(count), i + 1)))
        fresh = struct.pack("<" + code, value) * (last - first)
        array[2] = array[2][: size * first] + fresh + array[2][size * last :]


def _bytes(rng: random.Random, meta: dict[str, Any], arrays: dict[str, list[Any]]) -> None:
    array = arrays[rng.choice(list(arrays))]
    length = len(array[2])
    array[2] = damage(rng, array[2])[:length].ljust(length, b"\0")


MODEL_CHANGES = (
    _config, _config, _meta, _drop_array, _swap_arrays, _reshape, _retype, _resize, _values, _values, _values,
    _bytes,
)  # fmt: skip
