"""The README: short, and what it shows is what a reader gets."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from scripts.docs_pages import ROOT
from tests.docs.pages import SAMPLES, likened
from tests.terminals import run_in_terminal

README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_BYTES = 8192
SESSION = re.compile(r"^```console\n\$ wam (?P<arguments>.*)\n(?P<printed>(?:.*\n)*?)```$", re.MULTILINE)
SESSIONS = {match["arguments"].split()[0]: match for match in SESSION.finditer(README)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``img.png`` and a registry of its own."""
    for name in ("WAM_REGISTRY", "WAM_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    work = tmp_path / "work"
    work.mkdir()
    Image.open(SAMPLES / "dragonfly.jpg").convert("RGB").reduce(2).save(work / "img.png")
    return work


def typed(arguments: str, columns: int, folder: Path) -> str:
    """What stands in a terminal after a command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "wam", *shlex.split(arguments)]
    status, lines = run_in_terminal(command, columns, cwd=folder, env=environment)
    assert status == 0, "\n".join(lines)
    return "\n".join(lines)


def test_it_is_short() -> None:
    assert len(README.encode()) <= MOST_BYTES


@pytest.mark.parametrize("columns", [80, 50])
def test_the_first_two_commands_print_what_it_shows(columns: int, folder: Path) -> None:
    printed = typed(SESSIONS["embed"]["arguments"], columns, folder)
    assert likened(printed) == likened(SESSIONS["embed"]["printed"])
    page = Image.open(SAMPLES / "dune.jpg").convert("RGB").reduce(2)
    page.paste(Image.open(folder / "img.wm.png").convert("RGB").resize((400, 226)), (30, 40))
    page.save(folder / "composite.jpg", quality=90)
    printed = typed(SESSIONS["detect"]["arguments"], columns, folder)
    assert likened(printed) == likened(SESSIONS["detect"]["printed"])


def test_the_third_command_begins_with_the_table_that_it_shows(folder: Path) -> None:
    """On one attack: the whole protocol takes five minutes."""
    arguments = SESSIONS["bench"]["arguments"].replace("all", "identity,jpeg=80 --limit 1 --workers 1 --size 256")
    lines = typed(arguments, 80, folder).splitlines()
    head, *rows = SESSIONS["bench"]["printed"].splitlines()
    assert lines[0].split() == head.split()
    assert [line.split()[0] for line in lines[1:3]] == ["none", "valuemetric"] == [row.split()[0] for row in rows[:2]]


def test_studio_in_five_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    exec(code, {})
    assert capsys.readouterr().out.startswith("verified Record(asset='123', owner='acme'")


def test_the_picture_worn_instead_of_pasted_is_found(folder: Path) -> None:
    typed(SESSIONS["embed"]["arguments"], 80, folder)
    (arguments,) = re.findall(r"`wam (attack [^`]*)`", README)
    typed(arguments, 80, folder)
    assert "status: verified" in typed(SESSIONS["detect"]["arguments"], 80, folder)


def test_what_survives_is_what_the_page_says() -> None:
    """Every figure of the README's table is in the table of the page."""
    page = (ROOT / "docs" / "survives.md").read_text(encoding="utf-8")
    table = README[README.index("| attack | best set") :].split("\n\n")[0].splitlines()[2:]
    figures = {
        figure for line in table for cell in line.split("|")[2:4] for figure in re.findall(r"[\d.]+(?=[ %])", cell)
    }
    assert len(table) >= 8 and all(re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.])", page) for figure in figures)
