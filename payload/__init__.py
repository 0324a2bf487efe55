"""Payloads of watermarks: 32-bit words, short links, records split over several words, and the registry.

The registry needs SQLAlchemy and is imported by name: ``from payload.registry import Registry``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payload.codes.bch import HardDecoded, decode, encode
    from payload.codes.short_link import format_link, parse_link
    from payload.codes.soft_decoding import Candidate, decode_soft, nearest
    from payload.codes.word_match import Match, read_word
    from payload.errors import PayloadError, RecordTooLongError, RegistryError, RegistryFullError, UnknownLinkError
    from payload.layout import bits_from_word, word_from_bits
    from payload.phash import distance, hash_luma, hash_rgb, hashes_before_cut, shorten
    from payload.records.assembly import RecordReading, read_records
    from payload.records.erasure_code import join_frame, split_frame
    from payload.records.frame import marks_needed, open_frame, room_for, seal_frame
    from payload.records.keys import Subkeys, derive_subkeys
    from payload.records.mark_words import Mark, distance_to, read_mark
    from payload.records.record import Record, format_time, parse_time

__all__ = [
    "Candidate",
    "HardDecoded",
    "Mark",
    "Match",
    "PayloadError",
    "Record",
    "RecordReading",
    "RecordTooLongError",
    "RegistryError",
    "RegistryFullError",
    "Subkeys",
    "UnknownLinkError",
    "bits_from_word",
    "decode",
    "decode_soft",
    "derive_subkeys",
    "distance",
    "distance_to",
    "encode",
    "format_link",
    "format_time",
    "hash_luma",
    "hash_rgb",
    "hashes_before_cut",
    "join_frame",
    "marks_needed",
    "nearest",
    "open_frame",
    "parse_link",
    "parse_time",
    "read_mark",
    "read_records",
    "read_word",
    "room_for",
    "seal_frame",
    "shorten",
    "split_frame",
    "word_from_bits",
]

_HOMES = {
    "Candidate": "payload.codes.soft_decoding",
    "HardDecoded": "payload.codes.bch",
    "Mark": "payload.records.mark_words",
    "Match": "payload.codes.word_match",
    "PayloadError": "payload.errors",
    "Record": "payload.records.record",
    "RecordReading": "payload.records.assembly",
    "RecordTooLongError": "payload.errors",
    "RegistryError": "payload.errors",
    "RegistryFullError": "payload.errors",
    "Subkeys": "payload.records.keys",
    "UnknownLinkError": "payload.errors",
    "bits_from_word": "payload.layout",
    "decode": "payload.codes.bch",
    "decode_soft": "payload.codes.soft_decoding",
    "derive_subkeys": "payload.records.keys",
    "distance": "payload.phash",
    "distance_to": "payload.records.mark_words",
    "encode": "payload.codes.bch",
    "format_link": "payload.codes.short_link",
    "format_time": "payload.records.record",
    "hash_luma": "payload.phash",
    "hash_rgb": "payload.phash",
    "hashes_before_cut": "payload.phash",
    "join_frame": "payload.records.erasure_code",
    "marks_needed": "payload.records.frame",
    "nearest": "payload.codes.soft_decoding",
    "open_frame": "payload.records.frame",
    "parse_link": "payload.codes.short_link",
    "parse_time": "payload.records.record",
    "read_mark": "payload.records.mark_words",
    "read_records": "payload.records.assembly",
    "read_word": "payload.codes.word_match",
    "room_for": "payload.records.frame",
    "seal_frame": "payload.records.frame",
    "shorten": "payload.phash",
    "split_frame": "payload.records.erasure_code",
    "word_from_bits": "payload.layout",
}


def __getattr__(name: str) -> Any:
    """Imports public names when they are first used: ``wam --help`` need not wait for NumPy."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'payload' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
