"""The record behind a watermark: which asset, whose, taken in when, and for which user."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

MAX_CHARACTERS = 256  # longest asset, owner or user, in Unicode characters

# Categories of characters that would break a line, a terminal or a database.
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII)


def now() -> datetime:
    """Give the current time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Record:
    """What a watermark stands for.

    ``asset``, ``owner`` and ``user`` have 1 to 256 characters, not only blanks and no control characters;
    ``ingested_at`` has a time zone and is kept in UTC, cut to the second.
    """

    asset: str
    owner: str
    user: str | None = None
    ingested_at: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        _check_text(self.asset, name="asset")
        _check_text(self.owner, name="owner")
        if self.user is not None:
            _check_text(self.user, name="user")
        object.__setattr__(self, "ingested_at", _in_utc(self.ingested_at))

    def to_dict(self) -> dict[str, str | None]:
        """Give the record as the JSON object of the command-line contract."""
        return {
            "asset": self.asset,
            "owner": self.owner,
            "user": self.user,
            "ingested_at": format_time(self.ingested_at),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """Read what ``to_dict`` gives."""
        expected = {"asset", "owner", "user", "ingested_at"}
        if not isinstance(values, Mapping) or set(values) != expected:
            found = sorted(values) if isinstance(values, Mapping) else values
            raise ValueError(f"record: expected the keys {sorted(expected)}, found {found!r}")
        time = parse_time(values["ingested_at"])
        return cls(values["asset"], values["owner"], values["user"], time)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time with its offset as a time in UTC, cut to the second.

    >>> format_time(parse_time("2026-11-22T10:30:00.7+01:00"))
    '2026-11-22T09:30:00Z'
    """
    if not isinstance(text, str):
        raise ValueError(f"{_no_time(text)}; give date, time and Z or an offset")
    return _time_of(text)


@lru_cache(maxsize=4096)  # many records share a second
def _time_of(text: str) -> datetime:
    """The same of what is text."""
    problem = _no_time(text)
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{problem}; give date, time and Z or an offset")
    whole = re.sub(r"\.\d+", "", text.upper())
    try:
        return _in_utc(datetime.fromisoformat(whole))
    except ValueError as error:
        raise ValueError(f"{problem}; {error}") from error


def _no_time(found: object) -> str:
    return f"time: expected RFC 3339 like 2026-11-22T09:30:00Z, found {found!r}"


def format_time(time: datetime) -> str:
    """Write a time with a time zone as RFC 3339 in UTC, to the second, with Z."""
    return _text_of(_in_utc(time))


@lru_cache(maxsize=4096)  # many records share a second
def _text_of(time: datetime) -> str:
    """The same of a time in UTC."""
    return time.isoformat().removesuffix("+00:00") + "Z"


def _in_utc(time: datetime) -> datetime:
    """Convert a time to UTC and cut it to the second."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise ValueError(f"time: expected a datetime with a time zone, found {time!r}; use UTC")
    if time.tzinfo is UTC and not time.microsecond:
        return time
    try:
        return time.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise ValueError(f"time: expected the years 1 to 9999 in UTC, found {time}") from error


def _check_text(text: str, *, name: str) -> None:
    """Refuse a field that is no text, blank, too long, or not printable."""
    if not (isinstance(text, str) and text.strip()):
        raise ValueError(f"{name}: expected text that is not blank, found {text!r}; name the {name}")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{name}: expected at most {MAX_CHARACTERS} characters, found {len(text)}; shorten it")
    if text.isprintable():  # which such characters are not; a registry checks millions of names
        return
    control = [character for character in text if unicodedata.category(character) in _CONTROL]
    if control:
        raise ValueError(f"{name}: expected no control characters, found {control[0]!r}; remove it")
