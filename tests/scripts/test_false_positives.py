"""The null run: what is counted, and a table that outlives kills and takes no rows of another checkpoint."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from payload import bits_from_word, decode_soft
from tests.wam.synthetic import smooth_picture
from wam.bench.photos import ImageSet
from wam.detection.calibration import Calibration
from wam.pipeline.registered_words import RegisteredWords
from wam.watermarker import load

SCRIPT = Path(__file__).parents[2] / "scripts" / "false_positives.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("null_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["null_script"] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


NULL = module()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three small photos, one of them in a folder of its own."""
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth_picture(72, 80, seed=number)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def null(monkeypatch: pytest.MonkeyPatch, photos: Path, tmp_path: Path) -> Callable[..., int]:
    """Runs the script on the photos, or with --summary; returns its exit status."""
    torch.set_num_threads(1)

    def invoke(*options: str) -> int:
        more = () if "--summary" in options else ("--photos", str(photos), "--workers", "1", "--records", "40")
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", str(tmp_path / "null"), *more, *options])
        return int(NULL.main())

    return invoke


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "null.csv").read_text().splitlines()[1:]))


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One photo, larger in every 16th view, the shipped checkpoint and 40 records."""
    torch.set_num_threads(1)
    marker, folder = load(device="cpu"), tmp_path_factory.mktemp("setup")
    registry = NULL.make_registry(folder / "r.sqlite", 40)
    photo = folder / "a.png"
    Image.fromarray(smooth_picture(192, 216)).save(photo)
    pictures, larger = {0: smooth_picture(128, 144)}, ImageSet.of([str(photo)])
    return NULL.Setup(marker, marker.model, registry, RegisteredWords(registry), ["a.png"], pictures, larger)


def test_a_run_goes_on_after_a_kill_and_ends_with_the_same_rows(
    null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "null.csv"
    assert null("--views", "9") == 0
    whole = table.read_text()
    seen = rows(tmp_path)
    assert [row["view"] for row in seen] == [str(n) for n in range(9)]
    assert [row["picture"] for row in seen[:4]] == ["a.png", "b.png", "c.png", "a.png"]
    assert seen[0]["attack"] == "identity" and seen[3]["attack"] == "gaussian_blur=9"
    assert [row["kind"] for row in seen].count("other-registry") == 1 and seen[7]["kind"] == "other-registry"
    assert all(float(row["score"]) > 0 and int(row["tried"]) > 0 for row in seen)
    shown = capsys.readouterr().out
    assert "unmarked: 8 views" in shown and "views with a record wrongly named: 0 in 9 (below 28.313%)" in shown
    with Image.open(tmp_path / "null.png") as plot:
        assert plot.width > 500
    table.write_text(whole[: whole.index("\n6,") + 4])  # a kill while view 6 was written
    assert null("--views", "9") == 0
    assert "6 views done, 3 to do" in capsys.readouterr().err
    assert table.read_text() == whole


def test_rows_of_another_checkpoint_or_setup_are_refused(
    null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert null("--views", "1") == 0
    table = tmp_path / "null.csv"
    first = table.read_text()
    capsys.readouterr()
    assert null("--views", "2", "--side", "64") == 2
    assert "of at most 64 and 512 pixels, found those of" in capsys.readouterr().err
    table.write_text(first.replace("# checkpoint ", "# checkpoint 0"))
    for options in (("--views", "2"), ("--summary",)):
        assert null(*options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {table}: expected rows of checkpoint ") and line.endswith("give another --out")
    assert table.read_text() == first.replace("# checkpoint ", "# checkpoint 0")


def test_tables_of_the_same_networks_and_search_are_taken(
    null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the checkpoint before its header was rewritten; not those of another search, as version 0.2.0's, which tables
    of that version do not name."""
    assert null("--views", "2") == 0
    table = tmp_path / "null.csv"
    whole = table.read_text()
    named, _, rest = whole.partition(" in ")
    description = load(device="cpu").model.description
    assert named == f"# checkpoint {description.name[-8:]}, search {description.search}"
    table.write_text(f"# checkpoint b4f631c7, search {description.search} in {rest}")
    assert null("--summary") == 0
    assert null("--views", "3") == 0 and len(rows(tmp_path)) == 3
    capsys.readouterr()
    for other in ("# checkpoint b4f631c7, search 0123456789abcdef", "# checkpoint b4f631c7"):
        table.write_text(f"{other} in {rest}")
        assert null("--summary") == 2
        assert f"found those of {other.removeprefix('# ')}" in capsys.readouterr().err


def test_minutes_end_a_run_and_the_summary_asks_for_rows(
    null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert null("--views", "2", "--minutes", "0") == 2
    assert "expected unmarked views, found none" in capsys.readouterr().err
    assert rows(tmp_path) == []


def test_processes_give_the_same_rows(null: Callable[..., int], photos: Path, tmp_path: Path) -> None:
    assert null("--views", "3") == 0
    options = ["--photos", str(photos), "--records", "40", "--views", "3", "--workers", "2"]
    command = [sys.executable, str(SCRIPT), *options, "--out", str(tmp_path / "two")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "two.csv").read_text() == (tmp_path / "null.csv").read_text()


def test_a_registered_word_counts_as_named(setup: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be a record named wrongly, if the registry were another's."""
    words = setup.words.get()  # type: ignore[attr-defined]
    unmarked = NULL.read_view(setup, 13)
    assert (unmarked["named"], unmarked["anonymous"]) == (0, 0)
    bits = bits_from_word(int(words[3]))
    marked = np.asarray(setup.marker.embed(setup.pictures[0], bits).image)  # type: ignore[attr-defined]
    monkeypatch.setitem(setup.pictures, 0, marked)  # type: ignore[attr-defined]
    row = NULL.read_view(setup, 13)
    assert (row["named"], row["anonymous"]) == (1, 0)
    assert float(row["score"]) > float(unmarked["score"]) and float(row["log10_p"]) < -4


def test_every_16th_view_is_larger(setup: object, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []
    see = NULL.examine
    monkeypatch.setattr(NULL, "examine", lambda marker, seen: sizes.append(seen.pixels.shape) or see(marker, seen))
    monkeypatch.setattr(NULL, "attack_of", lambda number, pictures: "identity")
    for number in (0, 13, 16, 26):
        NULL.read_view(setup, number)
    assert sizes == [(192, 216, 3), (128, 144, 3), (192, 216, 3), (128, 144, 3)]


def test_marks_of_others_are_readable_and_not_registered(setup: object) -> None:
    picture, marker = setup.pictures[0], setup.marker  # type: ignore[attr-defined]
    (found,) = marker.detect(NULL.marked(setup, picture, "other-registry", 7))
    word = decode_soft(found.logits)
    assert word is not None and word.word not in setup.words.get()  # type: ignore[attr-defined]
    other = NULL.marked(setup, picture, "other-key", 15)
    assert (other != picture).any() and marker.detect(other) == []


def test_every_picture_meets_every_attack_and_every_kind() -> None:
    pictures = 2 * len(NULL.ATTACKS)  # in step with the attacks
    seen = {(n % pictures, NULL.attack_of(n, pictures)) for n in range(pictures * len(NULL.ATTACKS))}
    assert len(seen) == pictures * len(NULL.ATTACKS)
    kinds = [NULL.kind_of(n) for n in range(32)]
    assert (kinds.count("other-registry"), kinds.count("other-key")) == (2, 2)


def test_the_expected_share_is_the_tail_for_all_that_was_tried() -> None:
    calibration = Calibration(threshold=20.0, null_location=10.0, null_scale=1.0, bit_slope=2.2)
    far = NULL.expected_share(calibration, np.array([2, 4]), 20.0)
    assert far == pytest.approx(3 * np.exp(-10), rel=1e-3)
    assert NULL.expected_share(calibration, np.array([50]), 9.0) == 1.0
