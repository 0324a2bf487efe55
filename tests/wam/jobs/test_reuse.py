"""Runs that mark what was marked before: the same link for the same picture and record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from payload import PayloadError
from payload.registry import Registry
from tests.wam.jobs.runs import FIELDS, check, embed, plan
from wam.errors import ImageError
from wam.jobs.asset_list import asset_from_name
from wam.jobs.engines.local import embed_locally
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.outcome import EmbedOutcome
from wam.jobs.plan import Fields, Item, Source, find_sources, find_targets, leave_out_outputs, plan_records
from wam.pipeline.mark_link import REUSED, LinkMarking
from wam.watermarker import Watermarker


def links(outcomes: list[EmbedOutcome]) -> list[str | None]:
    assert all(outcome.error is None for outcome in outcomes)
    return [outcome.result.report.link if outcome.result else None for outcome in outcomes]


def without_manifest(marker: Watermarker, registry: Registry, items: list[Item], **how: bool) -> list[EmbedOutcome]:
    mode = LinkMode(registry, Journal(marker.name), confirm_pause=0, **how)
    return list(embed_locally(marker, mode, items, workers=1))


def beside(photos: Path, fields: Fields = FIELDS) -> list[Item]:
    sources, _ = leave_out_outputs(find_sources([str(photos)]), [str(photos)])
    targets = find_targets(sources, output=None, out_dir=None, in_place=False)
    return plan_records(sources, targets, asset_from_name(fields))


@pytest.mark.parametrize("manifest", [True, False])
def test_a_second_run_takes_the_same_links_and_says_so(
    light: Watermarker, registry: Registry, photos: Path, manifest: bool
) -> None:
    items = plan(photos) if manifest else beside(photos)
    run = embed if manifest else without_manifest
    first = run(light, registry, items)
    content = [Path(item.target).read_bytes() for item in items]
    second = run(light, registry, items)
    assert links(second) == links(first) and len(set(links(first))) == 3
    assert [Path(item.target).read_bytes() for item in items] == content
    assert all(REUSED not in one.result.notes for one in first if one.result)
    assert all(REUSED in one.result.notes for one in second if one.result)
    assert registry.statistics().allocated == 3 and registry.counts() == {"marked": 3}


def test_a_copy_under_another_name_has_the_link_of_its_twin(
    light: Watermarker, registry: Registry, photos: Path
) -> None:
    (item,) = beside(photos)[:1]
    copy = photos / "copy.png"
    shutil.copy(item.source.location, copy)
    twin = Item(Source(copy, copy.name), photos / "copy.wm.png", item.record)
    together = without_manifest(light, registry, [item, twin])
    assert len(set(links(together))) == 1
    (entry,) = registry.list()
    assert entry.state == "marked" and entry.output == str(twin.target)  # where it was written last


def test_a_new_link_where_one_is_asked_for(light: Watermarker, registry: Registry, photos: Path) -> None:
    items = beside(photos)[:1]
    first = links(without_manifest(light, registry, items))
    second = links(without_manifest(light, registry, items, new_link=True))
    assert first != second and registry.counts() == {"marked": 2}


def test_a_given_time_counts(light: Watermarker, registry: Registry, photos: Path) -> None:
    first = links(without_manifest(light, registry, beside(photos)[:1]))
    timed = beside(photos, Fields(owner="acme", time="2026-01-02T03:04:05Z"))[:1]
    second = links(without_manifest(light, registry, timed))
    assert first != second
    assert links(without_manifest(light, registry, timed)) == second


def test_a_withdrawn_link_is_not_taken_again(light: Watermarker, registry: Registry, photos: Path) -> None:
    items = beside(photos)[:1]
    (first,) = links(without_manifest(light, registry, items))
    registry.withdraw(first or "")
    assert links(without_manifest(light, registry, items)) != [first]


def test_a_failure_gives_up_no_link_that_a_file_carries(
    light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImageError("a.png: no")

    items = beside(photos)[:1]
    (first,) = links(without_manifest(light, registry, items))
    with monkeypatch.context() as patch:
        patch.setattr(LinkMarking, "finish", fail)
        (outcome,) = without_manifest(light, registry, items)
    assert isinstance(outcome.error, ImageError)
    assert registry.show(first or "").state == "marked"
    assert check(registry, light) == {"a": "marked"}


def test_what_a_crash_left_unconfirmed_is_taken_up_without_a_manifest(
    light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    items = beside(photos)[:1]
    with monkeypatch.context() as patch:
        patch.setattr(LinkMode, "abandon", lambda *_: None)
        patch.setattr(Registry, "confirm", crash)
        with pytest.raises(Crash):
            without_manifest(light, registry, items)
    (left,) = registry.list()
    assert left.state == "pending" and Path(items[0].target).exists()
    assert links(without_manifest(light, registry, items)) == [left.link]
    assert registry.counts() == {"marked": 1}


def test_a_confirmation_whose_answer_was_lost_is_one(
    light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm, asked = Registry.confirm, []

    def lost(self: Registry, word: int, **how: object) -> object:
        found = confirm(self, word, **how)  # type: ignore[arg-type]
        asked.append(word)
        if len(asked) == 1:
            raise PayloadError("the connection was lost")
        return found

    monkeypatch.setattr(Registry, "confirm", lost)
    outcomes = without_manifest(light, registry, beside(photos)[:1])
    assert links(outcomes) and len(asked) == 2 and registry.counts() == {"marked": 1}
