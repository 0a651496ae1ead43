"""An XMP packet, edited in its text: properties are set or taken out, every other byte stays.

Under `metadata`. Expat walks the packet; a document type, and with it any entity, makes the packet unreadable.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.parsers import expat

MAX_NAMES = 1 << 18
"""The most elements and attributes of a packet that is edited: a million would take seconds."""

_PREFIXES = {
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "hdrgm",
    "http://ns.apple.com/HDRGainMap/1.0/": "HDRGainMap",
    "http://ns.google.com/photos/1.0/container/": "Container",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://ns.google.com/photos/1.0/image/": "GImage",
    "http://ns.google.com/photos/1.0/depthmap/": "GDepth",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://ns.microsoft.com/photo/1.2/": "MP",
    "http://www.w3.org/2003/01/geo/wgs84_pos#": "geo",
}
_TAG = re.compile(rb"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
# Blanks are tried from their first one alone: else a long run of them takes the square of its length.
_ATTRIBUTE = re.compile(rb"""(?<!\s)\s+([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')""")
_ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))([0-9])(?![0-9])""")
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)  # fmt: skip


class Unreadable(ValueError):
    """The packet is not sound XML of one root, or too large to be walked."""


def orientation(xmp: bytes) -> int | None:
    """The number of tiff:Orientation, found as Pillow finds it, or None."""
    found = _ORIENTATION.search(_as_utf8(xmp)[0])
    return int(found[2]) if found else None


def set_upright(xmp: bytes) -> bytes:
    """Orientation 1 in place of 2 to 8, in a packet of any soundness."""
    text, encoding = _as_utf8(xmp)
    return _as_before(re.sub(_ORIENTATION, lambda m: m[1] + (b"1" if m[2] in b"2345678" else m[2]), text), encoding)


def edited(xmp: bytes, values: Mapping[str, str], unwanted: Callable[[str], bool]) -> tuple[bytes, frozenset[str]]:
    """The packet with other values, and without properties; and the names of those that were taken out.

    values: for a property's name, with its usual prefix, "tiff:ImageWidth". A property that is not there is not added.
    unwanted: whether a property of such a name is taken out, as an attribute or as an element with all that is in it.
    Raises Unreadable.
    """
    text, encoding = _as_utf8(xmp)
    walk = _Walk(text, values, unwanted)
    walk.run()
    if not walk.edits:
        return xmp, frozenset()
    parts, at = [], 0
    for edit in sorted(walk.edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.text]
        at = max(at, edit.end)
    return _as_before(b"".join([*parts, text[at:]]), encoding), frozenset(walk.removed)


@dataclass
class _Edit:
    """Bytes start to end that become others. end: 0 while it is not known."""

    start: int
    end: int
    text: bytes = b""


class _Walk:
    """One pass of expat over a packet in UTF-8, which collects the edits."""

    def __init__(self, text: bytes, values: Mapping[str, str], unwanted: Callable[[str], bool]) -> None:
        self._text, self._values, self._unwanted = text, values, unwanted
        self.edits: list[_Edit] = []
        self.removed: set[str] = set()
        self._bound: dict[str, list[str]] = {}  # prefix -> the namespaces that it means, the innermost last
        # For each open element: the prefixes that it binds, and the edit that ends with it.
        self._open: list[tuple[dict[str, str], _Edit | None]] = []
        self._inside = 0  # open elements that are taken out
        self._seen = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def run(self) -> None:
        try:
            self._parser.Parse(self._text, True)
        except expat.ExpatError as error:
            if not self._seen or self._open:  # bytes behind the root are no harm
                raise Unreadable(str(error)) from None

    def _doctype(self, *_: object) -> None:
        raise Unreadable("a document type")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._seen += 1 + len(attributes) // 2
        if self._seen > MAX_NAMES:
            raise Unreadable("too many elements")
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        bound = {key[6:]: uri for key, uri in pairs if key == "xmlns" or key.startswith("xmlns:")}
        for prefix, uri in bound.items():
            self._bound.setdefault(prefix, []).append(uri)
        edit = None
        if not self._inside:
            at = self._parser.CurrentByteIndex
            usual = self._usual(name)
            if self._unwanted(usual):
                tag = self._tag(at)
                edit = _Edit(at, at + len(tag) if tag.endswith(b"/>") else 0)
                self.removed.add(usual)
            else:
                # The default namespace is not that of attributes, and a declaration is no property.
                wanted = {k: self._usual(k) if ":" in k else k for k, _ in pairs if not k.startswith("xmlns")}
                if usual in self._values or any(self._concerns(u) for u in wanted.values()):
                    tag = self._tag(at)
                    self.edits += self._attributes(tag, at, wanted)
                    if usual in self._values and not tag.endswith(b"/>"):
                        edit = _Edit(at + len(tag), 0, self._values[usual].encode())
        self._open.append((bound, edit))
        self._inside += edit is not None and not edit.text

    def _end(self, name: str) -> None:
        bound, edit = self._open.pop()
        for prefix in bound:
            self._bound[prefix].pop()
        if edit is None:
            return
        at = self._parser.CurrentByteIndex
        if edit.text:  # a new value: only in place of text alone
            edit.end = at
            if self._text.find(b"<", edit.start, at) < 0:  # without a copy, since elements may be nested
                self.edits.append(edit)
        else:
            self._inside -= 1
            edit.end = edit.end or at + len(self._tag(at))
            self.edits.append(edit)

    def _attributes(self, tag: bytes, at: int, usual: Mapping[str, str]) -> Iterator[_Edit]:
        for found in _ATTRIBUTE.finditer(tag):
            name = usual.get(found[1].decode("utf-8", "replace"), "")
            if self._unwanted(name):
                self.removed.add(name)
                yield _Edit(at + found.start(), at + found.end())
            elif name in self._values:
                yield _Edit(at + found.start(2) + 1, at + found.end(2) - 1, self._values[name].encode())

    def _concerns(self, name: str) -> bool:
        return name in self._values or self._unwanted(name)

    def _usual(self, name: str) -> str:
        """A name with the usual prefix of its namespace, whichever prefix the packet has for that."""
        prefix, _, local = name.rpartition(":")
        spaces = self._bound.get(prefix)
        return f"{_PREFIXES.get(spaces[-1], prefix)}:{local}" if spaces else name

    def _tag(self, at: int) -> bytes:
        """The tag that begins here, from < to >."""
        found = _TAG.match(self._text, at)
        if found is None:
            raise Unreadable("no tag")
        return found[0]


def _as_utf8(xmp: bytes) -> tuple[bytes, str]:
    """The packet in UTF-8, and the encoding that it has. Bytes that are not sound in it stay, in UTF-8 alone."""
    encoding = next((name for start, name in _BOMS if xmp.startswith(start)), "")
    if not encoding:
        return xmp, "utf-8"
    try:
        return xmp.decode(encoding).encode(), encoding
    except UnicodeError:
        return xmp, "utf-8"


def _as_before(text: bytes, encoding: str) -> bytes:
    return text if encoding == "utf-8" else text.decode().encode(encoding)
