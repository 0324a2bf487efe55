"""Many files: what a run leaves behind when all goes well, when files are bad, and when it is cut off anywhere."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from PIL import Image

from payload import PayloadError
from payload.registry import Registry
from tests.wam.one_file import detect_file
from tests.wam.synthetic import smooth_picture
from wam.embedder import Embedder
from wam.errors import ImageError
from wam.jobs import EmbedResult, files, local, marking
from wam.jobs.ledger import ConfirmError, Ledger
from wam.jobs.local import Gate, detect_locally, embed_locally
from wam.jobs.manifest import Manifest, ManifestError
from wam.jobs.outcome import EmbedOutcome
from wam.jobs.plan import (
    Fields,
    Item,
    PlanError,
    asset_from_list,
    asset_from_name,
    find_sources,
    find_targets,
    plan_records,
)
from wam.marker import Watermarker

ROOT = Path(marking.__file__).parents[2]
FIELDS = Fields(owner="acme")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three files of two sizes, one in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for seed, (name, side) in enumerate([("a.png", 128), ("b.jpg", 128), ("deep/c.png", 144)]):
        Image.fromarray(smooth_picture(128, side, seed=seed)).save(folder / name, quality=95)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(str(tmp_path / "registry.sqlite"))


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
        return list(embed_locally(marker, Ledger(registry, marker.name, manifest), items, **options))


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


class TestPlan:
    def test_assets_from_names(self, photos: Path) -> None:
        items = plan(photos)
        assert [item.source.name for item in items] == ["a.png", "b.jpg", "deep/c.png"]
        assert [item.record and item.record.asset for item in items] == ["a", "b", "c"]
        assert items[2].target == photos.parent / "out/deep/c.png"

    def test_a_list_gives_fields_and_the_rest_is_common(self, photos: Path) -> None:
        table = photos.parent / "list.csv"
        table.write_text(
            "\ufeffpath,asset,owner,user,time\na.png,A-1,globex,u7,2026-11-22T09:30:00Z\n"
            f'"{photos / "b.jpg"}","B, 2",,,\n',
            encoding="utf-8",
        )
        sources = find_sources([str(photos)])
        items = plan_records(sources, [source.location for source in sources], asset_from_list(table, FIELDS))
        first, second, third = items
        assert first.record is not None and first.record.to_dict() == {
            "asset": "A-1", "owner": "globex", "user": "u7", "ingested_at": "2026-11-22T09:30:00Z",
        }  # fmt: skip
        assert first.timed and not second.timed
        assert second.record is not None and (second.record.asset, second.record.owner) == ("B, 2", "acme")
        assert third.record is None and "expected a row with path deep/c.png" in str(third.problem)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"path,owner\na.png,x\n", "expected the columns path, asset"),
            (b"path,asset,colour\n", "expected the columns"),
            (b"", "found none"),
            (b"path,asset\na.png,1\n./a.png,2\n", "row 3: expected each path once"),
            (b"path,asset\na.png\n", "row 2: expected 2 cells"),
            (b"path,asset\n\xff,1\n", "expected a CSV file in UTF-8"),
        ],
    )
    def test_lists_that_are_refused(self, tmp_path: Path, content: bytes, problem: str) -> None:
        (tmp_path / "list.csv").write_bytes(content)
        with pytest.raises(PlanError, match=problem):
            asset_from_list(tmp_path / "list.csv", FIELDS)

    def test_an_output_folder_inside_the_input_is_no_input(self, photos: Path) -> None:
        (photos / "out").mkdir()
        (photos / "a.png").rename(photos / "out/a.png")
        assert [s.name for s in find_sources([str(photos)], without=[photos / "out"])] == ["b.jpg", "deep/c.png"]

    def test_a_loop_of_links_is_one_bad_file(self, photos: Path) -> None:
        (photos / "x.png").symlink_to("y.png")
        (photos / "y.png").symlink_to("x.png")
        (photos / "deep/up").symlink_to(photos)
        items = plan(photos)
        assert [item.source.name for item in items] == ["a.png", "b.jpg", "deep/c.png", "x.png", "y.png"]

    def test_outputs_that_a_link_makes_one_are_refused(self, photos: Path) -> None:
        (photos.parent / "out").mkdir()
        (photos.parent / "out/deep").symlink_to(photos.parent / "out")
        (photos / "c.png").write_bytes(b"")
        with pytest.raises(PlanError, match="expected a different name for each input"):
            plan(photos)


class TestManifest:
    def test_the_last_line_of_a_path_counts_and_a_torn_one_does_not(self, tmp_path: Path) -> None:
        with Manifest(tmp_path) as manifest:
            manifest.add({"path": "a", "status": "pending"}, {"path": "a", "status": "marked"})
        with open(tmp_path / "manifest.jsonl", "ab") as stream:
            stream.write(b'{"path": "b", "sta')
        with Manifest(tmp_path) as manifest:
            assert {path: line["status"] for path, line in manifest.done.items()} == {"a": "marked"}
            manifest.add({"path": "c", "status": "pending"})
        with Manifest(tmp_path) as manifest:
            assert set(manifest.done) == {"a", "c"}

    def test_a_line_that_does_not_fit_leaves_nothing_behind(self, tmp_path: Path) -> None:
        class Full(io.FileIO):
            room = 20

            def write(self, content: Any) -> int:
                if not self.room:
                    raise OSError(28, "No space left on device")
                written, self.room = super().write(content[: self.room]), 0
                return written

        with Manifest(tmp_path) as manifest:
            manifest.add({"path": "a", "status": "marked"})
            whole, manifest._stream = manifest._stream, Full(tmp_path / "manifest.jsonl", "ab")  # type: ignore[assignment]
            with pytest.raises(ManifestError, match="No space left on device"):
                manifest.add({"path": "b", "status": "marked"}, durable=False)
            manifest._stream.close()  # type: ignore[union-attr]
            manifest._stream = whole
            manifest.add({"path": "c", "status": "marked"})
        with Manifest(tmp_path) as manifest:
            assert set(manifest.done) == {"a", "c"}

    def test_a_second_run_is_kept_out(self, tmp_path: Path) -> None:
        with Manifest(tmp_path), pytest.raises(ManifestError, match="found another run writing there"):
            Manifest(tmp_path)
        Manifest(tmp_path).__exit__()

    def test_behind_a_url(self) -> None:
        with Manifest("memory://manifests/one") as manifest:
            manifest.add({"path": "a", "status": "pending"})
            manifest.add({"path": "a", "status": "marked"}, durable=False)
        with Manifest("memory://manifests/one") as manifest:
            assert manifest.done == {"a": {"path": "a", "status": "marked"}}


class TestEmbed:
    def test_a_run_and_its_manifest(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        outcomes = embed(light, registry, plan(photos), workers=2)
        assert [outcome.error for outcome in outcomes] == [None] * 3
        assert check(registry, light) == dict.fromkeys("abc", "marked")
        done = {line["path"]: line for line in lines(photos) if line["status"] == "marked"}
        assert list(done) != [] and set(done) == {"a.png", "b.jpg", "deep/c.png"}
        for outcome in outcomes:
            assert outcome.result is not None
            assert outcome.result.to_dict().items() <= done[outcome.item.source.name].items()
        assert [line["status"] for line in lines(photos) if line["path"] == "a.png"] == ["pending", "marked"]

    def test_pictures_of_one_size_go_together_with_the_same_result(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts: list[int] = []
        forward = Embedder.forward

        def counted(self: Embedder, images: torch.Tensor) -> torch.Tensor:
            counts.append(len(images))
            return forward(self, images)

        monkeypatch.setattr(Embedder, "forward", counted)
        outcomes = embed(light, registry, plan(photos), workers=1, batch=8)
        assert sorted(counts) == [1, 2]
        for outcome in outcomes:
            assert outcome.result is not None
            assert isinstance(outcome.result, EmbedResult)
            loaded = files.load(outcome.item.source.location, outcome.item.target)
            (pixels,) = marking.mark(light, [loaded], [outcome.result.entry.word], None)
            content, _, _ = files.encode(loaded, pixels)
            assert content == Path(outcome.item.target).read_bytes()

    def test_a_bad_file_costs_itself_only(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        (photos / "a.png").write_bytes(b"no picture")
        (photos / "z\udcff\n.png").write_bytes((photos / "deep/c.png").read_bytes())  # no asset of that name
        (photos / "loop.png").symlink_to("loop.png")
        Image.new("RGB", (1, 3000)).save(photos / "thin.png")
        outcomes = embed(light, registry, plan(photos), workers=2, batch=4)
        failed = {outcome.item.source.name for outcome in outcomes if outcome.error is not None}
        assert failed == {"a.png", "z\udcff\n.png", "loop.png", "thin.png"}
        assert check(registry, light) == dict.fromkeys("bc", "marked")

    def test_an_output_that_cannot_be_written_costs_itself_only(
        self, light: Watermarker, registry: Registry, photos: Path
    ) -> None:
        (photos.parent / "out").mkdir()
        (photos.parent / "out/deep").write_bytes(b"a file where a folder should be")
        outcomes = embed(light, registry, plan(photos), workers=1)
        assert [outcome.error is None for outcome in outcomes] == [True, True, False]
        assert "c.png: expected a folder to write to" in str(outcomes[2].error)
        assert check(registry, light) == {"a": "marked", "b": "marked", "c": "discarded"}

    def test_an_interrupted_run_leaves_whole_files_only(
        self, light: Watermarker, registry: Registry, photos: Path
    ) -> None:
        for number in range(9):
            (photos / f"d{number}.png").write_bytes((photos / "a.png").read_bytes())
        items = plan(photos)
        with Manifest(photos.parent / "out") as manifest:
            ledger = Ledger(registry, light.name, manifest)
            with closing(embed_locally(light, ledger, items, workers=1)) as run:
                next(run)
        states = check(registry, light)
        assert ledger.noted == list(states.values()).count("marked")  # the one that was under way, too
        assert "marked" in states.values() and "pending" not in states.values() and len(states) < len(items)
        assert not list((photos.parent / "out").rglob(".wam-*"))
        outcomes = embed(light, registry, items, workers=1, resume=True)
        assert [outcome.error for outcome in outcomes] == [None] * 12
        assert outcomes[0].earlier is not None

    def test_a_manifest_that_cannot_be_written_costs_no_id(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Manifest, "_append", full)
        outcomes = embed(light, registry, plan(photos), workers=1)
        assert all("found: No space left on device" in str(outcome.error) for outcome in outcomes)
        assert set(check(registry, light).values()) == {"discarded"}
        assert not list((photos.parent / "out").rglob("*.png"))


class TestResume:
    def test_what_is_done_is_skipped_and_what_changed_is_not(
        self, light: Watermarker, registry: Registry, photos: Path
    ) -> None:
        before = embed(light, registry, plan(photos), workers=1)
        (photos.parent / "out/b.jpg").write_bytes(b"damaged")
        outcomes = embed(light, registry, plan(photos), workers=1, resume=True)
        assert [outcome.earlier is not None for outcome in outcomes] == [True, False, True]
        assert before[0].result is not None and outcomes[0].earlier is not None
        assert before[0].result.to_dict().items() <= outcomes[0].earlier.items()
        Image.fromarray(smooth_picture(seed=9)).save(photos / "a.png")
        outcomes = embed(light, registry, plan(photos), workers=1, resume=True)
        assert [outcome.earlier is not None for outcome in outcomes] == [False, True, True]

    def test_another_record_is_marked_again(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        embed(light, registry, plan(photos), workers=1)
        outcomes = embed(light, registry, plan(photos, Fields(owner="globex")), workers=1, resume=True)
        assert all(outcome.result is not None for outcome in outcomes)

    def test_a_withdrawn_id_is_marked_again(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        (first, *_) = embed(light, registry, plan(photos), workers=1)
        assert first.result is not None
        registry.withdraw(first.result.entry.link)
        outcomes = embed(light, registry, plan(photos), workers=1, resume=True)
        assert [outcome.earlier is not None for outcome in outcomes] == [False, True, True]

    def test_a_file_that_was_written_but_not_confirmed_keeps_its_id(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(*_: object, **__: object) -> None:
            raise PayloadError("registry: not there")

        items = plan(photos)[:1]
        with monkeypatch.context() as patch:
            patch.setattr("wam.jobs.ledger.CONFIRM_PAUSE", 0)
            patch.setattr(Registry, "confirm", down)
            (outcome,) = embed(light, registry, items, workers=1)
        assert isinstance(outcome.error, ConfirmError)
        assert check(registry, light) == {"a": "pending"} and Path(items[0].target).exists()
        written = Path(items[0].target).read_bytes()
        (outcome,) = embed(light, registry, items, workers=1)
        assert outcome.result is not None and outcome.result.entry.state == "marked"
        assert check(registry, light) == {"a": "marked"} and Path(items[0].target).read_bytes() == written

    def test_an_id_that_an_earlier_file_carries_is_not_given_up(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(*_: object, **__: object) -> None:
            raise PayloadError("registry: not there")

        def fail(*_: object, **__: object) -> None:
            raise ImageError("a.png: no")

        items = plan(photos)[:1]
        with monkeypatch.context() as patch:
            patch.setattr("wam.jobs.ledger.CONFIRM_PAUSE", 0)
            patch.setattr(Registry, "confirm", down)
            embed(light, registry, items, workers=1)
        with monkeypatch.context() as patch:
            patch.setattr(local, "finish", fail)
            (outcome,) = embed(light, registry, items, workers=1, resume=True)
        assert isinstance(outcome.error, ImageError) and check(registry, light) == {"a": "pending"}
        embed(light, registry, items, workers=1, resume=True)
        assert check(registry, light) == {"a": "marked"}

    @pytest.mark.parametrize("step", ["before the file", "before confirm", "before the manifest"])
    def test_every_point_of_a_crash_is_mended(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """A crash is an exception that nothing tidies up after."""

        class Crash(BaseException):
            pass

        def crash(*_: object, **__: object) -> None:
            raise Crash

        items = plan(photos)[:1]
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "abandon", lambda *_: None)
            if step == "before the file":
                patch.setattr(local, "finish", crash)
            elif step == "before confirm":
                patch.setattr(Registry, "confirm", crash)
            else:
                patch.setattr("wam.jobs.ledger.EmbedResult.to_dict", crash)
            with pytest.raises(Crash):
                embed(light, registry, items, workers=1)
        (entry,) = registry.list()
        assert (entry.state, lines(photos)[-1]["status"]) == (
            "marked" if step == "before the manifest" else "pending",
            "pending",
        )
        (outcome,) = embed(light, registry, items, workers=1, resume=True)
        assert outcome.result is not None and outcome.result.entry.word == entry.word
        assert check(registry, light) == {"a": "marked"}


RUN = """
import sys
from pathlib import Path
from payload.registry import Registry
from tests.wam.synthetic import handmade_marker
from tests.wam.test_batch import embed, plan
for outcome in embed(handmade_marker(), Registry.open(sys.argv[2]), plan(Path(sys.argv[1])), workers=2):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_run_loses_nothing(
    light: Watermarker, registry: Registry, photos: Path, number: signal.Signals
) -> None:
    for seed in range(17):
        Image.fromarray(smooth_picture(seed=seed)).save(photos / f"k{seed:02}.png")
    out = photos.parent / "out"
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, str(photos), registry.name], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (out / "manifest.jsonl").exists() and len(lines_so_far(out)) >= 4)
    running.send_signal(number)
    assert running.wait(timeout=60) != 0
    states = list(check(registry, light).values())
    assert 0 < states.count("marked") < 20
    said = {line["path"] for line in lines_so_far(out) if line["status"] == "marked"}
    assert said <= {str(path.relative_to(out)) for path in out.rglob("*") if path.suffix in (".png", ".jpg")}
    outcomes = embed(light, registry, plan(photos), workers=2, resume=True)
    assert [outcome.error for outcome in outcomes] == [None] * 20
    assert {outcome.item.source.name for outcome in outcomes if outcome.earlier} == said
    final = check(registry, light)
    assert len(final) == 20 and set(final.values()) == {"marked"}
    assert len({word for word in (entry.word for entry in registry.list(state="marked"))}) == 20
    assert not list(out.rglob(".wam-*.part")) or number == signal.SIGKILL


def lines_so_far(out: Path) -> list[dict[str, Any]]:
    """The whole lines of a manifest that is being written."""
    content = (out / "manifest.jsonl").read_bytes()
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def wait_for(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


class TestDetect:
    def test_in_order_with_errors_among_them(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        embed(light, registry, plan(photos), workers=1)
        out = photos.parent / "out"
        (out / "b.jpg").write_bytes(b"")
        sources = find_sources([str(out), str(photos / "a.png")])
        outcomes = list(detect_locally(light, registry, sources, workers=3))
        assert [outcome.source for outcome in outcomes] == sources
        assets = [[r.entry.record.asset for r in outcome.readings if r.entry] for outcome in outcomes]
        assert assets == [["a"], [], ["c"], []]
        assert [outcome.error is not None for outcome in outcomes] == [False, True, False, False]

    def test_behind_a_url_as_from_a_file(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        memory = fsspec.filesystem("memory")
        memory.put(str(photos) + "/", "memory://in/", recursive=True)
        sources = find_sources(["memory://in"])
        assert [source.name for source in sources] == ["a.png", "b.jpg", "deep/c.png"]
        targets = find_targets(sources, output=None, out_dir="memory://out", in_place=False)
        items = plan_records(sources, targets, asset_from_name(FIELDS))
        with Manifest("memory://out") as manifest:
            list(embed_locally(light, Ledger(registry, light.name, manifest), items, workers=2))
        with Manifest("memory://out") as manifest:
            again = list(embed_locally(light, Ledger(registry, light.name, manifest), items, workers=2, resume=True))
        assert [outcome.earlier is not None for outcome in again] == [True] * 3
        found = list(detect_locally(light, registry, find_sources(["memory://out"]), workers=2))
        assert [[r.entry.record.asset for r in outcome.readings if r.entry] for outcome in found] == [
            ["a"],
            ["b"],
            ["c"],
        ]
        (missing,) = detect_locally(light, registry, find_sources(["memory://nowhere/x.png"]), workers=1)
        assert "memory://nowhere/x.png: expected a readable file" in str(missing.error)


def test_the_gate_counts_pixels_and_lets_a_large_picture_in_alone() -> None:
    gate, entered = Gate(most=10), threading.Event()

    def large() -> None:
        with gate.passing(99):
            entered.set()

    with gate.passing(6), gate.passing(4):
        thread = threading.Thread(target=large)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(timeout=5)
    assert entered.is_set() and gate.inside == 0
