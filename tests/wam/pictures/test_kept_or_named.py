"""Nothing that a file holds goes in silence: whatever is put into a container is in the output, or has a name."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wam.pictures import made
from tests.wam.pictures.pictures import marked
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", *(["HEIF"] if heif_works() else []))
LETTERS = st.text(string.ascii_letters, min_size=4, max_size=4).map(str.encode)
# bytes that stand in no file by chance, and that no reader takes for a structure
DATA = st.binary(min_size=1, max_size=300).map(
    lambda data: b"<<" + data.replace(b"\0", b"\1") + b">>" + b"unlikely" * 3
)
KNOWN = {b"free", b"skip", b"wide", b"mdat", b"meta", b"moov", b"ftyp", b"uuid", b"jumb", b"mpvd", b"styp", b"pdin"}
KNOWN |= {b"EXIF", b"ICCP", b"C2PA", b"ALPH", b"ANIM", b"ANMF", b"VP8X", b"VP8L"}


def again(content: bytes, format: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The file marked and saved again, and what it could not carry over."""
    picture = read_image(content)
    return encode_image(marked(picture), like=picture, format=format or picture.format)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(letters=LETTERS, data=DATA)
def test_an_unknown_part_is_kept_in_its_own_format(format: str, letters: bytes, data: bytes) -> None:
    if letters in KNOWN or letters.upper() in KNOWN:
        return
    content, lost = again(made.unknown(format, letters, data))
    assert data in content or (format == "GIF" and data[:200] in content)
    assert set(lost) <= {"palette", "colours beyond 255"}


@pytest.mark.parametrize("source", FORMATS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(letters=LETTERS, data=DATA, target=st.sampled_from(FORMATS))
def test_an_unknown_part_is_kept_or_named_in_any_format(source: str, letters: bytes, data: bytes, target: str) -> None:
    if letters in KNOWN or letters.upper() in KNOWN:
        return
    content, lost = again(made.unknown(source, letters, data), target)
    said = set(lost) - {"palette", "colours beyond 255"}
    assert data in content or said or (source == target == "GIF" and data[:200] in content)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=DATA)
def test_what_follows_the_end_is_kept(format: str, data: bytes) -> None:
    if format == "TIFF":
        pytest.skip("a TIFF has no end: what no tag points at is nothing")
    content, lost = again(made.appended(format, data))
    assert content.endswith(data) and set(lost) <= {"palette", "colours beyond 255"}


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", [format for format in FORMATS if format != "BMP"])
def test_content_credentials_are_named_in_every_container(source: str, target: str) -> None:
    content, lost = again(made.signed(source), target)
    assert made.CREDENTIALS in lost and b"manifest" not in content


@pytest.mark.parametrize("target", [format for format in FORMATS if format != "JPEG"])
def test_a_jpeg_with_everything_is_accounted_for(target: str) -> None:
    content, lost = again(made.rich_jpeg(), target)
    for proof, names in {
        b"long edit history": {"XMP"},
        b"(c) Agency": {"IPTC"},
        made.NOTE: {"EXIF", "maker notes"},
        made.VIDEO: {"video of a motion photo"},
    }.items():
        assert proof in content or names & set(lost), names
    assert re.search(rb"HasExtendedXMP|MotionPhoto", content) is None


def test_a_jpeg_with_everything_keeps_it() -> None:
    content, lost = again(made.rich_jpeg())
    assert lost == ()
    for proof in (b"long edit history", b"(c) Agency", made.NOTE, made.VIDEO, b"HasExtendedXMP", b"a comment"):
        assert proof in content
    assert content.endswith(made.VIDEO) and made.small() not in content
