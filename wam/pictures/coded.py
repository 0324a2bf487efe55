"""How finely VP8, AV1 and HEVC pictures were coded, from the headers of their streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wam.pictures.containers import items

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6  # kinds of AV1 units (AV1, section 6.2.2)
_PPS = 34  # kind of HEVC unit that holds picture parameters (ITU-T H.265, table 7-1)

# quantizer indices and the qualities at which Pillow 13.0 (libavif 1.4.2, libaom) wrote them, measured on a photo
_AVIF_QUALITIES = ((0, 33, 76, 111, 149, 196, 255), (100, 90, 75, 63, 50, 30, 0))


class _Bits:
    """Bits of a byte string from its start."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.data[self.at // 8] >> 7 - self.at % 8 & 1
            self.at += 1
        return value

    def unsigned(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def av1_base_quantizer(content: bytes) -> int | None:
    """``base_q_idx`` of the picture of an AVIF, 0 for lossless coding; None where it cannot be told."""
    found = items.read(content)
    if found is None:
        return None
    number = next(
        (one.targets[0] for one in found.references if one.kind == b"dimg" and one.source == found.primary), 0
    )
    item = found.items.get(number, found.items[found.primary])
    sequence: _Sequence | None = None
    try:
        for kind, data in _units(item.data):
            if kind == _SEQUENCE:
                sequence = _Sequence(_Bits(data))
            elif kind in (_FRAME_HEADER, _FRAME) and sequence is not None:
                return sequence.quantizer(_Bits(data))
    except (IndexError, ValueError):
        pass  # another kind of header: taken as lossy
    return None


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and payload of each unit (AV1, section 5.3)."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        if not header & 2 or header & 0x80:
            return
        size = shift = 0
        while True:
            value = data[at]
            at += 1
            size |= (value & 0x7F) << shift
            shift += 7
            if not value & 0x80:
                break
        yield header >> 3 & 15, data[at : at + size]
        at += size


class _Sequence:
    """The sequence header of a still picture (AV1, section 5.5), as far as a frame's quantizer needs it."""

    def __init__(self, bits: _Bits) -> None:
        bits.take(3)
        bits.take(1)
        if not bits.take(1):
            raise ValueError("expected a still picture's short header, found a film's, take it as lossy")
        bits.take(5)
        wide, high = bits.take(4) + 1, bits.take(4) + 1
        self.width, self.height = bits.take(wide) + 1, bits.take(high) + 1
        self.big_blocks = bits.take(1)
        bits.take(2)
        self.super_resolution = bits.take(1)

    def quantizer(self, bits: _Bits) -> int:
        """``base_q_idx`` of a frame (section 5.9.2): an intra frame that is shown."""
        bits.take(1)  # disable_cdf_update
        screen_content = bits.take(1)
        if screen_content:
            bits.take(1)  # force_integer_mv, which each frame of a short header chooses
        scaled = self.super_resolution and bits.take(1)
        if scaled:
            bits.take(3)
        if bits.take(1):  # another size to render
            bits.take(32)
        if screen_content and not scaled:
            bits.take(1)  # allow_intrabc
        self._tiles(bits)
        return bits.take(8)

    def _tiles(self, bits: _Bits) -> None:
        """``tile_info`` with evenly spaced tiles (section 5.9.15)."""
        shift = 5 if self.big_blocks else 4
        columns, rows = (((side + 7) >> 3) * 2 + (1 << shift) - 1 >> shift for side in (self.width, self.height))
        size = shift + 2
        widest, area = 4096 >> size, 4096 * 2304 >> 2 * size
        least_columns = _log2(widest, columns)
        least = max(least_columns, _log2(area, rows * columns))
        if not bits.take(1):
            raise ValueError("expected tiles of one size, found others, take it as lossy")
        across = _steps(bits, least_columns, _log2(1, min(columns, 64)))
        down = _steps(bits, max(least - across, 0), _log2(1, min(rows, 64)))
        if across or down:
            bits.take(across + down + 2)


def _steps(bits: _Bits, least: int, most: int) -> int:
    while least < most and bits.take(1):
        least += 1
    return least


def _log2(unit: int, target: int) -> int:
    found = 0
    while unit << found < target:
        found += 1
    return found


def hevc_is_lossless(configuration: bytes) -> bool:
    """Whether the picture parameters of an ``hvcC`` box let blocks bypass quantization (H.265, section 7.3.2.3)."""
    try:
        return any(_bypasses(unit) for unit in _parameter_sets(configuration))
    except IndexError:
        return False


def _parameter_sets(data: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(data[22]):
        kind, count = data[at] & 0x3F, int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            if kind == _PPS:
                yield data[at + 4 : at + 2 + size].replace(b"\0\0\3", b"\0\0")
            at += 2 + size


def _bypasses(parameters: bytes) -> bool:
    bits = _Bits(parameters)
    bits.unsigned(), bits.unsigned()
    bits.take(2 + 3 + 2)
    bits.unsigned(), bits.unsigned(), bits.unsigned()
    bits.take(2)
    if bits.take(1):
        bits.unsigned()
    bits.unsigned(), bits.unsigned()
    bits.take(3)
    return bool(bits.take(1))


def webp_quality(frame: bytes) -> int | None:
    """The quality that libwebp was asked for, as near as a VP8 frame's quantizers tell; None where they do not."""
    try:
        index = _vp8_quantizer(frame)
    except IndexError:
        return None
    fineness = (1 - index / 127) ** 3  # the inverse of libwebp's QualityToCompression
    return round(100 * (fineness * 1.5 if fineness < 0.5 else (fineness + 1) / 2))


def avif_quality(index: int) -> int:
    """The quality at which Pillow writes AV1's quantizer index of 0 to 255."""
    return round(float(np.interp(index, *_AVIF_QUALITIES)))


def _vp8_quantizer(frame: bytes) -> float:
    """The quantizer index of a key frame, 0 to 127, the mean of its segments' (RFC 6386, sections 9.2 to 9.6)."""
    bits = _BoolDecoder(frame[10:])
    bits.take(2)
    segments: list[int] = []
    absolute = 0
    if bits.take(1):
        new_map, new_data = bits.take(1), bits.take(1)
        if new_data:
            absolute = bits.take(1)
            segments = [bits.signed(7) for _ in range(4)]
            _ = [bits.signed(6) for _ in range(4)]
        if new_map:
            _ = [bits.take(8) for _ in range(3) if bits.take(1)]
    bits.take(1 + 6 + 3)
    if bits.take(1) and bits.take(1):
        _ = [bits.signed(6) for _ in range(8)]
    bits.take(2)
    base = bits.take(7)
    quantizers = [value if absolute else base + value for value in segments] or [base]
    return sum(min(127, max(0, value)) for value in quantizers) / len(quantizers)


class _BoolDecoder:
    """VP8's arithmetic decoder at even odds (RFC 6386, section 7.3)."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 2
        self.value, self.range, self.shifts = int.from_bytes(data[:2], "big"), 255, 0

    def take(self, count: int) -> int:
        found = 0
        for _ in range(count):
            split = 1 + ((self.range - 1) * 128 >> 8)
            bit = self.value >= split << 8
            self.range, self.value = (self.range - split, self.value - (split << 8)) if bit else (split, self.value)
            while self.range < 128:
                self.value, self.range, self.shifts = self.value << 1, self.range << 1, self.shifts + 1
                if self.shifts == 8:
                    self.shifts = 0
                    self.value |= self.data[self.at]
                    self.at += 1
            found = found << 1 | bit
        return found

    def signed(self, count: int) -> int:
        """A number that may be left out, with its sign."""
        if not self.take(1):
            return 0
        size = self.take(count)
        return -size if self.take(1) else size
