"""``--mode record`` on the command line: what it writes, prints and refuses, by the contract (shared/spec/cli.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.wam.synthetic import handmade_marker, smooth_picture
from wam import watermarker
from wam.cli import app

Run = Callable[..., Result]
MARK = ("--asset", "123", "--owner", "acme", "--time", "2026-11-22T10:30:00+01:00", "--mode", "record")
RECORD = {"asset": "123", "owner": "acme", "user": None, "ingested_at": "2026-11-22T09:30:00Z"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a command in a folder with ``in.png``, a light model in place of the default and no registry anywhere."""
    folder = tmp_path_factory.mktemp("record")

    def light_load(model: str, *, device: str, keys: list[bytes | None], **options: Any) -> Any:
        return handmade_marker(*keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watermarker, "load", light_load)
        patch.setenv("XDG_DATA_HOME", str(folder / "none"))
        patch.delenv("WAM_REGISTRY", raising=False)
        patch.delenv("WAM_KEY", raising=False)
        patch.chdir(folder)
        Image.fromarray(smooth_picture(384, 544)).save("in.png")
        Image.fromarray(smooth_picture(130, 130)).save("small.png")
        Path("key").write_bytes(b"0123456789abcdef\n")
        yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert not (folder / "none").exists()


@pytest.fixture(scope="module")
def embedded(run: Run) -> dict[str, Any]:
    """The JSON of marking ``in.png``."""
    result = run("embed", "in.png", *MARK, "--json")
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_embed_reports_all_marks_of_the_record(embedded: dict[str, Any]) -> None:
    assert (embedded["mode"], embedded["link"], embedded["record"]) == ("record", None, RECORD)
    assert len(embedded["messages"]) == 12
    assert {len(message) for message in embedded["messages"]} == {32}
    assert embedded["marks"]["embedded"] == 12 and embedded["marks"]["needed"] == 8
    assert (embedded["self_check"], embedded["error"]) == ("passed", None)


def test_detect_prints_the_record_once_without_a_registry(run: Run, embedded: dict[str, Any]) -> None:
    result = run("detect", embedded["output"], "--json", "--mask-dir", "masks")
    assert result.exit_code == 0
    (found,) = json.loads(result.stdout)["watermarks"]
    assert (found["status"], found["mode"], found["record"]) == ("unverified", "record", RECORD)
    assert found["marks"] == {"read": 12, "needed": 8, "embedded": 12}
    assert found["region"]["area"] > 0.9
    with Image.open("masks/in.wm.mask1.png") as mask:
        assert mask.size == (544, 384)


def test_detect_tells_people_the_fields(run: Run, embedded: dict[str, Any]) -> None:
    result = run("detect", embedded["output"])
    for text in ("unverified", "record, 12 of 12 marks", "123", "acme", "2026-11-22T09:30:00Z"):
        assert text in result.stdout


def test_with_a_key_the_record_is_verified_and_can_be_encrypted(run: Run) -> None:
    result = run("embed", "in.png", *MARK, "--key-file", "key", "--encrypt", "-o", "keyed.png")
    assert result.exit_code == 0, result.stderr
    (found,) = json.loads(run("detect", "keyed.png", "--key-file", "key", "--json").stdout)["watermarks"]
    assert (found["status"], found["protection"], found["record"]) == ("verified", "encrypted", RECORD)


def test_a_record_too_long_is_refused_before_anything_is_written(run: Run) -> None:
    result = run("embed", "small.png", *MARK)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: small.png: expected room for 12 marks, found room for 1; use")
    assert not Path("small.wm.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encrypt",), "--encrypt: expected a key, found none"),
        (("--encrypt", "--key-file", "key", "--label"), "--label: expected it without encrypt"),
        (("--registry", "r.sqlite"), "--registry: expected it without --mode record"),
    ],
)
def test_options_that_record_mode_cannot_do_are_refused(run: Run, options: tuple[str, ...], message: str) -> None:
    result = run("embed", "in.png", *MARK, *options, "-o", "refused.png")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("refused.png").exists()
