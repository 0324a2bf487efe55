"""Folders and several files on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wam.cli.commands import (
    MARK,
    Run,
    draw,
    error_line,
    files,
    objects,
)


class TestBatch:
    def test_a_folder_with_assets_from_names(self, run: Run) -> None:
        for seed, name in enumerate(("photos/a.png", "photos/deep/b.png")):
            draw(name, seed=seed)
        result = run("embed", "photos", "--asset-from", "name", "--owner", "acme", "--out-dir", "out", "--json")
        assert result.exit_code == 0
        assert [found["record"]["asset"] for found in objects(result)] == ["a", "b"]
        command = ("embed", "photos", "--asset-from", "name", "--owner", "acme", "--out-dir", "out", "--resume")
        assert objects(run(*command, "--json")) == objects(result)
        shown = run(*command).stdout
        assert [line.endswith("done before") for line in shown.splitlines()] == [True, True]
        assert len(run("registry", "list").stdout.splitlines()) == 3
        read = objects(run("detect", "out", "--json", "--workers", "2"))
        assert [found["watermarks"][0]["record"]["asset"] for found in read] == ["a", "b"]

    def test_a_list_with_a_row_too_few(self, run: Run, tmp_path: Path) -> None:
        for seed, name in enumerate(("photos/a.png", "photos/b.png")):
            draw(name, seed=seed)
        Path("list.csv").write_text("path,asset,owner\na.png,A-1,globex\n")
        result = run("embed", "photos", "--asset-from", "csv:list.csv", "--out-dir", "out", "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        expected = "list.csv: expected a row for each of 2 files, found none for 1: b.png; add them, or name only files"
        assert error_line(result).startswith(expected)
        assert not Path("out").exists() and not (tmp_path / "registry.sqlite").exists()

    def test_an_input_that_is_marked_already_is_said(self, run: Run, photo: Path) -> None:
        run("embed", photo, *MARK)
        result = run("embed", "in.wm.png", *MARK, "-o", "twice.png")
        assert result.exit_code == 1 and not Path("twice.png").exists()
        assert "on an input that is marked already (wm:" in error_line(result)
        assert "use the unmarked original" in error_line(result)

    def test_same_stems_get_overlays_of_their_own(self, run: Run) -> None:
        for name in ("photos/a.png", "photos/a.jpg", "photos/deep/a.png", "photos/b.png"):
            draw(name)
        run("detect", "photos", "--overlay-dir", "photos/seen")
        seen = [name for name in files() if "seen" in name]
        assert seen == [f"photos/seen/{name}.overlay.png" for name in ("a.jpg", "a.png", "b", "deep/a")]
        assert run("detect", "photos", "--overlay-dir", "photos/seen").stdout.count("no watermark") == 4

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ((), "asset: expected --asset or --asset-from, found neither"),
            (("--asset", "1"), "owner: expected one, found none; give --owner"),
            ((*MARK, "--asset-from", "name"), "asset: expected --asset or --asset-from, found both"),
            (("--owner", "a", "--asset-from", "exif"), "--asset-from: expected name or csv:FILE, found exif"),
            (("--owner", "a", "--asset-from", "csv:none.csv"), "none.csv: expected a CSV file"),
            ((*MARK, "--resume"), "--resume: expected --out-dir"),
            ((*MARK, "--engine", "ray"), "--engine ray: expected --out-dir"),
            ((*MARK, "--address", "host:1"), "--address: expected --engine ray"),
        ],
    )
    def test_usage_errors(self, run: Run, photo: Path, options: tuple[str, ...], problem: str) -> None:
        result = run("embed", photo, *options)
        assert result.exit_code == 2
        assert error_line(result).startswith(problem)
        assert files() == ["in.png"]

    def test_a_loop_of_links_does_not_stop_the_others(self, run: Run) -> None:
        draw("photos/a.png")
        Path("photos/x.png").symlink_to("x.png")
        result = run("embed", "photos", *MARK, "--out-dir", "out")
        assert result.exit_code == 1
        assert error_line(result).startswith("photos/x.png: expected a readable file")
        assert Path("out/a.png").exists()
