"""docs/FORMAT.md against the code: its example parses to what it says, and its coder is the coder."""

import re
import struct
from pathlib import Path
from typing import Any

import independent_decoder
import numpy as np
import numpy.typing as npt
import pytest

from nicodec.bitstream import alpha, container, correction, entropy
from nicodec.bitstream.container import Chunk, Header, Kind

TEXT = (Path(__file__).parent.parent / "docs" / "FORMAT.md").read_text("utf-8")

# The tables and symbols of the document's example.
TABLES = entropy.Tables(
    frequencies=np.array([8192, 40960, 8192, 8192, 4096, 8192, 32768, 12288, 4096, 4096], np.uint16),
    start=np.array([0, 4, 10], np.int32),
    low=np.array([-1, -2], np.int16),
    escape=True,
)
INDEX, SYMBOLS = np.array([0, 1, 0, 0, 1, 1]), np.array([0, -2, 7, 1, -300, 0], np.int16)


def bytes_of(*numbers: int) -> int:
    """The bytes of some varints, by the document's words: seven bits in each."""
    return sum(max(1, -(-number.bit_length() // 7)) for number in numbers)


def annotated(header: Header, chunks: list[Chunk]) -> list[str]:
    """The lines of the document's dump, from what a file holds."""
    data = container.pack(header, chunks)
    fields = [
        (4, "magic"),
        (1, "version " + ".".join(map(str, header.version))),
        (1, f"{header.channels} channels of {header.depth} bits"),
        (4, f"CRC-32 of the symbols, 0x{header.symbols_crc:08x}"),
        (8, "model"),
        (bytes_of(header.width, header.height), f"{header.width} x {header.height} pixels"),
        (bytes_of(header.quality), f"quality {header.quality / 100:g}"),
        (bytes_of(*header.tile), f"tiles of {header.tile[0]} x {header.tile[1]} cells"),
        (bytes_of(len(chunks)), f"{len(chunks)} chunks"),
        *(
            (5 + bytes_of(len(c.payload)), f"chunk: {Kind(c.kind).name}, {len(c.payload)} bytes, CRC-32 of its payload")
            for c in chunks
        ),
        (4, "CRC-32 of everything above"),
        *((len(c.payload), f"payload of {Kind(c.kind).name}") for c in chunks),
    ]
    lines, at = [], 0
    for size, meaning in fields:
        for begin in range(at, at + size, 8):
            part = data[begin : min(begin + 8, at + size)]
            lines.append(f"{begin:4}  {part.hex(' '):23}  {meaning}".rstrip())
            meaning = ""
        at += size
    assert at == len(data)
    return lines


def dump() -> tuple[list[str], bytes]:
    """The lines of the dump as the document has them, and the bytes that stand in them."""
    (block,) = re.findall(r"```text\noffset  bytes.*?\n(.*?)```", TEXT, re.DOTALL)
    lines = block.splitlines()
    return lines, b"".join(bytes.fromhex(line[6:29]) for line in lines)


def test_the_layout_is_that_of_the_code() -> None:
    codes = {"4 bytes": "4s", "8 bytes": "8s", "u8": "B", "u32": "I"}
    rows = re.findall(r"^\| (\d*) ?\| ([48] bytes|u\d+|varint|N entries) \| ([^|]+) \|", TEXT, re.MULTILINE)
    fixed, rest = rows[:5], rows[5:]
    assert "<" + "".join(codes[kind] for _, kind, _ in fixed) == container.START.format
    offsets = [struct.calcsize("<" + "".join(codes[kind] for _, kind, _ in fixed[:i])) for i in range(6)]
    assert [offset for offset, *_ in rows] == [*map(str, offsets), *[""] * 7]
    assert [kind for _, kind, _ in rest] == ["varint"] * 6 + ["N entries", "u32"]
    named = [name for *_, name in rest]
    assert named == ["width", "height", "quality", "tile width", "tile height", "chunks", "chunk table", "CRC-32"]
    kinds = re.findall(r"^\| (\d|0x\d\d) \| ([A-Z]+) \|", TEXT, re.MULTILINE)
    assert {name: int(number, 0) for number, name in kinds} == {kind.name: kind.value for kind in Kind}
    assert container.MAGIC.hex(" ").upper() in TEXT
    assert f"version {container.MAJOR}.{container.MINOR}" in TEXT.splitlines()[0]


def test_the_dump_says_what_its_bytes_say() -> None:
    lines, data = dump()
    assert lines == annotated(*container.unpack(data))


def test_the_second_parser_reads_the_dump_too() -> None:
    _, data = dump()
    ours, chunks = container.unpack(data)
    theirs, others = independent_decoder.parse_file(data)
    assert (theirs.major, theirs.minor) == ours.version
    assert (theirs.channels, theirs.depth, theirs.quality) == (ours.channels, ours.depth, ours.quality)
    assert (theirs.width, theirs.height) == (ours.width, ours.height)
    assert ((theirs.tile_width, theirs.tile_height), theirs.model) == (ours.tile, ours.model)
    assert (theirs.symbols_crc, theirs.chunks) == (ours.symbols_crc, len(chunks))
    assert others == [(c.kind, c.payload) for c in chunks]


def test_the_chunks_of_the_dump() -> None:
    _, data = dump()
    payloads = {c.kind: c.payload for c in container.unpack(data)[1]}
    assert payloads[Kind.Y] == entropy.encode(SYMBOLS, INDEX, TABLES)
    assert entropy.decode(payloads[Kind.Y], INDEX, TABLES).tolist() == SYMBOLS.tolist()
    assert (alpha.decode(payloads[Kind.ALPHA], 100, 70) == 128).all()
    assert container.inflate(payloads[Kind.XMP]) == b"<x/>"


def test_the_example_of_a_correction() -> None:
    (listed,) = re.findall(
        r"begin with ([\d−, ]+)\. The bytes `([\w ]+)`.*?coefficients ([\d−, ]+), in steps of 1/(\d+)", TEXT, re.S
    )
    widths, wanted = (np.array([int(n.replace("−", "-")) for n in listed[i].split(",")]) for i in (0, 2))
    found = correction.decode(bytes.fromhex(listed[1]), widths.astype(np.int8))
    assert found.coefficients.tolist() == wanted.tolist()
    assert 2**found.step == int(listed[3])


def second_model(tables: entropy.Tables) -> independent_decoder.Model:
    model = object.__new__(independent_decoder.Model)
    parts: dict[str, npt.NDArray[Any]]
    parts = {"frequencies": tables.frequencies, "start": tables.start, "low": tables.low}
    model.tensors = {f"tables.{name}.{part}": array for name in "yz" for part, array in parts.items()}
    return model


def test_the_example_of_the_coder() -> None:
    model = second_model(TABLES)
    for number in (0, 1):
        row = re.search(rf"^\| {number} \|.*\| ([\d ]+) \|$", TEXT, re.MULTILINE)
        assert row is not None
        assert [int(a) for a in row[1].split()] == model.table("y", number)[0]
    (listed,) = re.findall(r"symbols ([−\d, ]+) with the tables ([\d, ]+)", TEXT)
    assert [int(s) for s in listed[0].replace("−", "-").split(",")] == SYMBOLS.tolist()
    assert [int(t) for t in listed[1].split(",")] == INDEX.tolist()
    (escapes, word) = re.search(r"`0e` and `(.*?)`.*one word, 0x(\w{8})", TEXT, re.DOTALL).groups()  # type: ignore[union-attr]
    payload = bytes.fromhex("030e" + escapes) + int(word, 16).to_bytes(4, "little")
    assert payload == entropy.encode(SYMBOLS, INDEX, TABLES)


def encode_as_written(places: list[int], cumulatives: list[list[int]]) -> bytes:
    """The document's encoder: one number of any length, whose digits are the words."""
    low, size, n = 0, 2**64 - 1, 0
    for i, a in zip(places, cumulatives, strict=True):
        scale = size >> 24
        low += scale * a[i]
        size = scale * (a[i + 1] - a[i])
        if size < 2**32:
            low, size, n = low << 32, size << 32, n + 1
    v = low + 2**32 - 1 >> 32
    words = [v >> 32 * (n - k) & 0xFFFFFFFF for k in range(n + 1)]
    words += [0] if (low + size >> 32) % 2**32 == v % 2**32 else []
    return np.array(words, "<u4").tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_the_coder_is_the_one_that_is_written_down(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(0, 2, 3000 if seed else 1)
    low, high = TABLES.low[index], TABLES.high[index]
    # The last seed codes the ends of the tables only, where carries are most frequent.
    symbols = np.where(rng.random(len(index)) < 0.5, low, high) if seed == 3 else rng.integers(low, high + 1)
    coded = entropy.encode(symbols, index, TABLES)
    model, order = second_model(TABLES), np.argsort(index, kind="stable")
    places = (symbols - low)[order].tolist()
    assert coded == b"\0" + encode_as_written(places, [model.table("y", t)[0] for t in index[order].tolist()])
    second = independent_decoder.Payload(coded, model, "y")
    assert np.array_equal(second.symbols(index), symbols)
    second.finish()
    assert np.array_equal(entropy.decode(coded, index, TABLES), symbols)
