"""Whom a plain word names: in a large registry nobody, unless the picture agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from payload import Record, bits_from_word, encode
from payload.layout import ID_COUNT
from payload.registry import Registry
from payload.registry.entry import Entry
from tests.wam.pipeline.test_labels import CLEAR, detection, read_votes
from tests.wam.synthetic import varied_picture
from wam.pipeline.binding import Part, cells_of, sketch_of
from wam.pipeline.contract import detect_object, watermark_object
from wam.pipeline.read import Examined, Findings, Reading, judge, may_lead
from wam.pipeline.registered_words import RegisteredWords
from wam.pipeline.transplant import Hashes
from wam.pipeline.verdict import judge_origin
from wam.region import Region
from wam.signal.demodulation import limited
from wam.signal.pattern import Carrier
from wam.watermarker import Detection

WORD = int(encode(np.array([77], np.uint32))[0])
PICTURE, OTHER = varied_picture(seed=1), varied_picture(seed=2)
RECORD = Record("1", "acme")
SMALL, LARGE, VAST = 20_000, 100_000, 1_000_000  # records: about 1, 5 and 48% of all words


class Listed(RegisteredWords):
    """Registries that have so many words, and one entry in each; only the list of words is that long."""

    def __init__(self, path: Path, count: int, *entries: Entry) -> None:
        names = [f"{number}.sqlite" for number in range(max(1, len(entries)))]
        super().__init__([Registry.open(str(path / name)) for name in names])
        self.words = encode(np.arange(count, dtype=np.uint32))
        self.entries = list(zip(names, entries, strict=False))

    def get(self, *, label: Any = None, renew: bool = False) -> Any:
        return self.words

    def find(self, word: int, *, label: Any = None) -> list[tuple[str, Entry]]:
        return [one for one in self.entries if one[1].word == word]


def entry(**more: Any) -> Entry:
    return Entry(**{"serial": 77, "word": WORD, "record": RECORD, "state": "marked", **more})


def whole(**more: Any) -> Detection:
    """A clear plain mark over a whole picture."""
    return replace(detection(WORD, None), region=Region((0, 0, 128, 128), 1.0, ()), **more)


def part_of(pixels: np.ndarray) -> Part:
    cells = cells_of(pixels)
    return cells, np.ones(cells.shape, bool)


def read(
    words: RegisteredWords,
    one: Detection | None = None,
    *,
    part: Part | None = None,
    hashes: Hashes = Hashes(),  # noqa: B008 - it is frozen
    keyed: bool = False,
) -> Reading | None:
    """What is said of a mark; None where it is not reported."""
    examined = Examined(128, 128, (one or whole(),), None, -4.0, hashes=hashes, parts=(part,), secret=(keyed,))
    found = judge(examined, words).readings
    assert all(isinstance(reading, Reading) for reading in found)
    return next((reading for reading in found if isinstance(reading, Reading)), None)


NEAR, FAR = Hashes((0,), (0,)), Hashes((0xFFFFFFFF,), ((1 << 128) - 1,))
KEPT = {"phash": 0, "pdq": 0}
OWN_PART, OTHER_PART = part_of(PICTURE), part_of(OTHER)
SKETCH = sketch_of(PICTURE)


@pytest.mark.parametrize(
    ("count", "kept", "seen", "binding", "named"),
    [
        (SMALL, {}, {}, "unbound", True),
        (SMALL, {"sketch": SKETCH}, {"part": OTHER_PART}, "other", True),
        (LARGE, {}, {}, "unbound", False),
        (LARGE, {"sketch": SKETCH}, {"part": OWN_PART}, "own", True),
        (LARGE, {"sketch": SKETCH}, {"part": OTHER_PART}, "other", False),
        (LARGE, KEPT, {"hashes": NEAR}, "own", True),
        (LARGE, KEPT, {"hashes": FAR}, "other", False),
        (LARGE, {"phash": 0}, {"hashes": NEAR}, "own", True),
        (VAST, {"phash": 0}, {"hashes": NEAR}, "own", False),  # so many pass a hash of 64 bits
        (VAST, KEPT, {"hashes": NEAR}, "own", True),
        (VAST, {"sketch": SKETCH}, {"part": OWN_PART}, "own", True),
        (VAST, {}, {"keyed": True}, "unbound", True),  # strangers have no mark of this key
    ],
)
def test_a_plain_mark_is_named_where_few_words_or_the_picture_say_so(
    tmp_path: Path, count: int, kept: dict[str, Any], seen: dict[str, Any], binding: str, named: bool
) -> None:
    found = read(Listed(tmp_path, count, entry(**kept)), **seen)
    assert found is not None and found.link == entry().link and found.message == bits_from_word(WORD)
    if named:
        assert (found.status, found.record, found.binding) == ("verified", RECORD, binding)
        assert found.registry == "0.sqlite" and found.candidates == () and found.name_log10_p is not None
        assert found.name_log10_p <= -2 or seen.get("keyed")
        return
    assert (found.status, found.record, found.entry, found.binding) == ("unregistered", None, None, None)
    assert found.registry is None and found.name_log10_p is None and not found.transplanted
    (one,) = found.candidates
    assert (one.registry, one.entry.record, one.binding) == ("0.sqlite", RECORD, binding)
    assert -2 < one.name_log10_p <= np.log10(count / ID_COUNT) + 1e-6


def test_what_is_kept_back_is_told_only_where_it_is_asked_for(tmp_path: Path) -> None:
    found = read(Listed(tmp_path, LARGE, entry()))
    assert found is not None and not may_lead(found)
    plain, asked = watermark_object(found), watermark_object(found, candidates=True)
    assert "candidates" not in plain and "acme" not in str(plain)
    assert asked.pop("candidates") == [
        {
            "link": entry().link,
            "record": {"asset": "1", "owner": "acme", "user": None, "ingested_at": asked_time(found)},
            "binding": "unbound",
            "name_log10_p": -1.32,
            "registry": "0.sqlite",
        }
    ]
    assert asked == plain
    origin = judge_origin(Findings(128, 128, (found,)))
    assert origin.verdict == "unconfirmed" and "acme" not in " ".join(origin.reasons)
    small = read(Listed(tmp_path, SMALL, entry()))
    assert small is not None and watermark_object(small, candidates=True)["candidates"] == []


def asked_time(found: Reading) -> str:
    return str(found.candidates[0].entry.record.to_dict()["ingested_at"])


def test_of_several_registries_the_one_whose_picture_it_is_is_named(tmp_path: Path) -> None:
    theirs, ours = replace(entry(phash=0xFFFFFFFF), record=Record("2", "zenith")), entry(sketch=SKETCH)
    found = read(Listed(tmp_path, LARGE, theirs, ours), part=OWN_PART)
    assert found is not None and (found.registry, found.record) == ("1.sqlite", RECORD)
    assert found.also_in == ("0.sqlite",)
    neither = read(Listed(tmp_path, LARGE, theirs, ours, entry(sketch=SKETCH)), part=OTHER_PART)
    assert neither is not None and neither.record is None  # the third is a copy of the second: listed once
    assert [(one.registry, one.binding) for one in neither.candidates] == [
        ("0.sqlite", "unbound"),
        ("1.sqlite", "other"),
    ]


def test_a_faint_mark_of_a_registered_word_stays_listed(tmp_path: Path) -> None:
    faint = whole(log10_p=-3.0)
    found = read(Listed(tmp_path, LARGE, entry()), faint)
    assert found is not None and found.status == "unregistered" and len(found.candidates) == 1
    assert read(Listed(tmp_path, 50), faint) is None


def test_an_object_without_the_option_has_no_candidates(tmp_path: Path) -> None:
    found = read(Listed(tmp_path, LARGE, entry()))
    assert found is not None
    said = detect_object(Findings(128, 128, (found,)), image="a.png", model="m", candidates=True)
    assert len(said["watermarks"][0]["candidates"]) == 1
    assert "candidates" not in detect_object(Findings(128, 128, (found,)), image="a.png", model="m")["watermarks"][0]


class Withdrawn(Listed):
    """So many records of the registry were taken back, that of the mark among them."""

    @property
    def taken_back(self) -> int:
        return len(self.words)

    def get(self, *, label: Any = None, renew: bool = False) -> Any:
        return np.empty(0, np.uint32)


@pytest.mark.parametrize(
    ("count", "seen", "status"),
    [
        (SMALL, {}, "withdrawn"),
        (LARGE, {}, "unregistered"),
        (LARGE, {"part": OTHER_PART}, "unregistered"),
        (LARGE, {"part": OWN_PART}, "withdrawn"),
        (LARGE, {"keyed": True}, "withdrawn"),
    ],
)
def test_a_strangers_mark_is_not_said_to_be_withdrawn(
    tmp_path: Path, count: int, seen: dict[str, Any], status: str
) -> None:
    found = read(Withdrawn(tmp_path, count, entry(sketch=SKETCH, state="withdrawn")), **seen)
    assert found is not None and (found.status, found.record, found.candidates) == (status, None, ())
    assert found.registry == ("0.sqlite" if status == "withdrawn" else None)
    origin = judge_origin(Findings(128, 128, (found,)))
    assert origin.verdict == ("contradicted" if status == "withdrawn" else "unconfirmed")


class Everywhere(Listed):
    """Each word of the list is behind an entry, of a picture of its own."""

    def find(self, word: int, *, label: Any = None) -> list[tuple[str, Entry]]:
        known = bool((self.words == np.uint32(word)).any())
        return [("0.sqlite", Entry(1, word, RECORD, "marked", phash=0, sketch=SKETCH))] if known else []


def test_plain_marks_of_foreign_registries_name_nothing_among_a_million(tmp_path: Path) -> None:
    """Of any strength, each on a picture of its own: half of their words are ours."""
    words, reader = Everywhere(tmp_path, VAST), Carrier.from_key()
    generator, noise = np.random.default_rng(7), torch.Generator().manual_seed(7)
    found = dict.fromkeys(("read", "kept back", "named"), 0)
    for place, word in enumerate(encode(generator.choice(ID_COUNT, 120).astype(np.uint32)).tolist()):
        bits = torch.tensor([[int(bit) for bit in bits_from_word(word)]])
        signs = CLEAR[place % len(CLEAR)] * reader.signs(bits)[0]
        mark = torch.view_as_real(torch.polar(torch.ones_like(signs), reader.lead(None)) * signs)
        one = read_votes(limited(mark + torch.randn(len(reader.phases), 2, generator=noise)), reader)
        reading = None if one is None else read(words, one, part=OTHER_PART if place % 2 else None)
        found["read"] += reading is not None
        found["named"] += reading is not None and (reading.record is not None or reading.status == "verified")
        found["kept back"] += reading is not None and bool(reading.candidates)
    assert found["named"] == 0
    assert found["read"] > 30 and found["kept back"] > 10, found


def test_a_mark_out_of_focus_may_lie_on_the_pictures_negative(tmp_path: Path) -> None:
    negative = part_of(255 - PICTURE)
    for out_of_focus, binding in ((False, "other"), (True, "own")):
        mark = whole()
        mark = replace(mark, pose=replace(mark.pose, out_of_focus=out_of_focus))
        found = read(Listed(tmp_path, SMALL, entry(sketch=SKETCH)), mark, part=negative)
        assert found is not None and (found.binding, found.transplanted) == (binding, not out_of_focus)
