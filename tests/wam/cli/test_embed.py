"""``wam embed``: what it writes, prints and returns, by the contract (shared/spec/cli.md)."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest

from tests.wam.cli.commands import (
    EMBEDDED,
    MARK,
    RECORD,
    Run,
    draw,
    error_line,
    files,
    objects,
    types,
)
from tests.wam.pictures.pictures import with_valid_sums
from wam.models import catalogue
from wam.pictures.files import read_image
from wam.pipeline import key_file


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

    def test_in_place_does_not_destroy_what_no_copy_can_give_back_unless_told(self, run: Run, photo: Path) -> None:
        signed = photo.read_bytes()
        photo.write_bytes(signed[:33] + struct.pack(">I4s", 4, b"caBX") + b"c2pa" + bytes(4) + signed[33:])
        photo.write_bytes(with_valid_sums(photo.read_bytes()))
        before = photo.read_bytes()
        refused = run("embed", photo, *MARK, "--in-place")
        assert refused.exit_code == 1 and photo.read_bytes() == before
        assert "no way to keep: content credentials (C2PA), write another file" in refused.stderr
        assert "add --drop" in refused.stderr
        assert run("embed", photo, *MARK, "--in-place", "--drop").exit_code == 0
        assert photo.read_bytes() != before
        assert run("embed", photo, *MARK, "--drop").exit_code == 2

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
        found = [objects(run("embed", photo, *MARK, "--psnr", db, "--json"))[0] for db in ("44", "48")]
        assert [one["psnr_db"] for one in found] == pytest.approx([44, 48], abs=1)
        gentle, normal, strong = (
            objects(run("embed", photo, *MARK, "--strength", name, "--json"))[0]["psnr_db"]
            for name in ("gentle", "normal", "strong")
        )
        assert gentle > normal + 1 and normal > strong + 1

    def test_a_number_as_strength_is_still_a_psnr_and_says_so(self, run: Run, photo: Path) -> None:
        done = run("embed", photo, *MARK, "--strength", "44", "--json")
        assert objects(done)[0]["psnr_db"] == pytest.approx(44, abs=1)
        assert done.stderr == "note: --strength 44 is now --psnr 44; the old spelling goes with the next version\n"

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

    def test_a_marked_file_is_not_marked_over(self, run: Run, photo: Path) -> None:
        run("embed", photo, *MARK)
        result = run("embed", "in.wm.png", "--asset", "456", "--owner", "globex", "-o", "twice.png", "--json")
        (found,) = objects(result)
        assert result.exit_code == 1 and found["self_check"] == "failed"
        assert "on an input that is marked already (wm:" in found["error"] and not Path("twice.png").exists()

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
            (("--psnr", "56"), "--psnr: expected 30 to 55 dB, found 56"),
            (("--strength", "loud"), "--strength: expected one of gentle, normal, strong, found loud"),
            (("--strength", "gentle", "--psnr", "44"), "--psnr: expected it without a strength, found 44 and gentle"),
            (("--time", "yesterday"), "time: expected RFC 3339"),
            (("--user", " "), "user: expected text that is not blank"),
            (("--model", "lattice99"), "lattice99: expected a model name"),
            (("--model", "in.png"), "in.png: expected a safetensors checkpoint"),
            (("--registry", "in.png/registry"), "registry "),
            (("--registry", "mysql://host/name"), "registry mysql://host/name: expected sqlite or postgresql"),
            (("--key-file", "none.key"), "none.key: expected a readable key file"),
            (("--key-file", "short.key"), "short.key: expected a key of at least 16 bytes, found 5"),
        ],
    )
    def test_usage_errors(self, run: Run, photo: Path, options: tuple[str, ...], problem: str) -> None:
        Path("link.png").symlink_to("in.png")
        Path("short.key").write_text("short")
        Path("lattice32.safetensors").symlink_to(catalogue.shipped("lattice32.safetensors"))
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


def test_a_key_is_read_once(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, as in --key-file <(pass show wam), has nothing more to say the second time."""
    Path("secret.key").write_text("sixteen bytes of secret")
    read, asked = key_file.read_keys, []
    monkeypatch.setattr(key_file, "read_keys", lambda path: asked.append(path) or read(path))
    assert run("embed", photo, *MARK, "--key-file", "secret.key").exit_code == 0
    assert len(asked) == 1
