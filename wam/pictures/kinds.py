"""What kind of file something is, by its first bytes or its name, whether it can be read here or not.

``NAMED`` kinds are pictures that viewers show and the toolkit does not read: in folders they are counted.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from importlib.util import find_spec

from PIL import TiffImagePlugin, features

from wam.pictures.formats import GET_HEIF, SUFFIXES, heif_works, quiet_pillow

GET_JXL = "run: pip install pillow-jxl-plugin (the extra [jxl]), or use JPEG or PNG"
CONVERT = "convert it to PNG or JPEG first"
NEWER_PILLOW = "run: pip install --upgrade pillow, or use JPEG or PNG"

# read, and not written
READ_ONLY: Mapping[str, str] = {
    ".jxl": "JXL",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".j2c": "JPEG2000",
    ".jpc": "JPEG2000",
    ".jpx": "JPEG2000",
    ".jpf": "JPEG2000",
}
READ_ONLY_NAMES: Mapping[str, str] = {"JXL": "JPEG XL", "JPEG2000": "JPEG 2000"}
READ_SUFFIXES = frozenset(SUFFIXES) | frozenset(READ_ONLY)
NAMED: Mapping[str, str] = {
    **dict.fromkeys((".psd", ".psb"), "Photoshop"),
    **dict.fromkeys((".svg", ".svgz"), "SVG"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"), "camera raw"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"), "Netpbm"),
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "JPEG XR"),
    ".tga": "Targa",
    ".ico": "icon",
    ".exr": "OpenEXR",
    ".hdr": "Radiance HDR",
    ".dds": "DirectDraw surface",
    ".qoi": "QOI",
    ".xcf": "GIMP",
    ".pcx": "PCX",
    ".icns": "Apple icon",
    ".eps": "PostScript",
}
JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
JPEG2000_STARTS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF document"),
    (b"8BPS", "Photoshop file"),
    (b"\0\0\1\0", "icon file"),
    (b"v/1\1", "OpenEXR picture"),
    (b"#?RADIANCE", "Radiance HDR picture"),
    (b"II\xbc\1", "JPEG XR picture"),
    (b"DDS ", "DirectDraw surface"),
    (b"qoif", "QOI picture"),
    (b"gimp xcf", "GIMP file"),
    (b"icns", "Apple icon file"),
    (b"%!PS", "PostScript document"),
    (b"FUJIFILMCCD-RAW", "camera raw file"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (b"PK\3\4", "ZIP archive"),
)
# compressions and colours of TIFF that nothing here decodes (tags 259 and 262)
_TIFF_COMPRESSION = {34712: "JPEG 2000", 33003: "JPEG 2000", 33005: "JPEG 2000", 50001: "WebP", 50002: "JPEG XL"}
_TIFF_COLOUR = {8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "camera raw", 34892: "camera raw"}


def jxl_works() -> bool:
    """Whether JPEG XL can be read: registers the plugin of the extra ``[jxl]`` with Pillow."""
    if find_spec("pillow_jxl") is None:
        return False
    import pillow_jxl  # noqa: F401

    return True


def unsupported(content: bytes) -> tuple[str, str] | None:
    """What a file is that is sound but not read here, and what to do; None for any other."""
    head = content[:64]
    if head.startswith(JXL_STARTS):
        return None if jxl_works() else ("a JPEG XL picture and no plugin for it", GET_JXL)
    if head.startswith(JPEG2000_STARTS):
        return None if features.check("jpg_2000") else ("a JPEG 2000 picture and a Pillow without it", NEWER_PILLOW)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return None if features.check("webp") else ("a WebP picture and a Pillow without it", NEWER_PILLOW)
    if head[4:8] == b"ftyp":
        return _boxed(head[8:12])
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(content)
    found = next((name for start, name in _STARTS if head.startswith(start)), None)
    text = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if found is None and re.match(rb"p[1-7fF]\s", head.lower()):
        found = "Netpbm picture"
    elif text.startswith((b"<!doctype html", b"<html")):
        found = "web page"
    elif b"<svg" in text and text.startswith(b"<"):
        found = "SVG drawing"
    return None if found is None else (f"{_article(found)} {found}, which is not read here", CONVERT)


def _boxed(brand: bytes) -> tuple[str, str] | None:
    if brand[:3] == b"avi":
        return None if features.check("avif") else ("an AVIF picture and a Pillow without it", NEWER_PILLOW)
    if brand == b"crx ":
        return "a camera raw file, which is not read here", CONVERT
    if brand in (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5"):
        return "a video, which is not read here", "save the frame you want as PNG or JPEG"
    return None if heif_works() else ("an HEIC file and no plugin for it", GET_HEIF)


def _tiff(content: bytes) -> tuple[str, str] | None:
    """Kinds of TIFF that are sound all the same: raw files of cameras, floats, colours and codecs that are not read."""
    stream = io.BytesIO(content)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
        with quiet_pillow():
            stream.seek(tags.next)
            tags.load(stream)
        compression, colour = tags.get(259), tags.get(262)
        floats = 3 in tuple(tags.get(339, ()))
    except Exception:  # Pillow's parser raises nearly anything on damaged files
        return None
    if content[8:10] == b"CR" or 50706 in tags or colour in (32803, 34892):
        return "a camera raw file, which is not read here", CONVERT
    if compression in _TIFF_COMPRESSION:
        return f"a TIFF compressed as {_TIFF_COMPRESSION[compression]}, which is not read here", CONVERT
    if colour in _TIFF_COLOUR:
        return f"a TIFF in {_TIFF_COLOUR[colour]} colours, which is not read here", CONVERT
    return ("a TIFF of float samples, which is not read here", CONVERT) if floats else None


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOaeio" or name.startswith("SVG") else "a"
