"""Copies of one picture: what is looked at once, and what every copy is checked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from payload import Record, word_from_bits
from payload.codes import bch
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.pictures.files import encode_image, read_image
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.mark_copies import CopiesMarking
from wam.pipeline.marked import MarkedFile, SelfCheckError
from wam.pipeline.marking import Request, mark_each
from wam.pipeline.options import MarkOptions
from wam.watermarker import Detection, Watermarker

WORDS = [int(word) for word in bch.encode(np.arange(3))]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[Watermarker, list[str]]:
    """A light marker, and what it was asked for."""
    marker, asked = handmade_marker(), list[str]()
    for name in ("glance", "read_whole", "for_many", "embed"):
        method = getattr(marker, name)

        def call(*given: object, _name: str = name, _method: object = method, **how: object) -> object:
            asked.append(_name)
            return _method(*given, **how)  # type: ignore[operator]

        monkeypatch.setattr(marker, name, call)
    return marker, asked


def loaded(pixels: np.ndarray) -> Loaded:
    content, _ = encode_image(pixels, like=read_image(png(pixels)), format="PNG", name="a.png")
    return load(content, name="a.png")


def png(pixels: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def marked(marker: Watermarker, marking: CopiesMarking, one: Loaded) -> Iterator[MarkedFile | Exception]:
    for word in WORDS:
        yield from mark_each(marker, marking, [Request(one, Record("1", "a", str(word)), word)])


def test_the_picture_is_prepared_and_looked_at_once(counted: tuple[Watermarker, list[str]]) -> None:
    marker, asked = counted
    files = [*marked(marker, CopiesMarking(), loaded(smooth_picture(seed=1)))]
    assert [isinstance(one, MarkedFile) and one.report.words[0] for one in files] == WORDS
    assert (asked.count("for_many"), asked.count("read_whole"), asked.count("embed")) == (1, len(WORDS), 0)
    assert asked.count("glance") == 1  # of the input: every copy was read far more surely than it has to be
    for one, word in zip(files, WORDS, strict=True):
        assert isinstance(one, MarkedFile)
        (found,) = handmade_marker().detect(np.asarray(one.image))
        assert word_from_bits(found.bits) == word


def test_another_picture_is_looked_at_anew(counted: tuple[Watermarker, list[str]]) -> None:
    marker, asked = counted
    marking = CopiesMarking()
    for seed in (1, 2):
        (done,) = mark_each(marker, marking, [Request(loaded(smooth_picture(seed=seed)), Record("1", "a"), WORDS[0])])
        assert isinstance(done, MarkedFile)
    assert (asked.count("for_many"), asked.count("glance")) == (2, 2)


def test_a_copy_that_is_not_read_surely_is_searched_and_marked_more_strongly(
    counted: tuple[Watermarker, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, asked = counted
    monkeypatch.setattr(marker, "read_whole", lambda pixels: None)
    seen: list[list[Detection]] = []
    glance = marker.glance

    def blind_at_first(pixels: np.ndarray, **how: float) -> list[Detection]:
        seen.append(glance(pixels, **how))
        return [] if len(seen) == 2 else seen[-1]  # the first is of the input

    monkeypatch.setattr(marker, "glance", blind_at_first)
    (done,) = mark_each(marker, CopiesMarking(), [Request(loaded(smooth_picture()), Record("1", "a"), WORDS[0])])
    assert isinstance(done, MarkedFile)
    assert "marked with strength strong" in done.report.notes[0]
    assert asked.count("for_many") == 2


def test_a_copy_that_cannot_be_read_is_refused() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (done,) = mark_each(
        handmade_marker(),
        CopiesMarking(MarkOptions(strength=55.0)),
        [Request(loaded(grain), Record("1", "a"), WORDS[0])],
    )
    assert isinstance(done, SelfCheckError)


def test_an_input_that_is_marked_already_is_searched_for_every_copy(counted: tuple[Watermarker, list[str]]) -> None:
    marker, asked = counted
    before = handmade_marker().for_many(smooth_picture())(f"{WORDS[2]:032b}")
    files = [*marked(marker, CopiesMarking(), loaded(before))]
    assert asked.count("read_whole") == 0 and asked.count("glance") > len(WORDS)
    assert len(files) == len(WORDS)
