"""The null run over distinct pictures: each counted once, by kind; frozen; gone on with after a kill."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from tests.wam.synthetic import smooth_picture
from wam.watermarker import load

SCRIPT = Path(__file__).parents[2] / "scripts" / "null_run.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("null_run_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["null_run_script"] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


NULL = module()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four files of two kinds: one of them twice, one that nothing reads."""
    folder = tmp_path / "pictures"
    for number, name in enumerate(("photos/a.png", "photos/b.png", "scans/c.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth_picture(72, 80, seed=number)[:, :: (-1) ** number]).save(path)
    (folder / "scans" / "b-again.png").write_bytes((folder / "photos" / "b.png").read_bytes())
    (folder / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture
def null(monkeypatch: pytest.MonkeyPatch, pictures: Path, tmp_path: Path) -> Callable[..., int]:
    torch.set_num_threads(1)

    def invoke(*options: str) -> int:
        more = () if "--summary" in options else ("--pictures", str(pictures), "--workers", "1", "--records", "40")
        records = ("--records", "40") if "--summary" in options else ()
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", str(tmp_path / "null"), *more, *records, *options])
        return int(NULL.main())

    return invoke


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "null.csv").read_text().splitlines()[1:]))


def test_a_run_goes_on_after_a_kill_and_counts_each_picture_once(
    null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "null.csv"
    assert null() == 0
    whole = table.read_text()
    read = rows(tmp_path)
    assert sorted({row["kind"] for row in read}) == ["photos", "scans"]
    assert {row["shown"] for row in read} == {"unmarked", "other-registry", "other-key"}
    assert [row["hash"] for row in read if row["picture"].endswith("broken.png")].count("") >= 1
    shown = capsys.readouterr().out
    assert "of pictures seen before: not counted" in shown and "in a million)" in shown
    unmarked = [row for row in NULL.distinct([row for row in read if row["hash"]]) if row["shown"] == "unmarked"]
    assert 1 <= len(unmarked) < len({row["picture"] for row in read if row["hash"]})
    first, _, _ = whole.partition("\nscans/")
    table.write_text(first + "\nscans/b-ag")  # a kill while a row was written
    assert null() == 0
    assert "to do" in capsys.readouterr().err
    assert sorted(table.read_text().splitlines()) == sorted(whole.splitlines())


def test_a_run_is_frozen(null: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert null("--minutes", "0") == 0
    table = tmp_path / "null.csv"
    table.write_text(table.read_text().replace(", search ", ", search 0"))
    capsys.readouterr()
    assert null("--summary") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {table}: expected rows of ") and "frozen" in line


def test_alarms_are_counted_by_picture_with_exact_intervals() -> None:
    row = dict.fromkeys(NULL.COLUMNS, "") | {"kind": "photos", "shown": "unmarked", "anonymous": "0", "named": "0"}
    found = [
        row | {"picture": f"{number}", "hash": f"{number * 0x0F0F0F0F0F0F0F0F % 2**64:016x}"} for number in range(40)
    ]
    found[7]["anonymous"] = "1"
    named = found[3] | {"shown": "other-registry", "named": "1"}
    text = NULL.summary([*found, named, row | {"picture": "x", "hash": ""}])
    kept = len(NULL.distinct(found))
    assert f"photos: 1 of {kept} (" in text
    assert "other-registry: a record named in 1 of 1 (2.5000% to 100.0000%; 25,000 to 1,000,000 in a million)" in text
    assert "42 readings, 1 of files that could not be read" in text


def test_drawn_pictures_are_distinct_and_the_same_each_time() -> None:
    first = NULL.draw(3)
    assert (first == NULL.draw(3)).all() and first.dtype == np.uint8 and first.ndim == 3
    hashes = [NULL.hash_rgb(NULL.draw(number)) for number in range(3)]
    assert len(set(hashes)) == 3


def test_a_word_that_is_registered_is_an_alarm(tmp_path: Path) -> None:
    from payload import bits_from_word
    from wam.bench.photos import ImageSet
    from wam.pipeline.registered_words import RegisteredWords

    torch.set_num_threads(1)
    marker = load(device="cpu")
    registry = NULL.make_registry(tmp_path / "r.sqlite", 40)
    words = RegisteredWords(registry)
    setup = NULL.Setup(marker, marker.model, registry, words, [], {}, ImageSet.packaged())
    known = words.get()
    assert known is not None
    marked = np.asarray(marker.embed(smooth_picture(128, 144), bits_from_word(int(known[3]))).image)
    Image.fromarray(marked).save(tmp_path / "a.png")
    row = NULL.read_source(setup, (NULL.Source("a.png", "photos", tmp_path / "a.png"), "unmarked"))
    assert (row["named"], row["anonymous"], row["width"]) == (1, 0, 144)
