"""Record mode over many files: what was reserved by a run that was cut off is taken up again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from payload import Record
from tests.wam.jobs.runs import lines, plan
from tests.wam.synthetic import smooth_picture
from wam.jobs.engines.local import embed_locally
from wam.jobs.journal import Journal
from wam.jobs.manifest import Manifest
from wam.jobs.outcome import EmbedOutcome
from wam.jobs.plan import Fields, Item
from wam.jobs.record_mode import RecordMode
from wam.networks.embedder import Embedder
from wam.pipeline.options import MarkOptions
from wam.watermarker import Watermarker

OPTIONS = MarkOptions("record", 34.0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos with room for a record, two of one size."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, height in enumerate((600, 600, 640)):
        Image.fromarray(smooth_picture(height, 800, seed=seed)).save(folder / f"{seed}.png")
    return folder


def embed(marker: Watermarker, items: Sequence[Item], *, resume: bool = False, batch: int = 1) -> list[EmbedOutcome]:
    out = Path(items[0].target).parent
    with Manifest(out) as manifest:
        mode = RecordMode(Journal(marker.name, manifest, OPTIONS))
        return list(embed_locally(marker, mode, items, workers=1, resume=resume, batch=batch))


class Crash(BaseException):
    """Nothing tidies up after it."""


def test_a_file_that_was_written_but_not_noted_gets_the_same_record(
    light: Watermarker, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise Crash

    then = datetime(2026, 1, 2, tzinfo=UTC)
    items = [replace(item, record=replace(item.record, ingested_at=then)) for item in plan(photos)[:1] if item.record]
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note", crash)
        with pytest.raises(Crash):
            embed(light, items)
    written = Path(items[0].target).read_bytes()
    assert [line["status"] for line in lines(photos)] == ["pending"]
    later = [replace(items[0], record=Record("0", "acme"))]  # of a run at another time
    (outcome,) = embed(light, later, resume=True)
    assert outcome.result is not None and outcome.result.report.record.ingested_at == then
    assert Path(items[0].target).read_bytes() == written
    (again,) = embed(light, later, resume=True)
    assert again.earlier is not None and again.earlier["record"]["ingested_at"] == "2026-01-02T00:00:00Z"


def test_a_failure_in_between_does_not_lose_what_was_reserved(
    light: Watermarker, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after the file was written; then the input cannot be read for once; then all is well again."""

    def crash(*_: object, **__: object) -> None:
        raise Crash

    then = datetime(2026, 1, 2, tzinfo=UTC)
    (item, *_) = plan(photos)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note", crash)
        with pytest.raises(Crash):
            embed(light, [replace(item, record=Record("0", "acme", None, then))])
    written, photo = Path(item.target).read_bytes(), (photos / "0.png").read_bytes()
    (photos / "0.png").write_bytes(b"")
    with Manifest(Path(item.target).parent) as manifest:
        mode = RecordMode(Journal(light.name, manifest, OPTIONS))
        (failed,) = embed_locally(light, mode, [item], workers=1, resume=True)
        assert failed.error is not None
        mode.fail(item, failed.error, "0.png: no")
    (photos / "0.png").write_bytes(photo)
    (outcome,) = embed(light, [item], resume=True)
    assert outcome.result is not None and outcome.result.report.record.ingested_at == then
    assert Path(item.target).read_bytes() == written


def test_what_was_reserved_for_another_record_is_not_taken(
    light: Watermarker, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item, *_) = plan(photos)
    pending = {"path": "0.png", "status": "pending", "record": Record("0", "globex").to_dict()}
    (photos.parent / "out" / "manifest.jsonl").write_text(json.dumps(pending) + "\n")
    (outcome,) = embed(light, [item], resume=True)
    assert outcome.result is not None and outcome.result.report.record == item.record


@pytest.mark.slow
def test_pictures_of_one_size_go_together_with_the_same_result(
    light: Watermarker, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    forward = Embedder.forward

    def counted(self: Embedder, images: object) -> object:
        counts.append(len(images))  # type: ignore[arg-type]
        return forward(self, images)  # type: ignore[arg-type]

    items = plan(photos, Fields(owner="acme", time="2026-01-02T03:04:05Z"))
    embed(light, items)
    alone = [Path(item.target).read_bytes() for item in items]
    monkeypatch.setattr(Embedder, "forward", counted)
    outcomes = embed(light, items, batch=8)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sorted(counts) == [1, 2]
    assert [Path(item.target).read_bytes() for item in items] == alone
