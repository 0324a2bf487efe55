"""The report of a run of ``detect`` as a file: which line of a picture counts, and what cannot be written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wam import append_log
from wam.errors import ImageError
from wam.jobs.detect_report import DetectReport, ReportError
from wam.jobs.outcome import DetectOutcome
from wam.jobs.plan import Source
from wam.pipeline.read import Findings

SETTINGS = {"model": "light", "thorough": False}


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    found = [Source(tmp_path / name, name) for name in ("a.png", "b.png")]
    for source in found:
        Path(source.location).write_bytes(b"content")
    return found


def read(source: Source) -> DetectOutcome:
    return DetectOutcome(source, Findings(40, 30, ()))


def test_the_last_line_of_each_picture_counts(tmp_path: Path, sources: list[Source]) -> None:
    report = DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=False)
    report.add(DetectOutcome(sources[0], error=ImageError("busy")), model="light", message="busy")
    report.add(read(sources[1]), model="light", message=None)
    again = DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=True)
    assert [again.earlier(source) is not None for source in sources] == [False, True]
    again.add(read(sources[0]), model="light", message=None)
    assert [(Path(row["image"]).name, row["error"]) for row in again.rows()] == [("b.png", None), ("a.png", None)]
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 3


def test_standard_input_is_read_every_time(tmp_path: Path) -> None:
    source = Source("-", "-")
    DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=False).add(read(source), model="light", message=None)
    assert DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=True).earlier(source) is None


def test_a_picture_of_the_same_size_and_another_time_is_read_again(tmp_path: Path, sources: list[Source]) -> None:
    DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=False).add(read(sources[0]), model="light", message=None)
    os.utime(sources[0].location, (1, 1))
    assert DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=True).earlier(sources[0]) is None


def test_a_full_disk_is_said(tmp_path: Path, sources: list[Source], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    report = DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=False)
    monkeypatch.setattr(append_log, "append", full)
    with pytest.raises(ReportError, match=r"r\.jsonl: expected to write a report there, found: No space left"):
        report.add(read(sources[0]), model="light", message=None)


@pytest.mark.parametrize("content", ["no JSON\n", "[]\n", json.dumps({"image": "a.png"}) + "\n"])
def test_another_file_is_no_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(ReportError, match=r"line 1: expected a line of wam detect --json, found another"):
        DetectReport(tmp_path / "r.jsonl", SETTINGS, resume=True)
    assert (tmp_path / "r.jsonl").read_text() == content
