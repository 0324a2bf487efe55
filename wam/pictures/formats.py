"""Picture formats: what each one keeps, and the records that ``metadata`` reads and ``writer`` writes.

A picture saved again in its own format keeps that format's own settings (JPEG tables, PNG
chunks, ...). Saved in another format, ``Settings()`` says what is used instead.

| format | samples                          | metadata                    | written as           |
|--------|----------------------------------|-----------------------------|----------------------|
| PNG    | L LA RGB RGBA, 8 and 16 bit      | ICC EXIF XMP dpi text, more | not interlaced       |
| JPEG   | L RGB CMYK                       | ICC EXIF XMP dpi, all APPn  | the source's tables  |
| WebP   | RGB RGBA                         | ICC EXIF XMP                | lossless or as lossy |
| AVIF   | L RGB RGBA, 10 and 12 bit        | ICC EXIF XMP                | as the source        |
| HEIF   | L RGB RGBA, 10 and 12 bit        | ICC EXIF XMP                | as the source        |
| TIFF   | L LA RGB RGBA 8 and 16 bit, CMYK | ICC EXIF XMP dpi IPTC       | deflated or raw      |
| BMP    | L RGB                            | dpi, its own ICC            | raw                  |
| GIF    | L, or 255 colours and a clear one | XMP, comment               | dithered             |

Animations of ``ANIMATED`` formats are read and written frame by frame (see ``animation``), 8 bits a sample.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import ImageFile

from wam.pictures.containers.carried import UNCARRIED, Carried

Samples = NDArray[Any]

SUFFIXES: Mapping[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
MODES: Mapping[str, frozenset[str]] = {
    "PNG": frozenset({"L", "LA", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB", "CMYK"}),
    "WEBP": frozenset({"RGB", "RGBA"}),
    "AVIF": frozenset({"L", "RGB", "RGBA"}),
    "HEIF": frozenset({"L", "RGB", "RGBA"}),
    "TIFF": frozenset({"L", "LA", "RGB", "RGBA", "CMYK"}),
    "BMP": frozenset({"L", "RGB"}),
    "GIF": frozenset({"L", "LA", "RGB", "RGBA"}),
}
ANIMATED = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
DEEP_FORMATS = frozenset({"PNG", "TIFF"})
METADATA_NAMES: Mapping[str, str] = {
    "icc_profile": "ICC profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "dpi": "resolution",
    "text": "text",
    "iptc": "IPTC",
    "photoshop": "Photoshop data",
}
KEEPS: Mapping[str, frozenset[str]] = {
    "PNG": frozenset({"icc_profile", "exif", "xmp", "dpi", "text", "iptc", "photoshop"}),
    "JPEG": frozenset({"icc_profile", "exif", "xmp", "dpi", "iptc", "photoshop"}),
    "WEBP": frozenset({"icc_profile", "exif", "xmp"}),
    "AVIF": frozenset({"icc_profile", "exif", "xmp"}),
    "HEIF": frozenset({"icc_profile", "exif", "xmp"}),
    "TIFF": frozenset({"icc_profile", "exif", "xmp", "dpi", "iptc", "photoshop"}),
    "BMP": frozenset({"dpi"}),
    "GIF": frozenset({"xmp"}),
}
GET_HEIF = "run: pip install pillow-heif (the extra [heic]), or use JPEG or PNG"
QUALITY: Mapping[str, int] = {"JPEG": 95, "WEBP": 95, "AVIF": 90, "HEIF": 90}

_pillow_state = threading.RLock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its remarks reach stderr


@dataclass(frozen=True)
class Metadata:
    """What a picture says about itself, in a form every format shares."""

    icc_profile: bytes | None = None
    exif: bytes | None = None  # TIFF block without the ``Exif\0\0`` prefix
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: tuple[tuple[str, str], ...] = ()  # keyword and value: PNG text, JPEG and GIF comment
    iptc: bytes | None = None  # IPTC-IIM data sets
    photoshop: bytes | None = None  # Photoshop's other image resources


@dataclass(frozen=True)
class Settings:
    """How a file was encoded; the defaults serve a picture that changes its format."""

    # JPEG quantisation tables, one per component; none: standard tables at ``QUALITY``
    tables: tuple[tuple[int, ...], ...] = ()
    subsampling: str = "4:4:4"  # chroma of JPEG, AVIF and HEIC; a source of another format has all its chroma
    progressive: bool = False
    keep_rgb: bool = False  # JPEG whose components are R, G, B
    segments: bytes = b""  # JPEG APPn and comment segments, as they stood in the file
    chunks: tuple[tuple[bytes, bytes, bool], ...] = ()  # PNG type, data, and whether the chunk stood after the pixels
    lossless: bool = True  # WebP without loss
    exact: bool = False  # AVIF or HEIC without loss
    depth: int = 8  # bits of a sample of an AVIF or HEIC that are read and written
    compressed: bool = True  # TIFF with deflate, else raw
    associated: bool = False  # TIFF whose colours are multiplied by their alpha
    background: tuple[int, ...] | None = None  # of an animated WebP, RGBA
    coded_bytes: int = 0  # how long the coded pixels of a WebP or AVIF are, 0 where that is not known
    source_quality: int | None = None  # of a lossy WebP or AVIF, as far as its quantizer tells
    # primaries and transfer curve that AVIF and HEIC state, code points of ITU-T H.273
    colour_codes: tuple[int, int] | None = None
    carried: Carried = UNCARRIED  # what stands in the file beside its picture and metadata
    own_format: bool = False  # the source was of the format that is written
    # what no re-saved file carries: bits beyond 8, a label without a place
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # what a file of the same format is encoded otherwise in


def check_format(format: str) -> None:
    """Raises ``ValueError`` for a format that is not written."""
    if format not in MODES:
        raise ValueError(f"expected one of {', '.join(MODES)}, found {format}, choose one")


def heif_works() -> bool:
    """Whether HEIC files can be read and written: registers the plugin of the extra ``[heic]`` with Pillow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


@contextmanager
def quiet_pillow(*, block_bytes: int = 0) -> Iterator[None]:
    """Silences Pillow's warnings and lets it encode into blocks of at least so many bytes.

    Both are process-wide switches, hence one thread at a time; keep what runs inside short.
    """
    with _pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(before, block_bytes)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = before
