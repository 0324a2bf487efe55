"""Looking records up in several registries at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import wam
from payload.registry import Registry
from tests.wam.cli.commands import Run, draw, error_line, objects
from wam.cli import terminal

SHIPPED = Path(wam.__file__).parents[1] / "tests" / "data" / "0.2.0" / "registry.sqlite"
BOTH = ("--registry", "a.db", "--registry", "b.db")


@pytest.fixture
def links(run: Run) -> dict[str, str]:
    """Two pictures, each marked with a registry of its own."""
    found = {}
    for seed, name in enumerate("ab"):
        draw(f"{name}.png", seed=seed)
        command = ("embed", f"{name}.png", "--asset", name, "--owner", "acme", "--registry", f"{name}.db", "--json")
        found[name] = str(objects(run(*command))[0]["link"])
    return found


def marks(run: Run, *arguments: str) -> list[tuple[str, str, str | None]]:
    found = objects(run("detect", "a.wm.png", "b.wm.png", *arguments, "--json"))
    return [
        (mark["status"], (mark["record"] or {}).get("asset"), mark["registry"] and Path(mark["registry"]).name)
        for one in found
        for mark in one["watermarks"]
    ]


def test_each_mark_is_named_by_the_registry_that_knows_it(run: Run, links: dict[str, str]) -> None:
    assert marks(run, *BOTH) == [("verified", "a", "a.db"), ("verified", "b", "b.db")]
    assert marks(run, "--registry", "b.db") == [("unregistered", None, None), ("verified", "b", "b.db")]


def test_the_environment_lists_them_too(run: Run, links: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAM_REGISTRY", "b.db | a.db")
    assert marks(run) == [("verified", "a", "a.db"), ("verified", "b", "b.db")]
    run("embed", "a.png", "--asset", "new", "--owner", "acme", "-o", "new.png")
    assert len(objects(run("registry", "list", "--json", "--registry", "b.db"))) == 2  # the first is written to


def test_a_registry_of_0_2_0_is_asked_too_and_stays_as_it_is(run: Run, links: dict[str, str]) -> None:
    shutil.copy(SHIPPED, "old.db")
    found = objects(run("registry", "list", "--registry", "old.db", *BOTH, "--json"))
    assert [(Path(one["registry"]).name, one["record"]["asset"]) for one in found] == [
        ("old.db", "a"), ("old.db", "b"), ("old.db", "keyed"), ("old.db", "gone"), ("a.db", "a"), ("b.db", "b"),
    ]  # fmt: skip
    assert marks(run, "--registry", "old.db", *BOTH) == [("verified", "a", "a.db"), ("verified", "b", "b.db")]
    assert Path("old.db").read_bytes() == SHIPPED.read_bytes()


def test_one_that_took_a_record_back_does_not_silence_the_others(run: Run, links: dict[str, str]) -> None:
    shutil.copy("a.db", "copy.db")
    run("registry", "withdraw", links["a"], "--registry", "a.db")
    assert marks(run, *BOTH)[0] == ("withdrawn", None, "a.db")
    assert marks(run, *BOTH, "--registry", "copy.db")[0] == ("verified", "a", "copy.db")


def test_another_record_behind_the_same_word_is_said(run: Run, links: dict[str, str]) -> None:
    run("registry", "export", "--registry", "a.db", "-o", "all.jsonl")
    header, line = Path("all.jsonl").read_text().splitlines()
    other = json.loads(line)
    other["record"]["asset"] = "other"
    Path("all.jsonl").write_text(f"{header}\n{json.dumps(other)}\n")
    run("registry", "import", "all.jsonl", "--registry", "other.db")
    shutil.copy("a.db", "same.db")
    names = ("--registry", "same.db", *BOTH, "--registry", "other.db")
    (found,) = objects(run("detect", "a.wm.png", *names, "--json"))
    (mark,) = found["watermarks"]
    assert Path(mark["registry"]).name == "same.db" and [Path(one).name for one in mark["also_in"]] == ["other.db"]
    shown = run("detect", "a.wm.png", *names).stdout
    assert "same.db (and 1 more know this word)" in shown


def test_people_see_which_registry_only_where_there_are_several(
    run: Run, links: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "registry" not in run("detect", "a.wm.png", "--registry", "a.db").stdout
    assert "a.db" in run("detect", "a.wm.png", *BOTH).stdout
    lines = run("registry", "list", *BOTH).stdout.splitlines()
    assert [line.rpartition("/")[2] for line in lines if line.endswith(".db:")] == ["a.db:", "b.db:"]
    Path("folder").mkdir()
    shutil.copy("a.wm.png", "folder")
    assert "a.db" in run("detect", "folder", *BOTH).stdout
    monkeypatch.setattr(terminal, "width", lambda: 60)
    assert "registry: " in run("detect", "b.wm.png", *BOTH).stdout


def test_a_link_is_shown_from_the_first_that_knows_it(run: Run, links: dict[str, str]) -> None:
    (shown,) = objects(run("registry", "show", links["b"], *BOTH, "--json"))
    assert Path(shown["registry"]).name == "b.db" and shown["record"]["asset"] == "b"
    Registry.open("a.db").withdraw(links["a"])
    assert objects(run("registry", "show", links["a"], *BOTH, "--json"))[0]["state"] == "withdrawn"
    result = run("registry", "show", "wm:0000-0000", *BOTH)
    assert result.exit_code == 1 and error_line(result).startswith("link 'wm:0000-0000': expected a link")
    run("registry", "init", "--registry", "c.db")
    result = run("registry", "show", links["b"], "--registry", "a.db", "--registry", "c.db")
    assert result.exit_code == 1 and error_line(result).startswith(
        f"expected an entry for link {links['b']} in one of "
    )


def test_one_that_is_not_there_ends_the_command(run: Run, links: dict[str, str]) -> None:
    result = run("detect", "a.wm.png", "--registry", "a.db", "--registry", "none.db")
    assert result.exit_code == 2 and "none.db: expected a file, found none" in error_line(result)


def test_no_output_takes_the_place_of_any_of_them(run: Run, links: dict[str, str]) -> None:
    Path("b.png.db").touch()
    before = Path("b.db").read_bytes()
    shutil.copy("b.db", "registry.png")
    result = run("detect", "a.wm.png", "--registry", "a.db", "--registry", "registry.png", "--overlay", "registry.png")
    assert result.exit_code == 2 and Path("registry.png").read_bytes() == before
