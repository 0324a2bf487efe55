"""What the tests of the command line share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from PIL import Image
from typer.testing import Result

from tests.wam.synthetic import smooth_picture
from wam.pipeline import contract

Run = Callable[..., Result]
MARK = ("--asset", "123", "--owner", "acme")
EMBEDDED = {
    "image": str, "output": str, "width": int, "height": int, "mode": str, "record": dict, "link": str,
    "messages": list, "psnr_db": float, "ssim": float, "self_check": str, "model": str, "schema": int,
    "error": type(None),
    "lost": list, "notes": list, "frames": int, "labelled": bool,  # the last four are beyond the contract
}  # fmt: skip
SCHEMA = json.loads((Path(contract.__file__).with_name("contract.schema.json")).read_text())
CONTRACTS = {"watermarks": "DetectObject", "self_check": "EmbedObject"}
STRICT = {name: {**values, "additionalProperties": False} for name, values in SCHEMA["$defs"].items()}
RECORD = {"asset": str, "owner": str, "user": type(None), "ingested_at": str}
SUMMARY = re.compile(r"(\d+) marked, (\d+) skipped, (\d+) failed in [\d.]+ s(, [\d.]+/s)?")


def draw(name: str, *, seed: int = 0) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(smooth_picture(seed=seed)).save(path)
    return path


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def objects(result: Result) -> list[dict[str, Any]]:
    """Standard output, which must hold JSON Lines and nothing else; those of ``embed`` and ``detect`` as agreed."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for values in found:
        check_contract(values)
    return found


def check_contract(values: dict[str, Any]) -> None:
    """Holds an object of ``embed`` or ``detect`` against the JSON Schema that ships; no other key may be there."""
    name = next((name for key, name in CONTRACTS.items() if key in values), None)
    assert name is not None or not {"schema", "model"} <= set(values), values
    if name is not None:
        jsonschema.validate(values, {"$ref": f"#/$defs/{name}", "$defs": STRICT})


def types(values: dict[str, Any]) -> dict[str, type]:
    return {key: type(value) for key, value in values.items()}


def error_line(result: Result) -> str:
    """The one line on standard error, a folder's summary aside."""
    (line,) = (line for line in result.stderr.splitlines() if not re.search(r" marked, | with watermarks ", line))
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def counts(stderr: str) -> tuple[int, ...]:
    """Marked, skipped and failed files by the last line."""
    found = SUMMARY.match(stderr.splitlines()[-1])
    assert found is not None, stderr
    return tuple(map(int, found.groups()[:3]))


def manifest() -> dict[str, dict[str, Any]]:
    """The last line of each file."""
    return {line["path"]: line for line in map(json.loads, Path("out/manifest.jsonl").read_text().splitlines())}
