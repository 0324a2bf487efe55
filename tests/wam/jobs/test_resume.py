"""Runs that were cut off anywhere, and are taken up again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from payload import PayloadError
from payload.registry import Registry
from tests.wam.jobs.runs import ROOT, check, embed, lines, lines_so_far, plan, wait_for
from tests.wam.synthetic import smooth_picture
from wam.errors import ImageError
from wam.jobs.journal import Journal
from wam.jobs.link_mode import ConfirmError, LinkMode
from wam.jobs.plan import Fields
from wam.pipeline.mark_link import LinkMarking
from wam.watermarker import Watermarker


def confirming_fails(patch: pytest.MonkeyPatch) -> None:
    """Marks are written, and the registry is gone when it is told."""

    def down(*_: object, **__: object) -> None:
        raise PayloadError("registry: not there")

    patch.setattr(Registry, "confirm", down)


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
        assert first.result.report.link is not None
        registry.withdraw(first.result.report.link)
        outcomes = embed(light, registry, plan(photos), workers=1, resume=True)
        assert [outcome.earlier is not None for outcome in outcomes] == [False, True, True]

    def test_a_file_that_was_written_but_not_confirmed_keeps_its_id(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        items = plan(photos)[:1]
        with monkeypatch.context() as patch:
            confirming_fails(patch)
            (outcome,) = embed(light, registry, items, workers=1)
        assert isinstance(outcome.error, ConfirmError)
        assert check(registry, light) == {"a": "pending"} and Path(items[0].target).exists()
        written = Path(items[0].target).read_bytes()
        (outcome,) = embed(light, registry, items, workers=1)
        assert outcome.error is None
        assert check(registry, light) == {"a": "marked"} and Path(items[0].target).read_bytes() == written

    def test_an_id_that_an_earlier_file_carries_is_not_given_up(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ImageError("a.png: no")

        items = plan(photos)[:1]
        with monkeypatch.context() as patch:
            confirming_fails(patch)
            embed(light, registry, items, workers=1)
        with monkeypatch.context() as patch:
            patch.setattr(LinkMarking, "finish", fail)
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
            patch.setattr(LinkMode, "abandon", lambda *_: None)
            if step == "before the file":
                patch.setattr(LinkMarking, "finish", crash)
            elif step == "before confirm":
                patch.setattr(Registry, "confirm", crash)
            else:
                patch.setattr(Journal, "note", crash)
            with pytest.raises(Crash):
                embed(light, registry, items, workers=1)
        (entry,) = registry.list()
        assert (entry.state, lines(photos)[-1]["status"]) == (
            "marked" if step == "before the manifest" else "pending",
            "pending",
        )
        (outcome,) = embed(light, registry, items, workers=1, resume=True)
        assert outcome.result is not None and outcome.result.report.words == (entry.word,)
        assert check(registry, light) == {"a": "marked"}


RUN = """
import sys
from pathlib import Path
from payload.registry import Registry
from tests.wam.synthetic import handmade_marker
from tests.wam.jobs.runs import embed, plan
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
