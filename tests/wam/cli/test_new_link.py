"""``wam embed`` of what was marked before."""

from __future__ import annotations

from pathlib import Path

from tests.wam.cli.commands import MARK, Run, error_line, objects


def test_the_same_file_keeps_its_link_until_another_is_asked_for(run: Run, photo: Path) -> None:
    (first,) = objects(run("embed", photo, *MARK, "--json"))
    (again,) = objects(run("embed", photo, *MARK, "-o", "elsewhere.png", "--json"))
    assert again["link"] == first["link"] and again["record"] == first["record"]
    assert any("--new-link makes another" in note for note in again["notes"])
    (shown,) = objects(run("registry", "show", first["link"], "--json"))
    assert shown["output"] == "elsewhere.png" and len(shown["source"]) == 64
    (new,) = objects(run("embed", photo, *MARK, "--new-link", "--json"))
    assert new["link"] != first["link"] and not any("--new-link" in note for note in new["notes"])
    assert "earlier mark" in run("embed", photo, *MARK, "--out-dir", "out").stdout
    assert len(objects(run("registry", "list", "--json"))) == 2


def test_a_record_in_the_pixels_has_no_link(run: Run, photo: Path) -> None:
    result = run("embed", photo, *MARK, "--mode", "record", "--new-link")
    assert result.exit_code == 2
    assert error_line(result).startswith("--new-link: expected it without --mode record, found both;")
    assert sorted(Path().iterdir()) == [photo]
