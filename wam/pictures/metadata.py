"""What a picture file says about itself and how it was encoded: read it, fit it to another format."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from PIL import Image, JpegImagePlugin

from wam.pictures.boxes import properties
from wam.pictures.formats import KEEPS, METADATA_NAMES, Metadata, Settings

JPEG_SEGMENT_BYTES = 65_533  # the most that one JPEG segment carries, in bytes
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXIF_PREFIX = b"Exif\0\0"
# EXIF and TIFF tags that say something about the picture rather than how a file stores it.
TIFF_TAGS = frozenset(
    {269, 270, 271, 272, 274, 282, 283, 285, 296, 305, 306, 315, 316, 318, 319, 33432}
    | {34665, 34853, 18246, 18249, 36867, 36868, 40091, 40092, 40093, 40094, 40095}
)

_PNG_REBUILT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sBIT", b"hIST", b"bKGD"}) | frozenset(
    {b"acTL", b"fcTL", b"fdAT"}
)
# PNG lets a program copy chunks it does not know when the fourth letter is lower case;
# these others describe colour or time and stay true of the marked picture.
_PNG_COPIED = frozenset({b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"tIME"})
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def read_metadata(image: Image.Image) -> Metadata:
    """Metadata of a decoded Pillow picture."""
    exif = image.info.get("exif")
    if image.format == "TIFF" or (exif is None and "Raw profile type exif" in image.info):
        exif = _described_exif(image.getexif())
    if exif is not None:
        exif = exif.removeprefix(EXIF_PREFIX) or None
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    dpi = image.info.get("dpi", ())
    stated = image.format not in ("JPEG", "MPO") or image.info.get("jfif_unit") in (1, 2)
    if not stated or not dpi or not 1 < min(dpi) < 65536:
        dpi = ()  # an aspect ratio, or Pillow's default; EXIF keeps a resolution of its own
    return Metadata(
        icc_profile=image.info.get("icc_profile") or None,
        exif=exif,
        xmp=xmp if isinstance(xmp, bytes) else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
        text=tuple(_read_text(image)),
    )


def _read_text(image: Image.Image) -> Iterator[tuple[str, str]]:
    for keyword, value in getattr(image, "text", {}).items():
        if keyword != "XML:com.adobe.xmp" and not keyword.startswith("Raw profile type"):
            yield keyword, str(value)
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        yield "Comment", comment.decode("utf-8", "replace")


def _described_exif(source: Image.Exif) -> bytes | None:
    """The tags of ``source`` that outlive its file, as a TIFF block."""
    kept = Image.Exif()
    for tag in TIFF_TAGS:
        if tag in source:
            kept[tag] = source.get_ifd(tag) if tag in (34665, 34853) else source[tag]
    return kept.tobytes() if len(kept) else None


def read_settings(image: Image.Image, content: bytes) -> Settings:
    """How the file ``content``, opened as ``image``, was encoded."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _read_jpeg(image)
    if image.format == "PNG":
        return _read_png(content)
    if image.format == "WEBP":
        return Settings(lossless=_is_lossless(content))
    if image.format == "AVIF":
        return _read_avif(content)
    if image.format == "HEIF":
        return _read_heif(image, content)
    if image.format == "TIFF":
        return Settings(compressed=image.info.get("compression") != "raw")
    return Settings()


def _read_jpeg(image: JpegImagePlugin.JpegImageFile) -> Settings:
    tables = [tuple(image.quantization[component[3]]) for component in image.layer]
    if image.info.get("adobe_transform") == 2:
        tables = tables[:1]  # Pillow writes YCCK as CMYK, where chroma tables would hurt
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()  # Pillow repeats the last one
    segments, lost = [], []
    for name, data in image.applist:
        if name == "APP11":
            lost.append("JPEG APP11 data (content credentials)")
        elif name == "APP2" and data.startswith(b"MPF\0"):
            lost.append("further pictures in the file")
        elif name not in ("APP0", "APP14"):
            code = 0xFE if name == "COM" else 0xE0 + int(name.removeprefix("APP"))
            segments.append(struct.pack(">BBH", 0xFF, code, len(data) + 2) + data)
    return Settings(
        tables=tuple(tables[:3]),
        subsampling=_SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "4:4:4"),
        progressive=bool(image.info.get("progressive")),
        keep_rgb=image.mode == "RGB" and image.info.get("adobe_transform") == 0,
        segments=b"".join(segments),
        lost=tuple(dict.fromkeys(lost)),
    )


def _read_png(content: bytes) -> Settings:
    chunks: list[tuple[bytes, bytes, bool]] = []
    lost: list[str] = []
    after = False
    for kind, data in png_chunks(content):
        after = after or kind == b"IDAT"
        if kind in _PNG_REBUILT:
            continue
        if kind in _PNG_COPIED or kind[3:4].islower():
            chunks.append((kind, data, after))
        else:
            lost.append(f"PNG chunk {kind.decode('latin-1')}")
    return Settings(chunks=tuple(chunks), lost=tuple(dict.fromkeys(lost)))


def _read_avif(content: bytes) -> Settings:
    """Chroma and depth from the ``av1C`` box (AV1-ISOBMFF, section 2.3.3)."""
    box = next((box for box in properties(content) if box.kind == b"av1C" and box.end - box.start > 2), None)
    flags = 0 if box is None else content[box.start + 2]
    chroma = {0b00: "4:4:4", 0b10: "4:2:2"}.get(flags >> 2 & 0b11, "4:2:0")
    lost = ("bits beyond 8",) if flags & 0b0100_0000 else ()
    return Settings(subsampling=chroma, colour_codes=_colour_codes(content), lost=lost)


def _read_heif(image: Image.Image, content: bytes) -> Settings:
    lost = ["bits beyond 8"] if image.info.get("bit_depth", 8) > 8 else []
    if getattr(image, "n_frames", 1) > 1 or image.info.get("depth_images") or image.info.get("aux"):
        lost.append("further pictures in the file")
    chroma = {444: "4:4:4", 422: "4:2:2"}.get(image.info.get("chroma", 420), "4:2:0")
    return Settings(subsampling=chroma, colour_codes=_colour_codes(content), lost=tuple(lost))


def _colour_codes(content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer that the file states, as code points of ITU-T H.273; None if it states none."""
    at = _colour_codes_place(content)
    if at is None:
        return None
    primaries, transfer = struct.unpack_from(">HH", content, at)
    return primaries, transfer


def patch_colour_codes(content: bytes, codes: tuple[int, int]) -> bytes:
    """The same file stating other primaries and transfer: Pillow writes those of sRGB."""
    at = _colour_codes_place(content)
    return content if at is None else content[:at] + struct.pack(">HH", *codes) + content[at + 4 :]


def _colour_codes_place(content: bytes) -> int | None:
    """Where the first ``colr`` property of kind ``nclx`` has its codes (ISO/IEC 14496-12, section 12.1.5)."""
    for box in properties(content):
        if box.kind == b"colr" and content[box.start : box.start + 4] == b"nclx" and box.end - box.start >= 8:
            return box.start + 4
    return None


def _is_lossless(content: bytes) -> bool:
    """Whether the picture, or the first frame, of a WebP file is VP8L."""
    at = 12
    while at + 8 <= len(content) and content[at : at + 4] not in (b"VP8 ", b"VP8L"):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 24 if content[at : at + 4] == b"ANMF" else 8 + size + size % 2
    return content[at : at + 4] == b"VP8L"


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each PNG chunk, up to the first incomplete one."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            return
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def reset_orientation(metadata: Metadata) -> Metadata:
    """The same metadata saying that the pixels stand upright; nothing else changes a byte."""
    xmp = metadata.xmp
    if xmp is not None:
        xmp = re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", xmp)
    exif = metadata.exif
    if exif is not None and exif[:2] in (b"II", b"MM"):
        exif = _patch_orientation(exif)
    return replace(metadata, xmp=xmp, exif=exif)


def _patch_orientation(exif: bytes) -> bytes:
    """Overwrites the value in place: rebuilding the block would break maker notes."""
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", exif, entry)[0] == 274:
                value = struct.pack(f"{order}HIHH", 3, 1, 1, 0)
                return exif[: entry + 2] + value + exif[entry + 12 :]
    except struct.error:
        pass  # a damaged block is passed on as it is
    return exif


def fit_metadata(metadata: Metadata, *, format: str, mode: str) -> tuple[Metadata, tuple[str, ...]]:
    """The part of the metadata that ``format`` carries, and names for the rest."""
    drop = {name for name in METADATA_NAMES if name not in KEEPS[format]}
    if format in ("JPEG", "GIF") and [keyword for keyword, _ in metadata.text] == ["Comment"]:
        drop.discard("text")
    space = (metadata.icc_profile or b"")[16:20]
    if (space == b"GRAY" and mode[0] != "L") or (space == b"CMYK" and mode != "CMYK"):
        drop.add("icc_profile")
    for name, overhead in (("exif", 6), ("xmp", 29)):
        if format == "JPEG" and len(getattr(metadata, name) or b"") + overhead > JPEG_SEGMENT_BYTES:
            drop.add(name)
    drop = {name for name in drop if getattr(metadata, name)}
    lost = tuple(label for name, label in METADATA_NAMES.items() if name in drop)
    empty: dict[str, Any] = {name: () if name == "text" else None for name in drop}
    return replace(metadata, **empty), lost
