"""IPTC-IIM data sets as XMP properties, for formats that have no place for the former (IPTC Photo Metadata)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from xml.dom import minidom

from wam.pictures.containers import xmp

_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
# of record 2, by data set: namespace, name, and the kind of list the value stands in, if any
_PROPERTIES = {
    5: (_DC, "title", "Alt"),
    25: (_DC, "subject", "Bag"),
    40: (_PHOTOSHOP, "Instructions", ""),
    80: (_DC, "creator", "Seq"),
    85: (_PHOTOSHOP, "AuthorsPosition", ""),
    90: (_PHOTOSHOP, "City", ""),
    95: (_PHOTOSHOP, "State", ""),
    101: (_PHOTOSHOP, "Country", ""),
    103: (_PHOTOSHOP, "TransmissionReference", ""),
    105: (_PHOTOSHOP, "Headline", ""),
    110: (_PHOTOSHOP, "Credit", ""),
    115: (_PHOTOSHOP, "Source", ""),
    116: (_DC, "rights", "Alt"),
    120: (_DC, "description", "Alt"),
    122: (_PHOTOSHOP, "CaptionWriter", ""),
}
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{xmp.RDF}"></rdf:RDF></x:xmpmeta>'.encode()


def with_iptc(packet: bytes | None, iptc: bytes) -> bytes | None:
    """An XMP packet with what the data sets say and it does not; one that is not well-formed as it is."""
    document = xmp.parse(packet or _EMPTY)
    found = _values(iptc)
    if document is None or not found:
        return packet
    description = document.createElementNS(xmp.RDF, "rdf:Description")
    description.setAttributeNS(xmp.RDF, "rdf:about", _about(document))
    for number, values in found.items():
        space, name, kind = _PROPERTIES[number]
        if not _states(document, space, name):
            description.appendChild(_property(document, space, name, kind, values))
    if description.hasChildNodes():
        description.setAttribute("xmlns:rdf", xmp.RDF)
        description.setAttribute("xmlns:dc", _DC)
        description.setAttribute("xmlns:photoshop", _PHOTOSHOP)
        document.getElementsByTagNameNS(xmp.RDF, "RDF")[0].appendChild(description)
        return xmp.written(document)
    return packet


def _values(iptc: bytes) -> dict[int, list[str]]:
    """The texts of the data sets that have a property, by number (IIM 4.2, section 1.5)."""
    found: dict[int, list[str]] = {}
    for record, number, data in _sets(iptc):
        if record == 2 and number in _PROPERTIES:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = data.decode("latin-1")
            if text.isprintable() or "\n" in text or "\r" in text:
                found.setdefault(number, []).append("".join(c for c in text if c >= " " or c in "\t\r\n"))
    return found


def _sets(iptc: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 5 <= len(iptc) and iptc[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", iptc, at + 1)
        if size & 0x8000:  # the length of an extended length
            return
        yield record, number, iptc[at + 5 : at + 5 + size]
        at += 5 + size


def _about(document: minidom.Document) -> str:
    descriptions = document.getElementsByTagNameNS(xmp.RDF, "Description")
    return str(descriptions[0].getAttributeNS(xmp.RDF, "about")) if descriptions else ""


def _states(document: minidom.Document, space: str, name: str) -> bool:
    attributes = (one.hasAttributeNS(space, name) for one in document.getElementsByTagNameNS(xmp.RDF, "Description"))
    return bool(document.getElementsByTagNameNS(space, name)) or any(attributes)


def _property(document: minidom.Document, space: str, name: str, kind: str, values: list[str]) -> minidom.Element:
    prefix = "dc" if space == _DC else "photoshop"
    element = document.createElementNS(space, f"{prefix}:{name}")
    if not kind:
        element.appendChild(document.createTextNode(values[0]))
        return element
    container = element.appendChild(document.createElementNS(xmp.RDF, f"rdf:{kind}"))
    for value in values[:1] if kind == "Alt" else values:
        item = container.appendChild(document.createElementNS(xmp.RDF, "rdf:li"))
        if kind == "Alt":
            item.setAttribute("xml:lang", "x-default")
        item.appendChild(document.createTextNode(value))
    return element
