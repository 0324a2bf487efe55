"""What a service, a queue worker or a notebook does with one picture in memory: no path, no engine."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, PngImagePlugin

from payload import Record, RecordTooLongError
from payload.registry import Registry
from tests.wam.cli.commands import check_contract
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.errors import ImageError
from wam.pipeline.contract import detect_object, embed_object
from wam.pipeline.loaded import load
from wam.pipeline.mark_link import LinkMarking, mark_link
from wam.pipeline.mark_record import RecordMarking, mark_record
from wam.pipeline.marking import Request, mark_each, mark_one
from wam.pipeline.options import MarkOptions
from wam.pipeline.read import examine, judge, open_pictures, read
from wam.pipeline.registered_words import RegisteredWords
from wam.region import Region
from wam.watermarker import Watermarker


class Service:
    """A toy caller: content and a record in, content and JSON out."""

    def __init__(self, marker: Watermarker, registry: Registry) -> None:
        self.marker, self.registry, self.words = marker, registry, RegisteredWords(registry)

    def mark(self, content: bytes, record: Record, target: str = "marked.png") -> tuple[bytes, str]:
        loaded = load(content, name="upload", target=target)
        entry = self.registry.allocate(record)
        try:
            done = mark_link(self.marker, loaded, record=record, word=entry.word, words=self.words)
        except BaseException:
            self.registry.discard(entry.word)
            raise
        self.registry.confirm(entry.word, phash=done.report.phash, output=target)
        return done.content, json.dumps(embed_object(done.report, image="upload", output=target))

    def read(self, content: bytes) -> str:
        findings = read(self.marker, content, name="upload", words=self.words)
        return json.dumps(detect_object(findings, image="upload", model=self.marker.name))


def picture(*, seed: int = 0, size: tuple[int, int] = (128, 128), format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(smooth_picture(*size, seed=seed)).save(stream, format)
    return stream.getvalue()


@pytest.fixture
def service(light: Watermarker, tmp_path: Path) -> Service:
    return Service(light, Registry.open(str(tmp_path / "registry.sqlite")))


def test_twenty_lines_mark_and_read(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    content, said = service.mark(picture(), Record("123", "acme"))
    marked, found = json.loads(said), json.loads(service.read(content))
    check_contract(marked)
    check_contract(found)
    assert [mark["link"] for mark in found["watermarks"]] == [marked["link"]]
    assert found["watermarks"][0]["record"]["asset"] == "123"
    assert os.listdir() == []


def test_the_targets_name_decides_the_format(service: Service) -> None:
    content, _ = service.mark(picture(), Record("1", "acme"), target="out.webp")
    assert Image.open(io.BytesIO(content)).format == "WEBP"
    content, _ = service.mark(picture(format="BMP"), Record("1", "acme"), target="no extension")
    assert Image.open(io.BytesIO(content)).format == "BMP"


def test_what_cannot_be_marked_costs_no_id(service: Service) -> None:
    with pytest.raises(ImageError, match="upload: expected a picture of at least 32x32 pixels"):
        service.mark(picture(size=(20, 20)), Record("1", "acme"))
    with pytest.raises(ImageError, match="upload: expected a PNG, JPEG"):
        service.mark(b"no picture", Record("1", "acme"))
    assert list(service.registry.list()) == []


def test_threads_share_a_marker(service: Service) -> None:
    records = [Record(str(number), "acme") for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda one: service.mark(picture(seed=int(one.asset)), one), records))
        found = list(pool.map(lambda one: json.loads(service.read(one[0])), done))
    assert [mark["record"]["asset"] for one in found for mark in one["watermarks"]] == list("012345")


def test_what_was_marked_since_the_words_were_read_is_known(service: Service) -> None:
    for number in range(2):
        content, _ = service.mark(picture(seed=number), Record(str(number), "acme"))
        (mark,) = json.loads(service.read(content))["watermarks"]
        assert (mark["status"], mark["record"]["asset"]) == ("verified", str(number))


@pytest.mark.parametrize(("change", "status"), [("withdraw", "withdrawn"), ("discard", "unregistered")])
def test_what_is_in_use_no_more_is_not_named(service: Service, change: str, status: str) -> None:
    loaded, record = load(picture()), Record("7", "acme")
    entry = service.registry.allocate(record)
    done = mark_link(service.marker, loaded, record=record, word=entry.word, words=service.words)
    (mark,) = json.loads(service.read(done.content))["watermarks"]
    assert mark["status"] == "verified"
    if change == "withdraw":
        service.registry.confirm(entry.word, phash=done.report.phash, output=None)
        service.registry.withdraw(entry.link)
    else:
        service.registry.discard(entry.word)
    (mark,) = json.loads(service.read(done.content))["watermarks"]
    assert (mark["status"], mark["record"]) == (status, None)


def test_nothing_is_set_for_the_whole_process(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(count: int) -> None:
        raise AssertionError("threads are the program's business")

    monkeypatch.setattr(torch, "set_num_threads", refuse)
    before = (torch.get_num_threads(), dict(os.environ), os.getcwd())
    content, _ = service.mark(picture(), Record("1", "acme"))
    service.read(content)
    assert (torch.get_num_threads(), dict(os.environ), os.getcwd()) == before


def test_a_record_in_the_pixels(light: Watermarker) -> None:
    loaded = load(picture(size=(600, 800)), name="upload")
    done = mark_record(light, loaded, record=Record("7", "acme"), options=MarkOptions("record", 34.0))
    said = json.loads(json.dumps(embed_object(done.report, image="upload", output=None)))
    check_contract(said)
    assert (said["link"], said["marks"]["embedded"]) == (None, len(said["messages"]))
    (found,) = read(light, done.content).readings
    assert found.record is not None and found.record.asset == "7"


def test_marks_are_listed_as_people_read_a_page(light: Watermarker) -> None:
    marked = mark_link(light, load(picture()), record=Record("1", "acme"), word=0x7A1BD0FD)
    examined = examine(light, *open_pictures(marked.content))
    (mark,) = examined.detections
    boxes = [(70, 70, 50, 50), (70, 5, 50, 50), (5, 10, 50, 50)]
    found = [replace(mark, region=Region(box, 0.1, ())) for box in boxes]
    findings = judge(replace(examined, detections=tuple(found), reason="cut"), RegisteredWords())
    assert [reading.region.bbox for reading in findings.readings] == [boxes[2], boxes[1], boxes[0]]
    assert findings.reason == "cut"


def test_options_of_the_other_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="expected mode link, found record"):
        LinkMarking(MarkOptions("record"))
    with pytest.raises(ValueError, match="expected mode record, found link"):
        RecordMarking(MarkOptions("link"))


@pytest.mark.parametrize("mode", ["link", "record"])
def test_several_together_are_marked_as_one_by_one(mode: str) -> None:
    marker = handmade_marker()
    marking = LinkMarking(MarkOptions(strength=36.0)) if mode == "link" else RecordMarking(MarkOptions("record", 34.0))
    sizes = [(600, 800), (600, 800), (640, 800)]
    words = [0x10AC7BF4, None, None] if mode == "record" else [1, 2, 3]
    requests = [
        Request(load(picture(size=size, seed=seed)), Record(str(seed), "acme"), word)
        for seed, (size, word) in enumerate(zip(sizes, words, strict=True))
    ]
    plans = [marking.plan(marker, request) for request in requests]
    strength = marking.options.strength
    together = marking.draw(marker, requests, plans, strength=strength)
    for request, plan, pixels in zip(requests, plans, together, strict=True):
        (alone,) = marking.draw(marker, [request], [plan], strength=strength)
        assert (pixels == alone).all() and (pixels != request.loaded.picture.pixels).any()


def test_one_that_has_no_room_costs_itself_only(light: Watermarker) -> None:
    marking = RecordMarking(MarkOptions("record", 34.0))
    record = Record("7", "acme")
    requests = [
        Request(load(picture(size=size), name=f"{size[0]}"), record) for size in ((600, 800), (64, 64), (600, 800))
    ]
    first, second, third = mark_each(light, marking, requests)
    assert isinstance(second, RecordTooLongError) and str(second).startswith("64: ")
    assert not isinstance(first, Exception) and not isinstance(third, Exception)
    assert first.content == third.content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "both"}, "mode: expected link or record, found both"),
        ({"strength": 5.0}, "strength: expected 30 to 55 dB, found 5"),
        ({"quality": 0}, "quality: expected 1 to 100, found 0"),
        ({"encrypt": True}, "encrypt: expected mode record with it, found link"),
        ({"mode": "record", "encrypt": True, "label": True}, "label: expected it without encrypt, found both"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MarkOptions(**options)


def test_a_link_needs_its_word(light: Watermarker) -> None:
    (outcome,) = mark_each(light, LinkMarking(), [Request(load(picture()), Record("1", "acme"))])
    assert isinstance(outcome, ValueError) and "request: expected a word" in str(outcome)


def test_what_only_the_input_holds_is_not_given_up_unasked(light: Watermarker) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"caBX", b"c2pa")
    stream = io.BytesIO()
    Image.fromarray(smooth_picture(160, 160, seed=2)).save(stream, "PNG", pnginfo=info)
    request = Request(load(stream.getvalue(), name="signed.png"), Record("1", "acme"), word=0x7A1BD0FD)
    with pytest.raises(ImageError, match=r"no way to keep: content credentials \(C2PA\), write another file"):
        mark_one(light, LinkMarking(MarkOptions(strength=36.0, keep=True)), request)
    done = mark_one(light, LinkMarking(MarkOptions(strength=36.0)), request)
    assert done.report.lost == ("content credentials (C2PA)",)
