"""Where commands write: never over what they read, and never through a link out of the folder they were given."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.wam.cli.commands import MARK, Run, draw, error_line, files

SPELLINGS = {
    "file": lambda path: f"file://{path}",
    "FILE": lambda path: f"FILE://{path}",
    "localhost": lambda path: f"file://localhost{path}",
    "local": lambda path: f"local://{path}",
    "local relative": lambda path: f"local://{path.name}",
    "cached": lambda path: f"simplecache::file://{path}",
    "folder": lambda path: f"dir://{path.name}::file://{path.parent}",
    "folder, cached": lambda path: f"dir://{path.name}::simplecache::file://{path.parent}",
    "cached, folder": lambda path: f"simplecache::dir://{path.name}::file://{path.parent}",
    "absolute": str,
    "dots": lambda path: f"../{path.parent.name}/./{path.name}",
    "link": lambda path: os.symlink(path, "link.png") or "link.png",
    "linked folder": lambda path: os.symlink(path.parent, "folder") or f"folder/{path.name}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("is_input", [True, False])
def test_an_input_is_not_replaced_however_it_is_spelt(run: Run, photo: Path, spelling: str, is_input: bool) -> None:
    before, other = photo.read_bytes(), SPELLINGS[spelling](photo.absolute())
    source, target = (other, "in.png") if is_input else ("in.png", other)
    result = run("embed", source, *MARK, "-o", target)
    assert result.exit_code == 2 and "found the input" in error_line(result)
    overlay = run("detect", source, "--overlay", target)
    if "::" not in target:  # overlays are files of this machine
        assert overlay.exit_code == 2 and "found the input" in error_line(overlay)
        attacked = run("attack", "in.png", "jpeg=80", "-o", target)
        assert attacked.exit_code == 2 and "found the input" in error_line(attacked)
    assert photo.read_bytes() == before


def test_names_that_a_file_system_takes_for_one_are_one(run: Run, photo: Path) -> None:
    os.link("in.png", "IN.PNG")  # what a file system without case shows: two names, one file
    result = run("embed", "in.png", *MARK, "-o", "IN.PNG")
    assert result.exit_code == 2 and "found the input" in error_line(result)
    os.link("in.png", "copy.png")  # a second name of its own is replaced, and the first stays
    before = photo.read_bytes()
    assert run("embed", "in.png", *MARK, "-o", "copy.png").exit_code == 0
    assert photo.read_bytes() == before != Path("copy.png").read_bytes()


def test_an_output_is_not_written_over_what_the_command_reads(run: Run, photo: Path) -> None:
    Path("key").write_bytes(b"sixteen bytes of secret")
    Path("list").write_text("path,asset\nin.png,1\n")
    assert run("registry", "init", "--registry", "registry").exit_code == 0
    kept = {name: Path(name).read_bytes() for name in ("key", "list", "registry")}
    options = ("--asset-from", "csv:list", "--owner", "a", "--key-file", "key", "--registry", "registry")
    for name in kept:
        assert run("embed", "in.png", *options, "-o", name).exit_code == 2
        assert Path(name).read_bytes() == kept[name]


def test_a_file_url_is_its_path(run: Run, photo: Path) -> None:
    assert run("embed", f"file://{photo.absolute()}", *MARK, "-o", "local://out.png").exit_code == 0
    assert files() == ["in.png", "out.png"]


class TestLinksOut:
    @pytest.fixture
    def outside(self, run: Run, tmp_path: Path) -> Path:
        draw("photos/deep/a.png")
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/a.png").write_bytes(b"precious")
        Path("out").mkdir()
        return tmp_path / "outside"

    @pytest.mark.parametrize("link", ["folder", "file", "manifest"])
    def test_are_followed_on_request_only(self, run: Run, outside: Path, link: str) -> None:
        if link == "folder":
            Path("out/deep").symlink_to(outside)
        elif link == "file":
            Path("out/deep").mkdir()
            Path("out/deep/a.png").symlink_to(outside / "a.png")
        else:
            Path("out/manifest.jsonl").symlink_to(outside / "a.png")
        command = ("embed", "photos", *MARK, "--out-dir", "out")
        result = run(*command)
        assert result.exit_code == 2 and "--follow-links" in error_line(result)
        assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("a.png", b"precious")]
        assert run(*command, "--follow-links").exit_code == 0
        assert (outside / "a.png").read_bytes() != b"precious"

    def test_beside_inputs_and_in_place(self, run: Run, outside: Path) -> None:
        Path("photos/deep/a.wm.png").symlink_to(outside / "a.png")
        result = run("embed", "photos/deep/a.png", *MARK)
        assert result.exit_code == 2 and "--follow-links" in error_line(result)
        Path("photos/deep/a.wm.png").unlink()
        draw("elsewhere/b.png", seed=3)
        before = Path("elsewhere/b.png").read_bytes()
        Path("photos/b.png").symlink_to(Path("elsewhere/b.png").absolute())
        assert run("embed", "photos", *MARK, "--in-place").exit_code == 2
        assert Path("elsewhere/b.png").read_bytes() == before
        assert run("embed", "photos/b.png", *MARK, "--in-place").exit_code == 0  # named itself
        assert Path("elsewhere/b.png").read_bytes() != before and Path("photos/b.png").is_symlink()

    @pytest.mark.parametrize("option", ["--overlay-dir", "--mask-dir"])
    def test_of_pictures_of_results(self, run: Run, outside: Path, option: str) -> None:
        run("embed", "photos/deep/a.png", *MARK, "-o", "a.png")
        name = "a.overlay.png" if option == "--overlay-dir" else "a.mask1.png"
        Path("out", name).symlink_to(outside / "a.png")
        result = run("detect", "a.png", option, "out")
        assert result.exit_code == 2 and "--follow-links" in error_line(result)
        assert (outside / "a.png").read_bytes() == b"precious"
        assert run("detect", "a.png", option, "out", "--follow-links").exit_code == 0
        assert (outside / "a.png").read_bytes() != b"precious"


class TestExports:
    @pytest.mark.parametrize("spelling", ["r.sqlite", "./r.sqlite", "link", "file", "r.sqlite-wal"])
    def test_the_registry_is_not_exported_over_itself(self, run: Run, photo: Path, spelling: str) -> None:
        run("embed", photo, *MARK, "--registry", "r.sqlite")
        os.symlink("r.sqlite", "link")
        before = Path("r.sqlite").read_bytes()
        target = f"file://{Path('r.sqlite').absolute()}" if spelling == "file" else spelling
        for registry in ("r.sqlite", f"sqlite:///{Path('r.sqlite').absolute()}"):
            result = run("registry", "export", "-o", target, "--registry", registry)
            assert result.exit_code == 2 and "expected an output other than the input" in error_line(result)
            assert Path("r.sqlite").read_bytes() == before

    @pytest.mark.parametrize("before", [None, 0o644, 0o666])
    def test_are_for_their_owner_alone(self, run: Run, photo: Path, before: int | None) -> None:
        run("embed", photo, *MARK)
        if before is not None:
            Path("all.jsonl").touch()
            Path("all.jsonl").chmod(before)
            os.symlink("all.jsonl", "link")
        assert run("registry", "export", "-o", "all.jsonl" if before is None else "link").exit_code == 0
        assert stat.S_IMODE(Path("all.jsonl").stat().st_mode) == 0o600
