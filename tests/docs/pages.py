"""The fenced blocks of a page, and a reader who follows them word for word in a folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from scripts.docs_pages import ROOT
from wam.cli import app

FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$(?P<gap>\n*)", re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"[\w ./,:=\"@+-]+")  # a command that needs nothing of a shell but quotes
SAMPLES = ROOT / "wam" / "samples"


@dataclass(frozen=True)
class Block:
    """``printed`` is the text block right below it, None where there is none."""

    kind: str
    text: str
    printed: str | None


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of a page that a reader runs, each with what the page says that it prints."""
    found = list(FENCE.finditer(markdown))
    for match, after in zip(found, [*found[1:], None], strict=True):
        if match["kind"] in ("sh", "python"):
            follows = after is not None and after["kind"] == "text" and after.start() == match.end()
            yield Block(match["kind"], match["text"], after["text"] if follows and after is not None else None)


def make_pictures(folder: Path) -> None:
    """What the pages say that a reader has: ``photo.jpg``, and a folder ``photos`` with some more."""
    photos = folder / "photos" / "sub"
    photos.mkdir(parents=True)
    for name, target in (("dragonfly", "photo.jpg"), ("cat", "photos/one.jpg"), ("staircase", "photos/sub/two.png")):
        Image.open(SAMPLES / f"{name}.jpg").convert("RGB").reduce(2).save(folder / target, quality=95)


class Reader:
    """Runs blocks in a folder, Python in one session; what is printed is returned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "page"}
        (folder / "bin").mkdir()
        shim = folder / "bin" / "wam"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wam "$@"\n')
        shim.chmod(0o755)

    def follow(self, block: Block) -> str:
        if block.kind == "python":
            shown = StringIO()
            with redirect_stdout(shown):
                exec(compile(block.text, "page", "exec"), self.names)
            return shown.getvalue()
        lines = block.text.splitlines()
        if all(line.startswith("wam ") and PLAIN.fullmatch(line) for line in lines):
            return "".join(map(self._command, lines))
        return self._shell(block.text)

    def _command(self, line: str) -> str:
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
        return result.stdout

    def _shell(self, text: str) -> str:
        bash = shutil.which("bash")
        if bash is None or ("jq" in text and shutil.which("jq") is None):
            pytest.skip("needs bash and jq")
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([bash, "-ec", text], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def likened(text: str) -> str:
    """A text without what differs from one run or machine to the next: links and numbers.

    >>> likened("link: wm:02XF-WDFD  41.3 dB 1e-43")
    'link: wm:LINK  N dB N'
    """
    plain = re.sub(r"wm:\w{4}-\w{4}", "wm:LINK", text)
    return re.sub(r"\d[\d.,:TZ-]*(?:e-?\d+)?", "N", plain).strip()
