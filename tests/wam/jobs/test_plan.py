"""Plans: what becomes of which file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.wam.jobs.runs import FIELDS, plan
from wam.jobs.asset_list import asset_from_list
from wam.jobs.plan import (
    PlanError,
    find_sources,
    plan_records,
)


class TestPlan:
    def test_assets_from_names(self, photos: Path) -> None:
        items = plan(photos)
        assert [item.source.name for item in items] == ["a.png", "b.jpg", "deep/c.png"]
        assert [item.record and item.record.asset for item in items] == ["a", "b", "c"]
        assert items[2].target == photos.parent / "out/deep/c.png"

    def test_a_list_gives_fields_and_the_rest_is_common(self, photos: Path) -> None:
        table = photos.parent / "list.csv"
        table.write_text(
            "\ufeffpath,asset,owner,user,time\na.png,A-1,globex,u7,2026-11-22T09:30:00Z\n"
            f'"{photos / "b.jpg"}","B, 2",,,\n',
            encoding="utf-8",
        )
        sources = find_sources([str(photos)])[:2]
        items = plan_records(sources, [source.location for source in sources], asset_from_list(table, FIELDS))
        first, second = items
        assert first.record is not None and first.record.to_dict() == {
            "asset": "A-1", "owner": "globex", "user": "u7", "ingested_at": "2026-11-22T09:30:00Z",
        }  # fmt: skip
        assert first.timed and not second.timed
        assert second.record is not None and (second.record.asset, second.record.owner) == ("B, 2", "acme")

    def test_files_that_a_list_leaves_out_are_one_summary(self, photos: Path) -> None:
        (photos.parent / "list.csv").write_text("path,asset\na.png,1\n")
        sources = find_sources([str(photos)])
        with pytest.raises(PlanError, match=r"a row for each of 3 files, found none for 2: b\.jpg, deep/c\.png; add"):
            plan_records(
                sources, [source.location for source in sources], asset_from_list(photos.parent / "list.csv", FIELDS)
            )

    def test_a_row_with_another_extension_is_pointed_at(self, photos: Path) -> None:
        table = photos.parent / "list.csv"
        table.write_text("path,asset\na.png,1\nb.tif,2\ndeep/c.png,3\n")
        sources = find_sources([str(photos)])
        with pytest.raises(PlanError, match=r"found none for 1: b\.jpg \(the list has b\.tif\); add"):
            plan_records(sources, [source.location for source in sources], asset_from_list(table, FIELDS))

    @pytest.mark.parametrize("written", ["NFC", "NFD"])
    def test_accents_count_as_the_same_however_they_are_encoded(self, tmp_path: Path, written: str) -> None:
        name = "Ål.png"
        (tmp_path / unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[written], name)).write_bytes(b"")
        (tmp_path / "list.csv").write_text(f"path,asset\n{unicodedata.normalize(written, name)},1\n")
        (source,) = find_sources([str(tmp_path)])
        assert asset_from_list(tmp_path / "list.csv", FIELDS)(source).asset == "1"

    def test_rows_that_differ_in_the_encoding_of_an_accent_stay_apart(self, tmp_path: Path) -> None:
        names = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
        for name in names:
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "list.csv").write_text("path,asset\n" + "".join(f"{name},{name[0]}\n" for name in names))
        find = asset_from_list(tmp_path / "list.csv", FIELDS)
        assert [find(source).asset == source.name[0] for source in find_sources([str(tmp_path)])] == [True, True]

    def test_backslashes_are_folders_on_request(self, photos: Path) -> None:
        (photos.parent / "list.csv").write_text("path,asset\ndeep\\c.png,1\n")
        (source,) = find_sources([str(photos)])[2:]
        assert asset_from_list(photos.parent / "list.csv", FIELDS, backslashes=True)(source).asset == "1"
        with pytest.raises(ValueError, match="or add --backslashes"):
            asset_from_list(photos.parent / "list.csv", FIELDS)(source)

    def test_patterns_that_a_shell_left_alone(self, photos: Path) -> None:
        assert [s.name for s in find_sources([f"{photos}/*.[jp]*"])] == ["a.png", "b.jpg"]
        assert [s.name for s in find_sources([f"{photos}/**/*.png"])] == ["a.png", "c.png"]
        (photos / "[a].png").write_bytes(b"")
        assert [s.name for s in find_sources([f"{photos}/[[]a].png"])] == ["[a].png"]
        assert [s.name for s in find_sources([f"{photos}/[a].png"])] == ["[a].png"]
        assert [s.name for s in find_sources([f"{photos}/*.none"])] == ["*.none"]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"path,owner\na.png,x\n", "expected the columns path, asset"),
            (b"path,asset,colour\n", "expected the columns"),
            (b"", "found none"),
            (b"path,asset\na.png,1\n./a.png,2\n", "row 3: expected each path once"),
            (b"path,asset\na.png\n", "row 2: expected 2 cells"),
            (b"path,asset\n\xff,1\n", "expected a CSV file in UTF-8"),
        ],
    )
    def test_lists_that_are_refused(self, tmp_path: Path, content: bytes, problem: str) -> None:
        (tmp_path / "list.csv").write_bytes(content)
        with pytest.raises(PlanError, match=problem):
            asset_from_list(tmp_path / "list.csv", FIELDS)

    def test_an_output_folder_inside_the_input_is_no_input(self, photos: Path) -> None:
        (photos / "out").mkdir()
        (photos / "a.png").rename(photos / "out/a.png")
        assert [s.name for s in find_sources([str(photos)], without=[photos / "out"])] == ["b.jpg", "deep/c.png"]

    def test_a_loop_of_links_is_one_bad_file(self, photos: Path) -> None:
        (photos / "x.png").symlink_to("y.png")
        (photos / "y.png").symlink_to("x.png")
        (photos / "deep/up").symlink_to(photos)
        items = plan(photos)
        assert [item.source.name for item in items] == ["a.png", "b.jpg", "deep/c.png", "x.png", "y.png"]

    def test_outputs_that_a_link_makes_one_are_refused(self, photos: Path) -> None:
        (photos.parent / "out").mkdir()
        (photos.parent / "out/deep").symlink_to(photos.parent / "out")
        (photos / "c.png").write_bytes(b"")
        with pytest.raises(PlanError, match="expected a different name for each input"):
            plan(photos)
