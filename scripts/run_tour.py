"""Runs docs/tour.ipynb in an empty folder and writes it back with what its cells print and show.

    python scripts/run_tour.py [--check]

Cells use the photos of the package. With ``--check`` nothing is written: the exit status says whether all cells run.
Needs nbclient and ipykernel, of the extra [test].
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.docs_pages import NOTEBOOK, ROOT
from wam.pictures.atomic_write import save_atomically

SECONDS = 300  # that one cell may take
QUALITY = 78  # of the pictures that are kept


def run(place: Path, folder: str) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in a folder with a registry of its own."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ["XDG_DATA_HOME"] = folder
    os.environ.pop("WAM_KEY", None)
    os.environ.pop("WAM_REGISTRY", None)
    notebook: nbformat.NotebookNode = nbformat.read(place, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # times, which differ from run to run
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data = {"image/jpeg": small(output.data["image/png"])}
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return notebook


def small(png: str) -> str:
    """A picture in Base64 as a JPEG."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").save(stream, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="run it and write nothing")
    check: bool = parser.parse_args().check
    place = ROOT / NOTEBOOK
    with TemporaryDirectory() as folder:
        text = nbformat.writes(run(place, folder))
    if not check:
        save_atomically(place, lambda temporary: temporary.write_text(text.rstrip() + "\n", encoding="utf-8"))


if __name__ == "__main__":
    main()
