"""Payloads of watermarks: 32-bit words, short links, records split over several words, and the registry.

The registry needs SQLAlchemy and is imported by name: ``from payload.registry import Registry``.
"""

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
