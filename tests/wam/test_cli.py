"""The command line: what it writes, prints and returns, by the contract (shared/spec/cli.md)."""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import wam
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam import library
from wam.cli import app, main
from wam.images import read_image

Run = Callable[..., Result]
MARK = ("--asset", "123", "--owner", "acme")
EMBEDDED = {
    "image": str, "output": str, "width": int, "height": int, "mode": str, "record": dict, "link": str,
    "messages": list, "psnr_db": float, "ssim": float, "self_check": str, "model": str, "error": type(None),
    "lost": list, "notes": list, "frames": int, "labelled": bool,  # the last four are beyond the contract
}  # fmt: skip
DETECTED = {"image": str, "width": int, "height": int, "model": str, "watermarks": list, "error": type(None)}
DETECTED |= {"label": type(None)}  # beyond the contract
WATERMARK = {
    "status": str, "mode": str, "link": str, "record": dict, "message": str, "bits": str, "bit_confidence": list,
    "corrected": int, "log10_p": float, "mask_score": float, "region": dict, "pose": dict,
}  # fmt: skip
BEYOND_THE_CONTRACT = {"transplanted": bool}
RECORD = {"asset": str, "owner": str, "user": type(None), "ingested_at": str}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, with a registry of its own and a light model in place of the default."""

    def light_load(model: str, *, device: str, keys: list[bytes | None], **options: Any) -> Any:
        return handmade_marker(*keys) if model == library.DEFAULT else load(model, device=device, keys=keys, **options)

    load = library.load
    monkeypatch.setattr(library, "load", light_load)
    monkeypatch.setattr("payload.database._default_path", lambda: str(tmp_path / "registry.sqlite"))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    monkeypatch.delenv("WAM_KEY", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def invoke(*arguments: str | Path, standard_input: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=standard_input)

    return invoke


@pytest.fixture
def photo(run: Run) -> Path:
    """``in.png`` in the working folder."""
    return draw("in.png")


def draw(name: str, *, seed: int = 0) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(smooth_picture(seed=seed)).save(path)
    return path


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def objects(result: Result) -> list[dict[str, Any]]:
    """Standard output, which must hold JSON Lines and nothing else."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def types(values: dict[str, Any]) -> dict[str, type]:
    return {key: type(value) for key, value in values.items()}


def error_line(result: Result) -> str:
    """The one line on standard error, a folder's summary aside."""
    (line,) = (line for line in result.stderr.splitlines() if " marked, " not in line)
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


class TestEmbed:
    def test_writes_beside_the_input_and_leaves_it(self, run: Run, photo: Path) -> None:
        before = photo.read_bytes()
        result = run("embed", photo, *MARK)
        assert result.exit_code == 0
        assert files() == ["in.png", "in.wm.png"]
        assert photo.read_bytes() == before
        assert result.stdout.startswith("in.png -> in.wm.png  wm:") and "self-check passed" in result.stdout

    def test_json_is_the_contract(self, run: Run, photo: Path) -> None:
        result = run("embed", photo, *MARK, "--time", "2026-11-22T10:30:00+01:00", "--json")
        (found,) = objects(result)
        assert types(found) == EMBEDDED and list(found) == list(EMBEDDED)
        assert types(found["record"]) == RECORD
        assert found["record"]["ingested_at"] == "2026-11-22T09:30:00Z"
        assert (found["image"], found["output"]) == ("in.png", "in.wm.png")
        assert (found["width"], found["height"]) == (128, 128)
        (message,) = found["messages"]
        assert len(message) == 32 and set(message) <= {"0", "1"}
        assert (found["mode"], found["self_check"]) == ("link", "passed")
        assert result.stderr == ""

    def test_the_user_and_the_current_time_are_kept(self, run: Run, photo: Path) -> None:
        (found,) = objects(run("embed", photo, *MARK, "--user", "u-7", "--json"))
        assert found["record"]["user"] == "u-7"
        age = datetime.now().astimezone() - datetime.fromisoformat(found["record"]["ingested_at"])
        assert 0 <= age.total_seconds() < 120

    def test_an_output_may_be_named(self, run: Run, photo: Path) -> None:
        assert run("embed", photo, *MARK, "-o", "marked.jpg").exit_code == 0
        assert read_image("marked.jpg").format == "JPEG"

    def test_an_output_folder_is_made_and_keeps_the_tree(self, run: Run) -> None:
        for name in ("photos/a.png", "photos/deep/b.png"):
            draw(name)
        assert run("embed", "photos", *MARK, "--out-dir", "new/out").exit_code == 0
        written = [name for name in files() if name.startswith("new")]
        assert written == ["new/out/a.png", "new/out/deep/b.png", "new/out/manifest.jsonl"]

    def test_in_place_replaces_the_input(self, run: Run, photo: Path) -> None:
        before = photo.read_bytes()
        assert run("embed", photo, *MARK, "--in-place").exit_code == 0
        assert files() == ["in.png"]
        assert photo.read_bytes() != before
        assert run("detect", photo).exit_code == 0

    def test_several_inputs_get_ids_of_their_own_in_order(self, run: Run, photo: Path) -> None:
        draw("b.png", seed=1)
        found = objects(run("embed", "b.png", photo, *MARK, "--json"))
        assert [one["image"] for one in found] == ["b.png", "in.png"]
        assert len({one["link"] for one in found}) == 2

    def test_standard_input(self, run: Run, photo: Path) -> None:
        result = run("embed", "-", *MARK, "-o", "out.png", "--json", standard_input=photo.read_bytes())
        assert result.exit_code == 0
        assert objects(result)[0]["image"] == "-"
        assert run("detect", "out.png").exit_code == 0

    def test_strength_is_passed_on(self, run: Run, photo: Path) -> None:
        found = [objects(run("embed", photo, *MARK, "--strength", db, "--json"))[0] for db in ("44", "48")]
        assert [one["psnr_db"] for one in found] == pytest.approx([44, 48], abs=1)

    def test_a_failed_image_does_not_stop_the_others(self, run: Run, photo: Path) -> None:
        Path("a.png").write_bytes(b"no picture")
        result = run("embed", "a.png", photo, *MARK, "--json")
        assert result.exit_code == 1
        failed, marked = objects(result)
        assert list(failed) == list(EMBEDDED)
        assert (failed["image"], failed["output"], failed["link"]) == ("a.png", None, None)
        assert failed["error"] == error_line(result)
        assert marked["error"] is None
        assert files() == ["a.png", "in.png", "in.wm.png"]

    def test_a_marked_file_is_not_marked_over_in_silence(self, run: Run, photo: Path) -> None:
        """Whatever is decided, what is written must read back as what was said."""
        run("embed", photo, *MARK)
        result = run("embed", "in.wm.png", "--asset", "456", "--owner", "globex", "-o", "twice.png", "--json")
        (found,) = objects(result)
        if result.exit_code == 0:
            named = [mark["link"] for mark in objects(run("detect", "twice.png", "--json"))[0]["watermarks"]]
            assert found["link"] in named
        else:
            assert found["self_check"] == "failed" and not Path("twice.png").exists()

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (("-o", "x.png", "--in-place"), "output: expected one of -o, --out-dir, --in-place"),
            (("-o", "in.png"), "in.png: expected an output other than the input"),
            (("-o", "./in.png"), "in.png: expected an output other than the input"),
            (("-o", "link.png"), "link.png: expected an output other than the input"),
            (("--out-dir", "."), "in.png: expected an output other than the input"),
            (("--out-dir", "in.png/out"), "in.png/out: expected a folder"),
            (("--strength", "29"), "--strength: expected 30 to 55 dB, found 29"),
            (("--mode", "stencil"), "--mode: expected link or record, found stencil"),
            (("--time", "yesterday"), "time: expected RFC 3339"),
            (("--user", " "), "user: expected text that is not blank"),
            (("--model", "lattice99"), "lattice99: expected a model name"),
            (("--model", "in.png"), "in.png: expected a safetensors checkpoint"),
            (("--device", "tpu", "--model", "lattice32.safetensors"), "device: expected one of auto, cpu, cuda, mps"),
            (("--registry", "in.png/registry"), "registry "),
            (("--registry", "mysql://host/name"), "registry mysql://host/name: expected sqlite or postgresql"),
            (("--key-file", "none.key"), "none.key: expected a readable key file"),
            (("--key-file", "short.key"), "short.key: expected a key of at least 16 bytes, found 5"),
        ],
    )
    def test_usage_errors(self, run: Run, photo: Path, options: tuple[str, ...], problem: str) -> None:
        Path("link.png").symlink_to("in.png")
        Path("short.key").write_text("short")
        Path("lattice32.safetensors").symlink_to(library.shipped("lattice32.safetensors"))
        before, listed = photo.read_bytes(), files()
        result = run("embed", photo, *MARK, *options)
        assert result.exit_code == 2
        assert error_line(result).startswith(problem)
        assert photo.read_bytes() == before and files() == listed

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("in.png", "b.png", "-o", "x.png"), "-o: expected one input, found 2; use --out-dir"),
            (("-",), "-: expected -o FILE for a picture from standard input"),
            (("in.png", "sub/in.png", "--out-dir", "out"), "output: expected a different name for each input"),
            (("in.png", "in.png"), "output: expected a different name for each input"),
        ],
    )
    def test_outputs_that_cannot_be_told_apart(
        self, run: Run, photo: Path, arguments: tuple[str, ...], problem: str
    ) -> None:
        draw("b.png")
        draw("sub/in.png")
        result = run("embed", *arguments, *MARK)
        assert result.exit_code == 2
        assert error_line(result).startswith(problem)
        assert not [name for name in files() if "wm" in name or "out" in name]

    @pytest.mark.parametrize(
        "arguments", [(), ("in.png",), ("in.png", "--asset", "1"), ("in.png", *MARK, "--nonsense")]
    )
    def test_missing_and_unknown_arguments(self, run: Run, photo: Path, arguments: tuple[str, ...]) -> None:
        assert run("embed", *arguments).exit_code == 2
        assert files() == ["in.png"]


class TestDetect:
    @pytest.fixture
    def marked(self, run: Run, photo: Path) -> dict[str, Any]:
        """What embed said of ``in.wm.png``."""
        return objects(run("embed", photo, *MARK, "--json"))[0]

    def test_json_is_the_contract(self, run: Run, marked: dict[str, Any]) -> None:
        result = run("detect", "in.wm.png", "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        (found,) = objects(result)
        assert types(found) == DETECTED and list(found) == list(DETECTED)
        (mark,) = found["watermarks"]
        assert types(mark) == WATERMARK | BEYOND_THE_CONTRACT
        assert types(mark["record"]) == RECORD
        assert types(mark["region"]) == {"bbox": list, "area": float, "polygons": list}
        assert types(mark["pose"]) == {"scale": float, "rotation_deg": float, "flipped": bool}

    def test_says_what_embed_said(self, run: Run, marked: dict[str, Any]) -> None:
        (found,) = objects(run("detect", "in.wm.png", "--json"))
        (mark,) = found["watermarks"]
        assert mark["status"] == "verified"
        assert {mark[key] == marked[key] for key in ("mode", "link", "record")} == {True}
        assert [mark["message"]] == marked["messages"]
        assert (found["width"], found["height"], found["model"]) == (128, 128, marked["model"])

    def test_values_are_in_their_ranges(self, run: Run, marked: dict[str, Any]) -> None:
        (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
        assert len(mark["bits"]) == 32 and set(mark["bits"]) <= {"0", "1"}
        wrong = sum(a != b for a, b in zip(mark["bits"], mark["message"], strict=True))
        assert mark["corrected"] == wrong
        assert len(mark["bit_confidence"]) == 32 and all(0.5 <= value <= 1 for value in mark["bit_confidence"])
        assert mark["log10_p"] < 0 and 0 <= mark["mask_score"] <= 1 and 0 < mark["region"]["area"] <= 1
        assert mark["region"]["bbox"] == [0, 0, 128, 128]
        assert all(len(point) == 2 for polygon in mark["region"]["polygons"] for point in polygon)

    def test_an_unmarked_picture_is_an_empty_list_and_status_1(self, run: Run, photo: Path) -> None:
        result = run("detect", photo, "--json")
        assert (result.exit_code, result.stderr) == (1, "")
        assert objects(result)[0]["watermarks"] == []
        assert run("detect", photo).stdout == "in.png: no watermark\n"

    def test_some_without_a_mark_is_status_1_and_all_are_told(self, run: Run, marked: dict[str, Any]) -> None:
        Path("broken.png").write_bytes(b"")
        result = run("detect", ".", "--json")
        assert result.exit_code == 1
        found = objects(result)
        assert [one["image"] for one in found] == ["broken.png", "in.png", "in.wm.png"]
        assert [len(one["watermarks"]) for one in found] == [0, 0, 1]
        assert list(found[0]) == list(DETECTED)
        assert found[0]["error"] == error_line(result) and found[1]["error"] is None

    def test_standard_input(self, run: Run, marked: dict[str, Any]) -> None:
        result = run("detect", "-", "--json", standard_input=Path("in.wm.png").read_bytes())
        assert result.exit_code == 0
        assert objects(result)[0]["watermarks"][0]["link"] == marked["link"]

    def test_the_table_names_the_record(self, run: Run, marked: dict[str, Any]) -> None:
        result = run("detect", "in.wm.png")
        assert result.stdout.startswith("in.wm.png: 1 watermark\n")
        for cell in ("verified", marked["link"], "123", "acme", "0,0 128x128", "100%"):
            assert cell in result.stdout

    def test_an_unreadable_mark_is_not_given_a_word(
        self, run: Run, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three wrong bits in a word that no record belongs to are more than the code corrects."""
        message = marked["messages"][0]
        wrong = "".join("10"[int(bit)] for bit in message[:3]) + message[3:]
        picture = handmade_marker().embed(smooth_picture(), wrong).image
        assert isinstance(picture, np.ndarray)
        Image.fromarray(picture).save("wrong.png")
        monkeypatch.setenv("WAM_REGISTRY", "other.sqlite")
        run("registry", "init")
        result = run("detect", "wrong.png", "--json")
        assert result.exit_code == 0
        (mark,) = objects(result)[0]["watermarks"]
        assert (mark["status"], mark["bits"]) == ("unreadable", wrong)
        assert [mark[key] for key in ("link", "record", "message", "corrected")] == [None] * 4
        assert "unreadable" in run("detect", "wrong.png").stdout

    def test_without_a_registry_marks_are_unregistered(
        self, run: Run, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payload.database._default_path", lambda: "none.sqlite")
        (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
        assert (mark["status"], mark["record"], mark["link"]) == ("unregistered", None, marked["link"])
        assert not Path("none.sqlite").exists()

    def test_a_registry_that_was_named_must_be_there(self, run: Run, marked: dict[str, Any]) -> None:
        result = run("detect", "in.wm.png", "--registry", "none.sqlite")
        assert result.exit_code == 2
        assert "none.sqlite: expected a file, found none" in error_line(result)

    def test_a_key_hides_the_mark(self, run: Run, photo: Path) -> None:
        Path("secret.key").write_bytes(b"sixteen bytes of secret\n")
        assert run("embed", photo, *MARK, "--key-file", "secret.key").exit_code == 0
        assert run("detect", "in.wm.png").exit_code == 1
        assert run("detect", "in.wm.png", "--key-file", "secret.key").exit_code == 0

    def test_a_reader_with_a_key_reads_public_marks_too(
        self, run: Run, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAM_KEY", "sixteen bytes of secret")
        assert run("detect", "in.wm.png").exit_code == 0

    def test_overlay(self, run: Run, marked: dict[str, Any]) -> None:
        assert run("detect", "in.wm.png", "--overlay", "seen.png").exit_code == 0
        assert read_image("seen.png").pixels.shape == (128, 128, 3)

    def test_overlays_and_masks_of_several(self, run: Run, marked: dict[str, Any]) -> None:
        assert run("detect", ".", "--overlay-dir", "seen", "--mask-dir", "masks").exit_code == 1
        assert files()[2:] == ["masks/in.wm.mask1.png", "seen/in.overlay.png", "seen/in.wm.overlay.png"]
        mask = np.asarray(Image.open("masks/in.wm.mask1.png"))
        assert mask.shape == (128, 128) and set(np.unique(mask)) <= {0, 255} and mask.mean() > 250

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("in.png", "in.wm.png", "--overlay", "x.png"), "--overlay: expected one input, found 2"),
            (("in.png", "--overlay", "in.png"), "in.png: expected an output other than the input"),
            (("in.png", "sub/in.png", "--overlay-dir", "seen"), "--overlay-dir: expected a different name for each"),
            (("in.png", "sub/in.png", "--mask-dir", "masks"), "--mask-dir: expected a different name for each"),
            (("in.png", "--engine", "ray", "--mask-dir", "masks"), "--engine ray: expected no overlays and masks"),
            (("in.png", "--overlay-dir", "in.png"), "in.png: expected a folder"),
            (("in.png", "--model", "none.safetensors"), "none.safetensors: expected a model name"),
        ],
    )
    def test_usage_errors(self, run: Run, marked: dict[str, Any], arguments: tuple[str, ...], problem: str) -> None:
        draw("sub/in.png")
        before, listed = Path("in.png").read_bytes(), files()
        result = run("detect", *arguments)
        assert result.exit_code == 2
        assert error_line(result).startswith(problem)
        assert Path("in.png").read_bytes() == before and files() == listed


def huge_png() -> bytes:
    """A header of 60,000 x 60,000 pixels and nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def truncated(suffix: str) -> bytes:
    content = draw(f"whole{suffix}").read_bytes()
    Path(f"whole{suffix}").unlink()
    return content[: len(content) * 2 // 3]


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "text.png": lambda: b"this is not a picture\n" * 50,
    "truncated.png": lambda: truncated(".png"),
    "truncated.jpg": lambda: truncated(".jpg"),
    "truncated.webp": lambda: truncated(".webp"),
    "huge.png": huge_png,
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["embed", "detect"])
def test_a_broken_file_is_one_line_and_nothing_is_written(run: Run, command: str, name: str) -> None:
    Path(name).write_bytes(BROKEN[name]())
    result = run(command, name, *(MARK if command == "embed" else ()), "--json")
    assert result.exit_code == 1
    line = error_line(result)
    assert line.startswith(f"{name}: expected ") and ", found " in line
    assert objects(result)[0]["error"] == line
    assert files() == [name]


def test_a_picture_of_one_pixel_cannot_be_marked(run: Run) -> None:
    Image.new("RGB", (1, 1)).save("dot.png")
    result = run("embed", "dot.png", *MARK)
    assert result.exit_code == 1
    assert error_line(result).startswith("dot.png: expected a picture of at least 32x32 pixels, found 1x1")
    assert files() == ["dot.png"]


def test_a_picture_of_one_pixel_has_no_mark(run: Run) -> None:
    Image.new("RGB", (1, 1)).save("dot.png")
    result = run("detect", "dot.png", "--json")
    assert (result.exit_code, objects(result)[0]["watermarks"]) == (1, [])


@pytest.mark.parametrize("command", ["embed", "detect"])
@pytest.mark.parametrize("name", ["none.png", "folder"])
def test_a_missing_file_and_an_empty_folder(run: Run, command: str, name: str) -> None:
    Path("folder").mkdir()
    result = run(command, name, *(MARK if command == "embed" else ()))
    assert result.exit_code == 1
    assert error_line(result).startswith(f"{name}: expected ")
    assert files() == []


def test_a_name_with_a_line_break_is_one_line(run: Run) -> None:
    Path("a\nb.png").write_bytes(b"")
    result = run("detect", "a\nb.png", "--json")
    assert error_line(result).startswith("a\\nb.png: ")
    assert objects(result)[0]["image"] == "a\nb.png"  # a program gets the name itself


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    result = run("detect", "none.png", "--debug")
    assert isinstance(result.exception, wam.ImageError)


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

    def test_a_list_with_a_row_too_few(self, run: Run) -> None:
        for seed, name in enumerate(("photos/a.png", "photos/b.png")):
            draw(name, seed=seed)
        Path("list.csv").write_text("path,asset,owner\na.png,A-1,globex\n")
        result = run("embed", "photos", "--asset-from", "csv:list.csv", "--out-dir", "out", "--json")
        assert result.exit_code == 1
        marked, failed = objects(result)
        assert (marked["record"]["asset"], marked["record"]["owner"]) == ("A-1", "globex")
        assert list(failed) == list(EMBEDDED) and failed["error"] == error_line(result)
        assert failed["error"].startswith("photos/b.png: expected a row with path b.png in list.csv")
        statuses = {
            line["path"]: line["status"]
            for line in map(json.loads, Path("out/manifest.jsonl").read_text().splitlines())
        }
        assert statuses == {"a.png": "marked", "b.png": "failed"}

    def test_an_input_that_is_marked_already_is_said(self, run: Run, photo: Path) -> None:
        run("embed", photo, *MARK)
        result = run("embed", "in.wm.png", *MARK, "-o", "twice.png")
        if result.exit_code == 1:
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
            ((*MARK, "--engine", "slurm"), "--engine: expected one of local, ray, found slurm"),
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


class TestAttack:
    def test_writes_the_attacked_picture(self, run: Run, photo: Path) -> None:
        result = run("attack", "resize=0.5,jpeg=80", photo, "-o", "out.png")
        assert result.exit_code == 0
        assert read_image("out.png").pixels.shape == (64, 64, 3)
        assert result.stdout.startswith("in.png -> out.png") and "64x64" in result.stdout

    def test_the_same_seed_is_the_same_picture(self, run: Run, photo: Path) -> None:
        pictures = []
        for seed in ("1", "1", "2"):
            run("attack", "gaussian_noise=0.05", photo, "-o", "out.png", "--seed", seed)
            pictures.append(Path("out.png").read_bytes())
        assert pictures[0] == pictures[1] != pictures[2]

    def test_an_output_without_an_extension_has_the_format_of_the_input(self, run: Run, photo: Path) -> None:
        draw("in.jpg")
        for source, format in (("in.png", "PNG"), ("in.jpg", "JPEG")):
            assert run("attack", "resize=0.5", source, "-o", "out").exit_code == 0
            assert read_image("out").format == format

    def test_an_unknown_attack_is_a_usage_error(self, run: Run, photo: Path) -> None:
        result = run("attack", "sharpie=3", photo, "-o", "out.png")
        assert result.exit_code == 2
        assert "sharpie" in error_line(result)
        assert files() == ["in.png"]

    @pytest.mark.parametrize(("source", "target"), [("none.png", "out.png"), ("in.png", "out.xyz")])
    def test_a_file_that_cannot_be_read_or_written(self, run: Run, photo: Path, source: str, target: str) -> None:
        result = run("attack", "jpeg=80", source, "-o", target)
        assert result.exit_code == 1
        assert "expected" in error_line(result)
        assert files() == ["in.png"]


class TestRegistry:
    @pytest.fixture
    def link(self, run: Run, photo: Path) -> str:
        return str(objects(run("embed", photo, *MARK, "--user", "u", "--json"))[0]["link"])

    def test_init_says_where(self, run: Run, tmp_path: Path) -> None:
        assert run("registry", "init").stdout == f"{tmp_path / 'registry.sqlite'}: 0 records\n"
        assert (tmp_path / "registry.sqlite").is_file()

    def test_list_and_show(self, run: Run, link: str) -> None:
        header, line = run("registry", "list").stdout.splitlines()
        assert header.split() == ["LINK", "STATE", "INGESTED", "ASSET", "OWNER", "USER"]
        assert line.split()[:2] == [link, "marked"] and line.split()[3:] == ["123", "acme", "u"]
        assert header.index("ASSET") == line.index("123")
        (listed,) = objects(run("registry", "list", "--json"))
        (shown,) = objects(run("registry", "show", link, "--json"))
        assert listed == shown and shown["record"]["asset"] == "123" and shown["state"] == "marked"
        shown_lines = [line.split(maxsplit=1) for line in run("registry", "show", link.lower()).stdout.splitlines()]
        assert {"link": link, "asset": "123", "owner": "acme", "user": "u"}.items() <= dict(shown_lines).items()
        assert "{" not in run("registry", "show", link).stdout

    def test_a_withdrawn_record_is_no_longer_named(self, run: Run, link: str) -> None:
        assert run("registry", "withdraw", link).exit_code == 0
        (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
        assert (mark["status"], mark["record"], mark["link"]) == ("withdrawn", None, link)
        assert "withdrawn" in run("detect", "in.wm.png").stdout
        assert run("registry", "list").stdout.splitlines()[1].split()[:2] == [link, "withdrawn"]
        assert objects(run("registry", "show", link, "--json"))[0]["state"] == "withdrawn"

    def test_init_counts_what_list_shows(self, run: Run, link: str) -> None:
        run("embed", "in.png", *MARK, "-o", "b.png")
        run("registry", "withdraw", link)
        assert run("registry", "init").stdout.endswith(": 2 records (1 marked, 1 withdrawn)\n")
        assert len(objects(run("registry", "list", "--json"))) == 2

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "all.jsonl: line 1: expected JSON"),
            (b'{"a": 1}\n', "all.jsonl: line 1: expected a header"),
            (b"\xff\xfe", "all.jsonl: line 1: expected text in UTF-8"),
            (None, "all.jsonl: line 2: expected JSON"),
        ],
    )
    def test_a_failed_import_leaves_no_registry(
        self, run: Run, link: str, content: bytes | None, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("registry", "export", "-o", "all.jsonl")
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        Path("all.jsonl").write_bytes(Path("all.jsonl").read_bytes()[:-9] if content is None else content)
        result = run("registry", "import", "all.jsonl")
        assert result.exit_code == 1
        assert error_line(result).startswith(problem)
        assert not list(Path().glob("copy.sqlite*"))

    def test_an_import_from_a_pipe(self, run: Run, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        content = run("registry", "export").stdout
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        os.mkfifo("pipe")
        writer = threading.Thread(target=Path("pipe").write_text, args=(content,))
        writer.start()
        assert run("registry", "import", "pipe").stdout == "1 new records\n"
        writer.join(timeout=10)

    def test_export_and_import_keep_the_ids(self, run: Run, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert run("registry", "export", "-o", "all.jsonl").stdout == "1 records -> all.jsonl\n"
        assert run("registry", "export").stdout == Path("all.jsonl").read_text()
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        assert run("registry", "import", "all.jsonl").stdout == "1 new records\n"
        assert objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"][0]["link"] == link

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [(("show", "wm:0000-0000"), 1), (("withdraw", "nonsense!"), 1), (("import", "none.jsonl"), 1)],
    )
    def test_errors_are_one_line(self, run: Run, link: str, arguments: tuple[str, ...], status: int) -> None:
        result = run("registry", *arguments)
        assert result.exit_code == status
        assert "expected" in error_line(result) or "No such file" in error_line(result)

    def test_a_registry_that_is_not_there(self, run: Run) -> None:
        result = run("registry", "list")
        assert result.exit_code == 2
        assert "expected a file, found none; run `wam registry init` first" in error_line(result)


class TestModel:
    def test_info(self, run: Run) -> None:
        (found,) = objects(run("model", "info", "--json"))
        known = library.KNOWN[library.DEFAULT]
        assert found["sha256"] == known.sha256 and found["name"] == f"{library.DEFAULT}@{known.sha256[:8]}"
        assert found["bytes"] == library.shipped(known.file).stat().st_size
        assert (found["licence"], found["bits"]) == (known.licence, 32)
        assert known.sha256 in run("model", "info").stdout

    def test_a_missing_model(self, run: Run) -> None:
        result = run("model", "info", "--model", "none")
        assert result.exit_code == 2
        assert error_line(result).startswith("none: expected a model name")


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"wam {wam.__version__}\n"


def test_every_command_explains_its_options(run: Run) -> None:
    for command in (["embed"], ["detect"], ["attack"], ["registry"], ["registry", "list"], ["model", "info"]):
        assert run(*command, "--help").exit_code == 0


class TestMain:
    """The ``wam`` script, which the runner above does not go through."""

    @pytest.fixture
    def call(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def invoke(*arguments: str) -> int:
            monkeypatch.setattr(sys, "argv", ["wam", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            assert isinstance(ended.value.code, int)
            return ended.value.code

        return invoke

    @pytest.fixture
    def fails_with(self, call: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def invoke(error: BaseException) -> int:
            def fail(**_: object) -> None:
                raise error

            monkeypatch.setattr(sys.modules["wam.cli.app"], "app", fail)
            return call("detect")

        return invoke

    def test_success(self, call: Callable[..., int], photo: Path) -> None:
        assert call("embed", "in.png", *MARK) == 0
        assert call("detect", "in.wm.png") == 0
        assert call("detect", "in.png") == 1

    def test_no_command_shows_the_help(self, call: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
        assert call() == 2
        shown = capfd.readouterr()
        assert "embed" in shown.out + shown.err and "error" not in shown.err

    @pytest.mark.parametrize(
        "arguments", [("paint",), ("--nonsense",), ("embed",), ("embed", "in.png", "--strength", "loud"), ("detect",)]
    )
    def test_usage_errors_are_one_line(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        assert call(*arguments) == 2
        shown = capfd.readouterr()
        (line,) = shown.err.splitlines()
        assert line.startswith("error: ") and line.endswith("; see wam --help")
        assert shown.out == ""

    @pytest.mark.parametrize(
        ("error", "status", "line"),
        [
            (typer.Abort(), 130, "interrupted"),
            (OSError("disk full"), 2, "disk full"),
            (wam.ModelError("x: missing"), 2, "x: missing"),
        ],
    )
    def test_whatever_goes_wrong_is_one_line(
        self,
        fails_with: Callable[..., int],
        capfd: pytest.CaptureFixture[str],
        error: BaseException,
        status: int,
        line: str,
    ) -> None:
        assert fails_with(error) == status
        (shown,) = capfd.readouterr().err.splitlines()
        assert shown.startswith(f"error: {line}")

    def test_ctrl_c_is_one_line(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("payload.registry.Registry.open", interrupted)
        assert call("registry", "list") == 130
        assert capfd.readouterr().err.strip() == "error: interrupted; files written so far are whole"

    def test_a_broken_pipe_is_no_traceback(
        self, fails_with: Callable[..., int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Closed:
            closed = False

            def close(self) -> None:
                Closed.closed = True

        monkeypatch.setattr(sys, "stderr", Closed())
        assert fails_with(BrokenPipeError()) == 1
        assert Closed.closed
