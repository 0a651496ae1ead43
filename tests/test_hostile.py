"""Real files, damaged and forged: a NicError or exactly the right picture, in bounded time and memory."""

import json
import math
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fuzz_decode
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nicodec.bitstream import varint
from nicodec.bitstream.container import (
    FREE_LOSSLESS,
    FREE_PIXELS,
    MAGIC,
    MAX_QUALITY,
    PIXELS_PER_BYTE,
    Chunk,
    Header,
    Kind,
    chunk_size,
    pack,
    tile_count,
    unpack,
)
from nicodec.codec import Codec
from nicodec.coding import lossless
from nicodec.coding.beside import METADATA
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded, NicError, UnsupportedVersion
from nicodec.picture import Picture

forged = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(threads=1)


@pytest.fixture(scope="module")
def small(codec: Codec) -> bytes:
    """A picture of 40x30 with alpha and metadata, so that every kind of chunk is there."""
    y, x = np.mgrid[:30, :40]
    planes = [128 + 90 * np.sin(x / 5 + p) * np.cos(y / (4 + p)) for p in range(3)]
    picture = np.stack([*planes, np.where(x > y, 255, 40)], -1).astype(np.uint8)
    header, chunks = unpack(codec.encode(picture, quality=30))
    metadata = [Chunk(kind, b"\0some bytes") for kind in METADATA]
    return pack(header, [*chunks, *metadata])


@pytest.fixture(scope="module")
def right(codec: Codec, small: bytes) -> tuple[Any, ...]:
    return seen(codec, small)


def seen(codec: Codec, data: bytes) -> tuple[Any, ...]:
    """All that a user gets of a file."""
    image = codec.decode(data)
    return image.mode, image.size, image.tobytes(), image.info


def is_an_error_or(expected: tuple[Any, ...], codec: Codec, data: bytes) -> None:
    try:
        found: Any = seen(codec, data)
    except NicError as error:
        found = error
    assert found == expected or (isinstance(found, NicError) and str(found).isprintable())


def test_every_prefix(codec: Codec, small: bytes) -> None:
    assert len(small) < 2000
    for end in range(len(small)):
        with pytest.raises(NicError):
            codec.decode(small[:end])


def test_every_flipped_bit(codec: Codec, small: bytes, right: tuple[Any, ...]) -> None:
    for at in range(len(small)):
        for bit in range(8):
            is_an_error_or(right, codec, small[:at] + bytes([small[at] ^ 1 << bit]) + small[at + 1 :])


def test_every_byte_lost_or_doubled(codec: Codec, small: bytes, right: tuple[Any, ...]) -> None:
    for at in range(len(small)):
        is_an_error_or(right, codec, small[:at] + small[at + 1 :])
        is_an_error_or(right, codec, small[: at + 1] + small[at:])


def test_text_transfer_is_noticed(codec: Codec, small: bytes) -> None:
    with pytest.raises(BadFile, match="not a"):
        codec.decode(bytes(b & 0x7F for b in small))
    header, chunks = unpack(small)
    small = pack(header, [*chunks[:-1], Chunk(chunks[-1].kind, b"\0one line\r\nand another\n")])
    for damaged in (small.replace(b"\r\n", b"\n"), small.replace(b"\n", b"\r\n"), small.replace(b"\n", b"\r")):
        with pytest.raises(BadFile):
            codec.decode(damaged)


# Forged: damaged, and all checksums of the container made right again


@forged
@given(st.data())
def test_changed_symbols_are_noticed(codec: Codec, small: bytes, right: tuple[Any, ...], data: st.DataObject) -> None:
    """Checksums of the chunks may lie; that of the symbols still shows another picture."""
    header, chunks = unpack(small)
    which = data.draw(st.integers(0, 1))
    payload = bytearray(chunks[which].payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload)))
        payload[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    chunks[which] = Chunk(chunks[which].kind, bytes(payload))
    is_an_error_or(right, codec, pack(header, chunks))


@forged
@given(st.integers(2, 5), st.binary(max_size=40), st.booleans())
def test_changed_extras_are_read_or_refused(codec: Codec, small: bytes, which: int, tail: bytes, packed: bool) -> None:
    header, chunks = unpack(small)
    chunks[which] = Chunk(chunks[which].kind, b"\1" + zlib.compress(tail) if packed else tail)
    try:
        assert codec.decode(pack(header, chunks)).size == (40, 30)
    except NicError:
        return


fields = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(0, 400) | st.integers(0, 2**32 - 1),
        "height": st.integers(0, 400) | st.integers(0, 2**32 - 1),
        "channels": st.integers(0, 4) | st.integers(0, 15),
        "quality": st.integers(0, 10001) | st.integers(0, 2**32 - 1),
        "tile": st.tuples(st.integers(0, 2) | st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        "symbols_crc": st.integers(0, 2**32 - 1),
        "version": st.tuples(st.integers(0, 2), st.integers(0, 15)),
    },
)


@forged
@given(fields)
def test_a_changed_header_is_refused_or_true_of_the_picture(codec: Codec, small: bytes, change: dict[str, Any]) -> None:
    header, chunks = unpack(small)
    header = replace(header, **change)
    try:
        picture = codec.decode(pack(header, chunks))
    except NicError:
        return
    assert picture.size == (header.width, header.height)
    assert picture.mode == ("LA" if header.channels == 1 else "RGBA")


@forged
@given(st.data())
def test_any_bytes_with_right_checksums(codec: Codec, small: bytes, data: st.DataObject) -> None:
    chunks = unpack(small).chunks
    body = b"".join(chunk.payload for chunk in chunks)
    start = len(small) - sum(chunk_size(len(chunk.payload)) for chunk in chunks) - 4
    head, kinds, lengths = bytearray(small[:start]), [c.kind for c in chunks], [len(c.payload) for c in chunks]
    for _ in range(data.draw(st.integers(1, 4))):
        fields, value = data.draw(st.sampled_from([head, kinds, lengths])), data.draw(st.integers(0, 255))
        fields[data.draw(st.integers(len(MAGIC) if fields is head else 0, len(fields) - 1))] = value
    # The lengths as they now are, so that the payloads are reached too.
    rest = body
    for kind, length in zip(kinds, lengths, strict=True):
        payload, rest = rest[:length], rest[length:]
        head += bytes([kind]) + varint.encode(len(payload)) + struct.pack("<I", zlib.crc32(payload))
    forgery = bytes(head) + struct.pack("<I", zlib.crc32(head)) + body[: len(body) - len(rest)]
    try:
        codec.decode(forgery)
    except NicError:
        return


# Bounded


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def claims(codec: Codec, width: int, height: int, tiles: int, payload: bytes = b"\0") -> bytes:
    header = Header(width, height, 3, 8, 0, (16, 16), codec.checkpoint.id, 0)
    return pack(header, [Chunk(Kind.Z, payload), *[Chunk(Kind.Y, payload)] * tiles])


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("width", "height", "tiles", "error"),
    [(2**31, 2**31, 1, LimitExceeded), (2**32 - 1, 1, 1, LimitExceeded), (1, 2**27, 1, LimitExceeded),
     (11585, 11586, 144, LimitExceeded), (11585, 11585, 144, LimitExceeded),
     (1100, 960, 1, BadFile), (1100, 960, 3, BadFile), (1100, 960, 0, BadFile)],
)  # fmt: skip
def test_sizes_are_checked_before_anything_is_made(
    codec: Codec, width: int, height: int, tiles: int, error: type[NicError]
) -> None:
    with pytest.raises(error):
        codec.decode(claims(codec, width, height, tiles))
    assert tracemalloc.get_traced_memory()[1] < 10**6


@pytest.mark.usefixtures("traced")
def test_inflated_metadata_are_limited(codec: Codec, small: bytes) -> None:
    header, chunks = unpack(small)
    bomb = zlib.compress(bytes(2**26 + 1), 1)
    forgery = pack(header, [*(c for c in chunks if c.kind < Kind.XMP), Chunk(Kind.XMP, b"\1" + bomb)])
    tracemalloc.reset_peak()
    with pytest.raises(LimitExceeded, match="inflates"):
        codec.decode(forgery)
    assert tracemalloc.get_traced_memory()[1] < 2**27 + 10**7


def test_a_long_list_of_chunks_is_read_quickly(codec: Codec) -> None:
    header = Header(1, 1, 3, 8, 0, (1, 1), codec.checkpoint.id, 0)
    chunks = [Chunk(kind, b"") for kind in [Kind.Z, Kind.Y, *[0x80] * 65533]]
    with pytest.raises(BadFile, match="order"):
        codec.decode(pack(header, chunks))
    with pytest.raises(UnsupportedVersion):
        codec.decode(pack(header, [Chunk(0, b"")] * 65535))


def test_payloads_of_nothing(codec: Codec) -> None:
    for payload in (b"", b"\0", b"\xff" * 4, b"\x80" * 9):
        with pytest.raises((BadFile, ChecksumMismatch)):
            codec.decode(claims(codec, 30, 30, 1, payload))


# The program with its default limits, told by itself at its end
MEASURED = """
import atexit, json, re, sys, time
def tell():
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    print(json.dumps([peak / 1e3, time.process_time()]))
atexit.register(tell)
from nicodec.cli.app import main
main()
"""
BOMB = b"\1" + zlib.compress(bytes(100_000), 9)
# Width, height, tile, channels, other chunks: as many pixels as a kilobyte may claim, each in its own shape.
WORST = {
    "large tiles": (2560, 1408, (32, 32), 3, [Chunk(Kind.ALPHA, b"\0\x80")]),
    "strip": (64 * 880, 64, (1024, 1), 1, [Chunk(Kind.ALPHA, b"\0\x80")]),
    "many tiles": (2560, 1408, (4, 5), 3, []),
    "bombs": (2560, 1408, (16, 16), 3, [Chunk(kind, BOMB) for kind in METADATA]),
}


def kilobyte(header: Header, chunks: list[Chunk]) -> bytes:
    """A file of these chunks and one more, which fills it up to 1000 bytes: seven in the table, the others empty."""
    return pack(header, [*chunks, Chunk(0xFF, bytes(max(0, 1000 - len(pack(header, chunks)) - 7)))])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("name", WORST)
def test_no_kilobyte_takes_over_300_megabytes_or_20_seconds(codec: Codec, name: str, tmp_path: Path) -> None:
    """Payloads of no words decode to the lowest symbol of every table; their checksum is made right."""
    width, height, tile, channels, extras = WORST[name]
    header = Header(width, height, channels, 8, 5000, tile, codec.checkpoint.id, 0)
    chunks = [Chunk(Kind.Z, b"\0"), *[Chunk(Kind.Y, b"\0")] * tile_count(header), *extras]
    data = fuzz_decode.repaired(kilobyte(header, chunks))
    assert data is not None
    assert len(data) == 1000
    assert width * height > 0.98 * (FREE_PIXELS + 1000 * PIXELS_PER_BYTE)  # hardly more could be claimed

    assert_little_is_taken(name, data, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize(("depth", "sides"), [(8, (5120, 3712)), (16, (2560, 2624))])
def test_no_lossless_kilobyte_takes_more(depth: int, sides: tuple[int, int], tmp_path: Path) -> None:
    """Empty paper with alpha, as large as a kilobyte may claim to be."""
    width, height = sides
    paper = np.full((height, width, 3), 2**depth - 1, np.uint8 if depth == 8 else np.uint16)
    file = lossless._file(Picture(paper), (32, 32), MAX_QUALITY, 1, math.inf)
    chunks = [*file.chunks, Chunk(Kind.ALPHA, b"\0\x80")]
    data = kilobyte(file.header, chunks)
    assert len(data) < 1300
    assert width * height > 0.98 * (FREE_LOSSLESS[depth] + 1000 * PIXELS_PER_BYTE)
    assert_little_is_taken(f"lossless, {depth} bits", data, tmp_path)


def assert_little_is_taken(name: str, data: bytes, folder: Path) -> None:
    (folder / "a.nic").write_bytes(data)
    command = [sys.executable, "-c", MEASURED, "decode", "a.nic", "a.png", "-j", "1", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    megabytes, seconds = json.loads(done.stdout)
    print(f"{name}: {megabytes:.0f} MB, {seconds:.1f} s")
    assert megabytes < 300
    assert seconds < 20  # a slow processor takes five
