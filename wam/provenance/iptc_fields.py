"""What the IPTC's photo metadata say of a generated picture: read in every place where they are met, written to XMP.

| field            | property                              | since                             |
|------------------|---------------------------------------|-----------------------------------|
| source_type      | ``Iptc4xmpExt:DigitalSourceType``     |                                   |
| ai_system        | ``Iptc4xmpExt:AISystemUsed``          | 2025.1                            |
| ai_version       | ``Iptc4xmpExt:AISystemVersionUsed``   | 2025.1                            |
| ai_prompt        | ``Iptc4xmpExt:AIPromptInformation``   | 2025.1                            |
| ai_prompt_writer | ``Iptc4xmpExt:AIPromptWriterName``    | 2025.1                            |
| identifier       | ``Iptc4xmpExt:DigImageGUID``          |                                   |
| created          | ``photoshop:DateCreated``             |                                   |
| provider         | ``plus:ImageSupplier`` (its name)     | the last of several               |

Places: the XMP packet, as elements, attributes or lists; a packet in EXIF (tag 700); PNG texts under the property's
name, with its prefix or without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.dom import minidom

from wam.pictures.containers import xmp

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
AI_FIELDS = ("ai_system", "ai_version", "ai_prompt", "ai_prompt_writer")
"""Fields that only generated pictures have."""
PROPERTIES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "source_type": ("Iptc4xmpExt", IPTC, "DigitalSourceType"),
        "ai_system": ("Iptc4xmpExt", IPTC, "AISystemUsed"),
        "ai_version": ("Iptc4xmpExt", IPTC, "AISystemVersionUsed"),
        "ai_prompt": ("Iptc4xmpExt", IPTC, "AIPromptInformation"),
        "ai_prompt_writer": ("Iptc4xmpExt", IPTC, "AIPromptWriterName"),
        "identifier": ("Iptc4xmpExt", IPTC, "DigImageGUID"),
        "created": ("photoshop", PHOTOSHOP, "DateCreated"),
    }
)
"""Prefix, namespace and name of those that are texts."""
_SUPPLIER, _SUPPLIER_NAME = "ImageSupplier", "ImageSupplierName"
_TELLING = ("source_type", *AI_FIELDS)  # what makes metadata a statement on how the picture was made
_IN_TEXTS = frozenset(_TELLING)


@dataclass(frozen=True)
class IptcFields:
    """The ``values`` found, by field, and the ``conflicts``: fields of which different places say different things."""

    values: Mapping[str, str]
    conflicts: tuple[str, ...] = ()

    @property
    def tells(self) -> bool:
        """Whether anything is said of how the picture was made."""
        return any(self.values.get(name) for name in _TELLING)


def read_fields(documents: Iterable[minidom.Document], texts: Iterable[tuple[str, str]] = ()) -> IptcFields:
    """What the packets and PNG texts of a file say; of different values the first counts."""
    packets, values, conflicts = list(documents), dict[str, str](), list[str]()
    named = {key.rpartition(":")[2]: value.strip() for key, value in texts}
    for name, (_, space, local) in PROPERTIES.items():
        found = [value for one in packets for value in stated(one, space, local) if value]
        if name in _IN_TEXTS and named.get(local):
            found.append(named[local])
        if found:
            values[name] = found[0]
        if name in _TELLING and len({_plain(one) for one in found}) > 1:
            conflicts.append(name)
    suppliers = [name for one in packets for name in _suppliers(one)]
    if suppliers:
        values["provider"] = suppliers[-1]
    return IptcFields(values, tuple(conflicts))


def stated(document: minidom.Document, space: str, name: str) -> Iterator[str]:
    """The values of a property: text, reference or items of a list; as an element or an attribute."""
    for element in document.getElementsByTagNameNS(space, name):
        text = _text(element) or element.getAttributeNS(xmp.RDF, "resource")
        if text:
            yield text
            continue
        items = [_text(one) for one in element.getElementsByTagNameNS(xmp.RDF, "li")]
        yield from items or [""]
    for local in ("Description", "li"):
        for element in document.getElementsByTagNameNS(xmp.RDF, local):
            if element.hasAttributeNS(space, name):
                yield element.getAttributeNS(space, name).strip()


def opposes(keyword: str, text: str, label: object) -> bool:
    """Whether a PNG text says other of a field than ``label`` has in it."""
    local = keyword.rpartition(":")[2]
    name = next((one for one in _TELLING if PROPERTIES[one][2] == local), None)
    said = "" if name is None else str(getattr(label, name))
    return bool(said and text.strip()) and _plain(text.strip()) != _plain(said.strip())


def opposed_in(document: minidom.Document, label: object) -> tuple[str, ...]:
    """Fields of which a packet says other than ``label``."""
    found = []
    for name in _TELLING:
        _, space, local = PROPERTIES[name]
        values, said = [one for one in stated(document, space, local) if one], str(getattr(label, name))
        if said and any(_plain(one) != _plain(said.strip()) for one in values):
            found.append(name)
    return tuple(found)


def write_fields(document: minidom.Document, target: minidom.Element, values: Mapping[str, str]) -> None:
    """Puts values into ``target``, a description of the packet, in the place of earlier ones; a provider is added to
    those who are named already."""
    for name, (prefix, space, local) in PROPERTIES.items():
        if values.get(name):
            remove(document, space, local)
            add_text(document, target, f"{prefix}:{local}", space, values[name])
    provider = values.get("provider")
    if provider and _suppliers(document)[-1:] != [provider]:  # of several the last counts
        _add_supplier(document, target, provider)


def _suppliers(document: minidom.Document) -> list[str]:
    """Their names in the order of the packet, in which some stand as elements and some as attributes."""
    found = []
    for element in document.getElementsByTagName("*"):
        if (element.namespaceURI, element.localName) == (PLUS, _SUPPLIER_NAME):
            found.append(_text(element))
        elif element.hasAttributeNS(PLUS, _SUPPLIER_NAME):
            found.append(element.getAttributeNS(PLUS, _SUPPLIER_NAME).strip())
    return [one for one in found if one]


def remove(document: minidom.Document, space: str, name: str) -> None:
    """Takes a property out of the packet, wherever it stands."""
    for element in list(document.getElementsByTagNameNS(space, name)):
        if element.parentNode is not None:
            element.parentNode.removeChild(element)
    for element in document.getElementsByTagNameNS(xmp.RDF, "Description"):
        if element.hasAttributeNS(space, name):
            element.removeAttributeNS(space, name)


def add_text(document: minidom.Document, target: minidom.Element, name: str, space: str, text: str) -> None:
    """Adds an element with a text; ``name`` with its prefix."""
    target.setAttribute(f"xmlns:{name.partition(':')[0]}", space)
    element = target.appendChild(document.createElement(name))
    element.appendChild(document.createTextNode(text))


def _add_supplier(document: minidom.Document, target: minidom.Element, name: str) -> None:
    """One more item in the list of suppliers, or the list with it."""
    lists = [
        one
        for supplier in document.getElementsByTagNameNS(PLUS, _SUPPLIER)
        for one in supplier.getElementsByTagNameNS(xmp.RDF, "Seq")
    ]
    if lists:
        place = lists[0]
    else:
        target.setAttribute("xmlns:plus", PLUS)
        place = target.appendChild(document.createElement(f"plus:{_SUPPLIER}"))
        place = place.appendChild(document.createElement("rdf:Seq"))
    item = document.createElement("rdf:li")
    item.setAttribute("xmlns:rdf", xmp.RDF)
    item.setAttribute("xmlns:plus", PLUS)
    item.setAttribute("rdf:parseType", "Resource")
    place.appendChild(item)
    add_text(document, item, f"plus:{_SUPPLIER_NAME}", PLUS, name)


def _text(element: minidom.Element) -> str:
    return "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text)).strip()


def same_value(one: str, other: str) -> bool:
    """Whether two places say the same of a field; what is longer than ``other`` may be was cut there (``…``)."""
    if other.endswith("…"):
        return one.startswith(other[:-1])
    return _plain(one) == _plain(other)


def _plain(value: str) -> str:
    """A value as it is compared: URIs of the IPTC begin with http or https."""
    return value.removeprefix("https://").removeprefix("http://")
