"""The demo: the main job from files to records, as `make demo` runs it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo.py"


@pytest.mark.slow
def test_both_records_are_found_and_outlined(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("A-1041", "acme", "B-2207", "globex", "verified", "both records found, none wrong"):
        assert word in done.stdout
    composite = Image.open(io.BytesIO((tmp_path / "demo/composite.jpg").read_bytes()))
    overlay = Image.open(io.BytesIO((tmp_path / "demo/overlay.png").read_bytes()))
    assert composite.format == "JPEG" and overlay.size == composite.size
