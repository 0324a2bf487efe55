"""``detect --candidates``: what a mark could be in a registry that is too large for its word to say so; nothing else
names it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from payload import encode
from tests.wam.cli.commands import Run, objects
from tests.wam.synthetic import varied_picture
from wam.cli import terminal
from wam.cli.print_candidates import HINT
from wam.pipeline.registered_words import RegisteredWords

COUNT = 100_000  # words of the registry: some 1 of 21 of all
SECRETS = ("asset-7", "acme", "user-7")


def move(name: str, to: str) -> None:
    """Another picture with the mark of NAME.wm.png."""
    residual = np.asarray(Image.open(f"{name}.wm.png"), int) - np.asarray(Image.open(f"{name}.png"), int)
    Image.fromarray((varied_picture(seed=2) + residual).clip(0, 255).astype(np.uint8)).save(to)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures and the registry of the first test, for those after it; empty at first."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def link(run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry that seems to have a hundred thousand records, one of them real: ``in.wm.png`` is its picture, and
    ``moved.png`` another one with its mark."""
    if not any(made.iterdir()):
        Image.fromarray(varied_picture(seed=1)).save("in.png")
        asked = ("--asset", SECRETS[0], "--owner", SECRETS[1], "--user", SECRETS[2])
        (tmp_path / "link").write_text(objects(run("embed", "in.png", *asked, "--json"))[0]["link"])
        move("in", "moved.png")
        shutil.copytree(tmp_path, made, dirs_exist_ok=True)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    link = (tmp_path / "link").read_text()
    many, get = encode(np.arange(COUNT, dtype=np.uint32)), RegisteredWords.get

    def seemingly(words: RegisteredWords, **how: Any) -> Any:
        own = get(words, **how)
        return None if own is None else np.union1d(own, many)

    monkeypatch.setattr(RegisteredWords, "get", seemingly)
    return link


def test_a_mark_that_lies_on_its_picture_is_named_and_one_that_does_not_is_not(run: Run, link: str) -> None:
    (own,) = objects(run("detect", "in.wm.png", "--json"))
    (mark,) = own["watermarks"]
    assert (mark["status"], mark["binding"], mark["link"], mark["record"]["asset"]) == (
        "verified", "own", link, SECRETS[0],
    )  # fmt: skip
    assert mark["name_log10_p"] < -3
    result = run("detect", "moved.png", "--json")
    (mark,) = objects(result)[0]["watermarks"]
    assert (mark["status"], mark["link"], mark["transplanted"]) == ("unregistered", link, False)
    assert {mark[key] for key in ("record", "registry", "binding", "name_log10_p")} == {None}
    assert "candidates" not in mark and result.exit_code == 0
    assert run("detect", "moved.png", "--fail-unless", "verified").exit_code == 1


def test_they_are_listed_where_that_is_asked_for(run: Run, link: str) -> None:
    (mark,) = objects(run("detect", "moved.png", "--json", "--candidates"))[0]["watermarks"]
    (one,) = mark["candidates"]
    assert (one["link"], one["record"]["user"], one["binding"]) == (link, SECRETS[2], "other")
    assert one["registry"].endswith("registry.sqlite") and one["name_log10_p"] == pytest.approx(-1.32, abs=0.01)
    assert mark["status"] == "unregistered" and mark["record"] is None
    (own,) = objects(run("detect", "in.wm.png", "--json", "--candidates"))
    assert own["watermarks"][0]["candidates"] == []


@pytest.mark.parametrize("columns", [60, None])
def test_people_are_told_that_it_is_no_name(
    run: Run, link: str, columns: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)
    plain = run("detect", "moved.png").stdout
    assert plain.splitlines()[-1] == HINT and not any(secret in plain for secret in SECRETS)
    listed = run("detect", "moved.png", "--candidates").stdout
    assert "mark 1 could be of this record, as could be 1 of 21 marks of other registries: not named" in listed
    assert HINT not in listed and "verified" not in listed and all(secret in listed for secret in SECRETS)
    assert "another picture" in listed
    assert HINT not in run("detect", "in.wm.png").stdout


@pytest.mark.parametrize(
    "command",
    [
        ("detect", "--json"),
        ("detect", "--overlay", "o.png"),
        ("trace",),
        ("trace", "--json"),
        ("verify",),
        ("recover",),
    ],
)
def test_nothing_else_names_it(run: Run, link: str, command: tuple[str, ...]) -> None:
    result = run(command[0], "moved.png", *command[1:])
    assert not any(secret in result.output for secret in SECRETS)


def test_the_evidence_sheet_does_not_name_it(run: Run, link: str) -> None:
    assert run("trace", "moved.png", "--evidence", "sheet.html").exit_code == 0
    page = Path("sheet.html").read_text()
    assert "unregistered" in page and not any(secret in page for secret in SECRETS)


def test_a_mark_of_a_secret_key_is_named_and_a_public_one_beside_it_is_not(run: Run, link: str) -> None:
    """Strangers have no mark of this key, so that its word alone is enough."""
    Path("secret.key").write_bytes(b"sixteen bytes of secret\n")
    Path("k.png").write_bytes(Path("in.png").read_bytes())
    keyed = ("--key-file", "secret.key")
    (marked,) = objects(run("embed", "k.png", "--asset", "keyed-1", "--owner", "acme", *keyed, "--json"))
    move("k", "keyed.png")
    own, public = (objects(run("detect", one, *keyed, "--json"))[0]["watermarks"] for one in ("keyed.png", "moved.png"))
    assert [(one["status"], one["link"], one["transplanted"]) for one in own] == [("verified", marked["link"], True)]
    assert own[0]["name_log10_p"] > -2  # of a registry with the same key
    assert [(one["status"], one["link"], one["record"]) for one in public] == [("unregistered", link, None)]


def test_folders_and_reports(run: Run, link: str) -> None:
    Path("found").mkdir()
    Path("moved.png").rename("found/moved.png")
    assert run("detect", "found").stdout.splitlines() == [f"found/moved.png: unregistered {link}; {HINT}"]
    outs = ("--out", "r.jsonl", "--out", "r.csv", "--out", "r.html")
    (line,) = run("detect", "found", "--candidates", *outs).stdout.splitlines()
    assert line.endswith(f"; could be {link} asset-7 acme user-7 (as 1 of 21 marks of other registries)")
    rows = list(csv.DictReader(Path("r.csv").read_text().splitlines()))
    assert [(row["status"], row["link"], row["user"]) for row in rows] == [
        ("unregistered", link, ""), ("could be", link, SECRETS[2]),
    ]  # fmt: skip
    assert "could be" in Path("r.html").read_text()
    assert json.loads(Path("r.jsonl").read_text())["settings"]["candidates"] is True


def test_what_is_listed_is_logged_and_nothing_else(run: Run, link: str) -> None:
    run("detect", "moved.png", "--log-look-ups")
    assert "looked-up" not in run("registry", "audit").stdout
    run("detect", "moved.png", "--log-look-ups", "--candidates")
    assert "looked-up" in run("registry", "audit").stdout
