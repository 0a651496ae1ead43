"""What travels beside a picture is made to fit it: upright, of its size, a part, without what is not in it.

Under `reader`, `writer` and `coding.beside`. Rooms below it know EXIF, XMP and IPTC each.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from PIL import Image

from nicodec.picture import Beside, Samples
from nicodec.picture.beside import exif, iptc, places, text, xmp
from nicodec.picture.beside.pillow_info import listed

# EXIF orientation -> the upright view of an array (H, W, ...).
_UPRIGHT: dict[object, Callable[[Samples], Samples]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}

# Formats whose readers turn a picture themselves: that of TIFF by its tag, that of JPEG XL by what its stream says.
_TURNED_IN_LOADING = ("TIFF", "JXL")

# What an XMP packet says of parts of a file that are not coded: the beginning of each name, and what a note says.
_NOT_CODED = {
    "hdrgm:": "the gain map (HDR)",
    "HDRGainMap:": "the gain map (HDR)",
    "GCamera:MotionPhoto": "the video of a motion photo",
    "GCamera:MicroVideo": "the video of a motion photo",
    "Container:Directory": "a further picture or video in the file",
    "xmpNote:HasExtendedXMP": "extended XMP",
}
# Pictures within a packet, and places in the picture as it was stored.
_OF_THE_WHOLE = (
    "xmp:Thumbnails", "GImage:", "GDepth:", "GPano:", "mwg-rs:Regions", "MP:RegionInfo", "Iptc4xmpExt:ImageRegion",
)  # fmt: skip
# How a JPEG and a PNG begin in base64.
_PICTURES = re.compile(rb"/9j/|iVBORw0KGgo")


def turn_in_loading(image: Image.Image) -> object:
    """The orientation that Pillow applies, and then forgets, when it loads the image; None if it turns nothing."""
    if image.format != "TIFF" or not getattr(image, "tile", None):
        return None
    try:
        stated: object = image.getexif().get(exif.ORIENTATION)
    except Exception:  # then Pillow cannot turn it either
        return None
    return stated if stated in _UPRIGHT else None


def turned(plane: Samples, orientation: object) -> Samples:
    """The upright view of an array (H, W, ...) with this orientation of EXIF."""
    return _UPRIGHT[orientation](plane) if orientation in _UPRIGHT else plane


def upright(
    image: Image.Image, loaded: object, pixels: Samples, alpha: Samples | None, beside: Beside, notes: list[str]
) -> tuple[Samples, Samples | None, Beside]:
    """Pixels (H, W, C) and alpha (H, W), upright, and what travels beside them, which says the same.

    loaded: what `turn_in_loading` told. The orientation is that of EXIF, without an entry there that of XMP. It is
    set to 1 only where the picture was turned. A line is added to `notes` for what is left out.
    """
    block = _block(beside.exif)
    if beside.exif and block is None:
        notes.append("EXIF that is damaged was left out")
    stated = block and block.orientation
    if stated is None and beside.xmp:
        stated = xmp.orientation(beside.xmp)
    if image.format not in _TURNED_IN_LOADING:
        pixels, alpha = turned(pixels, stated), alpha if alpha is None else turned(alpha, stated)
    is_turned = loaded is not None or (stated in _UPRIGHT and image.format != "TIFF")
    packet = beside.xmp
    if is_turned:
        packet = packet and xmp.set_upright(packet)
        if block:
            block.set_upright()
    height, width = pixels.shape[:2]
    if block:
        block.set_size(width, height)
    packet = _true_xmp(packet, width, height, _OF_THE_WHOLE if is_turned else (), notes)
    return pixels, alpha, replace(beside, exif=bytes(block.data) if block else None, xmp=packet)


def fitted(beside: Beside, width: int, height: int, *, cut: bool, notes: list[str]) -> Beside:
    """What travels beside a view of a picture, width x height pixels. cut: it is a part, and shows nothing of the rest.

    A line is added to `notes` for what cannot be made to fit and is left out.
    """
    block, gone = _block(beside.exif), []
    packet = beside.xmp
    if block:
        block.set_size(width, height)
    data = bytes(block.data) if block else None
    if cut:
        data = block.cut() if block else None
        packet = _true_xmp(packet, width, height, _OF_THE_WHOLE, [], strict=True)
        gone = [
            name for name, old, new in (("exif", beside.exif, data), ("xmp", beside.xmp, packet)) if old and not new
        ]
    else:
        packet = _true_xmp(packet, width, height, (), [])
    if gone:
        notes.append(f"{listed(gone)}, which may show more than this part: left out")
    return replace(beside, exif=data, xmp=packet, iptc=beside.iptc and (iptc.cut(beside.iptc) if cut else beside.iptc))


def without_gps(beside: Beside, notes: list[str]) -> Beside:
    """What tells no place: EXIF without its GPS directory, XMP and IPTC without the names of places, and texts alike.

    What cannot be read well enough to be sure is left out, and has a line in `notes`.
    """
    block = _block(beside.exif)
    data = block.without_gps() if block else None
    packet = places.packet_without(beside.xmp) if beside.xmp else None
    gone = [name for name, old, new in (("exif", beside.exif, data), ("xmp", beside.xmp, packet)) if old and not new]
    texts, doubtful = places.texts_without(text.unpack(beside.text))
    gone += ["text"] if doubtful else []
    if gone:
        notes.append(f"{listed(gone)}, which may tell the place: left out")
    located = beside.iptc and iptc.without_location(beside.iptc)
    return replace(beside, exif=data, xmp=packet or None, iptc=located or None, text=text.pack(texts))


def _block(data: bytes | None) -> exif.Block | None:
    """The EXIF block, or None for what is none."""
    try:
        return exif.Block(data) if data else None
    except ValueError:
        return None


def _true_xmp(
    packet: bytes | None, width: int, height: int, unwanted: Iterable[str], notes: list[str], *, strict: bool = False
) -> bytes | None:
    """An XMP packet of a picture of these sides, without what is not coded and without properties of these beginnings.

    strict: nothing that looks like a picture may stay in it. None if the packet cannot be made true.
    """
    if not packet:
        return None
    names = (*_NOT_CODED, *unwanted)
    if b"HasExtendedXMP" in packet:  # pictures of such a packet are in the part that is not coded
        names += _OF_THE_WHOLE
    sides = {"tiff:ImageWidth": width, "exif:PixelXDimension": width}
    sides |= {"tiff:ImageLength": height, "exif:PixelYDimension": height}
    try:
        values = {name: str(side) for name, side in sides.items()}
        edited, removed = xmp.edited(packet, values, lambda name: name.startswith(names))
    except xmp.Unreadable:
        if not strict and not any(name.strip(":").rpartition(":")[2].encode() in packet for name in names):
            return packet
        notes.append("XMP that is damaged was left out")
        return None
    gone = {said: 0 for begin, said in _NOT_CODED.items() if any(name.startswith(begin) for name in removed)}
    if len(gone) > 1:
        gone.pop(_NOT_CODED["Container:Directory"], None)  # what they are is said by the others
    notes.extend(f"{said} was left out" for said in gone)
    return None if strict and _PICTURES.search(edited.replace(b"\0", b"")) else edited
