"""The tables of docs/formats.md, cell by cell: what becomes of every kind of content in every container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wam.pictures import made
from tests.wam.pictures.pictures import SRGB, marked, sample, saved
from wam.pictures.containers.inventory import inventory
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "WebP": "WEBP", "AVIF": "AVIF", "HEIC": "HEIF", "TIFF": "TIFF", "BMP": "BMP",
           "GIF": "GIF"}  # fmt: skip
CHANCE = {"palette", "colours beyond 255"}  # said of pixels, not of what stands beside them


def with_parts(format: str, content: bytes) -> dict[str, bytes]:
    """Of a file, the data of its parts by kind."""
    return {part.kind: part.data for part in inventory(content, format)}


def own(kind: str, format: str) -> bytes | None:
    """A file of the format with one kind of content in its own place; None where the format has no place for it."""
    makers: dict[str, Callable[[], bytes | None]] = {
        "unknown part": lambda: made.unknown(format, b"qrst", b"<<unlikely>>"),
        "data after its end": lambda: None if format == "TIFF" else made.appended(format, b"<<unlikely>>"),
        "content credentials": lambda: None if format == "BMP" else made.signed(format),
        "EXIF, maker notes": lambda: exif_file(format, made.camera_exif()),
        "EXIF thumbnail": lambda: thumbnail_file(format),
        "XMP": lambda: xmp_file(format),
        "IPTC": lambda: iptc_file(format),
        "comment or text": lambda: text_file(format),
        "ICC profile": lambda: profile_file(format),
    }
    return makers[kind]()


def exif_file(format: str, block: bytes) -> bytes | None:
    if format in ("GIF", "BMP"):
        return None
    if format in ("TIFF", "AVIF"):  # from a JPEG, in the way that is tested by itself
        return resaved(exif_file("JPEG", block) or b"", format)[0]
    if format == "HEIF" and not heif_works():
        return None
    return saved(sample("RGB"), format, exif=b"Exif\0\0" + block)


def thumbnail_file(format: str) -> bytes | None:
    """A TIFF has none: its second directory is another page."""
    return None if format == "TIFF" else exif_file(format, made.camera_exif(thumbnail=made.small()))


def profile_file(format: str) -> bytes | None:
    if format == "BMP":
        return made.bmp_with_profile(SRGB)
    return None if format == "GIF" else saved(sample("RGB"), format, icc_profile=SRGB)


def xmp_file(format: str) -> bytes | None:
    if format == "BMP":
        return None
    if format == "GIF":
        magic = b"\1" + bytes(range(255, -1, -1)) + b"\0"
        content = made.plain("GIF")
        at = 13 + (3 << (content[10] & 7) + 1)
        return content[:at] + b"\x21\xff\x0bXMP DataXMP" + made.PACKET + magic + content[at:]
    if format == "PNG":
        content = made.plain("PNG")
        return content[:33] + made.chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + made.PACKET) + content[33:]
    if format == "TIFF":
        return made.tiff({700: (1, made.PACKET)})
    return saved(sample("RGB"), format, xmp=made.PACKET)


def iptc_file(format: str) -> bytes | None:
    if format == "TIFF":
        return made.tiff({33723: (7, made.iptc()), 34377: (7, made.resources(made.iptc()))})
    if format in ("JPEG", "PNG"):
        content = made.plain("JPEG")
        block = made.segment(0xED, b"Photoshop 3.0\0" + made.resources(made.iptc()))
        content = content[:2] + block + content[2:]
        return content if format == "JPEG" else resaved(content, "PNG")[0]
    return None


def text_file(format: str) -> bytes | None:
    if format == "PNG":
        content = made.plain("PNG")
        return content[:33] + made.chunk(b"tEXt", b"Comment\0hello") + content[33:]
    if format in ("JPEG", "GIF"):
        return saved(sample("RGB" if format == "JPEG" else "P"), format, comment=b"hello")
    return None


def resaved(content: bytes, format: str) -> tuple[bytes, set[str]]:
    picture = read_image(content)
    again, lost = encode_image(marked(picture), like=picture, format=format)
    return again, set(lost) - CHANCE


OWN = ("unknown part", "data after its end", "content credentials", "EXIF, maker notes", "EXIF thumbnail", "XMP",
       "IPTC", "comment or text", "ICC profile")  # fmt: skip


def own_outcome(kind: str, format: str) -> str:
    content = own(kind, format)
    if content is None:
        return "–"
    again, lost = resaved(content, format)
    before, after = with_parts(format, content), with_parts(format, again)
    if lost:
        return "said"
    if before == after:
        return "kept"
    assert kind == "EXIF thumbnail" and before["exif"] != after["exif"] and b"\xff\xd8" in after["exif"]
    return "new"


FROM_JPEG: dict[str, set[str]] = {
    "EXIF": {"EXIF"},
    "maker notes": {"EXIF", "maker notes", "offsets in maker notes"},
    "EXIF thumbnail": {"EXIF", "EXIF thumbnail"},
    "extended XMP": {"XMP"},
    "IPTC": {"IPTC"},
    "Photoshop data": {"Photoshop data"},
    "comment": {"text"},
    "ICC profile": {"ICC profile"},
    "motion video": {"video of a motion photo"},
}


def from_jpeg_outcome(kind: str, format: str) -> str:
    _, lost = resaved(made.rich_jpeg(), format)
    return "said" if FROM_JPEG[kind] & lost else "kept"


def table(title: str) -> dict[str, dict[str, str]]:
    """The cells of the page's table whose first column has this title."""
    lines = PAGE.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {title} |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : start + 2 + len(FORMATS)]]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def test_the_page_has_every_cell() -> None:
    for title, columns in (("in its own format", OWN), ("JPEG saved as", tuple(FROM_JPEG))):
        assert list(table(title)) == list(FORMATS)
        assert all(tuple(row) == columns for row in table(title).values())


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("name", FORMATS)
def test_what_becomes_of_it_in_its_own_format(name: str, kind: str) -> None:
    if name == "HEIC" and not heif_works():
        pytest.skip("pillow-heif is not installed")
    assert own_outcome(kind, FORMATS[name]) == table("in its own format")[name][kind]


@pytest.mark.parametrize("kind", FROM_JPEG)
@pytest.mark.parametrize("name", FORMATS)
def test_what_becomes_of_it_from_a_jpeg(name: str, kind: str) -> None:
    if name == "HEIC" and not heif_works():
        pytest.skip("pillow-heif is not installed")
    assert from_jpeg_outcome(kind, FORMATS[name]) == table("JPEG saved as")[name][kind]
