from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.records.record import MAX_CHARACTERS, Record, format_time, parse_time

TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]),
    min_size=1,
    max_size=MAX_CHARACTERS,
).filter(str.strip)
ZONES = st.timezones() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)


def test_a_record_prints_as_the_contract_says() -> None:
    assert Record("123", "acme", None, TIME).to_dict() == {
        "asset": "123",
        "owner": "acme",
        "user": None,
        "ingested_at": "2026-11-22T09:30:00Z",
    }


@given(TEXTS, TEXTS, st.none() | TEXTS, TIMES)
def test_records_survive_being_written(asset: str, owner: str, user: str | None, time: datetime) -> None:
    record = Record(asset, owner, user, time)
    assert Record.from_dict(record.to_dict()) == record


def test_the_time_is_kept_in_utc_to_the_second() -> None:
    eastern = datetime(2026, 11, 22, 4, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=-5)))
    assert Record("123", "acme", None, eastern).ingested_at == TIME


def test_the_time_is_now_unless_given() -> None:
    age = datetime.now(UTC) - Record("123", "acme").ingested_at
    assert timedelta(0) <= age < timedelta(seconds=10)


@pytest.mark.parametrize("name", ["asset", "owner", "user"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "expected text that is not blank, found ''"),
        (" \u3000", "expected text that is not blank"),
        ("x" * (MAX_CHARACTERS + 1), "expected at most 256 characters, found 257"),
        ("a\nb", r"found '\\n'"),
        ("a\x00b", "control characters"),
        ("a\u2028b", "control characters"),
        ("\ud800", "control characters"),
        (123, "expected text that is not blank, found 123"),
    ],
)
def test_bad_fields_are_refused_by_name(name: str, value: object, message: str) -> None:
    fields = {"asset": "123", "owner": "acme", "user": None} | {name: value}
    with pytest.raises(ValueError, match=rf"{name}: expected.*{message}|{name}: {message}"):
        Record(**fields, ingested_at=TIME)  # type: ignore[arg-type]


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a datetime with a time zone"):
        Record("123", "acme", None, datetime(2026, 11, 22))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T09:30:00Z",
        "2026-11-22t09:30:00z",
        "2026-11-22 09:30:00.999999999Z",
        "2026-11-22T10:30:00+01:00",
        "2026-11-21T23:00:00-10:30",
    ],
)
def test_rfc_3339_times_are_read(text: str) -> None:
    assert format_time(parse_time(text)) == "2026-11-22T09:30:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T09:30:00",
        "2026-11-22T09:30Z",
        "20261122T093000Z",
        "2026-02-30T09:30:00Z",
        "2026-11-22T25:30:00Z",
        "2026-11-22T09:30:60Z",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٦-11-22T09:30:00Z",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time: expected"):
        parse_time(text)


@pytest.mark.parametrize("values", [None, [], {}, {"asset": "1"}])
def test_objects_with_other_keys_are_refused(values: object) -> None:
    with pytest.raises(ValueError, match="record: expected the keys"):
        Record.from_dict(values)  # type: ignore[arg-type]


def test_objects_with_numbers_are_refused() -> None:
    values = Record("123", "acme").to_dict()
    with pytest.raises(ValueError, match="asset: expected text"):
        Record.from_dict(values | {"asset": 123})
    with pytest.raises(ValueError, match="time: expected RFC 3339"):
        Record.from_dict(values | {"ingested_at": None})
