"""XMP, edited in its text: values and properties under any prefix, any encoding, no entities, bounded work."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.picture.beside import xmp

RDF = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
EXIF = "http://ns.adobe.com/exif/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"


def packet(inside: str) -> bytes:
    return f"<?xpacket begin='\ufeff' id='W5M0'?>\n{RDF.format(inside)}\n   <?xpacket end='w'?>".encode()


def without(data: bytes, *begin: str) -> tuple[bytes, frozenset[str]]:
    return xmp.edited(data, {}, lambda name: name.startswith(begin))


def test_properties_go_as_attributes_and_as_elements() -> None:
    data = packet(
        f"<rdf:Description xmlns:e='{EXIF}' e:GPSLatitude=\"52,31N\"\n e:ISO='100' note=\"e:GPSLatitude='1'\">"
        "<e:GPSDestBearing><rdf:Seq><rdf:li>1 &gt; 2</rdf:li></rdf:Seq></e:GPSDestBearing><e:GPSStatus/>"
        "<e:Flash>0</e:Flash></rdf:Description>"
    )
    made, gone = without(data, "exif:GPS")
    assert gone == {"exif:GPSLatitude", "exif:GPSDestBearing", "exif:GPSStatus"}
    expected = packet(
        f"<rdf:Description xmlns:e='{EXIF}' e:ISO='100' note=\"e:GPSLatitude='1'\">"
        "<e:Flash>0</e:Flash></rdf:Description>"
    )
    assert made == expected.replace(b" e:ISO", b"\n e:ISO")


def test_a_prefix_means_its_innermost_namespace() -> None:
    data = packet(
        f"<rdf:Description xmlns:p='urn:other'><p:GPSA/><rdf:li xmlns:p='{EXIF}'><p:GPSB/></rdf:li><p:GPSC/>"
        f"<GPSD xmlns='{EXIF}'/></rdf:Description>"
    )
    made, gone = without(data, "exif:GPS")
    assert gone == {"exif:GPSB", "exif:GPSD"}
    assert b"GPSA" in made
    assert b"GPSC" in made


def test_values_are_set_where_they_stand() -> None:
    inside = "<a xmlns:tiff='{}' tiff:ImageWidth='{}'><tiff:ImageLength>{}</tiff:ImageLength></a>"
    values = {"tiff:ImageWidth": "7", "tiff:ImageLength": "9", "exif:PixelXDimension": "7"}
    made, gone = xmp.edited(packet(inside.format(TIFF, 160, 120)), values, lambda name: False)
    assert made == packet(inside.format(TIFF, 7, 9))
    assert gone == frozenset()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_any_encoding(encoding: str) -> None:
    text = RDF.format(f"<rdf:Description xmlns:tiff='{TIFF}' tiff:Orientation='6' tiff:Make='Bücher'/>")
    data = ("\ufeff" + text).encode(encoding)
    assert xmp.orientation(data) == 6
    assert xmp.set_upright(data) == data.replace("'6'".encode(encoding), "'1'".encode(encoding))
    made, _ = without(data, "tiff:Orientation")
    assert made == data.replace(" tiff:Orientation='6'".encode(encoding), b"")


@pytest.mark.parametrize(
    "form", ['tiff:Orientation="6"', "tiff:Orientation='6'", "><tiff:Orientation> 6\n</tiff:Orientation"]
)
def test_orientation_in_any_form(form: str) -> None:
    data = f"<a {form}/>".encode()
    assert xmp.orientation(data) == 6
    assert xmp.orientation(xmp.set_upright(data)) == 1
    assert xmp.orientation(data.replace(b"6", b"61")) is None


def test_padding_and_zeros_behind_the_packet_stay() -> None:
    data = packet("<rdf:Description xmlns:exif='urn:x'/>") + b"\0\0"
    assert without(data, "exif:GPS") == (data, frozenset())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no XML", b"<a>", b"<a><b></a>", b"\xff\xfe", b"<a b='\xff'/>",
        b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', b"<a>&unknown;</a>", b"<a" + b" b='c'" * 300_000 + b"/>",
        b"<a>" + b"<b/>" * 300_000 + b"</a>", b"<" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_sound_is_unreadable(data: bytes) -> None:
    with pytest.raises(xmp.Unreadable):
        xmp.edited(data, {"tiff:ImageWidth": "1"}, lambda name: False)


def test_many_nested_namespaces_take_no_time() -> None:
    deep = "".join(f"<a xmlns:p{i}='urn:{i}'>" for i in range(50_000)) + "</a>" * 50_000
    assert without(deep.encode(), "exif:GPS") == (deep.encode(), frozenset())


def test_a_long_run_of_blanks_takes_no_time() -> None:
    """A million of them between two attributes, and another million behind the last."""
    blanks = " " * 1_000_000
    tag = f"<rdf:Description xmlns:tiff='{TIFF}' tiff:ImageWidth='5'{blanks}tiff:ImageLength='6'{blanks}/>"
    made, _ = xmp.edited(packet(tag), {"tiff:ImageWidth": "77", "tiff:ImageLength": "88"}, lambda name: False)
    assert made == packet(tag.replace("'5'", "'77'").replace("'6'", "'88'"))


def test_of_a_property_within_itself_the_innermost_is_set() -> None:
    deep = "<tiff:ImageWidth>" * 10_000 + "5" + "</tiff:ImageWidth>" * 10_000
    whole = packet(f"<rdf:Description xmlns:tiff='{TIFF}'>{deep}</rdf:Description>")
    made, _ = xmp.edited(whole, {"tiff:ImageWidth": "77"}, lambda name: False)
    assert made == whole.replace(b">5<", b">77<")


PIECES = [
    "<rdf:Description>", "</rdf:Description>", "<e:GPSA>", "</e:GPSA>", "<e:GPSB x='1'/>", "<tiff:ImageWidth>",
    "<!-- <e:GPSC> -->", "</tiff:ImageWidth>", "5", "&amp;", "<![CDATA[<e:GPSD>]]>", "<rdf:li e:GPSE='<'/>",
    "<rdf:li e:GPSF = \"'>'\" y='2'/>", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14))
@settings(max_examples=300, deadline=None)
def test_what_is_left_is_sound_and_has_no_such_name(parts: list[str]) -> None:
    data = packet(f"<rdf:Description xmlns:e='{EXIF}' xmlns:tiff='{TIFF}'>{''.join(parts)}</rdf:Description>")
    try:
        made, _ = xmp.edited(data, {"tiff:ImageWidth": "77"}, lambda name: name.startswith("exif:GPS"))
    except xmp.Unreadable:
        return
    assert xmp.edited(made, {}, lambda name: name.startswith("exif:GPS")) == (made, frozenset())


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_well(data: bytes) -> None:
    xmp.orientation(data)
    xmp.set_upright(data)
    with suppress(xmp.Unreadable):
        xmp.edited(data, {}, lambda name: True)
