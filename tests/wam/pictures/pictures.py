"""Pictures for the tests of ``wam``: small files of every kind, and what a mark does to them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from wam.pictures.files import Picture, encode_image, read_image
from wam.pictures.metadata import png_chunks

HEIGHT, WIDTH = 40, 56
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'


def colours(*, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8, smooth, away from black and white, different in each direction."""
    y, x = np.mgrid[:height, :width]
    planes = [40 + 3 * x, 40 + 4 * y, 60 + x + y]
    return np.stack(planes, axis=-1).clip(30, 220).astype(np.uint8)


def ramp() -> np.ndarray:
    """(H, W) uint8 alpha from 0 to 255."""
    return np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)


def sample(mode: str) -> Image.Image:
    """A test picture of a Pillow mode."""
    if mode in ("LA", "RGBA"):
        picture = Image.fromarray(np.dstack([colours(), ramp()]))
        return picture if mode == "RGBA" else picture.convert("LA")
    if mode == "I;16":
        return Image.fromarray(deep_colours()[..., 0])
    if mode == "P":
        return Image.fromarray(colours()).quantize(64)
    return Image.fromarray(colours()).convert(mode)


def deep_colours(*, bands: int = 3) -> np.ndarray:
    """(H, W, bands) uint16 whose low bytes matter; alpha, if any, starts at 0."""
    shape = (HEIGHT, WIDTH, bands)
    deep = np.random.default_rng(3).integers(3000, 60000, shape, dtype=np.uint16)
    if bands in (2, 4):
        deep[..., -1] = ramp() * np.uint16(257)
    return deep


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def opened(content: bytes) -> Any:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def header(content: bytes) -> Image.Image:
    """Not decoded yet: Pillow drops the orientation of a TIFF when it decodes it."""
    return Image.open(io.BytesIO(content))


def marked(picture: Picture) -> np.ndarray:
    """Pixels changed as a watermark would: by -3 to 3, equally in R, G and B."""
    change = np.random.default_rng(5).integers(-3, 4, (picture.height, picture.width, 1))
    return (picture.pixels + change).clip(0, 255).astype(np.uint8)


def resaved(content: bytes, format: str | None = None) -> bytes:
    """The content, marked and encoded again."""
    picture = read_image(content)
    return encode_image(marked(picture), like=picture, format=format or picture.format)[0]


def png16(deep: np.ndarray, **chunks: bytes) -> bytes:
    """A 16-bit PNG without row filters, by the specification: an independent writer."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, bands = deep.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    parts = [(b"IHDR", header), *((name.encode(), data) for name, data in chunks.items())]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def interlaced(samples: np.ndarray) -> bytes:
    """A PNG of 8 or 16 bits in the seven passes of Adam7 (PNG, section 8.2)."""
    big = samples.astype(samples.dtype.newbyteorder(">"))
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [big[y::down, x::right] for y, x, down, right in starts]
    rows = b"".join(b"\0" + row.tobytes() for part in passes for row in part)
    height, width, bands = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, colour, 0, 0, 1)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def tiff16(deep: np.ndarray, *, prefix: bytes, tile: int = 0, planar: bool = False) -> bytes:
    """A raw TIFF, of 16 bits unless ``deep`` is uint8, of either byte order, in one strip or in square tiles."""
    height, width, bands = deep.shape
    order = deep.astype(deep.dtype.newbyteorder(">" if prefix == b"MM" else "<"))
    parts = [order.transpose(2, 0, 1)] if planar else [order]
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=prefix)
    tags[256], tags[257], tags[258], tags[259] = width, height, (deep.itemsize * 8,) * bands, 1
    tags[262], tags[277], tags[284] = (2 if bands > 2 else 1), bands, (2 if planar else 1)
    where, sizes = (324, 325) if tile else (273, 279)
    if tile:
        padded = np.pad(order, ((0, -height % tile), (0, -width % tile), (0, 0)))
        parts = [padded[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        tags[322], tags[323] = tile, tile
    else:
        tags[278] = height
    if bands == 4:
        tags[338] = (2,)
    lengths = [part.nbytes for part in parts]
    tags[sizes] = tuple(lengths)
    tags.tagtype[where] = tags.tagtype[sizes] = 4
    tags[where] = tuple(lengths)  # the right count, to measure the header
    start = 0 if not tile else len(_directory_bytes(tags))
    tags[where] = tuple(start + sum(lengths[:index]) for index in range(len(parts)))
    return _directory_bytes(tags) + b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def _directory_bytes(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bytes:
    stream = io.BytesIO()
    tags.save(stream)
    return stream.getvalue()


def described_exif() -> bytes:
    exif = Image.Exif()
    exif[271], exif[306], exif[33432] = "Maker", "2026:11:22 09:30:00", "Acme"
    exif[34665] = {36867: "2026:11:22 09:30:00", 37500: bytes(range(64))}
    exif[34853] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif.tobytes()


def with_valid_sums(content: bytes) -> bytes:
    """A mutated PNG that gets past its checksums."""
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in png_chunks(content)
    ]
    return content[:8] + b"".join(parts)


COLORANTS = {  # XYZ of red, green and blue at D50, as the profiles of their makers state them
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "linear": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
}
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES = {"Display P3": SRGB_CURVE, "Adobe RGB": (563 / 256,), "linear": (1.0,)}


def profile(name: str) -> bytes:
    """A small ICC profile of matrix and curves; "grey 1.8" has a gamma of 1.8."""
    if name == "grey 1.8":
        return icc(b"GRAY", {b"kTRC": curve_tag((1.8,))})
    tags = {b"rgb"[band : band + 1] + b"XYZ": xyz_tag(*COLORANTS[name][band]) for band in range(3)}
    return icc(b"RGB ", tags | {band + b"TRC": curve_tag(CURVES[name]) for band in (b"r", b"g", b"b")})


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 4 for a display (ICC.1:2022, section 7)."""
    text = "test".encode("utf-16-be")
    tags = tags | {
        b"desc": b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(text), 28) + text,
        b"cprt": b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(text), 28) + text,
        b"wtpt": xyz_tag(0.9642, 1.0, 0.8249),
    }
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for kind, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", kind, at + len(body), len(data))
        body += data
    size = at + len(body)
    start = struct.pack(
        ">I4xI4s4s4s12x4s28xIII", size, 0x04300000, b"mntr", space, b"XYZ ", b"acsp", 63190, 65536, 54061
    )
    return start + bytes(128 - len(start)) + struct.pack(">I", len(tags)) + table + body


def lut_profile(space: bytes) -> bytes:
    """An ICC profile by table, "RGB " or "CMYK": darker in the middle than the rule of thumb, and warmer."""
    count, points = (4, 9) if space == b"CMYK" else (3, 17)
    axes = np.meshgrid(*[np.linspace(0, 1, points)] * count, indexing="ij")
    inks = np.stack(axes, axis=-1).reshape(-1, count)
    shown = (1 - inks[:, :3] ** 0.8) * (1 - 0.97 * inks[:, 3:] ** 0.9) if count == 4 else inks**1.2
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4) * (1.0, 0.96, 0.88)
    ratio = linear @ np.array(COLORANTS["linear"]) / (0.9642, 1.0, 0.8249)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116).T
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=-1)
    ramp = bytes(range(256))
    table = lab.round().clip(0, 255).astype(np.uint8).tobytes()
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + bytes([count, 3, points, 0]) + identity + ramp * count + table + ramp * 3
    made = bytearray(icc(space, {b"A2B0": lut}))
    made[8:12], made[20:24] = b"\x02\x40\0\0", b"Lab "
    return bytes(made)


def xyz_tag(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def curve_tag(values: tuple[float, ...]) -> bytes:
    kind = {1: 0, 3: 1, 4: 2, 5: 3, 7: 4}[len(values)]
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + xyz_tag(*values)[8:]
