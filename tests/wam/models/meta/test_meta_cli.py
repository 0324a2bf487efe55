"""Meta's weights on the command line, in files with the right keys: the same commands as for the default model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from payload import Record, bits_from_word
from payload.registry import Registry
from tests.wam.models.meta.meta_weights import empty_model, fill, filled_model, slopes
from wam.cli.app import app
from wam.models.meta import load_weights
from wam.models.meta.embedder import MetaEmbedder
from wam.models.meta.jnd import JND

Run = Callable[..., Result]
MARK = ("--asset", "123", "--owner", "acme", "--registry", "r.sqlite")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with ``in.png`` and an empty registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAM_KEY", raising=False)
    pixels = (slopes(96, 144)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save("in.png")
    Registry.open("r.sqlite", create=True)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return invoke


def next_word() -> int:
    """The word that the registry will give to the next picture."""
    shutil.copy("r.sqlite", "copy.sqlite")
    return Registry.open("copy.sqlite", create=False).allocate(Record("1", "a")).word


def write_weights(name: str, *, mask: float, bits: str) -> None:
    """A file of Meta's keys: a random embedder, and an extractor that sees one message on every pixel."""
    values = {key: torch.zeros(1).expand(tensor.shape) for key, tensor in empty_model().state_dict().items()}
    values |= {f"embedder.{key}": tensor for key, tensor in fill(MetaEmbedder()).items()}
    values |= {f"attenuation.{key}": tensor for key, tensor in JND().state_dict().items()}
    values["detector.pixel_decoder.last_layer.bias"] = torch.tensor(
        [mask, *(5.0 if bit == "1" else -5.0 for bit in bits)]
    )
    torch.save(values, name)


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_marking_and_reading(run: Run) -> None:
    word = bits_from_word(next_word())
    write_weights("wam_mit.pth", mask=4.0, bits=word)
    done = run("embed", "in.png", *MARK, "--model", "wam_mit.pth", "--json")
    assert done.exit_code == 0, done.output
    (marked,) = objects(done)
    digest = hashlib.sha256(Path("wam_mit.pth").read_bytes()).hexdigest()
    assert marked["messages"] == [word] and marked["self_check"] == "passed"
    assert marked["model"] == f"wam_mit@{digest[:8]}"
    change = np.asarray(Image.open("in.wm.png")).astype(int) - np.asarray(Image.open("in.png"))
    assert marked["psnr_db"] == pytest.approx(10 * np.log10(255**2 / (change**2).mean()), abs=0.01)

    done = run(
        "detect", "in.wm.png", "--registry", "r.sqlite", "--model", "wam_mit.pth", "--json", "--mask-dir", "masks"
    )
    assert done.exit_code == 0, done.output
    ((found,),) = [one["watermarks"] for one in objects(done)]
    assert (found["status"], found["message"], found["record"]["asset"]) == ("verified", word, "123")
    assert found["region"]["bbox"] == [0, 0, 144, 96] and found["region"]["area"] == 1.0
    assert found["pose"] == {"scale": 1.0, "rotation_deg": 0.0, "flipped": False, "negative": False}
    assert min(found["bit_confidence"]) == pytest.approx(0.993, abs=1e-3)
    assert np.asarray(Image.open("masks/in.wm.mask1.png")).min() == 255


def test_a_picture_that_reads_wrong_is_not_written(run: Run) -> None:
    write_weights("wam_mit.pth", mask=-4.0, bits="0" * 32)
    done = run("embed", "in.png", *MARK, "--model", "wam_mit.pth")
    assert done.exit_code == 1
    assert "in.png: expected the self-check to read the mark back, found no watermark" in done.stderr
    assert not Path("in.wm.png").exists()


def test_an_unmarked_picture(run: Run) -> None:
    write_weights("wam_mit.pth", mask=-4.0, bits="0" * 32)
    done = run("detect", "in.png", "--registry", "r.sqlite", "--model", "wam_mit.pth")
    assert (done.exit_code, done.stdout) == (1, "in.png: no watermark\n")


def test_info(run: Run) -> None:
    write_weights("wam_coco.pth", mask=4.0, bits="0" * 32)
    (shown,) = objects(run("model", "info", "wam_coco.pth", "--json"))
    assert shown["architecture"].startswith("Meta WAM")
    assert shown["licence"] == "CC-BY-NC, by the file's name"
    assert (shown["embedder_parameters"], shown["extractor_parameters"], shown["bits"]) == (1_105_639, 93_310_961, 32)
    assert shown["sha256"] == hashlib.sha256(Path("wam_coco.pth").read_bytes()).hexdigest()
    assert shown["calibration"]["share"] == 0.07 and shown["figures"] is None
    assert objects(run("model", "info", "--model", "wam_coco.pth", "--json")) == [shown]


def test_list(run: Run) -> None:
    shown = {row["name"]: row for row in objects(run("model", "list", "--json"))}
    assert {name: row["licence"] for name, row in shown.items()} == {
        "lattice32": "MIT", "lattice32-0.2": "MIT", "wam_mit": "MIT", "wam_coco": "CC-BY-NC"
    }  # fmt: skip
    assert [name for name, row in shown.items() if row["default"]] == ["lattice32"]
    assert "wam_mit        MIT        Meta's WAM, not shipped: --model PATH/wam_mit.pth" in run("model", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("info", "in.png"), "in.png: expected a safetensors checkpoint"),
        (("info", "wam_mit.pth"), "wam_mit.pth: expected the path of Meta's weights, found no such file"),
        (("convert", "none.pth", "-o", "a.safetensors"), "none.pth: expected Meta's WAM weights, found none"),
        (("convert", "in.png", "-o", "a.safetensors"), "in.png: expected a safetensors file"),
        (("convert", "in.png", "-o", "a.pth"), "a.pth: expected a name ending in .safetensors"),
        (("convert", "in.png", "-o", "in.png"), "in.png: expected an output other than the input"),
    ],
)
def test_errors_are_one_line(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    done = run("model", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {problem}") and done.stderr.count("\n") == 1
    assert not Path("a.safetensors").exists()


@pytest.mark.slow  # 378 MB are written twice
def test_random_weights_from_conversion_to_detection(run: Run) -> None:
    torch.save(filled_model().state_dict(), "wam_mit.pth")
    done = run("model", "convert", "wam_mit.pth", "-o", "wam.safetensors")
    assert done.exit_code == 0, done.output
    assert hashlib.sha256(Path("wam.safetensors").read_bytes()).hexdigest() in done.stdout
    (shown,) = objects(run("model", "info", "wam.safetensors", "--json"))
    assert (shown["licence"], shown["converted_from"]["file"]) == ("MIT", "wam_mit.pth")
    assert load_weights(Path("wam.safetensors")).tensors.keys() == load_weights(Path("wam_mit.pth")).tensors.keys()
    first, second = (
        run("detect", "in.png", "--registry", "r.sqlite", "--json", "--model", name)
        for name in ("wam_mit.pth", "wam.safetensors")
    )
    assert first.exit_code == second.exit_code
    assert objects(first)[0]["watermarks"] == objects(second)[0]["watermarks"] and objects(first)[0]["error"] is None
