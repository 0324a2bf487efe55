from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payload.codes import bch
from payload.layout import WORD_BITS, data_marks, word_from_bits
from payload.records.assembly import RecordReading, read_records
from payload.records.erasure_code import split_frame
from payload.records.frame import frame_tag, open_frame, seal_frame
from payload.records.keys import derive_subkeys
from payload.records.record import Record

LogitsOf = Callable[..., np.ndarray]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "record_vectors.json").read_text())
TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
KEY = derive_subkeys(b"0123456789abcdef")
OTHER = derive_subkeys(b"another secret, 16 bytes or more")
ACME = Record("123", "acme", None, TIME)
NAMES = st.text(st.sampled_from("abcdefghijklmnop0123456789"), min_size=1, max_size=8)
SOME_RECORDS = st.builds(Record, NAMES, NAMES, st.none() | NAMES, st.just(TIME))


def words_of(record: Record, **protection) -> list[int]:
    return [mark.word for mark in split_frame(seal_frame(record, **protection))]


def same_tag(record: Record, *, count: int) -> list[Record]:
    """Other records whose marks have the tag of this one."""
    tag = frame_tag(seal_frame(record))
    others = (Record(str(number), "other", "x", TIME) for number in range(10_000))
    found = (other for other in others if frame_tag(seal_frame(other)) == tag)
    return [next(found) for _ in range(count)]


def logits(words: list[int], *, noise: float = 0.0, seed: int = 0) -> list[np.ndarray]:
    shifts = np.arange(WORD_BITS - 1, -1, -1, dtype=np.uint64)
    signs = (np.array(words, dtype=np.uint64)[:, None] >> shifts & 1) * 2.0 - 1
    return list(3.0 * signs + noise * np.random.default_rng(seed).normal(size=signs.shape))


def records(readings: list[RecordReading]) -> list[Record | None]:
    return [reading.record for reading in readings]


@pytest.mark.parametrize("known", VECTORS["records"], ids=lambda known: known["record"]["asset"])
def test_known_marks_read_as_their_record(known: dict) -> None:
    subkeys = derive_subkeys(known["secret"].encode()) if known["secret"] else None
    words = [word_from_bits(bits) for bits in known["marks"]]
    (found,) = read_records(logits(words)[::-1], subkeys=subkeys)
    assert found.record == Record.from_dict(known["record"])
    assert found.status == ("verified" if known["secret"] else "unverified")
    assert (found.read, found.embedded, found.needed) == (len(words), len(words), data_marks(len(words)))
    assert found.members == tuple(range(len(words)))
    assert found.words == tuple(words)
    assert found.phash == (int(known["phash"], 16) if known["phash"] else None)
    assert found.log10_p < -9


@given(SOME_RECORDS, st.data())
def test_a_third_of_the_marks_may_be_lost_in_any_order(record: Record, data: st.DataObject) -> None:
    words = words_of(record, subkeys=KEY)
    kept = data.draw(st.permutations(words))[: data_marks(len(words))]
    (found,) = read_records(logits(kept), subkeys=KEY)
    assert (found.status, found.record) == ("verified", record)
    assert (found.read, found.embedded) == (len(kept), len(words))


@given(SOME_RECORDS, st.data())
def test_with_one_more_lost_nothing_is_read_and_it_is_said(record: Record, data: st.DataObject) -> None:
    words = words_of(record)
    kept = data.draw(st.permutations(words))[: data_marks(len(words)) - 1]
    (found,) = read_records(logits(kept))
    assert (found.status, found.record, found.read) == ("unreadable", None, len(kept))
    assert found.problem is not None and "marks of a record" in found.problem


@settings(max_examples=25)
@given(SOME_RECORDS, st.data())
def test_wrong_marks_are_corrected_and_not_counted(record: Record, data: st.DataObject) -> None:
    words = words_of(record)
    readings = logits(words)
    wrong = data.draw(st.sets(st.integers(0, len(words) - 1), max_size=(len(words) - data_marks(len(words))) // 2))
    for place in wrong:
        readings[place] = readings[place] * np.where(np.arange(WORD_BITS) % 3 == 0, -1, 1)
    (found, *rest) = read_records(readings)
    assert found.record == record
    assert found.read == len(words) - len(wrong)
    assert all(reading.record is None for reading in rest)


def test_uncertain_bits_are_corrected_by_their_confidence() -> None:
    words = words_of(ACME)
    readings = logits(words, noise=1.5, seed=3)
    wrong = np.array(readings) * np.array(logits(words)) < 0
    assert 0 < wrong.mean() < 0.05
    assert records(read_records(readings)) == [ACME]


def test_records_in_one_picture_are_told_apart() -> None:
    others = [Record(str(number), "somebody", None, TIME) for number in range(4)]
    words = [word for record in [ACME, *others] for word in words_of(record)]
    order = np.random.default_rng(1).permutation(len(words))
    found = read_records([logits(words)[place] for place in order])
    assert {record.asset for record in records(found)} == {"123", "0", "1", "2", "3"}  # type: ignore[union-attr]
    assert all(reading.read == reading.embedded for reading in found)


@pytest.mark.parametrize("count", [1, 2])
def test_records_of_the_same_tag_are_told_apart(count: int) -> None:
    made = [ACME, *same_tag(ACME, count=count)]
    words = sorted(word for record in made for word in words_of(record))
    found = read_records(logits(words, noise=0.8))
    assert {record.asset for record in records(found) if record} == {record.asset for record in made}


def test_the_same_record_twice_is_one_record() -> None:
    (found,) = read_records(logits(words_of(ACME) * 2))
    assert (found.record, found.read) == (ACME, 12)
    assert len(found.members) == 24


def test_link_words_and_noise_are_left_out() -> None:
    links = [int(word) for word in bch.encode(np.arange(5, 4000, 400))]
    noise = list(np.random.default_rng(5).normal(size=(8, WORD_BITS)))
    found = read_records(logits(links) + noise + logits(words_of(ACME)))
    assert records(found)[0] == ACME
    assert found[0].members == tuple(range(len(links) + 8, len(links) + 8 + 12))
    assert read_records(logits(links)) == []


def test_a_keyed_record_without_its_key_is_unreadable() -> None:
    for encrypt in (False, True):
        readings = logits(words_of(ACME, subkeys=KEY, encrypt=encrypt))
        for subkeys in (None, OTHER):
            (found,) = read_records(readings, subkeys=subkeys)
            assert (found.status, found.record) == ("unreadable", None)


def test_a_record_made_without_the_key_is_never_verified() -> None:
    (plain,) = read_records(logits(words_of(ACME)), subkeys=KEY)
    assert (plain.status, plain.record) == ("unverified", ACME)
    (forged,) = read_records(logits(words_of(ACME, subkeys=OTHER)), subkeys=KEY)
    assert forged.status == "unreadable"


def test_an_unknown_version_is_said_and_not_read() -> None:
    words = [word_from_bits(bits) for bits in VECTORS["version_2"]["marks"]]
    (found,) = read_records(logits(words))
    assert (found.status, found.record, found.version) == ("unreadable", None, 2)
    assert found.problem == "record of version 2, this wam reads 1; update wam"


def test_two_marks_of_a_record_are_recognised_as_such() -> None:
    (found,) = read_records(logits(words_of(ACME)[:2]))
    assert (found.status, found.read, found.needed) == ("unreadable", 2, None)
    assert read_records(logits(words_of(ACME)[:1])) == []
    assert read_records([]) == []


def corrupted(words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random changes and losses, what the code can bear and far more: (n,) uint32 -> (m,)."""
    kind = rng.integers(4)
    changed = words.copy()
    hit = rng.random(len(words)) < rng.uniform(0.2, 1.0)
    if kind == 0:  # foreign marks in their place
        changed[hit] = rng.integers(0, 1 << 32, int(hit.sum()), dtype=np.uint32)
    elif kind == 1:  # bits wrong
        flips = rng.random((len(words), WORD_BITS)) < rng.uniform(0.02, 0.5)
        changed ^= np.packbits(flips & hit[:, None], axis=1).view(">u4").astype(np.uint32)[:, 0]
    elif kind == 2:  # right words of the code with wrong symbols
        changed[hit] ^= bch.encode(rng.integers(0, 1 << 21, int(hit.sum()))) ^ bch.encode(0)
    else:  # marks of one place in another
        changed[hit] = rng.permutation(changed[hit])
    return changed[rng.random(len(words)) < rng.uniform(0.5, 1.0)]


def wrong_records(count: int, *, seed: int) -> tuple[int, int]:
    """Corrupt marks so many times: how many other records were accepted, and how often the right one."""
    rng = np.random.default_rng(seed)
    kinds = [(ACME, None, False), (Record("IMG-7", "acme", "u1", TIME), KEY, False), (ACME, KEY, True)]
    made = [(record, np.array(words_of(record, subkeys=key, encrypt=e), np.uint32), key) for record, key, e in kinds]
    wrong = right = 0
    for number in range(count):
        record, words, key = made[number % len(made)]
        found = read_records(logits(list(corrupted(words, rng))), subkeys=key)
        accepted = [reading.record for reading in found if reading.record is not None]
        wrong += any(other != record for other in accepted)
        right += record in accepted
    return wrong, right


def test_no_corruption_is_accepted_as_another_record() -> None:
    wrong, right = wrong_records(600, seed=0)
    assert wrong == 0
    assert 60 < right < 540


@pytest.mark.slow
def test_no_corruption_of_100_000_is_accepted_as_another_record() -> None:
    wrong, right = wrong_records(100_000, seed=1)
    assert wrong == 0
    assert 10_000 < right < 90_000


def test_no_frame_of_100_000_random_ones_opens() -> None:
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (100_000, 16), dtype=np.uint8)
    assert not any(open_frame(frame.tobytes()) or open_frame(frame.tobytes(), subkeys=KEY) for frame in frames)
