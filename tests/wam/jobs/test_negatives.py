"""What people are told of a mark that was read with light and dark exchanged, and of one that was not."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from payload import read_word
from tests.wam.pipeline.test_judge import detection
from wam.jobs.evidence import Circumstances, evidence_page
from wam.jobs.report_pages import write_csv, write_html
from wam.pictures.formats import Metadata, Settings
from wam.pictures.samples import Picture
from wam.pipeline.caption import caption
from wam.pipeline.contract import detect_object
from wam.pipeline.look_up import Reading
from wam.pipeline.read import Findings
from wam.pipeline.trace import Trace, trace_object
from wam.pipeline.verdict import judge_origin

EXCHANGED = "with light and dark exchanged"


@pytest.fixture(params=[False, True])
def reading(request: pytest.FixtureRequest) -> Reading:
    found = detection((10, 10, 50, 50), 40)
    found = replace(found, pose=replace(found.pose, negative=request.param))
    return Reading(found, read_word(found.logits, None, presence_log10_p=-40.0), None, None)


def test_every_report_says_it(reading: Reading) -> None:
    findings = Findings(400, 400, (reading,))
    said = detect_object(findings, image="a.png", model="light")
    table, page = io.StringIO(), io.StringIO()
    write_csv(table, [{**said}])
    write_html(page, [{**said}])
    (row,) = csv.DictReader(io.StringIO(table.getvalue()))
    assert row["negative"] == str(reading.negative)
    assert ("(negative)" in page.getvalue()) == ("(negative)" in caption(said["watermarks"][0])) == reading.negative
    assert any(EXCHANGED in reason for reason in judge_origin(findings).reasons) == reading.negative


def test_a_sheet_of_evidence_says_it(reading: Reading) -> None:
    picture = Picture("a.png", np.zeros((400, 400, 3), np.uint8), None, "RGB", "PNG", 1, None, Metadata(), Settings())
    about = Circumstances("a.png", "", "light", "", "", "wam trace", "", None)
    sheet = evidence_page(picture, [trace_object(Trace(reading))], about, reason=None)
    assert (EXCHANGED in sheet) == reading.negative
