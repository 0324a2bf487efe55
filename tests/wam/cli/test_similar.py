"""``detect --similar``: registered pictures that look alike, told apart from watermarks, where there are none."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.wam.cli.commands import Run, objects
from tests.wam.synthetic import varied_picture
from wam.cli import terminal
from wam.cli.print_similar import share

RECORD = (
    "--asset",
    "campaign-2026-autumn-and-winter-000123",
    "--owner",
    "Acme Pictures International",
    "--user",
    "u-7",
)


def drawn(name: str, *, seed: int = 1) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(varied_picture(seed=seed)).save(name)
    return name


@pytest.fixture
def link(run: Run) -> str:
    """A registry with one marked picture; its source, ``in.png``, has no mark."""
    link: str = objects(run("embed", drawn("in.png"), *RECORD, "--json"))[0]["link"]
    return link


def similar(run: Run, *arguments: str) -> dict[str, Any]:
    (said,) = objects(run("detect", *arguments, "--json"))
    found: dict[str, Any] = said["similar"]
    return found


def test_a_copy_without_its_mark_leads_to_the_record(run: Run, link: str) -> None:
    result = run("detect", "in.png", "--similar", "--json")
    (said,) = objects(result)
    assert result.exit_code == 1 and said["watermarks"] == []  # it has no watermark, whatever it looks like
    (one,) = said["similar"]["pictures"]
    assert (one["link"], one["record"]["asset"], one["record"]["user"]) == (link, RECORD[1], "u-7")
    assert 0 <= one["distance"] <= 30 and one["turned"] == "" and one["registry"].endswith("registry.sqlite")
    assert said["similar"]["among"] == 1 and said["similar"]["false_match"] == 1.4e-6
    assert said["similar"]["reason"] is None


def test_without_the_option_nothing_is_said_of_it(run: Run, link: str) -> None:
    assert "similar" not in objects(run("detect", "in.png", "--json"))[0]
    assert "looks like" not in run("detect", "in.png").stdout


def test_a_marked_picture_has_both_and_its_status_is_its_mark_s(run: Run, link: str) -> None:
    result = run("detect", "in.wm.png", "--similar", "--json")
    (said,) = objects(result)
    assert result.exit_code == 0 and said["watermarks"][0]["status"] == "verified"
    assert [(one["link"], one["distance"]) for one in said["similar"]["pictures"]] == [(link, 0)]


@pytest.mark.parametrize(
    ("change", "turned"),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored left to right"),
        (Image.Transpose.ROTATE_180, "turned by 180°"),
        (Image.Transpose.ROTATE_90, "turned by 90° counter-clockwise"),
    ],
)
def test_a_copy_that_is_turned_or_mirrored(run: Run, link: str, change: Image.Transpose, turned: str) -> None:
    with Image.open("in.png") as image:
        image.transpose(change).save("copy.png")
    (one,) = similar(run, "copy.png", "--similar")["pictures"]
    assert (one["link"], one["turned"]) == (link, turned)


def test_so_many_are_listed_as_asked_the_nearest_first(run: Run, link: str) -> None:
    for user in ("b", "c", "d", "e", "f"):
        assert run("embed", "in.png", *RECORD[:4], "--user", user, "-o", f"{user}.png").exit_code == 0
    run("embed", drawn("other.png", seed=2), *RECORD)
    found = {count: similar(run, "in.png", *count) for count in (("--similar",), ("--similar", "2"))}
    assert [len(one["pictures"]) for one in found.values()] == [5, 2]
    assert len(similar(run, "in.png", "--similar", "100")["pictures"]) == 6
    distances = [one["distance"] for one in found[("--similar",)]["pictures"]]
    assert distances == sorted(distances)
    assert "whose this one is, the order does not tell" in run("detect", "in.png", "--similar").stdout


@pytest.mark.parametrize("count", ["0", "101"])
def test_counts_that_make_no_sense(run: Run, count: str) -> None:
    assert run("detect", "in.png", "--similar", count).exit_code == 2


def test_a_file_after_two_dashes_is_no_count(run: Run, link: str) -> None:
    Path("in.png").rename("3.png")
    assert [
        one["link"] for one in objects(run("detect", "--json", "--similar", "--", "3.png"))[0]["similar"]["pictures"]
    ] == [link]


@pytest.mark.parametrize("columns", [40, 80, None])
def test_people_are_told_that_it_is_no_watermark(
    run: Run, link: str, columns: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)
    lines = run("detect", "in.png", "--similar").stdout.splitlines()
    assert lines[:2] == ["in.png: no watermark", "looks like 1 registered picture: no watermark and no proof"]
    assert lines[2] == "by chance among 1 fingerprints: at most .00014%, as far as was tested"
    assert any(link in line for line in lines[3:]) and "verified" not in "\n".join(lines)
    assert "whose this one is" not in "\n".join(lines)  # of one user only
    if columns == 80:
        assert max(map(len, lines)) <= columns and f"link: {link}" in lines


def test_what_looks_like_none(run: Run, link: str) -> None:
    assert run("detect", drawn("other.png", seed=2), "--similar").stdout.splitlines() == [
        "other.png: no watermark",
        "looks like no registered picture, among 1",
    ]
    Image.new("RGB", (128, 128), "white").save("blank.png")
    assert run("detect", "blank.png", "--similar").stdout.splitlines()[1] == (
        "looks like: not looked for, since the picture shows too little for a fingerprint"
    )


@pytest.mark.parametrize("change", [("withdraw", "{link}"), ("erase", "--user", "u-7", "--yes")])
def test_what_is_withdrawn_or_erased_is_not_listed(run: Run, link: str, change: tuple[str, ...]) -> None:
    assert run("registry", *(word.format(link=link) for word in change)).exit_code == 0
    assert similar(run, "in.png", "--similar")["pictures"] == []


def test_several_registries(run: Run, link: str) -> None:
    run("registry", "init", "--registry", "b.sqlite")
    run("embed", "in.png", *RECORD, "-o", "b.png", "--registry", "a.sqlite")
    found = similar(run, "in.png", "--similar", "--registry", "b.sqlite", "--registry", "a.sqlite")
    assert [Path(one["registry"]).name for one in found["pictures"]] == ["a.sqlite"] and found["among"] == 1
    said = run("detect", "in.png", "--similar", "--registry", "b.sqlite", "--registry", "a.sqlite").stdout
    assert "registry" in said and "a.sqlite" in said


def test_an_old_registry_has_none_and_is_left_as_it_is(run: Run, link: str) -> None:
    place = Path(__file__).parents[2] / "data" / "0.2.0" / "registry.sqlite"
    Path("old.sqlite").write_bytes(before := place.read_bytes())
    assert similar(run, "in.png", "--similar", "--registry", "old.sqlite")["pictures"] == []
    assert Path("old.sqlite").read_bytes() == before


class TestFolders:
    @pytest.fixture
    def folder(self, run: Run, link: str) -> str:
        """A copy without a mark, a stranger."""
        Path("found").mkdir()
        Path("in.png").rename("found/copy.png")
        drawn("found/stranger.png", seed=2)
        return link

    def test_a_line_for_each(self, run: Run, folder: str) -> None:
        lines = run("detect", "found", "--similar").stdout.splitlines()
        assert lines[0].startswith(f"found/copy.png: no watermark; looks like {folder} campaign-2026")
        assert lines[1] == "found/stranger.png: no watermark"
        only = run("detect", "found", "--similar", "--only-found").stdout.splitlines()
        assert only == lines[:1]

    def test_reports(self, run: Run, folder: str) -> None:
        outs = ("--out", "r.jsonl", "--out", "r.csv", "--out", "r.html")
        run("detect", "found", "--similar", *outs)
        rows = list(csv.DictReader(Path("r.csv").read_text().splitlines()))
        assert [(row["image"], row["status"]) for row in rows] == [
            ("found/copy.png", "none"), ("found/copy.png", "looks like"), ("found/stranger.png", "none"),
        ]  # fmt: skip
        assert (rows[1]["link"], rows[1]["user"]) == (folder, "u-7") and int(rows[1]["distance"]) <= 30
        page = Path("r.html").read_text()
        assert "1 look like registered pictures" in page and "no watermark" in page and folder in page
        again = run("detect", "found", "--similar", *outs, "--resume")
        assert "2 of them read before" in again.stderr
        assert "read before" not in run("detect", "found", "--similar", "3", *outs, "--resume").stderr

    def test_reports_without_it_are_gone_on_with(self, run: Run, folder: str) -> None:
        run("detect", "found", "--out", "r.jsonl")
        assert "similar" not in json.loads(Path("r.jsonl").read_text().splitlines()[0])["settings"]


def test_what_is_listed_is_logged_where_that_is_asked_for(run: Run, link: str) -> None:
    run("detect", "in.png", "--similar", "--log-look-ups")
    assert "looked-up" in run("registry", "audit").stdout


def test_without_the_package_one_line(run: Run, link: str, without: Callable[[str], None]) -> None:
    without("pdqhash")
    result = run("detect", "in.png", "--similar")
    assert isinstance(result.exception, Exception) and "expected the package pdqhash, found none" in str(
        result.exception
    )
    assert run("detect", "in.png").exit_code == 1  # and marking goes without a fingerprint
    assert objects(run("embed", drawn("new.png", seed=3), *RECORD, "--json"))[0]["link"]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a package away."""
    import importlib.util

    found = importlib.util.find_spec

    def take(name: str) -> None:
        def spec(asked: str, *rest: Any) -> Any:
            return None if asked == name else found(asked, *rest)

        for module in ("wam.packages", "wam.provenance.fingerprint"):
            monkeypatch.setattr(sys.modules[module], "find_spec", spec)

    return take


def test_chances_as_people_read_them() -> None:
    assert [share(chance) for chance in (1.4e-6, 0.0014, 0.14, 1.0)] == [
        "at most .00014%", "at most .14%", "at most 14%", "not known",
    ]  # fmt: skip
