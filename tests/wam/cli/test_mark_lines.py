"""What people see in terminals of any width: status and link are always whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wam.cli.commands import MARK, Run, draw, objects
from wam.cli import terminal

WIDTHS = [30, 50, 80, 120]
LONG = (
    "--asset",
    "campaign-2026-autumn-and-winter-000123",
    "--owner",
    "Acme Pictures International 写真",
    "--user",
    "u",
)


def set_width(patch: pytest.MonkeyPatch, columns: int | None) -> None:
    patch.setattr(terminal, "width", lambda: columns)


@pytest.mark.parametrize("columns", WIDTHS)
def test_one_picture(run: Run, photo: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    link = objects(run("embed", photo, *LONG, "--json"))[0]["link"]
    set_width(monkeypatch, columns)
    lines = run("detect", "in.wm.png").stdout.splitlines()
    assert lines[0] == "in.wm.png: 1 watermark"
    assert {f"link: {link}", "status: verified", "mark: 1"} <= set(lines)
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("asset: campaign") for line in lines) and "-" not in [line[-1:] for line in lines]


def test_a_table_where_there_is_room_for_all_of_it(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("embed", photo, *MARK)
    set_width(monkeypatch, None)
    piped = run("detect", "in.wm.png").stdout.splitlines()
    assert piped[1].split()[:3] == ["status", "link", "asset"] and len(piped) == 3
    needed = max(len(line.rstrip()) for line in piped)
    set_width(monkeypatch, needed)
    assert run("detect", "in.wm.png").stdout.splitlines() == piped
    set_width(monkeypatch, needed - 1)
    assert "mark: 1" in run("detect", "in.wm.png").stdout


def test_a_pipe_cuts_nothing(run: Run, photo: Path) -> None:
    run("embed", photo, *LONG)
    said = run("detect", "in.wm.png").stdout
    assert LONG[1] in said and LONG[3] in said


@pytest.mark.parametrize("columns", [*WIDTHS, None])
def test_a_folder_has_one_line_a_picture(run: Run, columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    source = draw("a/folder/of/photographs/with-a-long-name.png")
    (marked,) = objects(run("embed", source, *LONG, "-o", "a/folder/of/photographs/marked-one.png", "--json"))
    set_width(monkeypatch, columns)
    found, none = run("detect", "a").stdout.splitlines()
    assert f"one.png: verified {marked['link']}" in found and none.endswith("name.png: no watermark")
    if columns is None:
        assert found.endswith(f"{LONG[1]} {LONG[3]} u") and found.startswith("a/folder/of/photographs/")
    elif columns >= 50:
        assert max(len(found), len(none)) <= columns


@pytest.mark.parametrize("columns", [50, 80])
def test_embed_keeps_the_link_whole(run: Run, photo: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_width(monkeypatch, columns)
    lines = run("embed", photo, *MARK).stdout.splitlines()
    link = next(line.removeprefix("link: ") for line in lines if line.startswith("link: "))
    assert run("registry", "show", link).exit_code == 0
    assert lines[0] == "marked: in.png -> in.wm.png" and "self-check: passed" in lines
    draw(f"photos/{'long-name-' * 9}.png")
    (line,) = run("embed", "photos", *MARK, "--out-dir", "out").stdout.splitlines()
    assert re.match(r"wm:[\w-]{9}  out/long-name-", line) and len(line) == columns and line.endswith("…")


def test_a_real_terminal_of_50_columns(run: Run, photo: Path, tmp_path: Path) -> None:
    """The width is asked for, nothing that matters is cut."""
    pty = pytest.importorskip("pty", reason="needs Unix terminals")
    link = objects(run("embed", photo, *MARK, "--json"))[0]["link"]
    outer, inner = pty.openpty()
    code = (
        "import sys; from tests.wam.synthetic import handmade_marker; from wam import watermarker;"
        "watermarker.load = lambda *_, keys, **__: handmade_marker(*keys); from wam.cli import main;"
        "sys.argv = ['wam', *sys.argv[1:]]; main()"
    )
    environment = {**os.environ, "COLUMNS": "50", "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [
        sys.executable,
        "-c",
        code,
        "detect",
        "in.wm.png",
        "--registry",
        str(tmp_path / "wam" / "registry.sqlite"),
    ]
    try:
        subprocess.run(command, stdout=inner, env=environment, check=True, timeout=120)
        shown = os.read(outer, 1 << 16).decode().splitlines()
    finally:
        os.close(inner)
        os.close(outer)
    assert f"link: {link}" in shown and max(map(len, shown)) <= 50
