"""Small copies of the picture that its file holds elsewhere, made anew: they must not show it unmarked.

In EXIF (thumbnail, previews in maker notes), in XMP, in Photoshop's resources, and after the end of a JPEG, where the
MPF index calls them large thumbnails or where they show the same picture. Copies keep their place and length, so that
nothing that points at them has to change; what cannot be made anew is dropped, and named by whoever compares the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from wam.pictures.containers import exif, iptc, jpeg, png, tiff, xmp
from wam.pictures.containers.carried import Carried
from wam.pictures.containers.jpeg import Appended
from wam.pictures.containers.parts import EXIF, PREVIEW, TRAILER, Part
from wam.pictures.formats import Metadata, Settings
from wam.pictures.samples import Pixels
from wam.pictures.thumbnail import padded, remade, shows, small

_START = b"\xff\xd8\xff"
_MOST = 64  # JPEGs in one piece of data that are looked at


@dataclass(frozen=True, eq=False)
class Copies:
    """Makes copies of ``after``, the marked pixels (H, W, 3), for those of ``before``, the unmarked ones."""

    before: Pixels
    after: Pixels
    dropped: list[str] = field(default_factory=list)  # names of what had no room for another

    def of_parts(self, parts: Sequence[Part], carried: Carried) -> tuple[Part, ...]:
        """Parts of the old file as the new one is to have them, where it has them."""
        data = {EXIF: self._within, TRAILER: lambda old: carried.appended.data or old}
        return tuple(replace(one, data=data[one.kind](one.data)) if one.kind in data else one for one in parts)

    def of_metadata(self, metadata: Metadata) -> Metadata:
        """Metadata with new copies; the same object where it has none."""
        if metadata.exif is not None:
            block = self._within(metadata.exif)
            if "IFD1" in exif.known_directories(block):
                block = exif.with_thumbnail(block, lambda room: small(self.after, room))
            if block != metadata.exif:
                metadata = replace(metadata, exif=block)
        if metadata.xmp is not None and xmp.has_thumbnails(metadata.xmp):
            metadata = replace(metadata, xmp=xmp.with_thumbnails(metadata.xmp, self._again))
        return metadata

    def of_settings(self, settings: Settings, before: Metadata, after: Metadata) -> Settings:
        """Settings of the same format with new copies, where ``after`` is what became of the metadata ``before``."""
        segments, chunks = settings.segments, settings.chunks
        if segments and after.exif != before.exif and after.exif is not None:
            segments = jpeg.with_exif(segments, after.exif)
        if segments and after.xmp != before.xmp and after.xmp is not None:
            segments = jpeg.with_packet(segments, after.xmp)
        if segments:
            block = jpeg.photoshop_of(jpeg.split(segments))
            if iptc.has_thumbnail(block):
                segments = jpeg.with_photoshop(segments, iptc.with_thumbnail(block, self._again))
        if chunks:
            chunks = tuple(self._chunks(chunks, before, after))
        return replace(settings, segments=segments, chunks=chunks, carried=self._carried(settings.carried))

    def _chunks(
        self, chunks: tuple[tuple[bytes, bytes, bool], ...], before: Metadata, after: Metadata
    ) -> Iterator[tuple[bytes, bytes, bool]]:
        exif_left, xmp_left = after.exif != before.exif, after.xmp != before.xmp
        for kind, data, late in chunks:
            if kind == b"eXIf" and exif_left and after.exif is not None:
                data, exif_left = after.exif, False
            elif xmp_left and after.xmp is not None and png.is_xmp(kind, data):
                (kind, data), xmp_left = png.xmp_chunk(after.xmp), False
            else:
                kind, data = png.with_photoshop(kind, data, self._photoshop)
            yield kind, data, late

    def _photoshop(self, block: bytes) -> bytes:
        return iptc.with_thumbnail(block, self._again)

    def _carried(self, carried: Carried) -> Carried:
        tags = tuple(
            tiff.with_value(tag, self._photoshop(tag.value)) if tag.tag == tiff.PHOTOSHOP_TAG else tag
            for tag in carried.tags
        )
        appended = self._after_end(carried.appended)
        same = tags == carried.tags and appended is carried.appended
        return carried if same else replace(carried, tags=tags, appended=appended)

    def _after_end(self, appended: Appended) -> Appended:
        """What follows a JPEG's end; pictures that the index calls parts of a panorama or of several views stay."""
        data, others = appended.data, []
        for kind, at, size in appended.pictures:
            old = data[at : at + min(size, jpeg.walk(data[at : at + size])[1])]
            if kind & 0xFF0000 == jpeg.LARGE_THUMBNAIL and old.startswith(_START):
                data = self._put(data, at, old)
            elif kind & 0xFF0000 == jpeg.SEVERAL_VIEWS:
                others.append((at, at + size))
        data = self._within(data, leave=others)
        return appended if data == appended.data else replace(appended, data=data)

    def _within(self, data: bytes, leave: list[tuple[int, int]] | None = None) -> bytes:
        """Data in which every JPEG that shows the picture is a new one of the same length."""
        at = data.find(_START)
        for _ in range(_MOST):
            if at < 0:
                break
            end = next((end for start, end in leave or () if start <= at < end), None)
            if end is None:
                old = data[at : at + jpeg.walk(data[at:])[1]]
                end = at + len(_START)
                if shows(old, self.before):
                    data, end = self._put(data, at, old), at + len(old)
            at = data.find(_START, end)
        return data

    def _put(self, data: bytes, at: int, old: bytes) -> bytes:
        """Data with another copy in the place of an old one; zeros where none fits."""
        new = self._again(old)
        if new is None:
            self.dropped.append(PREVIEW)
        return data[:at] + (bytes(len(old)) if new is None else padded(new, len(old))) + data[at + len(old) :]

    def _again(self, old: bytes) -> bytes | None:
        return remade(old, self.after)
