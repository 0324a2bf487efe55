"""Record mode on folders: the manifest, --resume, label and frames, with the guarantees of link mode."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from tests.wam.cli.commands import Run, counts, error_line, manifest, objects
from tests.wam.jobs.runs import lines_so_far, plan, wait_for
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.jobs.engines.local import embed_locally
from wam.jobs.journal import Journal
from wam.jobs.manifest import Manifest
from wam.jobs.record_mode import RecordMode
from wam.pictures.animation import read_animation
from wam.pictures.files import read_image
from wam.pipeline import mark_link
from wam.pipeline.options import MarkOptions
from wam.provenance.aigc_label import read_label

ROOT = Path(mark_link.__file__).parents[2]
MARK = ("--asset-from", "name", "--owner", "acme", "--mode", "record", "--psnr", "34")
INTO = ("--out-dir", "out")
SETTINGS = MarkOptions("record", 34.0)


@pytest.fixture
def photos(run: Run) -> Path:
    """Two pictures that have room for a record each."""
    for seed, name in enumerate(("photos/1.png", "photos/deep/2.png")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth_picture(384, 544, seed=seed)).save(name)
    return Path("photos")


def test_a_folder_is_marked_and_resumed(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"")
    first = run("embed", photos, *MARK, *INTO, "--json", "--workers", "2")
    assert first.exit_code == 1 and counts(first.stderr) == (2, 0, 1)
    assert [one["mode"] for one in objects(first)] == ["record"] * 3
    assert {name: line["status"] for name, line in manifest().items()} == {
        "1.png": "marked", "deep/2.png": "marked", "broken.png": "failed",
    }  # fmt: skip
    again = run("embed", photos, *MARK, *INTO, "--json", "--resume")
    assert counts(again.stderr) == (0, 2, 1)
    assert [one for one in objects(again) if not one["error"]] == [one for one in objects(first) if not one["error"]]
    shown = run("embed", photos, *MARK, *INTO, "--resume").stdout.splitlines()
    assert [line.split()[-3:] for line in shown] == [["record", "done", "before"]] * 2
    read = objects(run("detect", "out", "--json"))
    assert [mark["record"]["asset"] for one in read for mark in one["watermarks"]] == ["1", "2"]
    assert not (tmp_path / "wam").exists()


def test_what_changed_is_marked_again(run: Run, photos: Path) -> None:
    run("embed", photos, *MARK, *INTO)
    Path("out/1.png").write_bytes(b"damaged")
    assert counts(run("embed", photos, *MARK, *INTO, "--resume").stderr) == (1, 1, 0)
    result = run("embed", photos, *MARK[:-1], "36", *INTO, "--resume", "--json")
    assert counts(result.stderr) == (2, 0, 0)
    assert [one["notes"][-1] for one in objects(result)] == ["marked again: strength was 34 dB, is 36 dB"] * 2


def test_a_link_run_over_a_record_run_and_back(run: Run, photos: Path) -> None:
    for mode, before in (("record", None), ("link", "record"), ("record", "link")):
        result = run("embed", photos, *MARK, "--mode", mode, *INTO, "--resume", "--json")
        assert result.exit_code == 0
        said = [note for one in objects(result) for note in one["notes"] if note.startswith("marked again")]
        assert said == [f"marked again: mode was {before}, is {mode}"] * (2 if before else 0)


def test_the_label_names_the_record(run: Run, photos: Path) -> None:
    (marked,) = objects(run("embed", photos / "1.png", *MARK, "--label", "--json"))
    assert marked["labelled"] is True
    label = read_label(read_image("photos/1.wm.png").metadata)
    assert label is not None and (label.producer, label.produce_id) == ("acme", "wm:record:1")
    (found,) = objects(run("detect", "photos/1.wm.png", "--json"))
    assert found["label"]["agrees"] is True
    run("embed", photos / "deep/2.png", *MARK, "-o", "other.png")
    with Image.open("photos/1.wm.png") as picture, Image.open("other.png") as other:
        other.save("taken.png", pnginfo=_text_of(picture))
    (found,) = objects(run("detect", "taken.png", "--json"))
    assert found["label"]["agrees"] is False


def _text_of(picture: Image.Image) -> PngImagePlugin.PngInfo:
    """Its XMP packet, to be saved with another picture."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", picture.info["XML:com.adobe.xmp"])
    return info


def test_all_frames_carry_the_record(run: Run) -> None:
    frames = [Image.fromarray(smooth_picture(384, 544, seed=seed)) for seed in (0, 1)]
    frames[0].save("7.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert "expected one still picture" in error_line(run("embed", "7.webp", *MARK))
    (marked,) = objects(run("embed", "7.webp", *MARK, "--all-frames", "--json"))
    assert (marked["frames"], marked["error"]) == (2, None)
    for number, picture in enumerate(read_animation("7.wm.webp").pictures):
        Image.fromarray(picture.pixels).save(f"{number}.png")
        (found,) = objects(run("detect", f"{number}.png", "--json"))
        assert [mark["record"]["asset"] for mark in found["watermarks"]] == ["7"]
    (found,) = objects(run("detect", "7.wm.webp", "--all-frames", "--json"))
    assert [mark["record"]["asset"] for mark in found["watermarks"]] == ["7"]


RUN = """
import sys
from pathlib import Path
from tests.wam.synthetic import handmade_marker
from tests.wam.cli.test_record_runs import SETTINGS
from tests.wam.jobs.runs import plan
from wam.jobs.journal import Journal
from wam.jobs.engines.local import embed_locally
from wam.jobs.manifest import Manifest
from wam.jobs.record_mode import RecordMode
photos, marker = Path(sys.argv[1]), handmade_marker()
with Manifest(photos.parent / "out") as manifest:
    mode = RecordMode(Journal(marker.name, manifest, SETTINGS))
    for outcome in embed_locally(marker, mode, plan(photos), workers=2):
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_is_taken_up_again(tmp_path: Path, number: signal.Signals) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    for seed in range(8):
        Image.fromarray(smooth_picture(384, 544, seed=seed)).save(photos / f"{seed}.png")
    command = [sys.executable, "-c", RUN, str(photos)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    manifest_file = out / "manifest.jsonl"
    wait_for(lambda: manifest_file.exists() and "marked" in [line["status"] for line in lines_so_far(out)])
    running.send_signal(number)
    assert running.wait(timeout=60) != 0
    said = {line["path"] for line in lines_so_far(out) if line["status"] == "marked"}
    assert 0 < len(said) < 8 and said <= {path.name for path in out.glob("*.png")}
    assert not list(out.glob(".wam-*.part")) or number == signal.SIGKILL
    marker = handmade_marker()
    with Manifest(out) as manifest:
        mode = RecordMode(Journal(marker.name, manifest, SETTINGS))
        outcomes = list(embed_locally(marker, mode, plan(photos), workers=2, resume=True))
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert {outcome.item.source.name for outcome in outcomes if outcome.earlier} == said
