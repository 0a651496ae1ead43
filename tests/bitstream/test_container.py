"""Bytes of a file <-> header and chunks: the layout to the last byte, and an error for everything else."""

import contextlib
import itertools
import struct
import time
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream import container
from nicodec.bitstream.container import MAX_CHUNKS, Chunk, Header, Kind, deflate, inflate, pack, unpack
from nicodec.errors import BadFile, ChecksumMismatch, LimitExceeded, NicError, UnsupportedVersion

HEAD = Header(100, 70, 3, 8, 5000, (16, 16), bytes(range(8)), 0xDEADBEEF)
CHUNKS = [Chunk(Kind.Z, b"z's"), Chunk(Kind.Y, b"y's symbols")]
SMALL = pack(HEAD, CHUNKS)


# Where the varints of the small file begin, and where its chunk table begins and ends.
NUMBERS, TABLE, END = 18, 25, 37


def sealed(head: bytes, payloads: bytes = b"") -> bytes:
    """A header and chunk table, whatever they hold, with the right checksum behind them."""
    return head + struct.pack("<I", zlib.crc32(head)) + payloads


def patched(at: int, old: bytes, new: bytes) -> bytes:
    """The small file with some bytes of its head in place of others, and the checksum of the head mended."""
    assert SMALL[at:].startswith(old)
    return sealed(SMALL[:at] + new + SMALL[at + len(old) : END], SMALL[END + 4 :])


def leb(value: int) -> bytes:
    """A number by the definition: groups of seven bits, the lowest first, and the top bit where another follows."""
    groups = [value >> 7 * i & 127 for i in range(max(1, -(-value.bit_length() // 7)))]
    return bytes([128 + group for group in groups[:-1]] + groups[-1:])


def test_the_bytes_of_a_header_put_together_by_hand() -> None:
    head = bytes.fromhex(
        "89 4e 49 43"  # magic: \x89 NIC
        "10"  # format 1.0
        "03"  # 3 channels of 8 bits
        "ef be ad de"  # CRC-32 of the symbols
        "00 01 02 03 04 05 06 07"  # the model
        "64 46"  # 100 x 70
        "88 27"  # quality 50.00
        "10 10"  # tiles of 16 x 16 cells
        "02"  # two chunks
        "01 03 77 a6 ee b5"  # Z, 3 bytes, their CRC-32
        "02 0b 8e ca de 31"  # Y, 11 bytes, their CRC-32
        "56 60 2e 33"  # CRC-32 of all that stands before
    )
    assert head + b"z's" + b"y's symbols" == SMALL
    assert unpack(SMALL) == (HEAD, CHUNKS)


def test_the_bytes_of_larger_numbers_put_together_by_hand() -> None:
    deep = Header(2880, 300, 1, 16, 10000, (2**14, 127), bytes(8), 1, (1, 15))
    chunks = [Chunk(Kind.SAMPLES, bytes(300))]
    head = bytes.fromhex(
        "89 4e 49 43"
        "1f"  # format 1.15
        "11"  # gray of 16 bits
        "01 00 00 00"
        "00 00 00 00 00 00 00 00"
        "c0 16 ac 02"  # 2880 x 300
        "90 4e"  # quality 100.00
        "80 80 01 7f"  # tiles of 16384 x 127 cells
        "01"
        "06 ac 02"  # samples, 300 bytes
    )
    head += struct.pack("<I", zlib.crc32(bytes(300)))
    assert pack(deep, chunks) == sealed(head, bytes(300))


def test_overhead_of_a_plain_file() -> None:
    """Of a picture of 300 pixels, and of one so small that each of its numbers is a byte."""
    thumbnail = Header(300, 200, 3, 8, 5000, (16, 8), bytes(range(8)), 0xDEADBEEF)
    data = pack(thumbnail, [Chunk(Kind.Z, bytes(150)), Chunk(Kind.Y, bytes(1800))])
    assert len(data) - 150 - 1800 == 45
    assert len(SMALL) - len(b"z's" + b"y's symbols") == 41


@given(st.integers(0, 2**21) | st.sampled_from([127, 128, 2**14 - 1, 2**14]))
def test_the_size_of_a_chunk_is_what_it_adds_to_a_file(length: int) -> None:
    chunk = Chunk(Kind.XMP, bytes(length))
    file = container.File(HEAD, [*CHUNKS, chunk])
    assert file.size == len(pack(*file)) == len(SMALL) + container.chunk_size(length)


def test_every_prefix_is_refused() -> None:
    for end in range(len(SMALL)):
        with pytest.raises(BadFile):
            unpack(SMALL[:end])


def test_every_flipped_bit_is_noticed() -> None:
    for at, bit in itertools.product(range(len(SMALL)), range(8)):
        damaged = bytearray(SMALL)
        damaged[at] ^= 1 << bit
        with pytest.raises(NicError):
            unpack(bytes(damaged))


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255), st.integers(1, 4))
def test_every_burst_of_changed_bytes_is_noticed(at: int, value: int, length: int) -> None:
    damaged = (SMALL[:at] + bytes([value]) * length + SMALL[at + length :])[: len(SMALL)]
    if damaged != SMALL:
        with pytest.raises(NicError):
            unpack(damaged)


def test_trailing_bytes_are_refused() -> None:
    for tail in (b"\0", SMALL):
        with pytest.raises(BadFile, match="left over"):
            unpack(SMALL + tail)


@pytest.mark.parametrize("start", [b"", b"\x89PNG\r\n\x1a\n", SMALL[1:], b"\x89NIK\x10\x03", bytes(100)])
def test_other_files_are_refused(start: bytes) -> None:
    with pytest.raises(BadFile, match=r"not a \.nic file"):
        unpack(start)


# Versions and features


def test_another_major_version_is_unsupported_even_if_the_rest_is_strange() -> None:
    for major in (0, 2, 15):
        for rest in (SMALL[5:], b"\xff" * 100):
            with pytest.raises(UnsupportedVersion, match=f"version {major}.7; this release decodes 1.x"):
                unpack(SMALL[:4] + bytes([16 * major + 7]) + rest)


def test_a_later_minor_version_decodes() -> None:
    for minor in (1, 7, 15):
        later = replace(HEAD, version=(1, minor))
        assert unpack(pack(later, CHUNKS)) == (later, CHUNKS)


def test_an_unknown_chunk_is_skipped_if_it_may_be() -> None:
    kinds = [Kind.Z, Kind.Y, 0x80, Kind.ICC, 0xFF]
    chunks = [Chunk(kind, b"?") for kind in kinds]
    assert unpack(pack(HEAD, chunks)) == (HEAD, chunks)


def test_an_unknown_chunk_is_an_error_if_it_may_not_be() -> None:
    for kind in (0, 0x1F, 0x7F):
        with pytest.raises(UnsupportedVersion, match=f"chunk {kind}"):
            unpack(pack(HEAD, [*CHUNKS, Chunk(kind, b"?")]))


# Chunks


@pytest.mark.parametrize(
    "kinds",
    [[], [1], [2], [2, 1], [1, 1, 2], [1, 2, 2], [1, 3], [1, 2, 1], [1, 2, 0x81, 3], [1, 2, 3, 3],
     [1, 2, 0x82, 0x81], [1, 2, 0x81, 0x81], [0x81, 1, 2], [6, 2], [1, 6], [6, 4], [6, 5],
     [6, 6], [1, 2, 6], [6, 1, 2]],
)  # fmt: skip
def test_chunks_in_another_order_are_refused(kinds: list[int]) -> None:
    with pytest.raises(BadFile, match="chunks"):
        unpack(pack(HEAD, [Chunk(kind, b"") for kind in kinds]))


@pytest.mark.parametrize(
    ("width", "height", "tile", "count"),
    [(1, 1, (1, 1), 1), (64, 64, (1, 1), 1), (65, 64, (1, 1), 2), (65, 129, (1, 1), 6), (65, 129, (2, 2), 2),
     (1025, 1024, (16, 16), 2), (1025, 1025, (16, 16), 4), (1024, 1024, (65535, 65535), 1)],
)  # fmt: skip
def test_one_y_chunk_for_each_tile(width: int, height: int, tile: tuple[int, int], count: int) -> None:
    header = replace(HEAD, width=width, height=height, tile=tile)
    for given_count in range(8):
        # So long that a picture of that size is believed.
        chunks = [Chunk(Kind.Z, bytes(80)), *[Chunk(Kind.Y, b"")] * given_count]
        if given_count == count:
            assert unpack(pack(header, chunks)) == (header, chunks)
        else:
            with pytest.raises(BadFile):
                unpack(pack(header, chunks))


def test_lengths_that_do_not_add_up_are_refused() -> None:
    for length in (0, 2, 4, 2**32 - 1):
        with pytest.raises(BadFile, match=r"cut short, or has bytes left over: it has \d+ bytes, not [\d,]+"):
            unpack(patched(TABLE + 1, b"\x03", leb(length)))


def test_a_table_longer_than_the_file_is_refused() -> None:
    for count in (3, 65535):
        with pytest.raises(BadFile):
            unpack(patched(TABLE - 1, b"\x02", leb(count)))


def test_a_table_is_believed_as_far_as_there_are_bytes() -> None:
    for count, kind in ((MAX_CHUNKS, BadFile), (MAX_CHUNKS + 1, LimitExceeded), (2**32 - 1, LimitExceeded)):
        data = patched(TABLE - 1, b"\x02", leb(count))
        tracemalloc.start()
        began = time.process_time()  # other processes may be busy
        with pytest.raises(kind):
            unpack(data)
        assert time.process_time() - began < 0.1
        assert tracemalloc.get_traced_memory()[1] < 10**5
        tracemalloc.stop()


def test_more_chunks_than_a_file_may_have_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_CHUNKS", 3)
    assert len(unpack(pack(HEAD, [*CHUNKS, Chunk(Kind.ICC, b"")])).chunks) == 3
    data = pack(HEAD, [*CHUNKS, Chunk(Kind.ICC, b""), Chunk(Kind.XMP, b"")])
    with pytest.raises(LimitExceeded, match="4 chunks are over the limit of 3"):
        unpack(data)


def test_as_many_chunks_as_a_file_may_have_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MAX_PIXELS", str(2**40))
    chunks = [Chunk(Kind.Z, b""), *[Chunk(Kind.Y, b"")] * (MAX_CHUNKS - 1)]
    header = replace(HEAD, width=64 * (MAX_CHUNKS - 1), height=1, tile=(1, 1))
    assert unpack(pack(header, chunks)) == (header, chunks)


# Numbers


def test_what_the_head_says_of_a_file_that_ends_there() -> None:
    for end in range(5, END + 4):
        with pytest.raises(BadFile, match=f"ends within its {'header' if end < TABLE else 'chunk table'}$"):
            unpack(SMALL[:end])


@pytest.mark.parametrize(
    ("at", "old"),
    [(NUMBERS, b"\x64"), (NUMBERS + 1, b"\x46"), (NUMBERS + 2, b"\x88\x27"), (NUMBERS + 4, b"\x10"),
     (NUMBERS + 5, b"\x10"), (NUMBERS + 6, b"\x02"), (TABLE + 1, b"\x03"), (TABLE + 7, b"\x0b")],
)  # fmt: skip
def test_numbers_in_any_other_form_are_refused(at: int, old: bytes) -> None:
    """Each number of the head: with zeros behind it, of six bytes, and from 2^32 on. All checksums are right."""
    longer = old[:-1] + bytes([old[-1] | 0x80])
    assert unpack(patched(at, old, old)) == (HEAD, CHUNKS)
    for new in (
        longer + b"\x00",
        longer + b"\x80" * (4 - len(old)) + b"\x00",
        longer + b"\x80" * (5 - len(old)) + b"\x00",
        longer + b"\x80" * (5 - len(old)) + b"\x01",
        leb(2**32),
        leb(2**35 - 1),
        leb(2**35),
        b"\xff" * 100,
    ):
        with pytest.raises(BadFile, match=r"the (header|chunk table) holds a malformed number"):
            unpack(patched(at, old, new))


# Values


@pytest.mark.parametrize(
    "change",
    [{"width": 0}, {"height": 0}, {"channels": 0}, {"channels": 2}, {"channels": 4}, {"channels": 255},
     {"quality": 10001}, {"tile": (0, 1)}, {"tile": (1, 0)}],
    ids=str,
)  # fmt: skip
def test_impossible_values_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(BadFile, match="impossible"):
        unpack(pack(replace(HEAD, **change), CHUNKS))  # type: ignore[arg-type]


def test_only_four_kinds_of_samples_are_possible() -> None:
    possible = {1: (1, 8), 3: (3, 8), 0x11: (1, 16), 0x13: (3, 16)}
    for samples in range(256):
        data = patched(5, b"\x03", bytes([samples]))
        if samples in possible:
            header = unpack(data).header
            assert (header.channels, header.depth) == possible[samples]
            assert pack(header, CHUNKS) == data
        else:
            with pytest.raises(BadFile, match="impossible"):
                unpack(data)


@pytest.mark.parametrize(
    ("width", "height"), [(2**32 - 1, 1), (1, 2**32 - 1), (2**14, 2**13 + 1), (2**32 - 1, 2**32 - 1)]
)
def test_too_many_pixels_are_refused(width: int, height: int) -> None:
    with pytest.raises(LimitExceeded, match=f"{width}x{height} is over the limit of 134,217,728 pixels"):
        unpack(pack(replace(HEAD, width=width, height=height), CHUNKS))


def test_a_strip_is_counted_with_its_padding() -> None:
    container.check_size(11585, 11585)
    container.check_size(2**22, 1)
    with pytest.raises(LimitExceeded):
        container.check_size(2**22 + 1, 1)
    with pytest.raises(LimitExceeded):
        container.check_size(1, 2**27)


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "7000")
    assert unpack(SMALL) == (HEAD, CHUNKS)
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "6999")
    with pytest.raises(LimitExceeded, match="6,999"):
        unpack(SMALL)
    monkeypatch.setenv("NICODEC_MAX_PIXELS", str(2**40))
    container.check_size(2**20, 2**20)
    with pytest.raises(LimitExceeded):
        container.check_size(2**31, 1)


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "1")
    assert unpack(SMALL, 7000) == (HEAD, CHUNKS)
    monkeypatch.setenv("NICODEC_MAX_PIXELS", "7000")
    with pytest.raises(LimitExceeded, match=r"over the limit of 6,999 pixels$"):
        unpack(SMALL, 6999)
    with pytest.raises(LimitExceeded):
        unpack(SMALL, 0)


@pytest.mark.parametrize(("width", "height"), [(2300, 2300), (1, 2**17)])
def test_a_small_file_cannot_claim_a_large_picture(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    """The padding counts: a strip of one column is 64 columns of work."""
    header = replace(HEAD, width=width, height=height, tile=(16, 64))
    chunks = [Chunk(Kind.Z, b""), *[Chunk(Kind.Y, b"")] * container.tile_count(header)]
    data = pack(header, chunks)
    assert len(data) < 1000
    with pytest.raises(LimitExceeded, match="bytes that claim"):
        unpack(data)
    monkeypatch.setenv("NICODEC_MAX_PIXELS", str(2**27))
    assert unpack(data) == (header, chunks)
    monkeypatch.delenv("NICODEC_MAX_PIXELS")
    assert unpack(data, 2**27) == (header, chunks)


@pytest.mark.parametrize("text", ["-1", "1e9", "x", " ", "٣", "9" * 5000])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NICODEC_MAX_PIXELS", text)
    with pytest.raises(LimitExceeded, match="whole number"):
        unpack(SMALL)


headers = st.builds(
    Header,
    width=st.integers(0, 2**32 - 1) | st.integers(0, 300),
    height=st.integers(0, 2**32 - 1) | st.integers(0, 300),
    channels=st.integers(0, 15) | st.sampled_from([1, 3]),
    depth=st.sampled_from([8, 16]),
    quality=st.integers(0, 2**32 - 1) | st.integers(0, 10000),
    tile=st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1)),
    model=st.binary(min_size=8, max_size=8),
    symbols_crc=st.integers(0, 2**32 - 1),
    version=st.tuples(st.just(1) | st.integers(0, 15), st.integers(0, 15)),
)
chunk_lists = st.lists(
    st.builds(Chunk, st.sampled_from([*Kind, 4, 0x80, 0x90]).map(int), st.binary(max_size=5)), max_size=6
)


@given(headers, chunk_lists)
def test_whatever_is_packed_comes_back_or_is_refused(header: Header, chunks: list[Chunk]) -> None:
    with contextlib.suppress(NicError):
        assert unpack(pack(header, chunks)) == (header, chunks)


@given(st.binary(max_size=120), st.lists(st.integers(0, 300), min_size=5, max_size=5), st.integers(0, 4))
def test_any_table_with_the_right_checksum_is_read_or_refused(rest: bytes, numbers: list[int], count: int) -> None:
    head = SMALL[:NUMBERS] + b"".join(map(leb, [*numbers, count]))
    for size in range(6 * count, 10 * count + 1):
        with contextlib.suppress(NicError):
            unpack(sealed(head + rest[:size], rest))


@given(st.binary(max_size=120))
def test_any_header_with_the_right_checksum_is_read_or_refused(rest: bytes) -> None:
    for size in range(len(rest)):
        with contextlib.suppress(NicError):
            unpack(sealed(SMALL[:5] + rest[:size], rest))


# Metadata


@given(st.binary(max_size=300) | st.builds(lambda b, n: b * n, st.binary(max_size=3), st.integers(0, 500)))
def test_metadata_come_back(payload: bytes) -> None:
    stored = deflate(payload)
    assert inflate(stored) == payload
    assert len(stored) <= len(payload) + 1
    assert len(stored) < 40 or len(set(payload)) > 3


@pytest.mark.parametrize(
    "stored",
    [b"", b"\x02abc", b"\x01", b"\x01abc", b"\x01" + zlib.compress(b"x")[:-1],
     b"\x01" + zlib.compress(b"x") + b"x", b"\x01" + zlib.compress(b"x")[:-1] + b"\xff"],
)  # fmt: skip
def test_metadata_stored_otherwise_are_refused(stored: bytes) -> None:
    with pytest.raises(BadFile):
        inflate(stored)


def test_metadata_never_inflate_past_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inflate(b"\x01" + zlib.compress(bytes(1000)), limit=1000) == bytes(1000)
    with pytest.raises(LimitExceeded, match="999"):
        inflate(b"\x01" + zlib.compress(bytes(1000)), limit=999)
    # What is too long to inflate is therefore stored as it is.
    monkeypatch.setattr(container, "MAX_METADATA", 999)
    assert deflate(bytes(1000)) == bytes(1001)
    assert deflate(bytes(999))[0] == 1


def test_a_damaged_chunk_is_a_checksum_mismatch() -> None:
    with pytest.raises(ChecksumMismatch, match="chunk"):
        unpack(SMALL[:-1] + b"!")
