"""Files that end too early, completed so that a decoder shows what is there, and chunks that viewers pass over left
out.

Nothing is invented that a mark could hide in: what is missing comes out grey, black, as its neighbour, or in AVIF as
noise. Only for reading; what is to be marked has to be whole.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from random import Random

from PIL import Image

from wam.pictures.boxes import boxes
from wam.pictures.containers.heif import pictured
from wam.pictures.containers.items import Items, extents, make, numbered, read, write
from wam.pictures.formats import quiet_pillow
from wam.pictures.metadata import PNG_SIGNATURE, png_chunks

MOST_BYTES = 1 << 30  # of what a cut PNG or GIF holds once it is unpacked
MOST_ROWS = 1 << 20  # of a PNG, pass by pass: a header that is damaged may state 2 to the 32
MOST_MISSING = 64 << 20  # bytes that are filled up whatever is there, and of an AVIF or HEIC, which is so several times
MOST_TIMES = 16  # as much as is there may be missing in any case
MOST_GIF = 120_000_000  # pixels of a GIF, at two bytes each

_RANDOM = 4  # random fillings of each kind that are tried for a cut AVIF

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour types


def completions(content: bytes) -> Iterator[bytes]:
    """The same file with an end, in several ways where its decoder may not take the first; nothing where too little is
    there or its kind cannot be completed."""
    try:
        if content[4:8] == b"ftyp":
            yield from _boxed(content)
            return
        whole = _completed(content)
    except (struct.error, LookupError, ValueError, OSError, zlib.error):  # damaged beyond that
        return
    if whole is not None:
        yield whole


def _completed(content: bytes) -> bytes | None:
    if content[:2] == b"\xff\xd8":
        return _jpeg(content)
    if content[:8] == PNG_SIGNATURE:
        return _png(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    if content[:4] == b"GIF8":
        return _gif(content)
    if content[:2] == b"BM" or content[:4] in (b"II*\0", b"MM\0*"):
        return _raw(content)
    return None


def _jpeg(content: bytes) -> bytes | None:
    """Decoders fill up what an end marker finds missing (ITU-T T.81, section F.2.2.5)."""
    if b"\xff\xda" not in content:
        return None
    return content.removesuffix(b"\xff") + b"\xff\xd9"


def _png(content: bytes) -> bytes | None:
    """As many rows as there are, the rest repeating the last one (filter 2 of zeros)."""
    chunks = list(png_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR":
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if height > MOST_ROWS // 2:  # interlaced, it has twice as many
        return None
    rows = _row_bytes(width, height, depth * _CHANNELS[colour], interlaced=bool(interlaced))
    size = sum(rows)
    if size > MOST_BYTES:
        return None
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT") + _cut_chunk(content, b"IDAT")
    found = _unpacked(packed, size)
    if not found or _is_too_much(size - len(found), found):
        return None
    whole, at = bytearray(found), 0
    for row in rows:
        if at + row > len(found):  # a row that is there in part keeps its filter
            start = max(0, len(found) - at)
            whole += (b"" if start else b"\2") + bytes(row - (start or 1))
        at += row
    kept = [(kind, data) for kind, data in chunks if kind not in (b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")]
    kept += [(b"IDAT", zlib.compress(bytes(whole), 1)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, data) for kind, data in kept)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _row_bytes(width: int, height: int, bits: int, *, interlaced: bool) -> list[int]:
    """Bytes of each row of a PNG with its filter, pass by pass."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = []
    for x, y, right, down in passes:
        columns, count = -(-(width - x) // right), -(-(height - y) // down)
        if columns > 0 and count > 0:
            rows += [1 + (columns * bits + 7) // 8] * count
    return rows


def _cut_chunk(content: bytes, kind: bytes) -> bytes:
    """What is there of a last chunk of that kind that does not end inside the file."""
    at = len(PNG_SIGNATURE) + sum(12 + len(data) for _, data in png_chunks(content))
    return content[at + 8 :] if content[at + 4 : at + 8] == kind else b""


def _unpacked(packed: bytes, size: int) -> bytes:
    """As much of a zlib stream as can be read, at most ``size`` bytes."""
    stream, found = zlib.decompressobj(), b""
    for start in range(0, len(packed), 1 << 16):
        try:
            found += stream.decompress(packed[start : start + (1 << 16)], size - len(found) or 1)
        except zlib.error:
            break
        if len(found) >= size:
            break
    return found[:size]


def _webp(content: bytes) -> bytes | None:
    """Zeros up to where the last chunk says it ends: decoders take them for more of the picture. Frames of an animation
    that are not whole go."""
    at = 12
    while at + 8 <= len(content):
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if end > len(content):
            too_much = _is_too_much(end - len(content), content)
            if too_much and kind in (b"VP8 ", b"VP8L", b"ALPH"):
                return None
            body = content[12:at] if too_much or kind == b"ANMF" else content[12:].ljust(end - 12, b"\0")
            return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
        at = end
    return None


def _gif(content: bytes) -> bytes | None:
    """Blocks of zeros, at least one code for each pixel, in the place of what is missing of the last frame."""
    width, height = struct.unpack_from("<HH", content, 6)
    flags = content[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    if width * height > MOST_GIF:
        return None
    while at < len(content) and content[at] in (0x21, 0x2C):
        picture = content[at] == 0x2C
        if picture:
            local = content[at + 9]
            at += 10 + (3 << (local & 7) + 1 if local & 128 else 0) + 1
        else:
            at += 2
        while at < len(content) and content[at]:
            end = at + 1 + content[at]
            if end > len(content) or end == len(content):
                if not picture:
                    return None
                missing = bytes(end - len(content))
                blocks = -(-int(width * height) * 2 // 255)
                return content + missing + (b"\xff" + bytes(255)) * blocks + b"\0\x3b"
            at = end
        at += 1
    return content + b"\x3b" if at >= len(content) else None


def _is_too_much(missing: int, there: bytes) -> bool:
    """Whether more is missing than is filled up: a number that is damaged may make a gigabyte of a small file."""
    return missing > max(MOST_MISSING, MOST_TIMES * len(there))


def _raw(content: bytes) -> bytes | None:
    """Zeros up to where samples that are stored plainly end by the header."""
    with quiet_pillow(), Image.open(io.BytesIO(content), formats=("BMP", "TIFF")) as image:
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            end = int.from_bytes(content[10:14], "little") + image.width * image.height * 4 + image.height * 4
        else:
            starts, sizes = tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ()))
            end = max(start + size for start, size in zip(starts, sizes, strict=True))
    if not len(content) < end <= MOST_BYTES or _is_too_much(end - len(content), content):
        return None
    return content + bytes(int(end) - len(content))


def _boxed(content: bytes) -> Iterator[bytes]:
    """AVIF and HEIC up to where the last box says it ends, without items that are not whole but the picture itself.

    Decoders take zeros for more of the picture or refuse them, as chance has it; so other bytes are tried as well.
    """
    size = _stated_size(content)
    if size is None:
        return
    missing = size - len(content)
    if missing > MOST_MISSING:
        return
    cut = {n for n, places in extents(content).items() if any(start + count > len(content) for start, count in places)}
    random = Random(0)
    small = bytes(byte % 16 for byte in range(256))  # numbers where lengths are read
    for number in range(3 + 2 * _RANDOM):
        filling = bytes([(0, 0xFF, 0x80)[number]]) * missing if number < 3 else random.randbytes(missing)
        if 3 <= number < 3 + _RANDOM:
            filling = filling.translate(small)
        yield _without_cut_items(content + filling, cut) or content + filling


def _stated_size(content: bytes) -> int | None:
    """Where a box of pixels that does not end inside the file says it ends."""
    at = max((box.end for box in boxes(content)), default=0)
    size = int.from_bytes(content[at : at + 4], "big")
    if content[at + 4 : at + 8] != b"mdat" or not 8 <= size <= MOST_BYTES:
        return None
    return at + size


def _without_cut_items(content: bytes, cut: set[int]) -> bytes | None:
    """The file without cut items beside the picture: a decoder refuses damaged EXIF and transparency."""
    found = read(content)
    if found is None or max(found.items) > 0xFFFF or any(box.kind == b"moov" for box in boxes(content)):
        return None
    alpha = {one.source for one in found.references if one.kind == b"auxl" and found.primary in one.targets}
    needed = pictured(found) - alpha
    left = {number: item for number, item in found.items.items() if number not in cut or number in needed}
    references = tuple(one for one in found.references if one.source in left and set(one.targets) <= left.keys())
    first = next(boxes(content))
    head = make(first.kind, content[first.start : first.end])
    return write(head, Items(found.primary, {n: numbered(item, n) for n, item in left.items()}, references), [])


def why_not(content: bytes) -> str | None:
    """Why a cut AVIF or HEIC cannot be shown, None where that is not known."""
    found = read(content.ljust(_stated_size(content) or 0, b"\0"))
    if found is None or len(content) >= (_stated_size(content) or 0):
        only_head = not any(box.kind == b"meta" for box in boxes(content))
        return "cut short before its pixels" if only_head and content[4:8] == b"ftyp" else None
    parts = [one.targets for one in found.references if (one.kind, one.source) == (b"dimg", found.primary)]
    tiles = parts[0] if parts else (found.primary,)
    places = extents(content)
    begun = [n for n in tiles if all(start < len(content) for start, _ in places.get(n, ()))]
    if len(begun) == len(tiles):
        return "cut short where its decoder makes nothing of the rest"
    return "cut short before its pixels" if not begun else f"cut short after {len(begun)} of its {len(tiles)} tiles"


def without_bad_chunks(content: bytes, most: int) -> tuple[bytes, tuple[str, ...]]:
    """A PNG without what viewers pass over, and names for it: chunks beside the pixels whose check sum is wrong, and
    compressed ones that unpack to more than ``most`` bytes, all texts together. Nothing else is changed."""
    if content[:8] != PNG_SIGNATURE:
        return content, ()
    kept: list[bytes] = [content[:8]]
    lost: list[str] = []
    room, at = most, 8
    for kind, data in png_chunks(content):
        end = at + 12 + len(data)
        needed = _unpacked_size(kind, data, room + 1)
        if kind[0] & 32 and int.from_bytes(content[end - 4 : end], "big") != zlib.crc32(kind + data):
            lost.append(f"PNG chunk {kind.decode('latin-1')} with a wrong check sum")
        elif needed > room:
            lost.append(f"PNG chunk {kind.decode('latin-1')} of more than {most >> 20} MiB")
        else:
            room -= needed if kind != b"iCCP" else 0
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]]) if lost else content, tuple(dict.fromkeys(lost))


def _unpacked_size(kind: bytes, data: bytes, most: int) -> int:
    """Bytes that the compressed part of a chunk unpacks to, at most ``most``; 0 for a chunk without one."""
    _, _, rest = data.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif kind in (b"zTXt", b"iCCP"):
        rest = rest[1:]
    else:
        return 0
    return len(_unpacked(rest, most))
