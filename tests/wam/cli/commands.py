"""What the tests of the command line share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from typer.testing import Result

from tests.wam.synthetic import smooth_picture

Run = Callable[..., Result]
MARK = ("--asset", "123", "--owner", "acme")
EMBEDDED = {
    "image": str, "output": str, "width": int, "height": int, "mode": str, "record": dict, "link": str,
    "messages": list, "psnr_db": float, "ssim": float, "self_check": str, "model": str, "error": type(None),
    "lost": list, "notes": list, "frames": int, "labelled": bool,  # the last four are beyond the contract
}  # fmt: skip
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
    """Standard output, which must hold JSON Lines and nothing else."""
    return [json.loads(line) for line in result.stdout.splitlines()]


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
