"""Stages: told to who listens in the same thread, by detection and marking."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from payload import Record
from tests.wam.synthetic import smooth_picture
from wam.pipeline.loaded import load
from wam.pipeline.mark_link import mark_link
from wam.stages import listen, tell
from wam.watermarker import Watermarker


@pytest.fixture
def heard() -> Iterator[list[str]]:
    stages: list[str] = []
    listen(stages.append)
    yield stages
    listen(None)


def test_each_thread_has_its_own_listener(heard: list[str]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(tell, "elsewhere").result()
        other: list[str] = []
        pool.submit(listen, other.append).result()
        pool.submit(tell, "there").result()
    tell("here")
    assert (heard, other) == (["here"], ["there"])


def test_the_search_says_at_which_resolution_it_is(light: Watermarker, heard: list[str]) -> None:
    light.detect(smooth_picture())
    count = int(heard[0].rpartition(" ")[2])
    assert count > 1
    assert heard[:count] == [f"resolution {number} of {count}" for number in range(1, count + 1)]


def test_marking_says_what_it_does(light: Watermarker, heard: list[str]) -> None:
    stream = io.BytesIO()
    Image.fromarray(smooth_picture()).save(stream, "PNG")
    mark_link(light, load(stream.getvalue()), record=Record("1", "acme"), word=0x7A1BF8C2)
    assert heard[:2] == ["marking", "saving and reading back"]
