"""The notebook: it runs, and what is kept of a run is there and small."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scripts.docs_pages import NOTEBOOK, ROOT

MOST_BYTES = 400_000


def test_the_notebook_runs() -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    command = [sys.executable, str(ROOT / "scripts" / "run_tour.py"), "--check"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr


def test_the_notebook_is_kept_with_its_outputs_and_small() -> None:
    content = (ROOT / NOTEBOOK).read_bytes()
    assert len(content) <= MOST_BYTES
    cells = [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) >= 8 and all(output["output_type"] != "error" for output in outputs)
    assert any("verified dragonfly" in "".join(output.get("text", "")) for output in outputs)
