"""How a file was encoded: read from its own headers, so that it is encoded alike when it is saved again."""

from __future__ import annotations

import struct
from dataclasses import replace

from PIL import Image, JpegImagePlugin

from wam.pictures import coded
from wam.pictures.boxes import Box, boxes, properties
from wam.pictures.containers import heif, items, jpeg, png, read_only, tiff, webp, xmp
from wam.pictures.containers.carried import carried
from wam.pictures.deep import keeps_depth
from wam.pictures.formats import Settings

_PNG_REBUILT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT"})
# PNG lets a program copy chunks it does not know when the fourth letter is lower case;
# these others describe colour or time and stay true of the marked picture.
_PNG_COPIED = frozenset({b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"tIME", b"sBIT", b"bKGD"})
_PNG_COPIED |= {b"sPLT", b"pCAL", b"sCAL", b"sTER"}
_SUBSAMPLING = {"1x1": "4:4:4", "2x1": "4:2:2", "2x2": "4:2:0", "4x1": "4:1:1", "1x2": "4:4:0", "4x2": "4:1:0"}
WRITTEN_SUBSAMPLING = frozenset({"4:4:4", "4:2:2", "4:2:0"})


def read_settings(image: Image.Image, content: bytes) -> Settings:
    """How the file ``content``, opened as ``image``, was encoded."""
    format = "JPEG" if image.format == "MPO" else str(image.format)
    return replace(_read(image, content), carried=carried(content, format), own_format=True)


def _read(image: Image.Image, content: bytes) -> Settings:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _read_jpeg(image, content)
    if image.format == "PNG":
        return _read_png(content)
    if image.format == "WEBP":
        return _read_webp(image, content)
    if image.format == "AVIF":
        return _read_avif(content)
    if image.format == "HEIF":
        return _read_heif(image, content)
    if image.format == "TIFF":
        associated = tiff.first_page(tiff.from_picture(content)).entries.get(338)
        alpha = associated is not None and associated.value[:2] in (b"\1\0", b"\0\1")
        return Settings(compressed=image.info.get("compression") != "raw", associated=alpha)
    if image.format in ("JPEG2000", "JXL") and read_only.deepest(content) > 8 and not image.mode.startswith("I"):
        return Settings(lost=("bits beyond 8",))
    return Settings()


def _read_jpeg(image: JpegImagePlugin.JpegImageFile, content: bytes) -> Settings:
    tables = [tuple(image.quantization[component[3]]) for component in image.layer]
    if image.info.get("adobe_transform") == 2:
        tables = tables[:1]  # Pillow writes YCCK as CMYK, where chroma tables would hurt
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()  # Pillow repeats the last one
    chroma = _jpeg_subsampling(image)
    written = chroma if chroma in WRITTEN_SUBSAMPLING else "4:4:4"
    return Settings(
        tables=tuple(tables[:3]),
        subsampling=written,
        progressive=bool(image.info.get("progressive")),
        keep_rgb=image.mode == "RGB" and image.info.get("adobe_transform") == 0,
        segments=jpeg.kept_segments(content),
        changed=() if chroma == written else (f"chroma subsampling {chroma} (written as {written})",),
    )


def _jpeg_subsampling(image: JpegImagePlugin.JpegImageFile) -> str:
    """By the sampling factors of the first component against those of the others (ITU-T T.81, section A.1.1)."""
    if len(image.layer) != 3:
        return "4:4:4"
    (across, down), *others = [component[1:3] for component in image.layer]
    if others[0] != others[1] or across % others[0][0] or down % others[0][1]:
        return "of mixed kinds"
    factors = f"{across // others[0][0]}x{down // others[0][1]}"
    return _SUBSAMPLING.get(factors, factors)


def _read_png(content: bytes) -> Settings:
    chunks: list[tuple[bytes, bytes, bool]] = []
    found = list(png.chunks(content))
    signed = any(kind == b"caBX" for kind, _ in found)
    colour = found[0][1][9] if found and len(found[0][1]) > 9 else 0
    palette = next((data for kind, data in found if kind == b"PLTE"), b"")
    after = False
    for kind, data in found:
        after = after or kind == b"IDAT"
        if colour == 3 and kind in (b"sBIT", b"bKGD"):
            data = _of_palette(kind, data, palette)
        if signed and kind == b"iTXt" and data.startswith(png.XMP_KEYWORD):
            packet = xmp.without(png.text_of(kind, data)[1], xmp.CREDENTIALS)
            data = png.XMP_KEYWORD + bytes(5) + packet
        if data is not None and kind not in _PNG_REBUILT and (kind in _PNG_COPIED or kind[3:4].islower()):
            chunks.append((kind, data, after))
    return Settings(chunks=tuple(chunks))


def _of_palette(kind: bytes, data: bytes, palette: bytes) -> bytes:
    """The background or the significant bits of a palette as those of RGB (PNG, sections 11.3.4.1 and 11.3.2.7)."""
    if kind == b"sBIT" or not data:
        return data
    colour = palette[3 * data[0] : 3 * data[0] + 3]
    return b"".join(bytes([0, value]) for value in colour)


def _read_webp(image: Image.Image, content: bytes) -> Settings:
    found = list(webp.chunks(content))
    coded_bytes = sum(size for kind, _, size in found if kind in (b"VP8 ", b"VP8L", b"ANMF", b"ALPH"))
    background = image.info.get("background")
    at = _first_picture(content)
    lossless = content[at : at + 4] == b"VP8L"
    return Settings(
        lossless=lossless,
        source_quality=None if lossless else coded.webp_quality(content[at + 8 : at + 2048]),
        coded_bytes=coded_bytes,
        background=tuple(background) if isinstance(background, tuple) and len(background) == 4 else None,
    )


def _read_avif(content: bytes) -> Settings:
    """Chroma, depth and quantizer from the ``av1C`` box and the first frame (AV1-ISOBMFF, section 2.3.3)."""
    box = _property(content, b"av1C")
    flags = 0 if box is None else content[box.start + 2]
    chroma = {0b00: "4:4:4", 0b10: "4:2:2"}.get(flags >> 2 & 0b11, "4:2:0")
    bits = (12 if flags & 0b0010_0000 else 10) if flags & 0b0100_0000 else 8
    depth, deep = _depth("AVIF", bits, frames=content[8:12] == b"avis")
    index = coded.av1_base_quantizer(content)
    return Settings(
        subsampling=chroma,
        colour_codes=_colour_codes(content),
        lost=deep,
        depth=depth,
        exact=index == 0,
        source_quality=None if index is None else coded.avif_quality(index),
        coded_bytes=_media_bytes(content),
    )


def _read_heif(image: Image.Image, content: bytes) -> Settings:
    depth, deep = _depth("HEIF", int(image.info.get("bit_depth", 8)))
    chroma = {444: "4:4:4", 422: "4:2:2"}.get(image.info.get("chroma", 420), "4:2:0")
    box = _property(content, b"hvcC")
    exact = box is not None and coded.hevc_is_lossless(content[box.start : box.end])
    return Settings(
        subsampling=chroma,
        colour_codes=_colour_codes(content),
        lost=deep,
        depth=depth,
        exact=exact,
    )


def _depth(format: str, bits: int, *, frames: bool = False) -> tuple[int, tuple[str, ...]]:
    """Bits that are read and written of a sample that has so many, and what is lost; of ``frames`` 8 are."""
    if bits <= 8 or (keeps_depth(format) and not frames):
        return bits, ()
    return 8, ("bits beyond 8",)


def _property(content: bytes, kind: bytes) -> Box | None:
    return next((box for box in properties(content) if box.kind == kind and box.end - box.start > 2), None)


def _media_bytes(content: bytes) -> int:
    """How long the coded picture is: its items, or the media of an animation."""
    found = items.read(content)
    if found is None or content[8:12] == b"avis":
        return sum(box.end - box.start for box in boxes(content) if box.kind == b"mdat")
    return sum(len(found.items[number].data) for number in heif.pictured(found))


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


def _first_picture(content: bytes) -> int:
    """Where the chunk of the picture, or of the first frame, of a WebP starts."""
    at = 12
    while at + 8 <= len(content) and content[at : at + 4] not in (b"VP8 ", b"VP8L"):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 24 if content[at : at + 4] == b"ANMF" else 8 + size + size % 2
    return at
