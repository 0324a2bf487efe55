"""What is made of the marks that were found in a picture, before anybody prints them."""

from __future__ import annotations

import numpy as np

from wam.models.protocol import FoundPose
from wam.pipeline.read import Examined, judge
from wam.pipeline.registered_words import RegisteredWords
from wam.region import Region
from wam.watermarker import Detection


def detection(box: tuple[int, int, int, int], score: float) -> Detection:
    return Detection(
        bits="01" * 16,
        logits=np.tile(np.array([-9, 9], np.float32), 16),
        region=Region(box, 0.1, ()),
        score=score,
        log10_p=-score,
        mask_score=0.9,
        pose=FoundPose(1.0, 0.0, False),
        key=0,
        coarse_mask=np.zeros((2, 2), bool),
        size=(400, 400),
    )


def test_marks_come_as_people_read_a_page_and_the_reason_stays() -> None:
    boxes = [(200, 300, 50, 50), (10, 10, 50, 50), (10, 300, 50, 50), (200, 10, 50, 50)]
    found = tuple(detection(box, 40 - place) for place, box in enumerate(boxes))  # the surest first, as searched
    examined = Examined(400, 400, found, None, present=-4.0, reason="cut short")
    findings = judge(examined, RegisteredWords())
    assert [mark.region.bbox[:2] for mark in findings.marks] == [(10, 10), (200, 10), (10, 300), (200, 300)]
    assert findings.reason == "cut short" and not findings.complete
