"""What is stated of generated pictures: presets, the values they need, and what one file says in several places."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from PIL import Image

from wam.cli.label_options import PRESETS as OFFERED
from wam.cli.label_options import with_preset
from wam.errors import OptionsError
from wam.pictures.formats import Metadata, Settings
from wam.provenance.aigc_label import Label, label_agrees, mark_label, read_label
from wam.provenance.disclosure import PRESETS, Disclosure, form_fields, from_form
from wam.provenance.iptc_fields import IPTC, PHOTOSHOP, PLUS
from wam.provenance.label_packet import attach_label
from wam.provenance.source_types import GENERATED, source_type_of

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MARKED = {"owner": "acme", "link": "wm:7Q3F-K2ND", "message": "01100111000011110000111100001111"}
STATED: dict[str, Any] = {"created": "2026-11-22T09:30:00Z", "digest": "00ff"}
VALUES = {"ai_system": "Painter", "ai_version": "3.1", "ai_prompt": "a cat\n<&>", "ai_prompt_writer": "Zoë"}
CAMERA = source_type_of("digitalCapture")


def packet(inside: str = "", attributes: str = "") -> bytes:
    spaces = f'xmlns:r="{RDF}" xmlns:i="{IPTC}" xmlns:p="{PLUS}" xmlns:s="{PHOTOSHOP}"'
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF {spaces}><r:Description r:about="" {attributes}>{inside}'
        "</r:Description></r:RDF></x:xmpmeta>"
    ).encode()


def written(disclosure: Disclosure, before: bytes | None = None) -> tuple[Label, bytes]:
    known = read_label(Metadata(xmp=before))
    label = mark_label(known, **MARKED, **STATED, disclosure=disclosure)
    found = attach_label(Metadata(xmp=before), Settings(), label)[0].xmp
    assert found is not None
    return label, found


def texts(content: bytes) -> dict[str, list[str]]:
    """All texts of a packet by the names of their elements, by another parser."""
    found: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(content).iter():
        if element.text and element.text.strip():
            found.setdefault(element.tag.rpartition("}")[2], []).append(element.text)
    return found


@pytest.mark.parametrize(
    ("preset", "fields"),
    [
        ("cn", {"AIGC"}),
        ("eu", {"DigImageGUID"}),
        ("us-ca", {"DigImageGUID", "DateCreated", "ImageSupplierName"}),
        ("in", {"DigImageGUID", "ImageSupplierName"}),
    ],
)
def test_each_preset_writes_its_fields(preset: Any, fields: set[str]) -> None:
    label, content = written(Disclosure((preset,), **VALUES))
    found = texts(content)
    given = {"AISystemUsed", "AISystemVersionUsed", "AIPromptInformation", "AIPromptWriterName"}
    assert set(found) == {"DigitalSourceType", *given, *fields}
    assert found["DigitalSourceType"] == [GENERATED]
    assert [found[name] for name in sorted(given)] == [["a cat\n<&>"], ["Zoë"], ["Painter"], ["3.1"]]
    assert read_label(Metadata(xmp=content)) == label
    if "ImageSupplierName" in fields:
        assert found["ImageSupplierName"] == ["acme"]
    if preset == "us-ca":
        assert found["DateCreated"] == [STATED["created"]]
    if "DigImageGUID" in fields:
        link, _, number = found["DigImageGUID"][0].rpartition("#")
        assert link == MARKED["link"] and uuid.UUID(number).version == 5


def test_several_presets_write_what_all_of_them_do() -> None:
    _, content = written(Disclosure(("in", "cn", "us-ca"), **VALUES))
    assert {"AIGC", "DigImageGUID", "DateCreated", "ImageSupplierName"} < set(texts(content))


def test_what_the_picture_states_itself_stays() -> None:
    before = packet(
        "<i:DigImageGUID>theirs</i:DigImageGUID><p:ImageSupplier><r:Seq><r:li r:parseType='Resource'>"
        "<p:ImageSupplierName>agency</p:ImageSupplierName></r:li></r:Seq></p:ImageSupplier>",
        f's:DateCreated="2026-01-01" i:AISystemUsed="Sketcher" i:DigitalSourceType="{GENERATED}"',
    )
    label, content = written(Disclosure(("us-ca",), ai_system="Painter", ai_version="3"), before)
    found = texts(content)
    assert (label.identifier, label.created, label.ai_system) == ("theirs", "2026-01-01", "Painter")
    assert found["ImageSupplierName"] == ["agency", "acme"] and found["DigImageGUID"] == ["theirs"]
    assert found["AISystemUsed"] == ["Painter"] and b"Sketcher" not in content
    assert (
        texts(written(Disclosure(("in",), ai_system="Painter"), content)[1])["ImageSupplierName"]
        == found["ImageSupplierName"]
    )


def test_an_identifier_of_an_earlier_mark_follows_the_new_one() -> None:
    first, content = written(Disclosure(("eu",)))
    again = mark_label(
        read_label(Metadata(xmp=content)), **{**MARKED, "link": "wm:3ZT3-GTKS"}, digest="01", disclosure=Disclosure()
    )
    assert again.identifier.startswith("wm:3ZT3-GTKS#") and again.identifier != first.identifier


@pytest.mark.parametrize(
    ("marks", "agrees"),
    [
        ([("wm:7Q3F-K2ND", MARKED["message"], "acme")], True),
        ([("wm:7Q3F-K2ND", MARKED["message"], "another owner")], True),  # the identifier names none
        ([("wm:3ZT3-GTKS", MARKED["message"], "acme")], False),
        ([], False),
    ],
)
def test_the_identifier_names_the_mark(marks: list[tuple[str, str, str]], agrees: bool) -> None:
    assert label_agrees(written(Disclosure(("eu",)))[0], marks) is agrees


def test_every_part_has_to_agree() -> None:
    label, _ = written(Disclosure(("cn", "eu")))
    moved = Label(**{**label.__dict__, "identifier": "wm:3ZT3-GTKS#0"})
    assert label_agrees(moved, [("wm:7Q3F-K2ND", MARKED["message"], "acme")]) is False


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"presets": ("us-ca",)}, "label: expected ai-system and ai-version with us-ca, found none"),
        ({"presets": ("us-ca",), "ai_system": "x"}, "label: expected ai-version with us-ca"),
        ({"presets": ("in", "cn")}, "label: expected ai-system with in"),
        ({"presets": ("de",)}, "label: expected one of cn, eu, us-ca, in, found de"),
        ({"presets": ()}, "label: expected one of cn, eu, us-ca, in, found none"),
        ({"ai_version": "1"}, "ai-version: expected ai-system with it"),
        ({"ai_system": "a\0b"}, "ai-system: expected text that XML can hold"),
        ({"provider": " "}, "provider: expected 1 to 200 characters"),
        ({"ai_prompt": "a" * 10_001}, "ai-prompt: expected 1 to 10000 characters, found 10001"),
        ({"source_type": "digitalCapture"}, "source-type: expected .* with label, found digitalCapture"),
        ({"source_type": "drawing"}, "source type: expected one of "),
    ],
)
def test_what_makes_no_sense_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(OptionsError, match=line):
        Disclosure(**given)


def test_a_switch_names_and_objects_mean_the_same() -> None:
    assert Disclosure.of(True) == Disclosure.of("cn") == Disclosure.of(["cn"]) == Disclosure()
    assert Disclosure.of(False) is Disclosure.of(None) is None
    assert Disclosure().to_json() is True  # what lines of earlier runs say
    said = Disclosure(("eu", "in"), ai_system="x", source_type="compositeSynthetic")
    assert Disclosure.of(said.to_json()) == said == Disclosure.of(said)
    fields = {name: value for name, value in form_fields(said).items() if value is not None}
    assert from_form(fields) == said
    assert (from_form({}), from_form({"label": "true"}), form_fields(None)) == (None, Disclosure(), {"label": "false"})


def test_the_command_offers_the_presets() -> None:
    assert tuple(PRESETS) == OFFERED
    assert with_preset(["a.jpg", "--label", "--user", "x"]) == ["a.jpg", "--label=cn", "--user", "x"]
    assert with_preset(["--label", "EU,cn", "--", "--label"]) == ["--label=EU,cn", "--", "--label"]
    assert with_preset(["--label=in", "--label"]) == ["--label=in", "--label=cn"]


WILD = {
    "element": packet("<i:AISystemUsed>Painter</i:AISystemUsed>"),
    "attribute": packet(attributes='i:AISystemUsed="Painter"'),
    "list": packet("<i:AISystemUsed><r:Bag><r:li>Painter</r:li></r:Bag></i:AISystemUsed>"),
}


@pytest.mark.parametrize("name", WILD)
def test_fields_as_other_programs_write_them(name: str) -> None:
    assert read_label(Metadata(xmp=WILD[name])) == Label(value="", ai_system="Painter")


def test_fields_in_exif_and_texts() -> None:
    exif = Image.Exif()
    exif[700] = WILD["element"]
    in_exif = read_label(Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    in_text = read_label(Metadata(text=(("Iptc4xmpExt:AISystemUsed", "Painter"),)))
    assert in_exif == in_text == Label(value="", ai_system="Painter")


def test_what_places_say_differently_is_named() -> None:
    said = packet(attributes=f'i:AISystemUsed="Painter" i:DigitalSourceType="{GENERATED}"')
    exif = Image.Exif()
    exif[700] = packet(attributes=f'i:AISystemUsed="Painter" i:DigitalSourceType="{CAMERA}"')
    found = read_label(Metadata(xmp=said, exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    assert found is not None and found.conflicts == ("source_type",) and found.source_type == GENERATED
    https = said.replace(b"http://cv.iptc.org", b"https://cv.iptc.org")
    exif[700] = https
    found = read_label(Metadata(xmp=said, exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    assert found is not None and found.conflicts == ()


@pytest.mark.parametrize("place", ["text", "exif"])
def test_a_label_is_not_contradicted_by_what_its_own_file_said_before(place: str) -> None:
    exif = Image.Exif()
    exif[700] = packet(attributes='i:AISystemUsed="Other" i:AISystemVersionUsed="3.1"')
    exif[270] = "a photo"
    told = (("Iptc4xmpExt:AISystemUsed", "Other"), ("AISystemVersionUsed", "3.1"), ("Title", "x"))
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    before = Metadata(text=told) if place == "text" else Metadata(exif=data)
    chunks = ((b"tEXt", b"Iptc4xmpExt:AISystemUsed\0Other", False), (b"tEXt", b"Title\0x", True))
    segments = b"\xff\xe1" + (2 + 6 + len(data)).to_bytes(2, "big") + b"Exif\0\0" + data
    settings = Settings(chunks=chunks) if place == "text" else Settings(segments=segments)
    label = mark_label(read_label(before), **MARKED, **STATED, disclosure=Disclosure(("us-ca",), **VALUES))
    metadata, kept, _ = attach_label(before, settings, label)
    found = read_label(metadata)
    assert found is not None and (found.ai_system, found.ai_version, found.conflicts) == ("Painter", "3.1", ())
    if place == "text":
        assert metadata.text == told[1:] and kept.chunks[1:] == chunks[1:]
    else:
        after = Image.Exif()
        after.load(metadata.exif)
        assert after[270] == "a photo" and len(metadata.exif or b"") == len(data)
        assert metadata.exif is not None and metadata.exif in kept.segments and b"Other" not in kept.segments


def test_the_provider_is_the_one_that_was_written_last_however_others_are_named() -> None:
    short = packet('<p:ImageSupplier><r:Seq><r:li p:ImageSupplierName="Old"/></r:Seq></p:ImageSupplier>')
    twice = packet(
        "<p:ImageSupplier><r:Seq><r:li p:ImageSupplierName='acme'/><r:li p:ImageSupplierName='Old'/></r:Seq>"
        "</p:ImageSupplier>"
    )
    for before in (short, twice, packet(attributes='p:ImageSupplierName="Old"')):
        found = read_label(Metadata(xmp=written(Disclosure(("in",), ai_system="Painter"), before)[1]))
        assert found is not None and found.provider == "acme"


def test_fields_of_any_photo_are_no_label() -> None:
    photo = packet("<i:DigImageGUID>1</i:DigImageGUID>", 's:DateCreated="2026-01-01"')
    assert read_label(Metadata(xmp=photo)) is None
    assert source_type_of("digitalCapture") == source_type_of(CAMERA) == CAMERA
