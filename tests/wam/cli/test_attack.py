"""``wam attack``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attacks import names
from attacks.borrowed import TABLE
from tests.wam.cli.commands import Run, draw, error_line, files
from wam.pictures.files import read_image


class TestAttack:
    def test_writes_the_attacked_picture(self, run: Run, photo: Path) -> None:
        result = run("attack", photo, "resize=0.5,jpeg=80", "-o", "out.png")
        assert result.exit_code == 0
        assert read_image("out.png").pixels.shape == (64, 64, 3)
        assert result.stdout.startswith("in.png -> out.png") and "64x64" in result.stdout

    def test_the_help_names_every_attack(self, run: Run) -> None:
        shown = run("attack", "--help").stdout
        lists = shown[shown.index("Colours:") : shown.index("A strength")]
        listed = re.sub(r"\(.*?\)|[\w ]+:", "", lists)
        assert sorted(re.findall(r"[a-z_0-9]+", listed)) == sorted(set(names()) - set(TABLE))

    def test_what_is_lost_is_said(self, run: Run, photo: Path) -> None:
        grey = np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)
        Image.fromarray(grey).save("deep.png")
        Image.new("RGBA", (64, 64), (90, 120, 60, 128)).save("veil.png")
        said = [run("attack", name, "hflip", "-o", "out.png").stdout for name in ("in.png", "deep.png", "veil.png")]
        ends = ("128x128\n", "64x64  (not kept: 16 bits)\n", "64x64  (not kept: transparency)\n")
        assert all(line.endswith(end) for line, end in zip(said, ends, strict=True))

    def test_the_same_seed_is_the_same_picture(self, run: Run, photo: Path) -> None:
        pictures = []
        for seed in ("1", "1", "2"):
            run("attack", photo, "gaussian_noise=0.05", "-o", "out.png", "--seed", seed)
            pictures.append(Path("out.png").read_bytes())
        assert pictures[0] == pictures[1] != pictures[2]

    def test_an_output_without_an_extension_has_the_format_of_the_input(self, run: Run, photo: Path) -> None:
        draw("in.jpg")
        for source, format in (("in.png", "PNG"), ("in.jpg", "JPEG")):
            assert run("attack", source, "resize=0.5", "-o", "out").exit_code == 0
            assert read_image("out").format == format

    def test_the_order_of_the_last_version_works_with_a_hint(self, run: Run, photo: Path) -> None:
        new = run("attack", photo, "hflip", "-o", "new.png")
        old = run("attack", "hflip", photo, "-o", "old.png")
        assert (new.exit_code, old.exit_code, new.stderr) == (0, 0, "")
        assert old.stderr.startswith("note: wam attack ATTACKS IMAGE is now wam attack IMAGE ATTACKS")
        assert Path("old.png").read_bytes() == Path("new.png").read_bytes()

    def test_a_picture_may_be_called_as_an_attack_is(self, run: Run, photo: Path) -> None:
        photo.rename("hflip")
        result = run("attack", "hflip", "vflip", "-o", "out.png")
        assert (result.exit_code, result.stderr) == (0, "")
        assert "vflip" in result.stdout.partition("->")[2]

    def test_an_unknown_attack_is_a_usage_error(self, run: Run, photo: Path) -> None:
        result = run("attack", photo, "sharpie=3", "-o", "out.png")
        assert result.exit_code == 2
        assert "sharpie" in error_line(result)
        assert files() == ["in.png"]

    @pytest.mark.parametrize(("source", "target"), [("none.png", "out.png"), ("in.png", "out.xyz")])
    def test_a_file_that_cannot_be_read_or_written(self, run: Run, photo: Path, source: str, target: str) -> None:
        result = run("attack", source, "jpeg=80", "-o", target)
        assert result.exit_code == 1
        assert "expected" in error_line(result)
        assert files() == ["in.png"]
