"""A frame spread over marks by a Reed-Solomon code, and read back from what is left of them.

Reed-Solomon over GF(256), as reedsolo's ``RSCodec`` has it by default (generator roots 2^0, 2^1, ...
in the field of x^8 + x^4 + x^3 + x^2 + 1), systematic. Mark i carries symbols 2i and 2i + 1, so a
lost mark is two erasures and a wrong one at most two errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from reedsolo import ReedSolomonError, RSCodec

from payload.layout import LEAST_DATA_MARKS, MARK_SYMBOLS, MOST_MARKS, data_marks, marks_for
from payload.records.frame import frame_tag
from payload.records.mark_words import Mark

Symbols = tuple[int, int]


def split_frame(frame: bytes) -> list[Mark]:
    """Spread a frame over the fewest marks of which a third may be lost."""
    if len(frame) % MARK_SYMBOLS or not LEAST_DATA_MARKS <= len(frame) // MARK_SYMBOLS <= data_marks(MOST_MARKS):
        raise ValueError(f"frame: expected 14 to 42 bytes, an even number, found {len(frame)}; use seal_frame")
    marks = marks_for(len(frame) // MARK_SYMBOLS)
    coded = codec(marks).encode(frame)
    tag = frame_tag(frame)
    return [Mark(tag, index, (coded[2 * index], coded[2 * index + 1])) for index in range(marks)]


def join_frame(symbols: Mapping[int, Symbols], marks: int, *, doubtful: Sequence[int] = ()) -> Iterator[bytes]:
    """Give the frames that so many marks may have carried, the likeliest first; none where too many are missing.

    ``symbols`` by index; all others are erasures. ``doubtful`` lists indices, the worst first, that are
    taken as erasures too, one after another, as long as enough marks are left (generalised minimum
    distance decoding, Forney 1966). A frame that comes out proves nothing before its seal is checked.
    """
    known = {index: pair for index, pair in symbols.items() if index < marks}
    dropped: list[int] = []
    for nxt in [None, *(index for index in doubtful if index in known)]:
        if nxt is not None:
            dropped.append(nxt)
        if len(known) - len(dropped) < data_marks(marks):
            return
        kept = {index: pair for index, pair in known.items() if index not in dropped}
        frame = _decode(kept, marks)
        if frame is not None:
            yield frame


@lru_cache(maxsize=MOST_MARKS)
def codec(marks: int) -> RSCodec:
    """The code for so many marks."""
    return RSCodec(MARK_SYMBOLS * (marks - data_marks(marks)))


def frame_sizes(read: int) -> list[int]:
    """List the numbers of marks that a record may have of which so many were read."""
    return [marks_for(data) for data in range(LEAST_DATA_MARKS, min(read, data_marks(MOST_MARKS)) + 1)]


def _decode(symbols: Mapping[int, Symbols], marks: int) -> bytes | None:
    """Run the decoder once with everything that is missing erased."""
    coded = bytearray(MARK_SYMBOLS * marks)
    erased = []
    for index in range(marks):
        if index in symbols:
            coded[2 * index : 2 * index + 2] = bytes(symbols[index])
        else:
            erased += [2 * index, 2 * index + 1]
    try:
        return bytes(codec(marks).decode(coded, erase_pos=erased)[0])
    except ReedSolomonError:
        return None
