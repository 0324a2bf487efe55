"""``wam detect``: what it prints and returns, by the contract (shared/spec/cli.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wam.cli.commands import (
    MARK,
    RECORD,
    Run,
    draw,
    error_line,
    files,
    objects,
    types,
)
from tests.wam.synthetic import handmade_marker, smooth_picture, varied_picture
from wam.pictures.files import read_image

DETECTED = {
    "image": str,
    "width": int,
    "height": int,
    "model": str,
    "watermarks": list,
    "complete": bool,
    "reason": type(None),
    "schema": int,
    "error": type(None),
}
DETECTED |= {"label": type(None), "credentials": dict, "contradictions": list}  # beyond the contract


WATERMARK = {
    "status": str, "mode": str, "link": str, "record": dict, "message": str, "bits": str, "bit_confidence": list,
    "corrected": int, "log10_p": float, "mask_score": float, "region": dict, "pose": dict,
}  # fmt: skip


BEYOND_THE_CONTRACT = {
    "transplanted": bool, "binding": str, "registry": str, "also_in": list, "label": type(None), "name_log10_p": float,
}  # fmt: skip


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
        assert types(mark["pose"]) == {"scale": float, "rotation_deg": float, "flipped": bool, "negative": bool}

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

    def test_some_without_a_mark_is_status_1(self, run: Run, marked: dict[str, Any]) -> None:
        assert run("detect", "in.png", "in.wm.png").exit_code == 1
        assert run("detect", "in.wm.png", "in.wm.png").exit_code == 0

    def test_a_file_that_cannot_be_read_is_status_2_and_all_are_told(self, run: Run, marked: dict[str, Any]) -> None:
        Path("broken.png").write_bytes(b"")
        result = run("detect", ".", "--json")
        assert result.exit_code == 2
        assert run("detect", "broken.png", "in.wm.png").exit_code == 2
        found = objects(result)
        assert [one["image"] for one in found] == ["broken.png", "in.png", "in.wm.png"]
        assert [len(one["watermarks"]) for one in found] == [0, 0, 1]
        assert list(found[0]) == list(DETECTED)
        assert found[0]["error"] == error_line(result) and found[1]["error"] is None

    def test_a_folder_ends_with_what_was_found_in_it(self, run: Run, marked: dict[str, Any]) -> None:
        draw("photos/a.png")
        Path("photos/b.png").write_bytes(Path("in.wm.png").read_bytes())
        Path("photos/c.png").write_bytes(b"no picture")
        result = run("detect", "photos", "--json")
        assert result.exit_code == 2 and len(objects(result)) == 3
        last = result.stderr.splitlines()[-1]
        assert last.startswith("1 with watermarks (1 in all), 1 without, 1 not read in ")
        assert "with watermarks" not in run("detect", "photos/a.png", "photos/b.png").stderr

    def test_a_script_that_asks_for_its_own_marks_is_told(
        self, run: Run, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = ("detect", "in.wm.png", "--fail-unless", "verified")
        assert run(*ours).exit_code == 0
        assert run("detect", "in.png", "in.wm.png", "--fail-unless", "verified").exit_code == 1
        monkeypatch.setenv("WAM_REGISTRY", "other.sqlite")
        run("registry", "init")
        assert run("detect", "in.wm.png").exit_code == 0  # a mark of somebody else's is a mark
        assert run(*ours).exit_code == 1
        Path("broken.png").write_bytes(b"")
        assert run(*ours, "broken.png").exit_code == 2
        refused = run("detect", "in.wm.png", "--fail-unless", "marked")
        assert refused.exit_code == 2 and "'marked'" in refused.stderr

    def test_a_mark_that_was_copied_is_not_ours(self, run: Run) -> None:
        Image.fromarray(varied_picture()).save("varied.png")
        run("embed", "varied.png", *MARK)
        residual = np.asarray(Image.open("varied.wm.png"), int) - np.asarray(Image.open("varied.png"), int)
        other = varied_picture(seed=4)[::-1].astype(int) // 2 + 60
        other[40:90, 30:100] += 50
        Image.fromarray((other + residual).clip(0, 255).astype(np.uint8)).save("moved.png")
        (mark,) = objects(run("detect", "moved.png", "--json"))[0]["watermarks"]
        assert (mark["status"], mark["transplanted"]) == ("verified", True)
        assert run("detect", "moved.png").exit_code == 0
        assert run("detect", "moved.png", "--fail-unless", "verified").exit_code == 1

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
        self, run: Run, marked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
        (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
        assert (mark["status"], mark["record"], mark["link"]) == ("unregistered", None, marked["link"])
        assert not (tmp_path / "none").exists()

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
