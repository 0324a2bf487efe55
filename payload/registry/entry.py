"""What the registry holds about one id: its record and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from payload.codes import bch
from payload.codes.id_permutation import permute
from payload.codes.short_link import format_link, parse_link_parts
from payload.phash import PHASH_BITS
from payload.records.record import Record, format_time, now, parse_time
from payload.registry.generations import FIRST_GENERATION, LABELLED, SCHEME, STORED
from payload.registry.pdq import PDQ_BITS, pdq_text
from payload.sketch import Sketch

State = Literal["pending", "marked", "discarded", "withdrawn", "erased"]
STATES: tuple[State, ...] = get_args(State)
IN_USE: tuple[State, ...] = ("pending", "marked")  # states whose word may be in a picture that is to be recognised
TAKEN_BACK: tuple[State, ...] = ("withdrawn", "erased")  # whose record is no longer named
ERASED = "erased"  # what asset and owner of a record are whose user's data were erased

_HASH_DIGITS = PHASH_BITS // 4
_SOURCE_DIGITS = 64  # SHA-256
_LATER = ("generation", "scheme", "source", "sketch")  # what exports of version 1 have not
_LATEST = ("pdq",)  # what those before version 4 have not


@dataclass(frozen=True)
class Entry:
    """One allocated id.

    ``serial`` counts allocations from 0 and ``word`` is the link word that the picture carries; ``scheme`` names how
    words are made of serial numbers and whether marks of it carry a label, see ``generations``, and no two entries of
    one ``generation`` have the same word. ``source`` is the SHA-256
    of the file that was marked, in hexadecimal digits, None where it is not known. ``phash`` is the 64-bit hash of the
    marked picture and ``output`` where it was written, None until the mark is confirmed; ``sketch``, too, which parts
    of pictures are compared with (``payload.sketch``), and ``pdq``, its fingerprint of 256 bits, by which copies
    without a mark are found. ``updated_at`` is the time of the latest change of ``state``.
    """

    serial: int
    word: int
    record: Record
    state: State = "pending"
    phash: int | None = None
    output: str | None = None
    updated_at: datetime = field(default_factory=now)
    generation: int = FIRST_GENERATION
    scheme: str = SCHEME
    source: str | None = None
    sketch: str | None = None
    pdq: int | None = None

    @property
    def link(self) -> str:
        """Give the short link of the word."""
        return format_link(self.word, self.generation)

    @property
    def labelled(self) -> bool:
        """Whether its mark carries the label of its registry and generation."""
        return self.scheme == LABELLED

    def to_row(self) -> dict[str, Any]:
        """Give the columns of the entry table."""
        return {
            "serial": self.serial,
            "word": self.word,
            "state": self.state,
            **self.record.to_dict(),
            "phash": hash_text(self.phash),
            "output": self.output,
            "updated_at": format_time(self.updated_at),
            "generation": self.generation,
            "scheme": self.scheme,
            "source": self.source,
            "sketch": self.sketch,
            "pdq": pdq_text(self.pdq),
        }

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Entry:
        """Read the columns of the entry table."""
        return cls(
            serial=row["serial"],
            word=row["word"],
            record=Record(row["asset"], row["owner"], row["user"], parse_time(row["ingested_at"])),
            state=row["state"],
            phash=_bits(row["phash"]),
            output=row["output"],
            updated_at=parse_time(row["updated_at"]),
            generation=row["generation"],
            scheme=row["scheme"],
            source=row["source"],
            sketch=row["sketch"],
            pdq=_bits(row["pdq"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as a JSON object, as ``wam registry show`` and ``export`` write it."""
        return {
            "serial": self.serial,
            "link": self.link,
            "state": self.state,
            "record": self.record.to_dict(),
            "phash": hash_text(self.phash),
            "output": self.output,
            "updated_at": format_time(self.updated_at),
            "generation": self.generation,
            "scheme": self.scheme,
            "source": self.source,
            "sketch": self.sketch,
            "pdq": pdq_text(self.pdq),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, version: int = 4) -> Entry:
        """Read what ``to_dict`` gives in an export of that version; 0.2.0, of 1, knew one generation and scheme."""
        later = version > 1
        _check_keys(values, lacking=() if version > 3 else _LATEST if later else (*_LATER, *_LATEST))
        if values["state"] not in STATES:
            raise ValueError(f"expected a state of {STATES}, found {values['state']!r}")
        word, generation = parse_link_parts(values["link"])
        if later and generation != values["generation"]:
            raise ValueError(f"generation: expected {generation}, as the link says, found {values['generation']!r}")
        entry = cls(
            serial=values["serial"],
            word=word,
            record=Record.from_dict(values["record"]),
            state=values["state"],
            phash=_bits_from_text(values["phash"], PHASH_BITS),
            output=values["output"],
            updated_at=parse_time(values["updated_at"]),
            **({name: values[name] for name in _LATER} if later else {}),
            pdq=_bits_from_text(values.get("pdq"), PDQ_BITS),
        )
        for name, written in entry.to_dict().items():  # times with an offset, links in lower case and the like
            if name in values and values[name] != written:
                raise ValueError(f"{name}: expected {written!r}, found {values[name]!r}")
        return entry


def word_of(secret: bytes, serial: int) -> int:
    """Give the link word of a serial number."""
    return int(bch.encode(permute(secret, serial)))


def words_of(secret: bytes, first: int, count: int) -> list[int]:
    """Give the link words of serial numbers that follow one another, together, which is quicker."""
    words: list[int] = bch.encode(permute(secret, np.arange(first, first + count))).tolist()
    return words


def hash_text(phash: int | None) -> str | None:
    """Write a perceptual hash as 16 hexadecimal digits."""
    if phash is None:
        return None
    if not 0 <= phash < 1 << PHASH_BITS:
        raise ValueError(f"expected a hash of {PHASH_BITS} bits, found {phash}; use hash_rgb")
    return f"{phash:0{_HASH_DIGITS}x}"


def _bits(text: str | None) -> int | None:
    """A hash of the database."""
    return None if text is None else int(text, 16)


def _bits_from_text(text: Any, bits: int) -> int | None:
    """Read hexadecimal digits as a hash of so many bits."""
    if text is None:
        return None
    if not isinstance(text, str) or len(text) != bits // 4:
        raise ValueError(f"expected {bits // 4} hexadecimal digits, found {text!r}")
    if not set(text) <= set("0123456789abcdef"):  # int() takes signs, blanks and underscores too
        raise ValueError(f"expected {bits // 4} hexadecimal digits, found {text!r}")
    return int(text, 16)


@lru_cache(maxsize=8)
def _keys(lacking: tuple[str, ...]) -> frozenset[str]:
    """The keys of an entry's JSON object but for those that its version has not."""
    return frozenset({"link"} | {item.name for item in fields(Entry)} - {"word"} - set(lacking))


def _check_keys(values: Any, *, lacking: tuple[str, ...]) -> None:
    """Check the keys of an entry's JSON object and the types that nothing else checks; ``lacking``: what its version
    has not."""
    expected = _keys(lacking)
    if not isinstance(values, Mapping) or values.keys() != expected:
        found = sorted(values) if isinstance(values, Mapping) else values
        raise ValueError(f"expected the keys {sorted(expected)}, found {found!r}")
    texts = isinstance(values["link"], str) and isinstance(values["output"], str | None)
    output = values["output"] or ""
    if texts and ("\0" in output or any("\ud800" <= character <= "\udfff" for character in output)):
        raise ValueError(f"output: expected text without null characters and lone surrogates, found {output!r}")
    if not texts or type(values["serial"]) is not int:
        raise ValueError(f"expected a whole serial, a link, and an output or null, found {dict(values)!r}")
    if "generation" in expected:
        _check_later(values)


def _check_later(values: Mapping[str, Any]) -> None:
    """The same of what exports of version 1 have not."""
    if type(values["generation"]) is not int:
        raise ValueError(f"generation: expected a whole number, found {values['generation']!r}")
    if values["scheme"] not in STORED.values():
        raise ValueError(f"scheme: expected {' or '.join(STORED.values())}, found {values['scheme']!r}; update wam")
    if values["scheme"] == SCHEME and values["generation"] != FIRST_GENERATION:
        raise ValueError(f"generation: expected {FIRST_GENERATION} of {SCHEME}, found {values['generation']!r}")
    source = values["source"]
    if source is not None and not (
        isinstance(source, str) and len(source) == _SOURCE_DIGITS and set(source) <= set("0123456789abcdef")
    ):
        raise ValueError(f"source: expected {_SOURCE_DIGITS} hexadecimal digits or null, found {source!r}")
    if values["sketch"] is not None:
        if not isinstance(values["sketch"], str):
            raise ValueError(f"sketch: expected text or null, found {values['sketch']!r}")
        Sketch.from_text(values["sketch"])
