"""What a file saved again in its own format takes over as it stands, and how it is put into the new file."""

from __future__ import annotations

from dataclasses import dataclass

from wam.pictures.containers import bmp, gif, heif, jpeg, png, tiff, webp
from wam.pictures.containers.exif import Entry
from wam.pictures.containers.jpeg import Appended

NOTHING = Appended()


@dataclass(frozen=True)
class Carried:
    """``appended`` after the picture's end; ``blocks`` names and contents of WebP chunks; ``extensions`` of a GIF,
    whole, and its pixels' ``aspect``; ``tags`` of a TIFF whose bytes are not numbers; ``items`` of AVIF and HEIC."""

    appended: Appended = NOTHING
    blocks: tuple[tuple[bytes, bytes], ...] = ()
    extensions: tuple[bytes, ...] = ()
    aspect: int = 0
    tags: tuple[Entry, ...] = ()
    items: heif.Kept | None = None


UNCARRIED = Carried()


def carried(content: bytes, format: str) -> Carried:
    """What a file of this format takes over of ``content``."""
    if format == "JPEG":
        return Carried(jpeg.appended_of(content))
    if format == "PNG":
        return Carried(Appended(png.after_end(content)))
    if format == "WEBP":
        return Carried(Appended(webp.after_end(content)), webp.unknown(content))
    if format == "GIF":
        after = Appended(gif.after_end(content))
        return Carried(after, extensions=gif.kept(content), aspect=gif.aspect_of(content))
    if format == "BMP":
        return Carried(Appended(bmp.after_end(content)))
    if format == "TIFF":
        content = tiff.from_picture(content)
        return Carried(tags=tuple(_bytes_of(content)))
    return Carried(items=heif.kept(content, turned=format == "HEIF"))


def _bytes_of(content: bytes) -> list[Entry]:
    """IPTC and Photoshop's resources as the file has them."""
    entries = tiff.first_page(content).entries
    return [entries[tag] for tag in (tiff.IPTC_TAG, tiff.PHOTOSHOP_TAG) if tag in entries]


def put_back(content: bytes, format: str, kept: Carried, *, size: tuple[int, int], packet: bytes | None) -> bytes:
    """A new file with what ``kept`` holds; ``size`` in pixels, ``packet`` XMP for a GIF."""
    if format == "JPEG":
        return jpeg.with_appended(content, kept.appended) if kept.appended.data else content
    if format == "WEBP":
        content = webp.with_chunks(content, kept.blocks, size)
    elif format == "GIF":
        content = gif.with_extensions(content, kept.extensions, packet, aspect=kept.aspect)
    return content + kept.appended.data
