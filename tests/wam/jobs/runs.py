"""What the tests of runs over many files share."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from payload.registry import Registry
from tests.wam.pipeline.one_file import detect_file
from wam.jobs.asset_list import asset_from_name
from wam.jobs.engines.local import embed_locally
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.manifest import Manifest
from wam.jobs.outcome import EmbedOutcome
from wam.jobs.plan import (
    Fields,
    Item,
    find_sources,
    find_targets,
    plan_records,
)
from wam.pipeline import mark_link
from wam.watermarker import Watermarker

ROOT = Path(mark_link.__file__).parents[2]


FIELDS = Fields(owner="acme")


def plan(photos: Path, fields: Fields = FIELDS) -> list[Item]:
    out = photos.parent / "out"
    out.mkdir(exist_ok=True)
    sources = find_sources([str(photos)])
    targets = find_targets(sources, output=None, out_dir=out, in_place=False)
    return plan_records(sources, targets, asset_from_name(fields))


def embed(marker: Watermarker, registry: Registry, items: Sequence[Item], **options: Any) -> list[EmbedOutcome]:
    """One run into ``out`` with its manifest."""
    out = Path(items[0].target).parents[items[0].source.name.count("/")]
    with Manifest(out) as manifest:
        mode = LinkMode(registry, Journal(marker.name, manifest), confirm_pause=0)
        return list(embed_locally(marker, mode, items, **options))


def lines(photos: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (photos.parent / "out/manifest.jsonl").read_text().splitlines()]


def check(registry: Registry, marker: Watermarker) -> dict[str, str]:
    """Every id that is said to be marked is in its file; gives state by asset."""
    for entry in registry.list(state="marked"):
        assert entry.output is not None
        links = [reading.link for reading in detect_file(marker, Path(entry.output), registry)[1]]
        assert links == [entry.link]
    assert len({entry.word for entry in registry.list()}) == len(list(registry.list()))
    return {entry.record.asset: entry.state for entry in registry.list()}


def lines_so_far(out: Path) -> list[dict[str, Any]]:
    """The whole lines of a manifest that is being written."""
    content = (out / "manifest.jsonl").read_bytes()
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def wait_for(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
