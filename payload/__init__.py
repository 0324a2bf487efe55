"""Payloads of watermarks: 32-bit words, short links, records, and the registry behind them.

The registry needs SQLAlchemy and is imported by name: `from payload.registry import Registry`.
"""

from payload.ecc import HardDecoded, decode, encode
from payload.errors import PayloadError, RegistryError, RegistryFullError, UnknownLinkError
from payload.layout import bits_from_word, word_from_bits
from payload.link import format_link, parse_link
from payload.match import Match, read_word
from payload.phash import distance, hash_luma
from payload.record import Record, format_time, parse_time
from payload.soft import Candidate, decode_soft, nearest

__all__ = [
    "Candidate",
    "HardDecoded",
    "Match",
    "PayloadError",
    "Record",
    "RegistryError",
    "RegistryFullError",
    "UnknownLinkError",
    "bits_from_word",
    "decode",
    "decode_soft",
    "distance",
    "encode",
    "format_link",
    "format_time",
    "hash_luma",
    "nearest",
    "parse_link",
    "parse_time",
    "read_word",
    "word_from_bits",
]
