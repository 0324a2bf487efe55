"""Inputs are listed as they are read: a run starts before the end is known, and there may be none."""

from __future__ import annotations

import time
from itertools import count, islice
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from payload.registry import Registry
from tests.wam.jobs.endless import endless_store
from tests.wam.synthetic import smooth_picture
from wam.jobs.engines.local import AHEAD, detect_locally
from wam.jobs.listing import Listing
from wam.jobs.plan import Source, find_sources
from wam.watermarker import Watermarker


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Pictures, another kind, and names whose order as text is not that of their folders."""
    for name in ("b.png", "a/c.png", "a-b/d.png", "a/deep/e.jpg", "raw.cr2", "out/f.png", ".hidden/g.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    return tmp_path / "in"


def test_one_by_one_as_all_at_once(files: Path) -> None:
    listing = Listing([str(files), "-"], without=[files / "out"])
    assert listing.total is None and listing.has_folder
    sources = list(listing)
    assert sources == find_sources([str(files), "-"], without=[files / "out"])
    assert [source.name for source in sources] == ["a/c.png", "a/deep/e.jpg", "a-b/d.png", "b.png", "-"]
    assert (listing.count, listing.total, listing.unread.count) == (5, 5, 1)
    assert listing.unread.first[0][0].endswith("raw.cr2")


def test_looking_ahead_loses_nothing(files: Path) -> None:
    listing = Listing([str(files)])
    assert not listing.is_single()
    names = [source.name for source in listing.whole()]
    assert [source.name for source in listing] == names and len(names) == 5
    assert (listing.count, listing.total) == (5, 5)
    named = Listing([str(files / "*.png"), "-", "none.png"])
    assert (named.total, named.has_folder) == (3, False)
    assert Listing([str(files / "b.png")]).is_single() and not Listing([]).is_single()


def test_no_more_folders_are_listed_than_are_asked_for() -> None:
    with endless_store() as store:
        listing = Listing(["endless://photos"])
        names = [source.name for source in islice(listing, 7)]
    assert names == ["0.png", "1.png", "2.png", "more/0.png", "more/1.png", "more/2.png", "more/more/0.png"]
    assert (store.listed, listing.count, listing.total, listing.has_folder) == (3, 7, None, True)


def test_what_cannot_be_listed_is_a_source_of_its_own(light: Watermarker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/closed/a.png", b"x")
    monkeypatch.setattr(type(memory), "ls", refuse)
    first, second = detect_locally(light, None, Listing(["memory://closed", "none.png"]))
    assert str(first.error) == (
        "memory://closed: expected a readable folder, found Permission denied, check the URL and your access"
    )
    assert "none.png: expected a readable file" in str(second.error)


def test_a_list_without_an_end_is_read_from_its_start(light: Watermarker, registry: Registry, tmp_path: Path) -> None:
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png")
    given = 0

    def sources() -> object:
        nonlocal given
        for number in count():
            given += 1
            yield Source(tmp_path / "a.png", f"{number}")

    outcomes = detect_locally(light, registry, sources(), workers=2)
    assert [outcome.source.name for outcome in islice(outcomes, 5)] == ["0", "1", "2", "3", "4"]
    outcomes.close()
    assert 5 <= given <= 5 + 2 * AHEAD + 1  # no further ahead than the workers' queue


def test_what_is_done_is_told_before_more_is_listed(light: Watermarker, tmp_path: Path) -> None:
    """Not only when the workers' queue is full: listing the next folder may take long."""
    told: list[str] = []
    early: list[str] = []

    def sources() -> object:
        for number in range(2 * AHEAD):
            yield Source(tmp_path / "none.png", f"{number}")
            if told:
                early.append(told[0])
                return
            time.sleep(0.2)

    for outcome in detect_locally(light, None, sources(), workers=2):
        told.append(outcome.source.name)
    assert early == ["0"]
