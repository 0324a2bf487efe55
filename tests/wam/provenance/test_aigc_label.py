"""The label in the metadata: written beside what is there, read back, and compared with the watermark."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from tests.wam.pictures.pictures import SRGB, XMP, described_exif, header, marked, opened, sample, saved
from tests.wam.pictures.test_animation import animated
from wam.errors import ImageError
from wam.pictures.animation import encode_animation, read_animation
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import Metadata, Settings, heif_works
from wam.provenance.aigc_label import TC260, Label, label_agrees, mark_label, read_label
from wam.provenance.iptc_fields import IPTC
from wam.provenance.label_packet import attach_label, labelled
from wam.provenance.source_types import GENERATED

LINK, OTHER_LINK = "wm:7Q3F-K2ND", "wm:3ZT3-GTKS"
MESSAGE = "01100111000011110000111100001111"
CODE = "message=670f0f0f"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OURS = mark_label(None, owner="acme", link=LINK, message=MESSAGE)
FOREIGN = Label(value="2", producer="00119111", produce_id="abc", reserved1="c2ln")
PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<r:RDF xmlns:r="{RDF}"><r:Description r:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="a/b">
<dc:title><r:Alt><r:li xml:lang="x-default">Zoë &amp; co</r:li></r:Alt></dc:title></r:Description></r:RDF></x:xmpmeta>
{" " * 500}<?xpacket end="w"?>""".encode()
TURNED = b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"'
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", *(["HEIF"] if heif_works() else []))


def with_xmp(format: str, packet: bytes | None) -> bytes:
    options: dict[str, Any] = {} if format == "TIFF" else {"exif": described_exif()}
    if packet is not None and format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options["pnginfo"] = info
    elif packet is not None and format == "TIFF":
        options["tiffinfo"] = {700: packet}
    elif packet is not None:
        options["xmp"] = packet
    return saved(sample("RGB"), format, **options)


def label_file(content: bytes, label: Label = OURS, *, format: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    picture = read_image(content)
    target = format or picture.format
    like, dropped = labelled(picture, label, format=target, name="out")
    content, lost = encode_image(marked(picture), like=like, format=target)
    assert set(dropped) <= set(lost)
    return content, lost


def xmp_of(content: bytes) -> bytes:
    info = header(content).info
    packet = info.get("xmp") or info["XML:com.adobe.xmp"]
    return packet.encode() if isinstance(packet, str) else packet.rstrip(b"\0")


@pytest.mark.parametrize("packet", [None, PACKET], ids=["new", "beside"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_carries_the_label(format: str, packet: bytes | None) -> None:
    content, lost = label_file(with_xmp(format, packet))
    assert lost == ()
    assert read_label(read_image(content).metadata) == OURS
    tree = ElementTree.fromstring(xmp_of(content))
    (stated,) = tree.iter(f"{{{TC260}}}AIGC")
    assert json.loads(stated.text or "") == {
        "Label": "1", "ContentProducer": "acme", "ProduceID": LINK, "ReservedCode1": CODE,
        "ContentPropagator": "", "PropagateID": "", "ReservedCode2": "",
    }  # fmt: skip
    assert [element.text for element in tree.iter(f"{{{IPTC}}}DigitalSourceType")] == [GENERATED]
    if packet is not None:
        assert [element.text for element in tree.iter(f"{{{RDF}}}li")] == ["Zoë & co"]
        about = {element.get(f"{{{RDF}}}about") for element in tree.iter(f"{{{RDF}}}Description")}
        assert about == {"uuid:1"}
    if format != "TIFF":
        assert opened(content).getexif()[271] == "Maker"


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_label_replaces_the_first(format: str) -> None:
    first, _ = label_file(with_xmp(format, PACKET))
    again = mark_label(read_label(read_image(first).metadata), owner="other", link=OTHER_LINK, message=MESSAGE)
    content, _ = label_file(first, again)
    assert read_label(read_image(content).metadata) == again
    assert xmp_of(content).count(b"<TC260:AIGC>") == 1


def test_format_without_xmp_says_so() -> None:
    content, lost = label_file(with_xmp("PNG", None), format="BMP")
    assert "label" in lost
    assert read_label(read_image(content).metadata) is None


@pytest.mark.parametrize("format", ["JPEG", "GIF"])
def test_a_new_format_carries_the_label(format: str) -> None:
    content, lost = label_file(with_xmp("PNG", PACKET), format=format)
    assert set(lost) <= {"colours beyond 255", "EXIF"}
    assert read_label(read_image(content).metadata) == OURS


def test_another_producers_label_stays_and_is_added_to() -> None:
    label = mark_label(FOREIGN, owner="acme", link=LINK, message=MESSAGE)
    assert (label.value, label.producer, label.produce_id, label.reserved1) == ("2", "00119111", "abc", "c2ln")
    assert (label.propagator, label.propagate_id, label.reserved2) == ("acme", LINK, CODE)


def test_a_stated_source_type_stays() -> None:
    kind = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    attribute = PACKET.replace(b'dc:format="a/b"', f'xmlns:i="{IPTC}" i:DigitalSourceType="{kind}"'.encode())
    before = read_label(Metadata(xmp=attribute))
    assert before == Label(value="", source_type=kind)
    label = mark_label(before, owner="acme", link=LINK, message=MESSAGE)
    assert label.source_type == kind
    packet = attach_label(Metadata(xmp=attribute), Settings(), label)[0].xmp
    assert packet is not None and packet.count(kind.encode()) == 1
    assert read_label(Metadata(xmp=packet)) == label


WILD = {
    "element": '<TC260:AIGC>{"Label":"1","ContentProducer":"p"}</TC260:AIGC>',
    "entities": "<TC260:AIGC>{&quot;Label&quot;:&quot;1&quot;,&quot;ContentProducer&quot;:&quot;p&quot;}</TC260:AIGC>",
    "wrapped": '<TC260:AIGC>{"AIGC":{"Label":1,"ContentProducer":"p"}}</TC260:AIGC>',
}


@pytest.mark.parametrize("name", WILD)
def test_labels_as_other_programs_write_them(name: str) -> None:
    packet = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description xmlns:TC260="{TC260}">'
        f"{WILD[name]}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    assert read_label(Metadata(xmp=packet.encode())) == Label(producer="p")


def test_label_in_the_other_places() -> None:
    text = '{"AIGC":{"Label":"3","ContentProducer":"p"}}'
    info = PngImagePlugin.PngInfo()
    info.add_text("AIGC", text)
    assert read_label(read_image(saved(sample("RGB"), "PNG", pnginfo=info)).metadata) == Label("3", "p")
    exif = Image.Exif()
    exif[34665] = {37510: b"ASCII\0\0\0" + text.encode()}
    assert read_label(read_image(saved(sample("RGB"), "JPEG", exif=exif)).metadata) == Label("3", "p")


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
DEEP = b"<a>" * 20_000 + b"</a>" * 20_000
NOT_XMP = [b"not xml", BOMB, b"<x/>", PACKET[:300], PACKET.decode().encode("utf-16"), DEEP]


@pytest.mark.parametrize("packet", NOT_XMP, ids=["text", "entities", "no rdf", "cut", "utf-16", "deep"])
def test_a_packet_that_cannot_be_read_is_replaced_and_said(packet: bytes) -> None:
    assert read_label(Metadata(xmp=packet)) is None
    metadata, _, lost = attach_label(Metadata(xmp=packet), Settings(), OURS)
    assert lost == ("XMP that is not well-formed",)
    assert read_label(metadata) == OURS


def test_orientation_in_a_damaged_packet_stays() -> None:
    content = saved(sample("RGB"), "JPEG", xmp=XMP)
    again, lost = label_file(content)
    assert lost == ("XMP that is not well-formed",)
    assert read_image(again).orientation == read_image(content).orientation == 6


@pytest.mark.parametrize("packet", [XMP, PACKET.replace(b'dc:format="a/b"', TURNED)], ids=["damaged", "well-formed"])
def test_orientation_is_upright_in_a_labelled_file_of_another_format(packet: bytes) -> None:
    content, _ = label_file(with_xmp("JPEG", packet), format="PNG")
    assert read_image(with_xmp("JPEG", packet)).orientation == 6
    assert read_image(content).orientation == 1 and b'tiff:Orientation="1"' in xmp_of(content)


def test_label_is_for_all_frames_and_leaves_the_source_alone() -> None:
    animation = read_animation(animated("WEBP"))
    after, lost = labelled(animation, OURS, format="WEBP", name="out")
    assert lost == () and {read_label(picture.metadata) for picture in after.pictures} == {OURS}
    assert read_label(animation.pictures[0].metadata) is None
    assert (after.durations, after.loops) == (animation.durations, animation.loops)
    assert all(a.pixels is b.pixels for a, b in zip(animation.pictures, after.pictures, strict=True))


@pytest.mark.parametrize("format", ["WEBP", "PNG", "AVIF"])
def test_label_and_profile_go_with_an_animation(format: str) -> None:
    animation = read_animation(animated(format, icc_profile=SRGB))
    like, _ = labelled(animation, OURS, format=format, name="out")
    content, _ = encode_animation([picture.pixels for picture in animation.pictures], like=like, format=format)
    assert opened(content).info["icc_profile"] == SRGB
    assert read_label(read_animation(content).pictures[0].metadata) == OURS
    assert opened(content).n_frames == 3


def test_format_without_xmp_leaves_the_metadata_alone() -> None:
    picture = read_image(with_xmp("PNG", PACKET))
    after, lost = labelled(picture, OURS, format="BMP", name="out")
    assert lost == after.settings.lost == ("label",)
    assert after.metadata == picture.metadata


def test_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of PNG, .*, found XYZ, choose one"):
        labelled(read_image(with_xmp("PNG", None)), OURS, format="XYZ", name="out")


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', '{"a":1}', "{", "[" * 5000])
def test_text_that_is_no_label(text: str) -> None:
    assert read_label(Metadata(text=(("AIGC", text),))) is None


def test_xmp_too_long_for_jpeg_is_refused() -> None:
    long = PACKET.replace(b" " * 500, b"").replace(b"Zo", b"o" * 64_900)
    with pytest.raises(ImageError, match=r"expected room for a label, found .* write a \.png"):
        label_file(with_xmp("JPEG", long))


def test_the_owner_may_be_any_text() -> None:
    label = mark_label(None, owner="</TC260:AIGC> \"&<>' \u4e2d\u6587", link=LINK, message=MESSAGE)
    content, _ = label_file(with_xmp("PNG", None), label)
    assert read_label(read_image(content).metadata) == label


@pytest.mark.parametrize(
    ("label", "marks", "agrees"),
    [
        (OURS, [(LINK, MESSAGE, "acme")], True),
        (OURS, [(LINK, MESSAGE, None)], True),  # without a registry
        (OURS, [(OTHER_LINK, MESSAGE, "x"), (LINK, MESSAGE, "acme")], True),
        (OURS, [], False),  # the mark is gone
        (OURS, [(OTHER_LINK, MESSAGE, "acme")], False),  # the label was moved to another marked picture
        (OURS, [(LINK, MESSAGE, "other")], False),  # the owner in the label was changed
        (OURS, [(LINK, MESSAGE[::-1], "acme")], False),
        (OURS, [(None, None, None)], False),
        (mark_label(FOREIGN, owner="acme", link=LINK, message=MESSAGE), [(LINK, MESSAGE, "acme")], True),
        (FOREIGN, [(LINK, MESSAGE, "acme")], None),
    ],
)
def test_agreement(label: Label, marks: list[tuple[str | None, str | None, str | None]], agrees: bool | None) -> None:
    assert label_agrees(label, marks) is agrees


def test_nothing_is_written_unless_asked() -> None:
    picture = read_image(with_xmp("JPEG", None))
    content, _ = encode_image(picture.pixels, like=picture, format="JPEG")
    assert "xmp" not in Image.open(io.BytesIO(content)).info
    assert read_label(picture.metadata) is None


def with_segment(payload: bytes, *, code: int = 0xEB) -> bytes:
    content = saved(sample("RGB"), "JPEG")
    return content[:2] + bytes([0xFF, code]) + (len(payload) + 2).to_bytes(2, "big") + payload + content[2:]


@pytest.mark.parametrize("start", [b"AIGC", b"AIGC\0", b"AIGC "])
@pytest.mark.parametrize("code", [0xE5, 0xEB, 0xEF])
def test_an_app_segment_that_begins_with_the_name(start: bytes, code: int) -> None:
    picture = read_image(with_segment(start + b'{"Label":"2","ContentProducer":"p"}', code=code))
    assert read_label(picture.metadata) is None
    assert read_label(picture.metadata, picture.settings.segments) == Label(value="2", producer="p")


@pytest.mark.parametrize(
    "payload", [b"AIGC", b"AIGC{", b'AIGC{"Label"', b"AIGCx{}", b'{"AIGC":{"Label":"1"}}', b"AIGC{}"]
)
def test_app_segments_that_are_no_label(payload: bytes) -> None:
    picture = read_image(with_segment(payload))
    assert read_label(picture.metadata, picture.settings.segments) is None


def test_a_label_in_a_segment_keeps_its_producer_when_the_picture_is_marked() -> None:
    picture = read_image(with_segment(b'AIGC{"Label":"1","ContentProducer":"p","ProduceID":"x"}'))
    known = read_label(picture.metadata, picture.settings.segments)
    label = mark_label(known, owner="acme", link=LINK, message=MESSAGE)
    assert (label.producer, label.produce_id, label.propagator, label.propagate_id) == ("p", "x", "acme", LINK)


@pytest.mark.parametrize(
    "text",
    [
        '{"AIGC":"{\\"Label\\":\\"1\\",\\"ContentProducer\\":\\"p\\"}"}',
        '{"AIGC":{"AIGC":{"Label":1,"ContentProducer":"p"}}}',
        '"{\\"Label\\":\\"1\\",\\"ContentProducer\\":\\"p\\"}"',
        'AIGC{"Label":"1","ContentProducer":"p"}',
        'AIGC: {"Label":"1","ContentProducer":"p"}',
    ],
)
def test_nested_json(text: str) -> None:
    assert read_label(Metadata(text=(("AIGC", text),))) == Label(producer="p")


def test_nesting_has_an_end() -> None:
    text = "1"
    for _ in range(12):
        text = json.dumps({"AIGC": text})
    assert read_label(Metadata(text=(("AIGC", text),))) is None
