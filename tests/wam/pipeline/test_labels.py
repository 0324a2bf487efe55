"""Labelled words from registry to picture and back: whose mark it is, of which generation, and whom nobody names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wam
from payload import Record, bits_from_word, encode, read_word
from payload.layout import ID_COUNT
from payload.registry import Registry
from payload.registry.reservations import Wanted
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam import studio as module
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.message_clustering import Cluster
from wam.detection.pose_reading import with_own_label
from wam.detection.synchronization import joint_score, label_evidence
from wam.detection.view import View
from wam.models.protocol import FoundPose
from wam.networks.extractor import ExtractorOutput
from wam.pipeline.contract import detect_object, watermark_object
from wam.pipeline.read import Examined, Findings, Reading, judge
from wam.pipeline.registered_words import RegisteredWords, label_of, labels_of
from wam.region import Region
from wam.signal.demodulation import limited
from wam.signal.label import FOREIGN, Label
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.watermarker import Detection

Open = Callable[..., wam.Studio]
EVIDENCE = DEFAULT_SEARCH.synchronization


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Studios with a light model."""

    def light(model: str, *, keys: tuple[bytes | None, ...], **_: Any) -> Any:
        return handmade_marker(*keys)

    monkeypatch.setattr(module, "load_model", light)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    monkeypatch.delenv("WAM_KEY", raising=False)
    return wam.Studio


def opened(tmp_path: Path, name: str, *, labelled: bool = True) -> Registry:
    registry = Registry.open(str(tmp_path / name))
    if labelled:
        registry.give("labelled")
    return registry


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(smooth_picture(seed=seed))


def only(found: Findings) -> Reading:
    (reading,) = found.marks
    assert isinstance(reading, Reading)
    return reading


def test_marks_of_both_schemes_and_of_each_generation_are_named(studio: Open, tmp_path: Path) -> None:
    registry = opened(tmp_path, "own.sqlite", labelled=False)
    own = studio(registry)
    plain = own.mark(picture(0), asset="plain", owner="acme")
    registry.give("labelled")
    own = studio(registry)  # another process: the list of labels is up to a minute old
    first = own.mark(picture(1), asset="first", owner="acme")
    registry.open_generation()
    own = studio(registry)
    second = own.mark(picture(2), asset="second", owner="acme")
    assert [len(str(one.link)) for one in (plain, first, second)] == [12, 12, 17]
    labels = []
    for asset, done in (("plain", plain), ("first", first), ("second", second)):
        found = only(own.read(done.content))
        assert found.record is not None and (found.status, found.record.asset) == ("verified", asset)
        assert found.link == done.link == registry.show(str(done.link)).link
        said = watermark_object(found)["label"]
        labels.append(None if said is None else (said["known"], said["generation"]))
    assert labels == [None, (True, 0), (True, 1)]
    again = own.mark(picture(1), asset="first", owner="acme")
    assert again.link == first.link and again.content == first.content  # an earlier generation's id is used again


def test_a_mark_of_another_registry_is_said_to_be_one(studio: Open, tmp_path: Path) -> None:
    theirs, ours = opened(tmp_path, "theirs.sqlite"), opened(tmp_path, "ours.sqlite")
    done = studio(theirs).mark(picture(), asset="theirs", owner="zenith")
    plain = opened(tmp_path, "plain.sqlite", labelled=False)
    for reader in (studio(ours), studio(plain), studio()):
        found = reader.read(done.content)
        reading = only(found)
        assert (reading.status, reading.record, reading.link) == ("unregistered", None, None)
        assert reading.message == done.report.messages[0]  # read by the public half
        (mark,) = detect_object(found, image="a.png", model="m")["watermarks"]
        assert mark["label"] == {"known": False, "namespace": None, "generation": None}
        assert mark["name_log10_p"] is None and mark["registry"] is None
    both = studio([ours, theirs]).read(done.content)
    assert only(both).registry == theirs.name and only(both).status == "verified"


def test_the_same_word_of_another_registry_names_nothing(studio: Open, tmp_path: Path) -> None:
    """Also where every word is ours: under their label, as a plain word, and of another generation."""
    ours = opened(tmp_path, "ours.sqlite")
    entries = [one.entry for one in ours.reserve([Wanted(Record(str(n), "acme")) for n in range(3)])]
    words = RegisteredWords(ours)
    own = label_of(ours, entries[0])
    assert own is not None and words.labels == (own,) == labels_of(ours)
    foreign = (Label(own.namespace ^ 1), None, Label(own.namespace, 1))
    for entry in entries:
        assert [name for name, _ in words.find(entry.word, label=own)] == [ours.name]
        assert [words.find(entry.word, label=label) for label in foreign] == [[], [], []]


def detection(word: int, label: Label | None, *, foreign: bool = False, label_log10_p: float = -8.0) -> Detection:
    """A clear mark of a word in half of a picture."""
    logits = np.where([bit == "1" for bit in bits_from_word(word)], 6.0, -6.0).astype(np.float32)
    mask = np.zeros((8, 8), bool)
    mask[:, :4] = True
    return Detection(
        bits=bits_from_word(word), logits=logits, region=Region((0, 0, 64, 128), 0.5, ()), score=60.0,
        log10_p=-20.0, mask_score=0.9, pose=FoundPose(), key=0, coarse_mask=mask, size=(128, 128), label=label,
        foreign=foreign, label_log10_p=label_log10_p if label is not None else 0.0,
    )  # fmt: skip


def judged(one: Detection, words: RegisteredWords) -> Reading:
    return only(judge(Examined(128, 128, (one,), None, -4.0), words))


class Full(RegisteredWords):
    """A registry's words with others as well, as if it had so many records: only the list of words is that long."""

    def __init__(self, registry: Registry, label: Label | None, count: int) -> None:
        super().__init__(registry)
        numbers = np.random.default_rng(5).choice(ID_COUNT, count, replace=False)
        self.own, self.listed = label, encode(numbers)

    def get(self, *, label: Label | None = None, renew: bool = False) -> Any:
        return self.listed if label == self.own else np.empty(0, np.uint32)


KNOWN = 3  # generations of ours
CLEAR = (0.8, 1.0, 1.5, 3.0)  # amplitudes of a mark in votes of unit noise: the least is seldom read, the last is clear
THRESHOLD, BIT_SLOPE = 13.86, 4.592  # of the shipped model


def read_votes(votes: torch.Tensor, reader: Carrier) -> Detection | None:
    """What a search makes of votes (K, 2) at a mark's pose: the best label, whether it bears that out, its word."""
    turns = torch.polar(torch.ones_like(reader.leads), -reader.leads)
    turned = torch.view_as_real(torch.view_as_complex(votes.contiguous()) * turns)  # (1 + L, K, 2)
    scores, bits = joint_score(turned, reader, EVIDENCE)
    pixels = torch.ones(8, 8)
    view = View(pixels.expand(1, 3, 8, 8), ExtractorOutput(pixels, pixels), reader, THRESHOLD, DEFAULT_SEARCH)
    number = int((scores - torch.tensor([view.threshold_of(one) for one in range(len(scores))])).argmax())
    if float(scores[number]) < view.threshold_of(number):
        return None
    own, half = turned[number], ~reader.labelled
    evidence = float(label_evidence(own, reader, EVIDENCE))
    public_score, public = joint_score(own[half], reader.public_half, EVIDENCE)
    cluster = Cluster(bits[number], float(scores[number]), pixels, evidence, public, float(public_score))
    cluster, label = with_own_label(view, cluster, Pose.upright(1.0), None, number)
    found = reader.labels[label - 1] if label > 0 else None
    return replace(
        detection(0, found, foreign=label == FOREIGN),
        logits=(cluster.votes * BIT_SLOPE).numpy(),
        label_log10_p=min(0.0, math.log10(len(reader.labels)) - evidence / math.log(10)) if label > 0 else 0.0,
    )


def test_two_thousand_marks_of_ten_foreign_registries_name_nothing(tmp_path: Path) -> None:
    """Of any strength, against a million records that have half of their words; ours of that strength are named."""
    ours = opened(tmp_path, "ours.sqlite")
    for _ in range(KNOWN - 1):
        ours.open_generation()
    labels = labels_of(ours)
    reader, words = Carrier.from_key(labels=labels), Full(ours, labels[0], 1_000_000)
    generator, noise = np.random.default_rng(7), torch.Generator().manual_seed(7)
    numbers = generator.choice(ID_COUNT, 2000)
    found: dict[str, int] = dict.fromkeys(("read", "foreign", "of our words", "named", "ours named", "ours clear"), 0)
    namespaces = [int(one) for one in generator.integers(1, 1 << 63, 10)]
    for place, word in enumerate(encode(numbers).tolist()):
        level = CLEAR[place % len(CLEAR)]
        bits = torch.tensor([[int(bit) for bit in bits_from_word(word)]])
        unit = torch.randn(len(reader.phases), 2, generator=noise)
        signs = level * reader.signs(bits)[0]
        foreign = Label(namespaces[place % 10], place // 700)
        for label in (foreign, labels[0]) if place % 101 == 0 else (foreign,):  # a million words take a while
            mark = torch.view_as_real(torch.polar(torch.ones_like(signs), reader.lead(label)) * signs)
            one = read_votes(limited(mark + unit), reader)
            verified = one is not None and judged_status(one, words) == "verified"
            if label == labels[0]:
                registered = bool((words.listed == word).any())
                found["ours clear"] += registered and level > 1
                found["ours named"] += registered and level > 1 and verified
                continue
            found["of our words"] += bool((words.listed == word).any())
            found["read"] += one is not None
            found["foreign"] += one is not None and one.foreign
            found["named"] += verified
    assert found["named"] == 0
    assert found["of our words"] > 800 and found["read"] > 250 and found["foreign"] > 0.9 * found["read"], found
    assert found["ours named"] == found["ours clear"] > 2, found


def judged_status(one: Detection, words: RegisteredWords) -> str:
    """As ``judge`` has it, where each word of the list is behind an entry."""
    if one.foreign:
        return "unregistered"
    chance = None if one.label is None else one.label_log10_p
    known = words.get(label=one.label)
    return read_word(one.logits, known, presence_log10_p=one.log10_p, label_log10_p=chance).status


@pytest.mark.parametrize(("count", "label_log10_p", "named"), [
    (3, 0.0, False), (3, -0.5, True), (1_000_000, -8.0, True), (1_000_000, -5.0, False), (2_000_000, -6.1, True),
])  # fmt: skip
def test_a_name_needs_a_label_that_is_sure_enough_for_so_many_words(
    tmp_path: Path, count: int, label_log10_p: float, named: bool
) -> None:
    ours = opened(tmp_path, "ours.sqlite")
    (label,) = labels_of(ours)
    entry = ours.allocate(Record("1", "acme"))
    words = Full(ours, label, count - 1)
    words.listed = np.union1d(words.listed, np.array([entry.word], np.uint32))
    found = judged(detection(entry.word, label, label_log10_p=label_log10_p), words)
    assert (found.status == "verified") == named
    if named:
        expected = label_log10_p + math.log10(words.listed.size / ID_COUNT)
        assert found.name_log10_p == pytest.approx(expected, abs=1e-6)


def test_the_chance_of_a_plain_name_is_that_of_one_of_so_many_words(tmp_path: Path) -> None:
    plain = opened(tmp_path, "plain.sqlite", labelled=False)
    entry = plain.allocate(Record("1", "acme"))
    found = judged(detection(entry.word, None), RegisteredWords(plain))
    assert found.status == "verified" and found.name_log10_p == pytest.approx(-math.log10(ID_COUNT), abs=1e-6)


def test_labels_and_words_go_to_other_processes(tmp_path: Path) -> None:
    import pickle

    ours = opened(tmp_path, "ours.sqlite")
    entry = ours.allocate(Record("1", "acme"))
    there = pickle.loads(pickle.dumps(RegisteredWords(ours)))
    (label,) = there.labels
    assert there.get(label=label).tolist() == [entry.word] and there.get().tolist() == []
    assert there.and_own(7, label=label).tolist() == [entry.word, 7]
