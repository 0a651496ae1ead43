"""The EXIF walker: orientation of any type, thumbnails and places that go, damage that costs nothing, bounded work."""

import io
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nicodec.picture.beside import exif, ifd

SOI = b"\xff\xd8\xff"
PLACE = struct.pack("<6I", 52, 1, 31, 1, 987654, 1000)


def thumbnail() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 10, 10)).save(out, "JPEG")
    return out.getvalue()


def directory(entries: list[tuple[int, int, int, bytes]], at: int, order: str = "<", following: int = 0) -> bytes:
    head, values = struct.pack(order + "H", len(entries)), b""
    for tag, kind, amount, value in sorted(entries):
        place = at + 2 + 12 * len(entries) + 4 + len(values)
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", place)
        values += value if len(value) > 4 else b""
        head += struct.pack(order + "HHI", tag, kind, amount) + field
    return head + struct.pack(order + "I", following) + values


def camera(order: str = "<", orientation: int = 6) -> bytes:
    """A block as cameras write it: Exif, GPS, a maker's note with a preview, and a thumbnail behind it."""
    pack = lambda form, *v: struct.pack(order + form, *v)  # noqa: E731
    small, note = thumbnail(), b"maker's note " + thumbnail()
    place = PLACE if order == "<" else struct.pack(">6I", *struct.unpack("<6I", PLACE))

    def first(exif_at: int, gps_at: int, one_at: int) -> bytes:
        return directory(
            [(0x010F, 2, 8, b"HuntCam\0"), (0x0112, 3, 1, pack("H", orientation)), (0x8769, 4, 1, pack("I", exif_at)),
             (0x8825, 4, 1, pack("I", gps_at))], 8, order, one_at)  # fmt: skip

    exif_at = 8 + len(first(0, 0, 0))
    below = directory(
        [(0x9003, 2, 20, b"2020:01:01 00:00:00\0"), (0x9214, 3, 2, pack("2H", 30, 40)), (0x927C, 7, len(note), note),
         (0xA002, 3, 1, pack("H", 160)), (0xA003, 4, 1, pack("I", 120))], exif_at, order)  # fmt: skip
    gps_at = exif_at + len(below)
    gps = directory([(1, 2, 2, b"N\0"), (2, 5, 3, place)], gps_at, order)
    one_at = gps_at + len(gps)

    def one(at: int) -> bytes:
        return directory([(0x0201, 4, 1, pack("I", at)), (0x0202, 4, 1, pack("I", len(small)))], one_at, order)

    start = (b"II*\0" if order == "<" else b"MM\0*") + pack("I", 8)
    return start + first(exif_at, gps_at, one_at) + below + gps + one(one_at + len(one(0))) + small


def read(block: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """First, Exif and GPS directory, as Pillow reads them."""
    found = Image.Exif()
    found.load(exif.PREFIX + block)
    return dict(found), dict(found.get_ifd(0x8769)), dict(found.get_ifd(0x8825))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_turned_picture_has_no_thumbnail_and_says_its_size(order: str) -> None:
    block = exif.Block(camera(order))
    assert block.orientation == 6
    block.set_upright()
    block.set_size(120, 160)
    first, below, gps = read(bytes(block.data))
    assert (first[0x0112], first[0x010F]) == (1, "HuntCam")
    assert (below[0xA002], below[0xA003], below[0x9003]) == (120, 160, "2020:01:01 00:00:00")
    assert below[0x927C].startswith(b"maker's note")
    assert 0x9214 not in below
    assert gps[2] == (52, 31, pytest.approx(987.654))
    assert bytes(block.data).count(SOI) == 1  # that of the maker's note alone
    assert exif.Block(bytes(block.data)).orientation == 1


def test_what_needs_no_change_stays_to_the_byte() -> None:
    data = camera(orientation=1)
    block = exif.Block(data)
    block.set_size(160, 120)
    assert bytes(block.data) == data


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_part_shows_nothing_of_the_whole(order: str) -> None:
    data = exif.Block(camera(order)).cut()
    assert data is not None
    assert SOI not in data
    first, below, gps = read(data)
    assert first[0x010F] == "HuntCam"
    assert below[0x9003] == "2020:01:01 00:00:00"
    assert not {0x927C, 0x9214} & below.keys()
    assert gps[1] == "N"
    assert len(data) < len(camera(order)) - len(thumbnail())


def test_a_picture_in_any_other_entry_does_not_stay_in_a_part() -> None:
    start = b"II*\0" + struct.pack("<I", 8)
    plain = start + directory([(0xC000, 7, 5000, bytes(range(250)) * 20), (0x010F, 2, 4, b"abc\0")], 8)
    data = exif.Block(plain).cut()
    assert data is not None
    assert bytes(range(50, 150)) not in data
    assert read(data)[0][0x010F] == "abc"
    hidden = start + directory([(0x9286, 2, len(thumbnail()), thumbnail())], 8)
    assert exif.Block(hidden).cut() is None
    behind = start + directory([(0x010F, 2, 4, b"abc\0")], 8) + thumbnail()
    assert exif.Block(behind).cut() == behind[: -len(thumbnail())]


def test_a_damaged_block_is_not_taken_into_a_part() -> None:
    data = camera()
    (count,) = struct.unpack_from("<H", data, 8)
    assert exif.Block(data[:8] + struct.pack("<H", count + 200) + data[10:]).cut() is None
    assert exif.Block(data[:100]).cut() is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_places_are_zero_in_the_bytes(order: str) -> None:
    whole = camera(order)
    data = exif.Block(whole).without_gps()
    assert data is not None
    for part in (987654, 31):
        assert struct.pack(order + "2I", part, 1000 if part > 99 else 1) not in data
    first, below, gps = read(data)
    assert (first[0x010F], first[0x0112], gps) == ("HuntCam", 6, {})
    assert 0x8825 not in first
    assert below[0x927C].startswith(b"maker's note")
    assert thumbnail() in data
    assert exif.Block(whole[:-1]).without_gps() is not None  # the thumbnail alone is cut
    assert exif.Block(whole[:150]).without_gps() is None


def forged(data: bytes, tag: int, form: str, *values: int) -> bytes:
    """The block with another type, amount or value in the entry of this tag."""
    at = data.index(struct.pack("<H", tag), 10) + 2
    return data[:at] + struct.pack("<" + form, *values) + data[at + struct.calcsize("<" + form) :]


@pytest.mark.parametrize("tag", [0x8769, 0x8825])
@pytest.mark.parametrize(
    ("kind", "amount"), [(0, 1), (16, 1), (14, 1), (255, 1), (4, 0), (4, 2), (3, 1), (5, 1), (1, 2)]
)
def test_a_block_whose_places_lie_behind_a_strange_pointer_is_left_out(tag: int, kind: int, amount: int) -> None:
    assert exif.Block(forged(camera(), tag, "HI", kind, amount)).without_gps() is None


@pytest.mark.parametrize(("kind", "amount"), [(4, 1), (13, 1), (9, 1), (7, 4), (3, 2)])
def test_a_pointer_of_four_bytes_of_any_type_is_followed(kind: int, amount: int) -> None:
    data = exif.Block(forged(camera(), 0x8825, "HI", kind, amount)).without_gps()
    assert data is not None
    assert struct.pack("<2I", 987654, 1000) not in data


def test_a_block_whose_places_have_no_length_or_another_home_is_left_out() -> None:
    data = camera()
    first, (exif_at,) = data.index(struct.pack("<HHI", 0x8825, 4, 1)), struct.unpack_from("<I", data, 42)
    value = data.index(struct.pack("<HHI", 2, 5, 3), first)
    assert exif.Block(data[: value + 2] + b"\0\0" + data[value + 4 :]).without_gps() is None
    assert exif.Block(forged(data, 0x8825, "HII", 4, 1, exif_at)).without_gps() is None
    packet = b"II*\0" + struct.pack("<I", 8) + directory([(0x02BC, 7, 40, b"<exif:GPSLatitude>52,31N".ljust(40))], 8)
    made = exif.Block(packet).without_gps()
    assert made is not None
    assert b"GPS" not in made
    assert exif.Block(forged(packet, 0x02BC, "H", 16)).without_gps() is None


@pytest.mark.parametrize(
    ("kind", "value"), [(1, b"\6"), (3, struct.pack("<H", 6)), (4, struct.pack("<I", 6))], ids=["byte", "short", "long"]
)
def test_orientation_of_any_type_of_number(kind: int, value: bytes) -> None:
    block = exif.Block(b"II*\0" + struct.pack("<I", 8) + directory([(0x0112, kind, 1, value)], 8))
    assert block.orientation == 6
    block.set_upright()
    assert block.orientation == 1


def test_damage_behind_the_orientation_does_no_harm() -> None:
    data = camera()
    (count,) = struct.unpack_from("<H", data, 8)
    for damaged in (
        data[:8] + struct.pack("<H", count + 200) + data[10 : 10 + 12 * count],  # more entries than there are
        data[: 10 + 12 * count],  # no values
        data[:46],  # entries cut
        data[:2] + b"\0*" + data[4:],  # the header turned round
    ):
        block = exif.Block(damaged)
        assert block.orientation == 6
        block.set_upright()
        assert exif.Block(bytes(block.data)).orientation == 1


def test_no_header_is_no_block() -> None:
    for data in (b"", b"II", b"Exif\0\0II*\0\0\0\0\0", b"XX*\0\x08\0\0\0\0\0", b"II**"):
        with pytest.raises(ValueError, match="header"):
            exif.Block(data)
    assert exif.without_prefix(b"Exif\0\0" * 300_000 + b"II*\0") == b"II*\0"


def test_a_directory_that_points_to_itself_ends() -> None:
    loop = b"II*\0" + struct.pack("<I", 8) + directory([(0x8769, 4, 1, struct.pack("<I", 8))], 8, following=8)
    block = exif.Block(loop)
    block.set_size(3, 4)
    assert block.cut() is not None


def test_values_that_all_claim_the_whole_block_cost_no_more_than_it() -> None:
    """60,000 entries, each of which says that its value is all of a megabyte."""
    size, count = 1 << 20, 60_000
    entries = b"".join(struct.pack("<HHII", 0x0201 + i % 2, 7, size, 0) for i in range(count))
    data = b"II*\0" + struct.pack("<IH", 8, count) + entries
    block = exif.Block(data.ljust(size, b"\1"))
    block.set_upright()
    block.set_size(5, 5)
    assert block.without_gps() is not None
    assert block.cut() is not None


def test_forged_values_take_memory_for_one_block_alone() -> None:
    """400 entries, each of which says that its value is nearly all of a megabyte."""
    size, count = 1 << 20, 400
    entries = b"".join(struct.pack("<HHII", 0x0320 + i, 7, size - 8000, 8000) for i in range(count))
    block = exif.Block((b"II*\0" + struct.pack("<IH", 8, count) + entries).ljust(size, b"\1"))
    tracemalloc.start()
    values = block.values(">")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(value.raw) for value in values[0]] == [size - 8000]
    assert peak < 4 * size


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_forged_blocks_are_walked_to_an_end(data: st.DataObject) -> None:
    order = data.draw(st.sampled_from("<>"))
    block = bytearray(camera(order, data.draw(st.integers(0, 9))))
    for _ in range(data.draw(st.integers(0, 12))):
        block[data.draw(st.integers(4, 330))] = data.draw(st.integers(0, 255))
    block = block[: data.draw(st.integers(8, len(block)))]
    first = exif.Block(bytes(block))
    first.set_upright()
    first.set_size(70_000, 3)
    assert len(first.data) <= len(block) + 4
    for made in (exif.Block(bytes(block)).cut(), exif.Block(bytes(block)).without_gps(), bytes(first.data)):
        if made is not None:
            exif.Block(made)
    part = exif.Block(bytes(block)).cut()
    assert part is None or SOI not in part
    assert set(exif.Block(bytes(block)).values(">")) >= {0}
    exif.Block(bytes(block)).without_orientation()


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_as_a_tiff_to_an_end(data: bytes) -> None:
    for head in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"):
        first, below, order = ifd.read(io.BytesIO(head + data.ljust(8, b"\0")), range(1 << 16))
        exif.Block(ifd.block(first, below, order))


def test_a_block_of_a_resolution_is_read_by_pillow() -> None:
    first, _, _ = read(exif.of_resolution(300, 150.5))
    assert (first[0x011A], first[0x011B], first[0x0128]) == (300, 150.5, 2)
    assert exif.Block(exif.of_resolution(1, 1)).tells_resolution
    assert not exif.Block(camera()).tells_resolution
