"""What travels beside the samples, in a file: every kind, and what a part or a preview of a picture may say."""

import warnings
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec.bitstream import container
from nicodec.bitstream.container import Chunk, Kind
from nicodec.coding import beside, painting
from nicodec.picture import Beside, Picture
from nicodec.picture.beside import exif, ifd, text

SOI = b"\xff\xd8\xff"
THUMBNAIL = SOI + b"\xdb" + bytes(range(1, 200))


def camera() -> bytes:
    """An EXIF block with sizes, a maker's note and, behind its first directory, a thumbnail."""
    block = ifd.block(
        [ifd.Value(0x010F, 2, 8, b"HuntCam\0")],
        {ifd.EXIF: [ifd.Value(0x927C, 7, 200, THUMBNAIL), ifd.Value(0xA002, 4, 1, b"\x64\0\0\0")]},
        "<",
    )
    return block + THUMBNAIL


ALL = Beside(
    None, camera(), b"<x:xmpmeta/>", b"\x1c\x02\x19\0\1a", text.pack([("Comment", "c")]), text.pack_density(9, 9)
)


@pytest.fixture(scope="module")
def data() -> bytes:
    y, x = np.mgrid[:70, :100]
    pixels = (128 + 90 * np.sin(x / 9) * np.cos(y / 11)).astype(np.uint8)
    return bytes(nicodec.Codec().encode(Picture(pixels[:, :, None], beside=ALL)))


def test_every_kind_comes_back(data: bytes) -> None:
    assert beside.metadata(container.unpack(data)) == ALL
    assert nicodec.info(data).metadata == ("EXIF", "XMP", "IPTC", "TEXT", "DENSITY")
    assert [kind.name.lower() for kind in beside.METADATA] == [field.name for field in fields(Beside)]
    assert list(beside.METADATA) == sorted(beside.METADATA)
    image = nicodec.decode(data)
    assert image.info == {
        "exif": b"Exif\0\0" + camera(), "xmp": b"<x:xmpmeta/>", "photoshop": {0x0404: ALL.iptc}, "comment": b"c",
        "Comment": "c", "dpi": (9, 9),
    }  # fmt: skip


def test_a_region_has_no_thumbnail_of_the_whole(data: bytes) -> None:
    part = nicodec.decode(data, region=(10, 10, 32, 20))
    assert SOI not in part.info["exif"]
    assert part.getexif()[0x010F] == "HuntCam"
    assert part.getexif().get_ifd(0x8769) == {0xA002: 32}
    whole = nicodec.decode(data, region=(0, 0, 100, 70))
    assert whole.info["exif"] == b"Exif\0\0" + camera()


def test_a_preview_says_its_size_and_keeps_the_rest(data: bytes) -> None:
    small = nicodec.decode(data, scale=1 / 8)
    assert small.getexif().get_ifd(0x8769)[0xA002] == 13
    assert small.info["exif"].count(SOI) == 2


def test_what_cannot_be_made_to_fit_a_region_is_named(data: bytes) -> None:
    file = container.unpack(data)
    damaged = [Chunk(c.kind, b"\0" + camera()[:60]) if c.kind == Kind.EXIF else c for c in file.chunks]
    bad = container.pack(file.header, damaged)
    with pytest.warns(UserWarning, match="EXIF, which may show more than this part: left out"):
        part = nicodec.decode(bad, region=(0, 0, 9, 9))
    assert "exif" not in part.info
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nicodec.decode(bad).info["exif"] == b"Exif\0\0" + camera()[:60]


def test_forged_metadata_do_not_stop_a_region(data: bytes) -> None:
    file = container.unpack(data)
    for kind in beside.METADATA:
        others = [c for c in file.chunks if c.kind != kind]
        chunks = sorted([*others, Chunk(kind, b"\0" + b"\x1c\x02<a>" * 9)], key=lambda c: c.kind)
        bad = container.pack(file.header, chunks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for view in ({}, {"region": (0, 0, 9, 9)}, {"scale": 1 / 8}):
                assert isinstance(nicodec.decode(bad, **view), Image.Image)


def test_the_whole_is_handed_on_without_a_look(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exif, "Block", None)
    file = container.unpack(data)
    assert beside.metadata(file, painting.view(file.header)) == ALL
