"""A terminal of a given width for tests: what stands on its screen when a command has ended."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

CONTROL = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)|\x1b.?")


def run_in_terminal(
    command: Sequence[str], columns: int, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Exit status and the lines on the screen, without colours; standard output and error are one terminal."""
    pty = pytest.importorskip("pty", reason="needs Unix terminals")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**(os.environ if env is None else env), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner, close_fds=True
    )
    os.close(inner)
    written = b""
    while True:
        try:
            part = os.read(outer, 1 << 16)
        except OSError:  # what Linux says when nobody has the terminal open any more
            break
        if not part:
            break
        written += part
    os.close(outer)
    return process.wait(), screen(written.decode())


def screen(written: str) -> list[str]:
    """The lines that are left of what was written: line feeds, returns, erased lines and ways up are followed."""
    lines, row, column = [""], 0, 0
    for match in CONTROL.finditer(written):
        values, code, feed, text = match.groups()
        if feed == "\r":
            column = 0
        elif feed == "\n":
            row, column = row + 1, column
            lines.extend([""] * (row + 1 - len(lines)))
        elif code == "K" and values == "2":
            lines[row] = ""
        elif code == "A":
            row = max(0, row - int(values or 1))
        elif text is not None:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]
