"""XMP packets: joined, compared, and freed of statements about what is no longer there."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from xml.dom import minidom
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

MAX_XMP = 4_000_000  # longer packets are not looked into, in bytes
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE = "http://ns.adobe.com/xmp/note/"
JPEG_START = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"

_CAMERA = "http://ns.google.com/photos/1.0/camera/"
# namespaces, or single properties of one, that point into the bytes after a JPEG's end: videos and gain maps
APPENDED = (
    *((_CAMERA, f"{what}{rest}") for what in ("MotionPhoto", "MicroVideo") for rest in ("", "Version", "Offset")),
    *((_CAMERA, f"{what}PresentationTimestampUs") for what in ("MotionPhoto", "MicroVideo")),
    ("http://ns.google.com/photos/1.0/container/", None),
    ("http://ns.adobe.com/hdr-gain-map/1.0/", None),
    ("http://ns.apple.com/HDRGainMap/1.0/", None),
    ("http://ns.apple.com/pixeldatainfo/1.0/", None),
)
_XMP, _IMAGE = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/xap/1.0/g/img/"
THUMBNAILS = ((_XMP, "Thumbnails"), (_IMAGE, None))
CREDENTIALS = (("http://purl.org/dc/terms/", "provenance"),)
EXTENSION = ((NOTE, "HasExtendedXMP"),)
# what may change: the turn, our label, and statements about parts that are named by themselves
_EXCUSED = (
    *APPENDED,
    *CREDENTIALS,
    *EXTENSION,
    *THUMBNAILS,
    ("http://ns.adobe.com/tiff/1.0/", "Orientation"),
    ("http://www.tc260.org.cn/ns/AIGC/1.0/", "AIGC"),
    *(
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", name)
        for name in (
            "DigitalSourceType",
            "DigImageGUID",
            "AISystemUsed",
            "AISystemVersionUsed",
            "AIPromptInformation",
            "AIPromptWriterName",
        )
    ),
)

Names = Iterable[tuple[str, str | None]]


def parse(packet: bytes | None) -> minidom.Document | None:
    """An XMP packet, or None; entities are refused, since they can be made to expand without end."""
    packet = (packet or b"").strip(b"\0 \t\r\n")
    if not packet or len(packet) > MAX_XMP or b"\0" in packet or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None
    try:
        document = minidom.parseString(packet)
        return document if document.getElementsByTagNameNS(RDF, "RDF") else None
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None


def written(document: minidom.Document) -> bytes:
    """The packet again."""
    return "".join(node.toxml() for node in document.childNodes).encode()


def holds(packet: bytes, other: bytes) -> bool:
    """Whether a packet says all that another says, but for what may change when a picture is saved again."""
    wanted, found = _statements(other), _statements(packet)
    if wanted is None:  # not well-formed: as text, the turn aside
        said, says = (
            re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\1", one).strip(b"\0 \r\n") for one in (other, packet)
        )
        return said in says
    return found is not None and wanted <= found


def _statements(packet: bytes) -> set[tuple[str, str]] | None:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet or len(packet) > MAX_XMP:
        return None
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        return None
    return set(_said(root))


def _said(element: ElementTree.Element) -> Iterator[tuple[str, str]]:
    if _is_one_of(element.tag, _EXCUSED):
        return
    for name, value in element.attrib.items():
        if not _is_one_of(name, _EXCUSED) and name != f"{{{RDF}}}about":
            yield name, value
    for text in (element.text, element.tail):
        if text and text.strip("\ufeff \t\r\n"):
            yield element.tag, text.strip("\ufeff \t\r\n")
    for child in element:
        yield from _said(child)


def _is_one_of(name: str, names: Names) -> bool:
    space, _, local = name[1:].partition("}") if name.startswith("{") else ("", "", name)
    return any(space == other and wanted in (None, local) for other, wanted in names)


def without(packet: bytes, names: Names) -> bytes:
    """The packet without some properties; one that has none of them stays as it is to the byte."""
    document = parse(packet) if any(space.encode() in packet for space, _ in names) else None
    if document is None:
        return packet
    changed = False
    for space, local in names:
        for element in list(document.getElementsByTagNameNS(space, local or "*")):
            if element.parentNode is not None:
                element.parentNode.removeChild(element)
                changed = True
        for element in document.getElementsByTagNameNS("*", "*"):
            for attribute in list((element.attributes or {}).values()):
                if attribute.namespaceURI == space and local in (None, attribute.localName):
                    element.removeAttributeNode(attribute)
                    changed = True
    return written(document) if changed else packet


def has_thumbnails(packet: bytes) -> bool:
    """Whether there are small copies of the picture."""
    return _IMAGE.encode() in packet and any(True for _ in _images(packet))


def _images(packet: bytes) -> Iterator[re.Match[bytes]]:
    """Where JPEGs in Base64 stand (XMP part 2, section 1.2.2.4): as elements or attributes."""
    for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(_IMAGE.encode()) + rb"[\"']", packet)):
        name = re.escape(prefix) + rb":image"
        yield from re.finditer(rb"(?<=[<\s])" + name + rb"(?:\s*=\s*[\"']|\s*>)([^<\"']+)", packet)


def with_thumbnails(packet: bytes, again: Callable[[bytes], bytes | None]) -> bytes:
    """The packet with another JPEG, which ``again`` makes of the old one, in the place of each small copy of the
    picture; without any where that cannot be done."""
    changed, at = b"", 0
    for found in sorted(_images(packet), key=lambda one: one.start()):
        try:
            old = base64.b64decode(re.sub(rb"&#x?[0-9A-Fa-f]+;|\s", b"", found[1]), validate=True)
        except ValueError:
            return without(packet, THUMBNAILS)
        new = again(old)
        if new is None:
            return without(packet, THUMBNAILS)
        changed += packet[at : found.start(1)] + base64.b64encode(new)
        at = found.end(1)
    return changed + packet[at:]


def joined(main: bytes, extension: bytes) -> bytes | None:
    """One packet of a main and an extended one (XMP part 3, section 1.1.3.1); None where they are not well-formed."""
    document = parse(main)
    more = re.sub(rb"^\s*<\?xpacket[^>]*\?>|<\?xpacket[^>]*\?>\s*$", b"", extension)
    try:
        if document is None or b"<!DOCTYPE" in more or b"<!ENTITY" in more or len(more) > MAX_XMP:
            return None
        other = minidom.parseString(more)
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None
    found = other.getElementsByTagNameNS(RDF, "RDF")
    source = found[0] if found else other.documentElement
    target = document.getElementsByTagNameNS(RDF, "RDF")[0] if found else document.documentElement
    assert source is not None and target is not None
    about = next((d.getAttributeNS(RDF, "about") for d in target.getElementsByTagNameNS(RDF, "Description")), "")
    for child in list(source.childNodes):
        if isinstance(child, minidom.Element) and child.namespaceURI == RDF and child.localName == "Description":
            child.setAttributeNS(RDF, f"{child.prefix}:about" if child.prefix else "about", about)
            for name, value in _spaces(child):
                if not child.hasAttribute(name):
                    child.setAttribute(name, value)
        target.appendChild(document.importNode(child, True))
    return without(written(document), EXTENSION)


def _spaces(element: minidom.Element) -> Iterator[tuple[str, str]]:
    """The namespaces that an element's ancestors declare."""
    node = element.parentNode
    while isinstance(node, minidom.Element):
        for attribute in (node.attributes or {}).values():
            if attribute.name.startswith("xmlns"):
                yield attribute.name, attribute.value
        node = node.parentNode
