from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.errors import RecordTooLongError
from payload.layout import (
    FRAME_LAYOUT,
    HEADER_BITS,
    LEAST_DATA_MARKS,
    MOST_DATA_MARKS,
    MOST_MARKS,
    data_marks,
    marks_for,
)
from payload.records.frame import EPOCH, LATEST, field_bits, marks_needed, open_frame, room_for, seal_frame, too_long
from payload.records.keys import derive_subkeys
from payload.records.record import Record, parse_time

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "record_vectors.json").read_text())
TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
KEY = derive_subkeys(b"0123456789abcdef")
OTHER = derive_subkeys(b"0123456789abcdeg")
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=6).filter(str.strip)
SECONDS = st.integers(0, 2**32 - 1).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
RECORDS = st.builds(Record, TEXT, TEXT, st.none() | TEXT, SECONDS)


@pytest.mark.parametrize("known", VECTORS["records"], ids=lambda known: known["record"]["asset"])
def test_records_give_the_known_frames(known: dict) -> None:
    record = Record.from_dict(known["record"])
    subkeys = derive_subkeys(known["secret"].encode()) if known["secret"] else None
    phash = int(known["phash"], 16) if known["phash"] else None
    frame = seal_frame(record, subkeys=subkeys, encrypt=known["encrypt"], phash=phash)
    assert frame.hex() == known["frame"]
    opened = open_frame(frame, subkeys=subkeys)
    assert opened is not None
    assert (opened.record, opened.phash) == (record, phash)


@given(RECORDS, st.booleans(), st.none() | st.integers(0, 2**32 - 1))
def test_whatever_is_sealed_opens_again(record: Record, encrypt: bool, phash: int | None) -> None:
    try:
        frame = seal_frame(record, subkeys=KEY, encrypt=encrypt, phash=phash)
    except RecordTooLongError:
        assert marks_needed(record, hashed=phash is not None) > MOST_MARKS
        return
    opened = open_frame(frame, subkeys=KEY)
    assert opened is not None
    assert (opened.record, opened.phash) == (record, phash)
    assert opened.protection == ("encrypted" if encrypt else "keyed")
    assert marks_for(len(frame) // 2) == marks_needed(record, hashed=phash is not None)


@given(RECORDS.filter(lambda record: marks_needed(record) <= MOST_MARKS), st.data())
def test_no_frame_opens_with_a_bit_changed(record: Record, data: st.DataObject) -> None:
    subkeys = data.draw(st.sampled_from([None, KEY]))
    frame = bytearray(seal_frame(record, subkeys=subkeys, encrypt=subkeys is not None and data.draw(st.booleans())))
    place = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[place // 8] ^= 1 << place % 8
    assert open_frame(bytes(frame), subkeys=subkeys) is None


def test_a_keyed_frame_needs_its_key() -> None:
    record = Record("123", "acme", "u1", TIME)
    for encrypt in (False, True):
        frame = seal_frame(record, subkeys=KEY, encrypt=encrypt)
        assert open_frame(frame) is None
        assert open_frame(frame, subkeys=OTHER) is None


def test_a_frame_without_a_key_opens_with_any_and_says_so() -> None:
    frame = seal_frame(Record("123", "acme", None, TIME))
    for subkeys in (None, KEY):
        opened = open_frame(frame, subkeys=subkeys)
        assert opened is not None and opened.protection == "checksum"


def test_an_encrypted_frame_shows_nothing_of_its_texts() -> None:
    first = seal_frame(Record("aaaaaaaaaaaa", "acme", None, TIME), subkeys=KEY, encrypt=True)
    second = seal_frame(Record("aaaaaaaaaaab", "acme", None, TIME), subkeys=KEY, encrypt=True)
    assert first[0] == second[0]
    same = sum(a == b for a, b in zip(first[1:], second[1:], strict=True))
    assert same <= 3  # about one byte in 256 by chance


def test_encryption_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="encryption: expected a key, found none"):
        seal_frame(Record("123", "acme", None, TIME), encrypt=True)


def test_an_unknown_version_is_named_and_not_read() -> None:
    opened = open_frame(bytes.fromhex(VECTORS["version_2"]["frame"]))
    assert opened is not None
    assert (opened.version, opened.record) == (2, None)


@pytest.mark.parametrize("time", ["1999-12-31T23:59:59Z", "2136-02-07T06:28:16Z"])
def test_times_that_the_frame_cannot_hold_are_refused(time: str) -> None:
    with pytest.raises(ValueError, match="expected 2000-01-01T00:00:00Z to 2136-02-07T06:28:15Z in record mode"):
        seal_frame(Record("123", "acme", None, parse_time(time)))


@pytest.mark.parametrize("time", [EPOCH, LATEST])
def test_the_first_and_the_last_second_are_kept(time: datetime) -> None:
    opened = open_frame(seal_frame(Record("1", "2", None, time)))
    assert opened is not None and opened.record is not None and opened.record.ingested_at == time


def test_a_record_too_long_for_any_picture_says_what_would_fit() -> None:
    with pytest.raises(RecordTooLongError, match=r"about \d+ lower-case letters .* for \d+ marks"):
        seal_frame(Record("a" * 200, "acme", None, TIME))


@pytest.mark.parametrize("room", range(marks_for(LEAST_DATA_MARKS), MOST_MARKS + 1))
def test_what_is_said_to_fit_does_fit(room: int) -> None:
    message = str(too_long(Record("z" * 90, "y", None, TIME), room=room))
    if "about" not in message:
        assert room_for(room) < HEADER_BITS + 32 + 2 * (9 + 5)
        return
    letters = int(message.split("about ")[1].split()[0])
    fitting = Record("z" * (letters - 1), "y", None, TIME)
    assert field_bits(fitting) <= room_for(room) + 5  # a length above 16 takes five bits more
    assert field_bits(replace(fitting, asset="z" * (letters + 1))) > room_for(room)


def test_the_layout_is_the_one_that_is_written() -> None:
    names = [field.name for field in FRAME_LAYOUT]
    assert names[:4] == ["version", "protection", "has user", "has hash"]
    assert HEADER_BITS == 8
    frame = seal_frame(Record("0", "0", "0", EPOCH + timedelta(seconds=1)), phash=0)
    assert frame[0] == 0b0001_00_1_1
    assert frame[1:5] == bytes([0, 0, 0, 1])


def test_a_third_of_the_marks_may_be_lost() -> None:
    for data in range(LEAST_DATA_MARKS, MOST_DATA_MARKS + 1):
        marks = marks_for(data)
        assert data_marks(marks) == data
        assert 3 * (marks - data) >= marks
