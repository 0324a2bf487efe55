"""``wam embed`` on folders, again and again: what is skipped, what is marked again, and what is said of it."""

from __future__ import annotations

import hmac
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.wam.cli.commands import MARK, Run, counts, draw, error_line, files, manifest, objects
from tests.wam.synthetic import smooth_picture
from wam.jobs.journal import differences
from wam.pictures.files import read_image
from wam.pipeline.options import MarkOptions

INTO = ("--out-dir", "out")


@pytest.fixture
def photos(run: Run) -> Path:
    """Two pictures in ``photos``."""
    for seed, name in enumerate(("photos/a.png", "photos/deep/b.png")):
        draw(name, seed=seed)
    return Path("photos")


class TestSummary:
    def test_after_a_folder(self, run: Run, photos: Path) -> None:
        Path("photos/c.png").write_bytes(b"no picture")
        result = run("embed", photos, *MARK, *INTO, "--json")
        assert result.exit_code == 1 and len(objects(result)) == 3
        assert counts(result.stderr) == (2, 0, 1)
        assert result.stderr.startswith("error: photos/c.png: ") and len(result.stderr.splitlines()) == 2
        result = run("embed", photos, *MARK, *INTO, "--resume")
        assert counts(result.stderr) == (0, 2, 1)

    def test_not_after_files(self, run: Run, photo: Path) -> None:
        assert run("embed", photo, draw("b.png"), *MARK).stderr == ""


class TestEarlierOutputs:
    def test_outputs_beside_their_inputs_are_no_inputs(self, run: Run, photos: Path) -> None:
        first = run("embed", photos, *MARK, "--json")
        again = run("embed", photos, *MARK, "--json")
        assert (first.exit_code, again.exit_code) == (0, 0)
        assert [one["image"] for one in objects(again)] == ["photos/a.png", "photos/deep/b.png"]
        assert files() == ["photos/a.png", "photos/a.wm.png", "photos/deep/b.png", "photos/deep/b.wm.png"]
        note, _ = again.stderr.splitlines()
        assert note.startswith("note: skipped 2 earlier outputs (.wm.) beside their originals: photos/a.wm.png, ")
        assert counts(again.stderr) == (2, 2, 0)

    def test_in_every_way_of_writing(self, run: Run, photos: Path) -> None:
        run("embed", photos, *MARK)
        for options in (INTO, ("--in-place",)):
            result = run("embed", photos, *MARK, *options, "--json")
            assert (result.exit_code, len(objects(result))) == (0, 2)
        assert not Path("out/a.wm.png").exists()

    def test_a_name_of_that_kind_without_its_original_is_an_input(self, run: Run) -> None:
        draw("photos/lonely.wm.png")
        result = run("embed", "photos", *MARK, "--json")
        assert [one["output"] for one in objects(result)] == ["photos/lonely.wm.wm.png"]

    def test_one_that_is_named_is_an_input(self, run: Run, photo: Path) -> None:
        draw("in.wm.png", seed=3)
        result = run("embed", "in.png", "in.wm.png", *MARK, *INTO, "--json")
        assert [one["image"] for one in objects(result)] == ["in.png", "in.wm.png"]

    def test_an_output_that_is_replaced_is_said(self, run: Run, photos: Path) -> None:
        first = objects(run("embed", photos, *MARK, *INTO, "--json"))
        assert [one["notes"] for one in first] == [[], []]
        result = run("embed", photos, *MARK, *INTO, "--json")
        links = [one["link"] for one in first]
        kept = "the link of an earlier mark of this picture for this record; --new-link makes another"
        again = objects(result)
        assert [one["notes"] for one in again] == [[kept, f"replaced an earlier output, which had {x}"] for x in links]
        assert [one["link"] for one in again] == links
        assert result.stderr.rstrip().endswith("; 2 took the place of an earlier output (--resume keeps what is done)")

    def test_an_input_replaced_in_place_is_not(self, run: Run, photo: Path) -> None:
        assert objects(run("embed", photo, *MARK, "--in-place", "--json"))[0]["notes"] == []

    def test_a_file_that_is_replaced_is_said(self, run: Run, photo: Path) -> None:
        draw("x.png", seed=4)
        assert "(replaced an earlier output)" in run("embed", photo, *MARK, "-o", "x.png").stdout


class TestResumeWithOtherSettings:
    @pytest.mark.parametrize(
        ("options", "change"),
        [
            (("--psnr", "45"), "strength was normal, is 45 dB"),
            (("--strength", "gentle"), "strength was normal, is gentle"),
            (("--label",), "label was off, is on"),
            (("--quality", "60"), "quality was the source's own, is 60"),
            (("--key-file", "secret.key"), "key was none, is yours"),
            (("--owner", "globex"), "the record was another"),
        ],
    )
    def test_what_was_marked_otherwise_is_marked_again(
        self, run: Run, photos: Path, options: tuple[str, ...], change: str
    ) -> None:
        Path("secret.key").write_bytes(b"sixteen bytes of secret\n")
        run("embed", photos, *MARK, *INTO)
        command = ("embed", photos, *MARK, *INTO, "--resume", *options, "--json")
        result = run(*command)
        assert result.exit_code == 0
        assert (
            result.stderr.splitlines()[0] == f"note: 2 files were marked otherwise ({change}) and will be marked again"
        )
        assert counts(result.stderr) == (2, 0, 0)
        assert [one["notes"][-1] for one in objects(result)] == [f"marked again: {change}"] * 2
        again = run(*command)
        assert counts(again.stderr) == (0, 2, 0) and len(again.stderr.splitlines()) == 1

    def test_frames_make_no_difference_to_still_pictures(self, run: Run, photos: Path) -> None:
        run("embed", photos, *MARK, *INTO)
        assert counts(run("embed", photos, *MARK, *INTO, "--resume", "--all-frames").stderr) == (0, 2, 0)

    def test_only_the_files_that_differ(self, run: Run, photos: Path) -> None:
        run("embed", photos, *MARK, *INTO)
        draw("photos/deep/b.png", seed=9)
        run("embed", photos / "deep", *MARK, "--out-dir", "other")
        result = run("embed", photos, *MARK, *INTO, "--resume")
        assert counts(result.stderr) == (1, 1, 0)

    def test_a_manifest_without_settings_is_not_trusted(self, run: Run, photos: Path) -> None:
        run("embed", photos, *MARK, *INTO)
        old = [{k: v for k, v in line.items() if k != "settings"} for line in manifest().values()]
        Path("out/manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
        result = run("embed", photos, *MARK, *INTO, "--resume")
        assert counts(result.stderr) == (2, 0, 0)
        assert "note: 2 files were marked otherwise (settings were not noted)" in result.stderr

    def test_the_manifest_does_not_tell_the_key(self, run: Run, photos: Path) -> None:
        Path("secret.key").write_bytes(b"sixteen bytes of secret\n")
        run("embed", photos, *MARK, *INTO, "--key-file", "secret.key")
        name = manifest()["a.png"]["settings"]["key"]
        assert re.fullmatch("[0-9a-f]{16}-[0-9a-f]{8}", name)
        run("embed", photos, *MARK, "--out-dir", "other", "--key-file", "secret.key")
        other = json.loads(Path("other/manifest.jsonl").read_text().splitlines()[-1])["settings"]["key"]
        assert other.partition("-")[0] != name.partition("-")[0] and other.partition("-")[2] != name.partition("-")[2]
        assert b"sixteen" not in Path("out/manifest.jsonl").read_bytes()

    def test_a_manifest_of_0_2_0_whose_key_has_no_salt_is_gone_on_with(self, run: Run, photos: Path) -> None:
        Path("secret.key").write_bytes(b"sixteen bytes of secret\n")
        run("embed", photos, *MARK, *INTO, "--key-file", "secret.key")
        name = hmac.new(b"sixteen bytes of secret", b"wam manifest", "sha256").hexdigest()[:8]
        text = Path("out/manifest.jsonl").read_text()
        Path("out/manifest.jsonl").write_text(re.sub('"key": "[^"]*"', f'"key": "{name}"', text))
        assert counts(run("embed", photos, *MARK, *INTO, "--key-file", "secret.key", "--resume").stderr) == (0, 2, 0)

    def test_a_line_of_an_animation_that_is_not_taken_any_more(self) -> None:
        line = {"settings": MarkOptions(frames=True).to_dict(), "frames": 2}
        assert differences(MarkOptions(), line) == ("frames was on, is off",)


class TestUsage:
    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (("--asset", "1", "--owner", "a", "-o", "x.xyz"), "x.xyz: expected an output name ending in .png"),
            (("--asset", "", "--owner", "a"), "asset: expected one, found none"),
            (("--asset", "1", "--owner", ""), "owner: expected one, found none"),
            (("--asset-from", "csv:list.csv", "--user", " "), "user: expected text that is not blank"),
            (("--asset-from", "csv:list.csv", "--time", "noon"), "time: expected RFC 3339"),
            (("--asset-from", "name"), "owner: expected one, found none"),
            (("--asset", "1", "--owner", "a", "--encrypt"), "--encrypt: expected mode record with it"),
        ],
    )
    def test_what_can_be_known_beforehand_is_a_usage_error(
        self, run: Run, photo: Path, tmp_path: Path, options: tuple[str, ...], problem: str
    ) -> None:
        Path("list.csv").write_text("path,asset,owner\nin.png,1,a\n")
        result = run("embed", photo, *options)
        assert result.exit_code == 2
        assert error_line(result).startswith(problem)
        assert files() == ["in.png", "list.csv"] and not (tmp_path / "wam").exists()

    def test_a_name_without_a_known_ending_that_is_not_chosen_costs_itself_only(self, run: Run, photos: Path) -> None:
        odd = draw("odd.png").rename("odd.xyz")
        result = run("embed", odd, "photos/a.png", *MARK)
        assert result.exit_code == 1
        assert error_line(result).startswith("odd.wm.xyz: expected an output name ending in")
        assert read_image("photos/a.wm.png").format == "PNG"


class TestQuality:
    def test_tables_are_the_sources_own_unless_told_otherwise(self, run: Run) -> None:
        Image.fromarray(smooth_picture()).save("in.jpg", quality=83)
        expected = {}
        for quality in (83, 97):
            Image.new("RGB", (64, 64)).save("tables.jpg", quality=quality)
            with Image.open("tables.jpg") as tables:
                expected[quality] = tables.quantization  # type: ignore[attr-defined]
        for options, quality in (((), 83), (("--quality", "97"), 97)):
            assert run("embed", "in.jpg", *MARK, *options).exit_code == 0
            with Image.open("in.wm.jpg") as marked:
                assert marked.quantization == expected[quality]  # type: ignore[attr-defined]

    def test_of_an_animation(self, run: Run) -> None:
        frames = [Image.fromarray(smooth_picture(seed=seed)) for seed in (1, 2)]
        frames[0].save("in.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
        for options, lossless in (((), True), (("--quality", "99"), False)):
            assert run("embed", "in.webp", *MARK, "--all-frames", *options).exit_code == 0
            assert (b"VP8L" in Path("in.wm.webp").read_bytes()) == lossless

    def test_beyond_its_range_it_is_a_usage_error(self, run: Run, photo: Path) -> None:
        result = run("embed", photo, *MARK, "--quality", "101")
        assert result.exit_code == 2 and files() == ["in.png"]
