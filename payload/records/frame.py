"""A record as a frame of bytes and back: ``layout.FRAME_LAYOUT``, sealed, optionally encrypted.

The seal is computed first, over the plain frame. Encryption then XORs everything between the header
and the seal with a key stream that starts from the seal (a synthetic initialisation vector, as in
RFC 5297 but of 32 bits), so no bits are spent on a nonce; equal records give equal frames.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal

from payload.errors import RecordTooLongError
from payload.layout import (
    FRAME_HASH_BITS,
    FRAME_VERSION,
    HEADER_BITS,
    LEAST_DATA_MARKS,
    MARK_LAYOUT,
    MOST_DATA_MARKS,
    MOST_MARKS,
    SEAL_BITS,
    SEAL_BYTES,
    TAG_BITS,
    TIME_BITS,
    data_marks,
    marks_for,
)
from payload.records.bit_stream import BitReader, BitWriter
from payload.records.keys import Subkeys, keystream
from payload.records.record import Record, format_time
from payload.records.text_packing import read_text, text_bits, write_text

Protection = Literal["checksum", "keyed", "encrypted"]
PROTECTIONS: tuple[Protection, ...] = ("checksum", "keyed", "encrypted")  # positions are the numbers in the frame

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = EPOCH + timedelta(seconds=(1 << TIME_BITS) - 1)

_HEADER_BYTES = HEADER_BITS // 8
_DATA_BITS = MARK_LAYOUT[0].bits
_SEAL_LABEL = b"wam record seal 1"
_TAG_LABEL = b"wam record tag 1"


@dataclass(frozen=True)
class Opened:
    """What a frame whose seal holds says; ``record`` and ``phash`` are None for an unknown ``version``.

    ``phash`` is None, too, where the frame holds none; else 32 bits, see ``phash.shorten``.
    """

    version: int
    protection: Protection | None
    record: Record | None
    phash: int | None


def seal_frame(
    record: Record, *, subkeys: Subkeys | None = None, encrypt: bool = False, phash: int | None = None
) -> bytes:
    """Write a record as the shortest frame, two bytes for each data mark.

    Without ``subkeys`` the seal is a checksum, which shows damage but not forgery. ``phash``, 32 bits,
    binds the record to its picture. ``ValueError`` for a time outside 2000 to 2136 and for encryption
    without a key; ``RecordTooLongError`` for more than 21 data marks.
    """
    if encrypt and subkeys is None:
        raise ValueError("encryption: expected a key, found none; pass --key-file or set WAM_KEY")
    protection = 0 if subkeys is None else 1 + encrypt
    writer = BitWriter()
    writer.write(FRAME_VERSION, 4)
    writer.write(protection, 2)
    writer.write(int(record.user is not None), 1)
    writer.write(int(phash is not None), 1)
    writer.write(_seconds(record.ingested_at), TIME_BITS)
    for text in (record.asset, record.owner, record.user):
        if text is not None:
            write_text(writer, text)
    if phash is not None:
        writer.write(phash, FRAME_HASH_BITS)
    marks = -(-(writer.count + SEAL_BITS) // _DATA_BITS)
    if marks > MOST_DATA_MARKS:
        raise too_long(record, room=MOST_MARKS, hashed=phash is not None)
    body = writer.to_bytes(marks * _DATA_BITS // 8 - SEAL_BYTES)
    seal = _seal(body, subkeys)
    if encrypt and subkeys is not None:
        body = _encrypted(body, seal, subkeys)
    return body + seal


def open_frame(frame: bytes, *, subkeys: Subkeys | None = None) -> Opened | None:
    """Read a frame; None if its seal does not hold, be it damage, forgery or another key.

    A frame with a checksum opens with any key and with none.
    """
    body, seal = frame[:-SEAL_BYTES], frame[-SEAL_BYTES:]
    protection = body[0] >> 2 & 3
    if protection >= len(PROTECTIONS) or (protection and subkeys is None):
        return None
    if subkeys is not None and PROTECTIONS[protection] == "encrypted":
        body = _encrypted(body, seal, subkeys)
    expected = _seal(body, subkeys if protection else None)
    return _parse(body) if hmac.compare_digest(expected, seal) else None


def frame_tag(frame: bytes) -> int:
    """Give the tag that all marks of a frame carry."""
    return sha256(_TAG_LABEL + frame).digest()[0] >> (8 - TAG_BITS)


def field_bits(record: Record, *, hashed: bool = False) -> int:
    """Count the bits of a record in a frame, without padding and seal."""
    texts = [record.asset, record.owner] + ([] if record.user is None else [record.user])
    return HEADER_BITS + TIME_BITS + sum(map(text_bits, texts)) + FRAME_HASH_BITS * hashed


def marks_needed(record: Record, *, hashed: bool = False) -> int:
    """Count the marks that a record is split over, more than ``MOST_MARKS`` for one that is too long."""
    return marks_for(-(-(field_bits(record, hashed=hashed) + SEAL_BITS) // _DATA_BITS))


def room_for(marks: int) -> int:
    """Count the bits of a record that fit into so many marks, see ``field_bits``; 0 for too few marks."""
    data = data_marks(min(marks, MOST_MARKS))
    return 0 if data < LEAST_DATA_MARKS else data * _DATA_BITS - SEAL_BITS


def too_long(record: Record, *, room: int, hashed: bool = False) -> RecordTooLongError:
    """Say by how much a record exceeds a picture with room for so many marks, and what would fit."""
    needed = marks_needed(record, hashed=hashed)
    remedy = "use --mode link" if needed > MOST_MARKS else "use a larger picture or --mode link"
    spare = room_for(room) - HEADER_BITS - TIME_BITS
    texts = [record.asset, record.owner] + ([] if record.user is None else [record.user])
    letters = (spare - 9 * len(texts)) // 5
    if letters < len(texts):
        return RecordTooLongError(f"expected room for {needed} marks, found room for {room}; {remedy}")
    return RecordTooLongError(
        f"expected a record for {room} marks, texts of at most {spare} bits (about {letters} lower-case letters or "
        f"{letters * 3 // 2} digits in all), found texts of {sum(map(text_bits, texts))} bits, for {needed} marks; "
        f"shorten them, leave out the user, or {remedy}"
    )


def _seconds(time: datetime) -> int:
    """Count the seconds after the epoch, refusing a time that the frame cannot hold."""
    if not EPOCH <= time <= LATEST:
        raise ValueError(
            f"time: expected {format_time(EPOCH)} to {format_time(LATEST)} in record mode, found {format_time(time)}; "
            "use --mode link"
        )
    return int((time - EPOCH).total_seconds())


def _seal(body: bytes, subkeys: Subkeys | None) -> bytes:
    """Compute the seal of a plain body."""
    if subkeys is None:
        return sha256(_SEAL_LABEL + body).digest()[:SEAL_BYTES]
    return hmac.digest(subkeys.authentication, _SEAL_LABEL + body, "sha256")[:SEAL_BYTES]


def _encrypted(body: bytes, seal: bytes, subkeys: Subkeys) -> bytes:
    """Encrypt or decrypt all but the header."""
    secret = body[_HEADER_BYTES:]
    stream = keystream(subkeys.encryption, seal, len(secret))
    return body[:_HEADER_BYTES] + bytes(a ^ b for a, b in zip(secret, stream, strict=True))


def _parse(body: bytes) -> Opened | None:
    """Read the fields of a plain body; None for what no writer of a known version makes."""
    reader = BitReader(body)
    version, protection = reader.read(4), reader.read(2)
    if version != FRAME_VERSION:
        return Opened(version, None, None, None)
    has_user, has_hash = reader.read(1), reader.read(1)
    try:
        time = EPOCH + timedelta(seconds=reader.read(TIME_BITS))
        asset, owner = read_text(reader), read_text(reader)
        record = Record(asset, owner, read_text(reader) if has_user else None, time)
        phash = reader.read(FRAME_HASH_BITS) if has_hash else None
    except ValueError:
        return None
    return Opened(version, PROTECTIONS[protection], record, phash) if reader.rest_is_zero() else None
