"""What a file holds beside its pixels, as a list of named parts, and what of one list is missing in another.

Each container's module makes the list of its files (``parts``); ``missing`` compares the source's with the output's.
Whatever is not known to describe pixels or their storage is a part, so that nothing can go without a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wam.pictures.containers import exif, xmp

CREDENTIALS = "content credentials (C2PA)"
GAIN_MAP = "gain map"
VIDEO = "video of a motion photo"
FURTHER = "further pictures in the file"
THUMBNAIL = "EXIF thumbnail"
PREVIEW = "preview picture"
STORED = "Apple's index into the stored pixels (iDOT)"
RESTORED = "data to restore the JPEG it was made from"  # which had other pixels
TRAILER = "trailer"  # kind of what follows the end
APPENDED, SAMSUNG = "data after the picture's end", "Samsung's data after the picture's end"
# kinds that say how the samples of their own format are meant, which those of another are converted by
_OF_SAMPLES = frozenset({f"PNG chunk {name}" for name in ("gAMA", "cHRM", "sRGB")}) | {
    "property b'irot'",
    "property b'imir'",
}
_SAID = ("chroma subsampling", f"{THUMBNAIL} of ", "samples to the level")  # how names of other encodings begin
# kinds that every container shares, in the order in which they are named when they are lost
ICC, EXIF, XMP, RESOLUTION, TEXT, IPTC, PHOTOSHOP = "icc", "exif", "xmp", "resolution", "text", "iptc", "photoshop"
NAMES: Mapping[str, str] = {
    ICC: "ICC profile",
    EXIF: "EXIF",
    XMP: "XMP",
    RESOLUTION: "resolution",
    TEXT: "text",
    IPTC: "IPTC",
    PHOTOSHOP: "Photoshop data",
}
# lost without harm: another copy of the picture can be made with them, or they say how it was stored
REPLACEABLE = frozenset(
    {"palette", "bilevel pixels", "colours beyond 255", "exact transparency", "partial transparency", "label"}
    | {"resolution", "CMYK inks", THUMBNAIL, PREVIEW, "thumbnail", "JFIF thumbnail", "Photoshop thumbnail"}
    | {"XMP thumbnail", "associated alpha", "thumbnail pages", "suggested palette (PLTE)", STORED, RESTORED}
)
_TAGS: Mapping[int, str] = {
    321: "halftone hints",
    333: "ink names",
    32781: "OPI image number",
    33550: "GeoTIFF: pixel scale",
    33922: "GeoTIFF: tie points",
    34264: "GeoTIFF: transformation",
    34735: "GeoTIFF: keys",
    34736: "GeoTIFF: numbers",
    34737: "GeoTIFF: text",
    42112: "GDAL metadata",
    42113: "GDAL no-data value",
}


@dataclass(frozen=True)
class Part:
    """Something in a file: ``kind`` tells what it may be compared with, ``name`` says it in words."""

    kind: str
    name: str
    data: bytes


def shared(kind: str, data: bytes) -> Part:
    """A part of a kind that every container shares."""
    return Part(kind, NAMES[kind], data)


def besides_samples(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts that mean something in another format, whose samples are converted."""
    return tuple(part for part in parts if part.kind not in _OF_SAMPLES)


def missing(before: Sequence[Part], after: Sequence[Part]) -> tuple[str, ...]:
    """Names of what is in ``before`` and not in ``after``, one each, the shared kinds first."""
    order = list(NAMES)
    left = [part for kind in order for part in before if part.kind == kind]
    left += [part for part in before if part.kind not in NAMES]
    return tuple(dict.fromkeys(name for part in left for name in _missing(part, after)))


def _missing(part: Part, after: Sequence[Part]) -> Iterator[str]:
    same = [other.data for other in after if other.kind == part.kind]
    if part.data in same:
        return
    compare = _COMPARED.get(part.kind)
    if not same or compare is None:
        yield part.name
    else:
        yield from compare(part.data, same)


def _exif_missing(before: bytes, after: Sequence[bytes]) -> Iterator[str]:
    yield from exif.missing(before, after[0])


def _xmp_missing(before: bytes, after: Sequence[bytes]) -> Iterator[str]:
    if not xmp.holds(after[0], before):
        yield NAMES[XMP]


def _resolution_missing(before: bytes, after: Sequence[bytes]) -> Iterator[str]:
    """Both as ``resolution`` writes them; formats round."""
    wanted, found = ([float(value) for value in data.split()] for data in (before, after[0]))
    if any(abs(one - other) > 0.01 * one for one, other in zip(wanted, found, strict=True)):
        yield NAMES[RESOLUTION]


def resolution(horizontal: float, vertical: float) -> Part:
    """Dots per inch as a part."""
    return shared(RESOLUTION, f"{horizontal:.4f} {vertical:.4f}".encode())


_COMPARED: Mapping[str, Callable[[bytes, Sequence[bytes]], Iterator[str]]] = {
    EXIF: _exif_missing,
    XMP: _xmp_missing,
    RESOLUTION: _resolution_missing,
}


def of_exif(block: bytes) -> Iterator[Part]:
    """An EXIF block, and each tag in its first directory that is not EXIF's own."""
    yield shared(EXIF, block)
    for tag, value in exif.others(block):
        yield Part(f"tag {tag}", _TAGS.get(tag, f"TIFF tag {tag}"), value)


def text(keyword: str, value: str) -> Part:
    """A text or comment as a part."""
    return shared(TEXT, f"{keyword}\0{value}".encode("utf-8", "replace"))


def comment(data: bytes) -> str:
    """A comment without a stated encoding."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def appended(data: bytes) -> Iterator[Part]:
    """What follows the end of a picture, named by its look: several names may stand for one piece."""
    if data.strip(b"\0"):
        yield from (Part(TRAILER, name, data) for name in _looks(data))


def _looks(data: bytes) -> list[str]:
    """A video, a gain map, another picture, or just data."""
    names = []
    if b"\xff\xd8\xff" in data[:64]:
        names.append(GAIN_MAP if b"hdrgm:" in data or b"urn:iso:std:iso:ts:21496" in data else FURTHER)
    if b"ftyp" in data[:64] or any(one in data for one in (b"MotionPhoto_Data", b"ftypmp4", b"ftypisom", b"ftypqt")):
        names.append(VIDEO)
    return names or [SAMSUNG if data.rstrip(b"\0").endswith(b"SEFT") else APPENDED]


def irreplaceable(lost: Sequence[str]) -> tuple[str, ...]:
    """Those of the lost names that no other copy of the picture can give back."""
    return tuple(name for name in lost if name not in REPLACEABLE and not name.startswith(_SAID))
