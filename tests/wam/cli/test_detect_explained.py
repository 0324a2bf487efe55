"""``wam detect --verbose``, overlays' names, and what is refused: the outer side of detection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from tests.wam.cli.commands import error_line
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam import watermarker
from wam.cli import app
from wam.models.effort import USUAL, Effort
from wam.models.protocol import Description, Explains, Finding, FoundPose
from wam.watermarker import Watermarker

Run = Callable[..., Result]
BITS = "01100111000011110000111100001111"


class Silent:
    """A model that does not tell what its search did; one mark all over each picture, or none."""

    description = Description("silent@00000000", "none", None, -4.0, -1.0)

    def __init__(self, *, finds: bool) -> None:
        self.finds = finds

    def find(self, image: Tensor, *, effort: Effort = USUAL) -> list[Finding]:
        logits = torch.tensor([4.0 if bit == "1" else -4.0 for bit in BITS])
        finding = Finding(logits, 50.0, -9.0, torch.ones(image.shape[-2:]), FoundPose())
        return [finding] if self.finds else []


KEYS = "a mark that was made with a key is found with that key only: --key-file"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with ``in.png`` and its marked copy, with a light model in place of the default."""
    marker: Any = handmade_marker()

    def use(model: Any) -> None:
        monkeypatch.setattr(watermarker, "load", lambda *_, **__: model)

    use(marker)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name in ("WAM_REGISTRY", "WAM_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Image.fromarray(smooth_picture()).save("in.png")

    def invoke(*arguments: str, model: Any = None) -> Result:
        use(model or marker)
        return CliRunner().invoke(app, list(arguments))

    assert invoke("embed", "in.png", "--asset", "123", "--owner", "acme").exit_code == 0
    return invoke


def test_verbose_says_how_a_mark_was_found(run: Run) -> None:
    result = run("detect", "in.wm.png", "--verbose")
    search, mark = result.stderr.splitlines()
    assert result.exit_code == 0
    assert search.startswith("in.wm.png: 1 network pass (at 128x128), 1 region tried; strongest score ")
    assert mark.startswith("in.wm.png: 1. wm:") and ": expected pose at 128x128; score " in mark
    assert "(threshold 27.0), chance < 1.3e-3, tested; scale 1.00, turned 0.0 degrees; region 0,0 128x128" in mark


def test_verbose_says_whose_key_it_was_read_with(run: Run) -> None:
    secret = b"sixteen bytes of secret"
    both = handmade_marker(secret, None)
    assert run("detect", "in.wm.png", "-v", model=both).stderr.endswith(", read with the public key\n")
    both.embed(Image.open("in.png"), BITS).image.save("own.png")
    assert run("detect", "own.png", "-v", model=both).stderr.endswith(", read with your key\n")


def test_verbose_says_what_was_tried_in_vain(run: Run) -> None:
    result = run("detect", "in.png", "-v")
    search, nearest, keys = result.stderr.splitlines()
    assert result.exit_code == 1 and keys == "note: " + KEYS
    assert "network passes (at 128x128, " in search and "threshold 27.0" in search
    assert nearest.startswith("in.png: nothing found; the strongest pose is ")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_standard_output_is_the_same(run: Run, form: tuple[str, ...]) -> None:
    quiet, verbose = (run("detect", "in.png", "in.wm.png", *form, *more) for more in ((), ("-v",)))
    assert quiet.stdout == verbose.stdout and quiet.exit_code == verbose.exit_code == 1
    assert quiet.stderr == "" and verbose.stderr != ""


def test_that_a_key_may_be_missing_is_said_once_where_nothing_was_found(run: Run) -> None:
    for command in ("detect", "trace"):
        assert run(command, "in.png", "in.png").stderr == f"note: {KEYS}\n"
        assert run(command, "in.png", "--json").stderr == ""
        assert run(command, "in.png", model=handmade_marker(b"sixteen bytes of secret", None)).stderr == ""


def test_verbose_speaks_of_all_frames(run: Run) -> None:
    frames = [Image.open("in.wm.png"), Image.fromarray(smooth_picture(seed=3))]
    frames[0].save("moving.png", save_all=True, append_images=frames[1:], duration=100)
    said = run("detect", "moving.png", "--all-frames", "-v").stderr
    assert "moving.png: frame 1 " in said and "moving.png: frame 2 " in said


@pytest.mark.parametrize("finds", [True, False])
def test_a_model_that_does_not_explain_itself_is_read_all_the_same(run: Run, finds: bool) -> None:
    model: Any = Silent(finds=finds)
    assert not isinstance(model, Explains)
    result = run("detect", "in.png", "-v", "--json", model=Watermarker(model))
    assert len(json.loads(result.stdout)["watermarks"]) == finds
    first, second = result.stderr.splitlines()
    assert "no search to tell of" in first
    assert ("one pass at one size; score 50.0, chance < 1.3e-3, tested" if finds else "nothing found") in second


def test_a_detection_says_how_it_was_found(light: Watermarker) -> None:
    marked = light.embed(smooth_picture(), BITS).image
    (found,), search = light.detect_and_explain(marked)
    assert found.how == "expected pose at 128x128"
    assert search is not None and search.views == ((128, 128),) and search.strongest >= search.threshold
    mirrored = light.detect(np.asarray(marked)[:, ::-1])
    assert [one.how for one in mirrored] == ["pose found in the whole view at 128x128"]


@pytest.mark.parametrize("name", ["o.txt", "overlay"])
def test_an_overlay_without_a_format_is_a_usage_error(run: Run, name: str) -> None:
    result = run("detect", "in.wm.png", "--overlay", name)
    assert result.exit_code == 2
    assert result.stdout == "" and not Path(name).exists()
    assert result.stderr.startswith(f"error: {name}: expected an output name ending in .png, ")


def test_overlay_and_masks_have_the_documented_names_and_sizes(run: Run) -> None:
    options = ("--overlay", "out/seen.jpg", "--mask-dir", "masks")
    assert run("detect", "in.wm.png", *options).exit_code == 0
    with Image.open("out/seen.jpg") as seen, Image.open("masks/in.wm.mask1.png") as mask:
        assert seen.format == "JPEG" and seen.size == (128, 128)
        assert mask.mode == "L" and mask.size == (128, 128) and mask.getextrema() == (255, 255)


def test_the_network_computes_in_the_precision_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    for words in ((), ("--precision", "bf16")):
        monkeypatch.setattr(
            watermarker, "load", lambda *_, precision, **__: asked.append(precision) or handmade_marker()
        )
        CliRunner().invoke(app, ["detect", "in.png", *words])
    assert asked == ["auto", "bf16"]


def test_an_unknown_precision_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["detect", "in.png", "--precision", "int4"])
    assert result.exit_code == 2
    assert "'int4'" in result.stderr and "'bf16'" in result.stderr


def test_a_quick_look_and_a_time_that_is_over_are_told(run: Run) -> None:
    """In the JSON and on standard error; what was found is given all the same."""
    Image.fromarray(smooth_picture(500, 700)).save("large.png")
    for options, reason in (
        (("--quick",), "a quick look: at the usual resolution only"),
        (("--seconds", "0.000001"), "the time was over: what was looked at until then is given"),
    ):
        result = run("detect", "large.png", "--json", *options)
        line = json.loads(result.stdout)
        assert (line["complete"], line["reason"], line["watermarks"]) == (False, reason, [])
        assert result.stderr.splitlines()[0] == f"warning: large.png: {reason}"
    marked = json.loads(run("detect", "in.wm.png", "--json", "--seconds", "60").stdout)
    assert marked["complete"] and len(marked["watermarks"]) == 1


@pytest.mark.parametrize("options", [("--quick", "--thorough"), ("--seconds", "0"), ("--seconds", "nan")])
def test_efforts_that_make_no_sense_are_one_line(run: Run, options: tuple[str, ...]) -> None:
    result = run("detect", "in.wm.png", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error_line(result).startswith(f"{options[0]}: expected ")
