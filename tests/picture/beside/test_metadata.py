"""What travels beside a picture: through every format that holds it, true to the picture, within bounds."""

import io
import re
import struct
import warnings
import zlib
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from nicodec.picture import LIMIT, Beside, Picture
from nicodec.picture.beside import exif, ifd, iptc, jp2, metadata, pillow_info, text
from nicodec.picture.beside import jpeg as jpeg_room
from nicodec.picture.reader import read, taken
from nicodec.picture.writer import encoded, to_pil

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = ifd.block(
    [ifd.Value(0x010F, 2, 9, "Bücher\0\0".encode()), ifd.Value(0x0112, 3, 1, b"\1\0")],
    {
        ifd.EXIF: [ifd.Value(0x9003, 2, 20, b"2020:01:01 00:00:00\0"), ifd.Value(0x927C, 7, 12, b"maker's note")],
        ifd.GPS: [ifd.Value(1, 2, 2, b"N\0"), ifd.Value(2, 5, 3, struct.pack("<6I", 52, 1, 31, 1, 987654, 1000))],
        ifd.INTEROP: [ifd.Value(1, 2, 4, b"R98\0")],
    },
    "<",
)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="urn:r">%s</rdf:RDF></x:xmpmeta>'
NS = b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" %s/>'


def iim(number: int, value: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


IPTC = iim(0, b"\0\4") + iim(25, b"harbour") + iim(90, b"Hamburg") + iim(120, "Nebel über dem Hafen".encode())
TEXTS = (("Comment", "from slide 12"), ("Description", "Grandmöther, 1931"), ("Заметка", "x"))
ALL = Beside(SRGB, EXIF, XMP % b"", IPTC, text.pack(TEXTS), text.pack_density(300, 150.5))


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def file_of(beside: Beside, format: str) -> tuple[bytes, str]:
    """A file, and what was said of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = encoded(to_pil(Picture(noise(24, 40, 3), beside=beside)), format)
    return data, "\n".join(str(warning.message) for warning in said)


def png(*chunks: tuple[bytes, bytes], after: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in noise(24, 40, 3))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 0)), *chunks, (b"IDAT", zlib.compress(rows)), *after]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise(24, 40, 3)).save(out, "JPEG")
    data = out.getvalue()
    own = b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return data[:2] + own + data[2:]


# Through files

HOLDS = {
    "png": {"icc", "exif", "xmp", "iptc", "text", "density"},
    "jpg": {"icc", "exif", "xmp", "iptc", "text", "density"},
    "tiff": {"icc", "exif", "xmp", "iptc", "text", "density"},
    "webp": {"icc", "exif", "xmp"},
    "avif": {"icc", "exif", "xmp"},
    "jp2": {"icc", "exif", "xmp", "iptc", "text", "density"},
    "bmp": {"density"},
    "ppm": set(),
    "tga": set(),
}
NAMED = {"icc": "the colour profile", "exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "text": "text",
         "density": "the print resolution"}  # fmt: skip


@pytest.mark.parametrize("format", HOLDS)
def test_each_kind_comes_through_a_format_or_is_named(format: str) -> None:
    for field in fields(Beside):
        beside = replace(Beside(), **{field.name: getattr(ALL, field.name)})
        data, said = file_of(beside, format)
        back = getattr(read(data).beside, field.name)
        if field.name not in HOLDS[format]:
            # Gray or RGB that is sRGB in truth needs no profile, and then none is missed.
            silent = {("webp", "density"), ("avif", "density"), ("bmp", "icc"), ("ppm", "icc"), ("tga", "icc")}
            assert NAMED[field.name] in said or (format, field.name) in silent
        elif (format, field.name) == ("tiff", "text"):
            assert said == "TIFF cannot hold the text Comment, Заметка: left out"
            assert exif.Block(read(data).beside.exif).values("<")[0][0].raw == TEXTS[1][1].encode() + b"\0"
        elif field.name == "text":
            assert said or format == "png"
            (name, value), *_ = text.unpack(back)
            assert (name, value) in TEXTS
        elif field.name == "density":
            assert text.unpack_density(back) == pytest.approx((300, 150.5), abs=0.6)
        elif field.name == "exif" and format in ("tiff", "avif"):
            values, expected = exif.Block(back).values("<"), exif.Block(EXIF).values("<")
            for tag in (ifd.EXIF, ifd.GPS, ifd.INTEROP):
                assert [v for v in values[tag] if v.tag != ifd.INTEROP] == [
                    v for v in expected[tag] if v.tag != ifd.INTEROP
                ]
            assert values[0][0] == expected[0][0]
        else:
            assert back == getattr(ALL, field.name)
            assert said == ""


def test_all_kinds_at_once_come_through_png() -> None:
    data, said = file_of(replace(ALL, text=text.pack(TEXTS[:2])), "png")
    back = read(data).beside
    assert said == ""
    assert replace(back, density=None) == replace(ALL, text=text.pack(TEXTS[:2]), density=None)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["Description"] == TEXTS[1][1]
        assert image.info["dpi"] == pytest.approx((300, 150.5), abs=0.01)


def test_a_jpeg_of_all_kinds_is_read_by_pillow() -> None:
    data, _ = file_of(ALL, "jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["comment"] == b"from slide 12"
        assert image.info["photoshop"][0x0404] == IPTC
        assert image.info["dpi"] == (300, 150)
        assert image.info["icc_profile"] == SRGB
        assert image.getexif().get_ifd(ifd.GPS)[1] == "N"


def test_a_tiff_of_all_kinds_is_read_by_pillow() -> None:
    data, said = file_of(ALL, "tiff")
    assert said == "TIFF cannot hold the text Comment, Заметка: left out"
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert np.array_equal(np.asarray(image), noise(24, 40, 3))
        assert image.tag_v2[0x010E].encode("latin-1") == TEXTS[1][1].encode()
        assert image.tag_v2[33723] == IPTC
        assert image.info["dpi"] == (300, 150.5)
        assert image.getexif().get_ifd(ifd.EXIF)[0x9003] == "2020:01:01 00:00:00"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_boxes_of_jpeg_2000_leave_the_samples_as_they_are(channels: int) -> None:
    gray = SRGB[:16] + b"GRAY" + SRGB[20:]
    pixels = noise(24, 40, channels)
    data = encoded(to_pil(Picture(pixels, beside=replace(ALL, text=None, icc=gray if channels == 1 else SRGB))), "jp2")
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
        assert image.info["dpi"] == pytest.approx((300, 150.5), abs=0.01)
    assert read(data).beside.icc == (gray if channels == 1 else SRGB)


def test_forged_boxes_end() -> None:
    data, _ = file_of(ALL, "jp2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in range(12, len(data) - len(SRGB) // 2, 7):
            for value in (b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff"):
                jp2.apart(io.BytesIO(data[:at] + value + data[at + 4 :]))
    long = struct.pack(">I4s", LIMIT + 25, b"uuid") + b"JpgTiffExif->JP2" + bytes(LIMIT + 1)
    assert read(data + long).notes == ("EXIF of more than 16 MiB was left out",)


@pytest.mark.parametrize(
    "segment",
    [(0xE0, b"JFIF\0"), (0xEE, b"Adobe\0"), (0xE2, b"ICC_PROFILE\0"), (0xE2, b"ICC_PROFILE\0\1"),
     (0xE2, b"ICC_PROFILE\0\1\2abc"), (0xED, b"Photoshop 3.0\0008BIM\x04\x04"), (0xED, b"Photoshop 3.0\0"),
     (0xE1, b"Exif\0\0"), (0xE1, b"http://ns.adobe.com/xap/1.0/\0"), (0xE2, b"MPF\0"), (0xFE, b"")],
)  # fmt: skip
def test_a_segment_that_is_cut_short_costs_only_itself(segment: tuple[int, bytes]) -> None:
    whole = jpeg()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = read(jpeg(segment, (0xFE, b"kept")))
    assert np.array_equal(picture.pixels, read(whole).pixels)
    assert picture.beside == replace(read(whole).beside, text=text.pack([("Comment", "kept")]))
    lost = segment[1].startswith(b"ICC_PROFILE")
    assert picture.notes == (("a colour profile that is damaged was left out",) if lost else ())


def test_a_jpeg_of_nothing_but_fill_ends() -> None:
    file, aside = jpeg_room.apart(io.BytesIO(b"\xff\xd8" + b"\xff" * 5_000_000))
    assert aside == (Beside(), None, ())
    assert len(file.read()) == 5_000_002


@pytest.mark.parametrize("format", ["webp", "avif"])
def test_a_resolution_goes_into_exif_where_there_is_none(format: str) -> None:
    data, said = file_of(Beside(density=ALL.density), format)
    assert said == ""
    with Image.open(io.BytesIO(data)) as image:
        assert (image.getexif()[0x011A], image.getexif()[0x011B]) == (300, 150.5)
    assert "the print resolution" in file_of(Beside(exif=EXIF, density=ALL.density), format)[1]


def test_what_is_too_long_for_a_jpeg_is_left_out_and_named() -> None:
    long = Beside(
        icc=SRGB + bytes(200_000),
        exif=EXIF + bytes(70_000),
        xmp=XMP % (b" " * 70_000),
        iptc=iim(120, bytes(30_000)) * 3,
        text=text.pack([("Comment", "x" * 70_000)]),
        density=text.pack_density(100_000, 2),
    )
    data, said = file_of(long, "jpg")
    assert read(data).beside == Beside(icc=long.icc)  # in several segments
    for name in ("XMP of 70,0", "EXIF of 70,", "IPTC of 90,", "the comment of 70,000 bytes", "the print resolution"):
        assert name in said
    assert file_of(Beside(icc=SRGB + bytes(255 * 65519)), "jpg")[1].startswith("JPEG cannot hold the colour profile of")


def test_metadata_that_a_writer_refuses_do_not_cost_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Image.Image.save

    def save(self: Image.Image, *args: Any, **options: Any) -> None:
        if options.get("exif"):
            raise ValueError("no such EXIF")
        real(self, *args, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    data, said = file_of(ALL, "webp")
    assert said == "WEBP was written without metadata: no such EXIF"
    assert read(data).beside == Beside()


@pytest.mark.parametrize("name", sorted(pillow_info.PILLOWS))
def test_a_text_may_have_a_name_that_means_something_to_pillow(name: str) -> None:
    beside = Beside(text=text.pack([(name, "one"), ("Title", "x"), (name, "two")]))
    image = to_pil(Picture(noise(8, 8, 3), beside=beside))
    assert image.info == {"texts": {name: "one\ntwo"}, "Title": "x"}
    for copy in (image, image.copy()):
        found = dict(text.unpack(read(encoded(copy, "png")).beside.text))
        assert found == {name: "one\ntwo", "Title": "x"}
    for format in ("jpg", "tiff", "webp"):
        with pytest.warns(UserWarning, match=f"cannot hold the text Title, {re.escape(name)}: left out"):
            encoded(image, format)


def test_a_text_of_such_a_name_is_read_from_an_image_of_pillow() -> None:
    names = ("version", "quality", "dpi", "texts", "compression")
    with Image.open(io.BytesIO(png(*((b"tEXt", name.encode() + b"\0of a text") for name in names)))) as image:
        assert text.unpack(read(image).beside.text) == tuple((name, "of a text") for name in names)
    with Image.open(io.BytesIO(file_of(Beside(xmp=XMP % b""), "png")[0])) as image:
        assert image.info["XML:com.adobe.xmp"]
        assert read(image).beside == read(image.copy()).beside == Beside(xmp=XMP % b"")
    image = Image.fromarray(noise(8, 8, 3))
    image.info["texts"] = {"version": "3", 4: "x", "loop": 5}
    assert text.unpack(read(image).beside.text) == (("version", "3"),)


# PNG's texts


def zipped(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return b"zTXt", name + b"\0\0" + zlib.compress(value, 9)


def test_texts_of_every_form_of_png() -> None:
    data = png(
        (b"tEXt", b"Author\0Caf\xe9"),
        zipped(b"Source", b"a scanner"),
        (b"iTXt", b"Title\0\0\0fr\0Titre\0" + "Été".encode()),
        (b"iTXt", b"Title\0\1\0\0\0" + zlib.compress("Summer ☀".encode())),
        after=((b"tEXt", b"Warning\0behind the picture"),),
    )
    assert text.unpack(read(data).beside.text) == (
        ("Author", "Café"), ("Source", "a scanner"), ("Title", "Été"), ("Title", "Summer ☀"),
        ("Warning", "behind the picture"),
    )  # fmt: skip


def test_a_text_that_is_too_long_costs_only_itself() -> None:
    bomb = bytes(LIMIT + 1)
    data = png(
        zipped(b"A", bomb), (b"iCCP", b"p\0\0" + zlib.compress(bomb)), (b"tEXt", b"B\0short"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bomb)),
    )  # fmt: skip
    picture = read(data)
    assert text.unpack(picture.beside.text) == (("B", "short"),)
    assert picture.beside.icc is None
    assert picture.beside.xmp is None
    assert picture.notes == (
        "text of more than 16 MiB was left out",
        "a colour profile of more than 16 MiB was left out",
    )


def test_texts_longer_than_pillow_takes_are_kept() -> None:
    """Pillow refuses a picture whose text inflates to more than a mebibyte."""
    long = b"x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1)
    profile = SRGB + bytes(PngImagePlugin.MAX_TEXT_CHUNK)
    picture = read(png(zipped(b"A", long), (b"iCCP", b"p\0\0" + zlib.compress(profile))))
    assert text.unpack(picture.beside.text) == (("A", long.decode()),)
    assert picture.beside.icc == profile
    data, _ = file_of(Beside(text=picture.beside.text), "png")
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["A"] == long.decode()


def test_many_texts_and_bombs_are_cut_off() -> None:
    picture = read(png(*[(b"tEXt", b"k%d\0v" % i) for i in range(text.MAX_TEXTS + 5)]))
    assert len(text.unpack(picture.beside.text)) == text.MAX_TEXTS
    assert picture.notes == (f"texts beyond the first {text.MAX_TEXTS:,} were left out",)
    bomb = zipped(b"A", bytes(LIMIT + 1))
    assert read(png(*[bomb] * 300)).beside.text is None  # 4.8 GiB in all


def test_damaged_texts_cost_only_themselves() -> None:
    data = png(
        (b"zTXt", b"A\0\0no zlib"), (b"zTXt", b"B\0\7"), (b"iTXt", b"C\0\0\0"), (b"tEXt", b"D\0kept"), (b"tEXt", b"E")
    )
    picture = read(data.replace(b"kept" + struct.pack(">I", zlib.crc32(b"tEXtD\0kept")), b"kept1234"))
    assert picture.beside.text is None
    assert picture.notes == ("text that is damaged was left out",)
    assert np.array_equal(picture.pixels, noise(24, 40, 3))


def test_texts_of_an_image_of_pillow_come_through() -> None:
    with Image.open(io.BytesIO(png((b"tEXt", b"parameters\0steps: 20")))) as image:
        assert text.unpack(read(image.copy()).beside.text) == (("parameters", "steps: 20"),)
    tags = encoded(Image.fromarray(noise(9, 9, 3)), "tiff")
    with Image.open(io.BytesIO(tags)) as image:
        assert read(image.copy()).beside.text is None


# Profiles in PNG's texts


def raw(kind: str, block: bytes) -> tuple[bytes, bytes]:
    lines = "\n".join(block.hex()[i : i + 72] for i in range(0, 2 * len(block), 72))
    return zipped(f"Raw profile type {kind}".encode(), f"\n{kind}\n{len(block):8}\n{lines}\n".encode())


def test_raw_profiles_become_what_they_are() -> None:
    packet = XMP % b""
    for kind, block, expected in (
        ("exif", b"Exif\0\0" + EXIF, Beside(exif=EXIF)),
        ("APP1", b"Exif\0\0" + EXIF, Beside(exif=EXIF)),
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + packet, Beside(xmp=packet)),
        ("xmp", packet, Beside(xmp=packet)),
        ("iptc", iptc.as_resource(IPTC), Beside(iptc=IPTC)),
        ("8bim", b"8BIM\x04\x25\0\0\0\0\0\1x\0" + iptc.as_resource(IPTC), Beside(iptc=IPTC)),
        ("iptc", IPTC, Beside(iptc=IPTC)),
        ("icc", SRGB, Beside(icc=SRGB)),
    ):
        assert read(png(raw(kind, block))).beside == expected
    assert text.unpack(read(png(raw("other", b"x"))).beside.text)[0][0] == "Raw profile type other"


def test_a_raw_profile_turns_the_picture_and_a_damaged_one_is_named() -> None:
    turned = bytearray(EXIF)
    turned[EXIF.index(b"\x12\x01\x03\0\1\0\0\0\1") + 8] = 6
    assert read(png(raw("exif", bytes(turned)))).pixels.shape == (40, 24, 3)
    for value in (b"", b"exif", b"\nexif\n  12\nxyz", b"\nexif\nx\n00"):
        assert read(png(zipped(b"Raw profile type exif", value))).notes == (
            "a damaged profile among the texts was left out",
        )


def test_xmp_among_the_texts_becomes_xmp() -> None:
    packet = XMP % "<dc:title>Grandmöther</dc:title>".encode()
    for begin in (b"", b"\xef\xbb\xbf", b"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"):
        whole = begin + packet
        for chunk in (
            (b"tEXt", b"XML:com.adobe.xmp\0" + whole), zipped(b"XML:com.adobe.xmp", whole),
            (b"tEXt", b"xmp\0" + whole), (b"iTXt", b"XMP\0\0\0\0\0" + whole),
        ):  # fmt: skip
            assert read(png(chunk)).beside == Beside(xmp=whole)
    latin = packet.decode().encode("latin-1")
    assert read(png((b"tEXt", b"XML:com.adobe.xmp\0" + latin))).beside == Beside(xmp=packet)
    with Image.open(io.BytesIO(png((b"tEXt", b"XML:com.adobe.xmp\0" + XMP % b"")))) as image:
        assert read(image).beside == read(image.copy()).beside == Beside(xmp=XMP % b"")
    turned = XMP % (NS % b'tiff:Orientation="6"')
    assert read(png((b"tEXt", b"XML:com.adobe.xmp\0" + turned))).pixels.shape == (40, 24, 3)


@pytest.mark.parametrize("value", [b"", b"a word", b"<3", b"< x:xmpmeta"])
def test_a_text_that_is_named_like_xmp_and_is_none_stays_a_text(value: bytes) -> None:
    picture = read(png((b"tEXt", b"XML:com.adobe.xmp\0" + value)))
    assert picture.beside == Beside(text=text.pack([("XML:com.adobe.xmp", value.decode())]))
    assert read(encoded(to_pil(picture), "png")).beside == picture.beside


def test_of_several_xmp_packets_that_of_its_own_chunk_stays_and_the_others_are_named() -> None:
    own, other = XMP % b"<own/>", XMP % b"<other/>"
    chunk = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + own)
    assert read(png(chunk, chunk)).notes == ()
    second = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + other)
    assert read(png(chunk, second)).notes == ("a further XMP packet was left out",)
    for text_chunk in ((b"tEXt", b"XML:com.adobe.xmp\0" + other), zipped(b"xmp", other), raw("xmp", other)):
        for chunks in ((chunk, text_chunk), (text_chunk, chunk)):
            picture = read(png(*chunks))
            assert picture.beside == Beside(xmp=own)
            assert picture.notes == ("a further XMP packet was left out",)
    assert read(png(chunk, raw("xmp", own + b"\n"))).notes == ()  # ImageMagick writes both
    two = read(png((b"tEXt", b"XML:com.adobe.xmp\0" + own), zipped(b"xmp", other)))
    assert (two.beside, two.notes) == (Beside(xmp=own), ("a further XMP packet was left out",))


# JPEG's segments


def test_captions_that_go_on_in_a_second_segment() -> None:
    block = iptc.as_resource(iim(120, bytes(range(256)) * 120) * 3)
    head = b"Photoshop 3.0\0"
    picture = read(jpeg((0xED, head + block[:60_000]), (0xED, head + block[60_000:]), (0xFE, b"one\0"), (0xFE, b"two")))
    assert picture.beside.iptc == iim(120, bytes(range(256)) * 120) * 3
    assert text.unpack(picture.beside.text) == (("Comment", "one\ntwo"),)


def test_a_density_is_that_of_jfif_and_not_made_up() -> None:
    def jfif(unit: int, x: int, y: int) -> Picture:
        data = jpeg((0xE1, b"Exif\0\0" + EXIF))
        at = data.index(b"JFIF\0") + 7
        return read(data[:at] + struct.pack(">BHH", unit, x, y) + data[at + 5 :])

    assert text.unpack_density(jfif(1, 300, 200).beside.density) == (300, 200)
    assert text.unpack_density(jfif(2, 100, 100).beside.density) == (254, 254)
    assert jfif(0, 1, 1).beside.density is None
    assert jfif(0, 2, 1).notes == ("the shape of the pixels, 2:1, was left out",)
    assert text.pack_density(0, 1) is None
    assert text.pack_density(float("nan"), 1) is None
    assert text.pack_density("a", 1) is None


# What is not coded


@pytest.mark.parametrize(
    ("inside", "note"),
    [
        (b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
         b'xmlns:C="http://ns.google.com/photos/1.0/container/"><C:Directory><rdf:Seq/></C:Directory></rdf:Description>',
         "the gain map (HDR)"),
        (b'<rdf:Description xmlns:H="http://ns.apple.com/HDRGainMap/1.0/"><H:HDRGainMapVersion>1</H:HDRGainMapVersion>'
         b"</rdf:Description>", "the gain map (HDR)"),
        (b'<rdf:Description xmlns:G="http://ns.google.com/photos/1.0/camera/" G:MotionPhoto="1" '
         b'G:MicroVideoOffset="9"/>',
         "the video of a motion photo"),
        (b'<rdf:Description xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="0123"/>', "extended XMP"),
        (b'<rdf:Description xmlns:C="http://ns.google.com/photos/1.0/container/"><C:Directory/></rdf:Description>',
         "a further picture or video in the file"),
    ],
)  # fmt: skip
def test_claims_of_what_is_not_coded_go_and_are_named(inside: bytes, note: str) -> None:
    kept = b"<dc:title>kept</dc:title>"
    picture = read(jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP % (inside + kept))))
    assert picture.notes == (f"{note} was left out",)
    assert picture.beside.xmp is not None
    assert kept in picture.beside.xmp
    for name in (b"Version", b"Directory", b"MotionPhoto", b"MicroVideo", b"HasExtended"):
        assert name not in picture.beside.xmp


def test_a_claim_in_a_packet_that_cannot_be_read_costs_the_packet() -> None:
    for packet in (b'<a hdrgm:Version="1.0">', b"<!DOCTYPE a><a GCamera:MotionPhoto='1'/>"):
        picture = read(jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)))
        assert picture.beside.xmp is None
        assert picture.notes == ("XMP that is damaged was left out",)
    picture = read(jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0<a>")))
    assert picture.beside.xmp == b"<a>"


# Orientation


def oriented(first: int | None, packet: int | None) -> Picture:
    image = Image.fromarray(noise(24, 40, 3))
    if first is not None:
        image.info["exif"] = b"Exif\0\0" + ifd.block([ifd.Value(0x0112, 3, 1, struct.pack("<H", first))], {}, "<")
    if packet is not None:
        image.info["xmp"] = XMP % (NS % (b'tiff:Orientation="%d"' % packet))
    return read(image)


@pytest.mark.parametrize(
    ("first", "packet", "turned", "left"),
    [(6, 8, True, (1, 1)), (1, 6, False, (1, 6)), (None, 6, True, (None, 1)), (0, 6, False, (0, 6)),
     (6, None, True, (1, None)), (9, None, False, (9, None))],
)  # fmt: skip
def test_exif_speaks_before_xmp_and_only_what_was_applied_is_reset(
    first: int | None, packet: int | None, turned: bool, left: tuple[int | None, int | None]
) -> None:
    picture = oriented(first, packet)
    assert (picture.pixels.shape[0] == 40) == turned
    assert (exif.Block(picture.beside.exif).orientation if picture.beside.exif else None) == left[0]
    packed = picture.beside.xmp
    assert (packed is None) == (left[1] is None)
    assert packed is None or b'tiff:Orientation="%d"' % left[1] in packed


@pytest.mark.parametrize(("tag", "packet"), [(6, None), (6, 8), (None, 6), (1, 6), (3, 3)])
def test_a_tiff_is_turned_once(tag: int | None, packet: int | None) -> None:
    stored, tags = noise(24, 40, 3), TiffImagePlugin.ImageFileDirectory_v2()
    if tag:
        tags[0x0112] = tag
    if packet:
        tags[700] = XMP % (NS % (b'tiff:Orientation="%d"' % packet))
    out = io.BytesIO()
    Image.fromarray(stored).save(out, "TIFF", tiffinfo=tags)
    stated = tag or packet
    turn = {6: lambda a: np.rot90(a, -1), 3: lambda a: np.rot90(a, 2), 1: lambda a: a}[stated or 1]
    picture = read(out.getvalue())
    assert np.array_equal(picture.pixels, turn(stored))
    again = read(to_pil(picture))
    assert np.array_equal(again.pixels, picture.pixels)


def test_sizes_are_those_of_the_picture() -> None:
    block = ifd.block([ifd.Value(0x0112, 3, 1, b"\6\0")], {ifd.EXIF: [ifd.Value(0xA002, 3, 1, b"\x28\0")]}, "<")
    image = Image.fromarray(noise(24, 40, 3))
    image.info["exif"] = b"Exif\0\0" + block
    image.info["xmp"] = XMP % (NS % b'exif:PixelXDimension="40" tiff:ImageLength="24"')
    picture = read(image)
    assert picture.beside.exif is not None
    assert exif.Block(picture.beside.exif).values("<")[ifd.EXIF][0].raw == b"\x18\0"
    assert picture.beside.xmp == XMP % (NS % b'exif:PixelXDimension="24" tiff:ImageLength="40"')


# Parts and places


def test_a_part_has_no_picture_of_the_whole() -> None:
    packet = XMP % (
        b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:Thumbnails>/9j/4AAQ</xmp:Thumbnails>'
        b"</rdf:Description>"
    )
    notes: list[str] = []
    part = metadata.fitted(replace(ALL, xmp=packet, iptc=IPTC + iim(202, b"jpeg")), 8, 8, cut=True, notes=notes)
    assert part.xmp == XMP % b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/"></rdf:Description>'
    assert part.iptc == IPTC
    assert part.exif is not None
    assert b"maker" not in part.exif
    assert notes == []
    for packet in (XMP % b"<other>/9j/4AAQ</other>", b"<a>", b"<!DOCTYPE a><a/>"):
        notes.clear()
        assert metadata.fitted(replace(ALL, xmp=packet), 8, 8, cut=True, notes=notes).xmp is None
        assert notes == ["XMP, which may show more than this part: left out"]
    whole = metadata.fitted(ALL, 40, 24, cut=False, notes=notes)
    assert whole == ALL


def test_nothing_tells_the_place() -> None:
    packet = XMP % (NS % b'exif:GPSLatitude="52,31N" exif:ISO="100"')
    texts = text.pack([("exif:GPSLatitude", "52"), ("Title", "x")])
    source = to_pil(Picture(noise(24, 40, 3), beside=replace(ALL, xmp=packet, text=texts)))
    beside = read(source, strip_gps=True).beside
    assert beside.exif is not None
    assert struct.pack("<I", 987654) not in beside.exif
    assert exif.Block(beside.exif).values("<").keys() == {0, ifd.EXIF, ifd.INTEROP}
    assert beside.xmp == XMP % (NS % b' exif:ISO="100"').replace(b"  ", b" ")
    assert (beside.icc, beside.density, text.unpack(beside.text)) == (SRGB, ALL.density, (("Title", "x"),))
    assert beside.iptc == iim(0, b"\0\4") + iim(25, b"harbour") + iim(120, "Nebel über dem Hafen".encode())
    assert taken(read(source), strip_gps=True).beside == beside


def test_no_property_tells_the_place_whatever_its_namespace() -> None:
    spaces = b" ".join(
        b'xmlns:%s="%s"' % pair
        for pair in (
            (b"d", b"http://www.dji.com/drone-dji/1.0/"), (b"w", b"http://www.w3.org/2003/01/geo/wgs84_pos#"),
            (b"gpsinfo", b"http://ns.example/gps"), (b"rdf", b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
            (b"location", b"urn:l"), (b"acdsee", b"http://ns.acdsee.com/iptc/1.0/"),
        )
    )  # fmt: skip
    names = [
        "d:GpsLatitude", "d:GpsLongtitude", "d:GpsLongitude", "d:AbsoluteAltitude", "d:RelativeAltitude", "w:lat",
        "w:long", "w:alt", "dc:coverage", "acdsee:location", "acdsee:latitude", "acdsee:longitude", "gpsinfo:x",
        "x:GPSLatitude", "GPSLatitude", "x:CITY", "x:cityName", "x:shotCity", "Iptc4xmpExt:LocationCreated",
        "x:stateProvince", "x:Province-State", "photoshop:State", "x:Country", "x:subLocation", "x:Sublocation",
        "x:WorldRegion", "lat", "lon", "x:geotag", "x:coordinates", "dcterms:spatial",
    ]  # fmt: skip
    kept = [
        "rdf:Alt", "d:GimbalYawDegree", "crs:Opacity", "x:capacity", "xmpRights:WebStatement", "x:status",
        "exif:SubjectLocation", "x:long_", "GPano:PoseHeadingDegrees", "x:geometry", "x:colour",
    ]  # fmt: skip
    for name in names:
        for inside in (b"<rdf:Description %s %s='52.5'/>", b"<rdf:Description %s><%s>52.5</%s></rdf:Description>"):
            packet = inside.replace(b"%s", spaces, 1).replace(b"%s", name.encode())
            notes: list[str] = []
            found = metadata.without_gps(Beside(xmp=XMP % packet), notes).xmp
            assert found is not None, name
            assert b"52.5" not in found, name
            assert spaces in found
            assert notes == []
    for name in kept:
        whole = Beside(xmp=XMP % (b"<rdf:Description %s %s='52.5'/>" % (spaces, name.encode())))
        assert metadata.without_gps(whole, []) == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [("xmp", "<x:xmpmeta><a d:GpsLatitude='52.5'>"), ("Other", "&lt;exif:GPSLatitude&gt;52.5"),
     ("Description", "a packet: <a d:gpslatitude='52.5'/>"), ("parameters", '{"lat": 52.5}'),
     ("x", "Longtitude = 52.5"), ("Comment", "GPS: 52.5"), ("x", "<a><!-- GPSLatitude 52.5 --></a>"),
     ("x", "<city>52.5"), ("raw profile type APP1", "52.5"), ("Raw profile type other", "52.5"),
     ("x", "<!DOCTYPE a><a>52.5</a>")],
)  # fmt: skip
def test_a_text_whose_value_may_tell_the_place_is_left_out_and_named(name: str, value: str) -> None:
    notes: list[str] = []
    texts = text.pack([(name, value), ("Title", "x")])
    assert metadata.without_gps(Beside(text=texts), notes) == Beside(text=text.pack([("Title", "x")]))
    assert notes == ["text, which may tell the place: left out"]


def test_markup_among_the_texts_is_kept_without_the_place() -> None:
    packet = XMP % b"<a xmlns:d='urn:d'%s>kept</a>"
    texts = [
        ("xmp", (packet % b" d:GpsLatitude='52.5'").decode()),
        ("svg", "<svg><metadata><City>Rome</City></metadata></svg>"),
        ("Description", "the film has much latitude & the city a GPS"), ("x", "<3 you"),
    ]  # fmt: skip
    expected = [("xmp", (packet % b"").decode()), ("svg", "<svg><metadata></metadata></svg>"), *texts[2:]]
    notes: list[str] = []
    assert metadata.without_gps(Beside(text=text.pack(texts)), notes) == Beside(text=text.pack(expected))
    assert notes == []


def test_what_may_tell_the_place_and_cannot_be_read_is_left_out() -> None:
    notes: list[str] = []
    for packet in (b"<a>", XMP % b"<foo>&lt;GPSLatitude>52</foo>", XMP % b"<!-- gpsLatitude -->"):
        assert metadata.without_gps(Beside(exif=EXIF[:-30], xmp=packet), notes) == Beside()
    assert set(notes) == {"EXIF and XMP, which may tell the place: left out"}


def test_of_much_markup_among_the_texts_the_first_is_kept() -> None:
    texts = text.pack([("x", "<a>" + "<b/>" * 100_000 + "</a>")] * 9)
    notes: list[str] = []
    assert metadata.without_gps(Beside(text=texts), notes).text == (texts or b"")[: len(texts or b"") // 9 * 2]
    assert notes == ["text, which may tell the place: left out"]


def test_a_search_for_places_in_forged_texts_takes_no_time() -> None:
    size = 1 << 20
    values = ["gps" * size, "latitude" + " " * size, " " * size + "<", "<" * size, "<a " * size, '"lat"' * size,
              "City" * size, "&lt;" * size, "\ufeff" * size]  # fmt: skip
    for value in values:
        metadata.without_gps(Beside(text=text.pack([(value, "x"), ("x", value)]), xmp=value.encode()), [])


# Hostile bytes


@given(
    st.binary(max_size=120), st.integers(0, 5), st.sampled_from(["exif", "xmp", "photoshop", "comment", "icc_profile"])
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_beside_a_picture_do_no_harm(blob: bytes, cut: int, key: str) -> None:
    image = Image.fromarray(noise(4, 6, 3))
    image.info[key] = {0x0404: IPTC[cut:] + blob} if key == "photoshop" else EXIF[: 40 * cut] + blob
    picture = read(image)
    assert picture.pixels.size == 72
    metadata.fitted(picture.beside, 2, 2, cut=True, notes=[])
    metadata.without_gps(picture.beside, [])
    for format in ("png", "jpg", "tiff"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(encoded(to_pil(picture), format))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_of_captions_are_walked_to_an_end(data: bytes) -> None:
    for block in (data, b"\x1c" + data, b"8BIM" + data, b"8BIM\x04\x04\0\0" + data):
        found = iptc.of_resources(block)
        if found:
            assert len(iptc.without_location(found)) <= len(found)
            assert len(iptc.cut(found)) <= len(found)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=20)), max_size=9))
def test_texts_come_back(texts: list[tuple[str, str]]) -> None:
    clean = tuple((a.replace("\0", " "), b.replace("\0", " ")) for a, b in texts)
    assert text.unpack(text.pack(texts)) == clean
    assert text.unpack(b"name\0cut") == ()
    assert text.unpack_density(b"\0" * 16) is None
    assert text.unpack_density(b"\1") is None


def test_a_blob_over_the_limit_is_left_out() -> None:
    image = Image.fromarray(noise(4, 6, 3))
    image.info["xmp"] = bytes(LIMIT + 1)
    picture = read(image)
    assert picture.beside == Beside()
    assert picture.notes == ("XMP of more than 16 MiB: left out",)
