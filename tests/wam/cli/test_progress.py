"""The progress bar: on a terminal only, with the rate and what remains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.terminals import run_in_terminal
from wam.cli import progress

CODE = """
import sys, time
from wam.cli import progress
total = int(sys.argv[1])
with progress.progress("embedding", total) as advance:
    for _ in range(max(1, total - 1)):
        time.sleep(0.3)
        advance()
"""


def shown(total: int, code: str = CODE) -> str:
    """What a terminal gets on standard error while all but one of ``total`` files are done, without colours."""
    pty = pytest.importorskip("pty", reason="needs Unix terminals")
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", code, str(total)], stderr=inner, env=environment) as process:
        os.close(inner)
        content = b""
        with suppress(OSError):  # how Linux says that the other end is closed; elsewhere it is an empty piece
            while piece := os.read(outer, 1 << 16):
                content += piece
    os.close(outer)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", content.decode())


def test_a_bar_tells_rate_and_remaining_time() -> None:
    text = shown(4)
    assert "embedding" in text and "3/4" in text
    assert re.search(r"3/4 [\d.]+/s \d:\d\d:\d\d", text)


def test_one_file_has_no_bar() -> None:
    text = shown(1)
    assert re.search(r"embedding \d:\d\d:\d\d", text)
    assert "1/1" not in text and "/s" not in text


STAGES = """
import threading, time
from wam import stages
from wam.cli import progress

def work():
    progress.STAGE_LINE.listen()
    for number in range(1, 4):
        stages.tell(f"resolution {number} of 18")
        time.sleep(0.3)

thread = threading.Thread(target=work)
with progress.progress("detecting", 1):
    thread.start()
    thread.join()
stages.tell("nobody listens")
"""


def test_one_file_tells_what_it_is_at() -> None:
    text = shown(1, STAGES)
    assert re.search(r"detecting: resolution 2 of 18 \d:\d\d:\d\d", text) and "nobody" not in text


def test_nothing_is_shown_elsewhere(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.progress("embedding", 4) as advance:
        advance()
    assert capfd.readouterr() == ("", "")


PRINTING = """
import sys, time, typer
from wam.cli import progress

with progress.progress("embedding", int(sys.argv[1])) as advance:
    time.sleep(0.3)
    typer.echo("marked: a.png " + "-" * 60 + " wm:1X1Q-M7XX")
    typer.echo("note: one", err=True)
    print("plain")
    advance()
    time.sleep(0.3)
typer.echo("after")
"""


@pytest.mark.parametrize("total", [1, 2])
def test_what_is_printed_meanwhile_stands_above_the_bar_by_itself(total: int) -> None:
    """Uncut, with nothing of the bar beside it or left over."""
    status, lines = run_in_terminal([sys.executable, "-c", PRINTING, str(total)], 50)
    assert status == 0
    assert lines == ["marked: a.png " + "-" * 60 + " wm:1X1Q-M7XX", "note: one", "plain", "after"]


UNENDED = """
import sys, time
from wam.cli import progress
with progress.progress("detecting", None) as advance:
    for number in range(3):
        time.sleep(0.3)
        advance(None, 7 if number == 2 else None)
    time.sleep(0.3)
"""


def test_a_listing_that_goes_on_has_no_total_until_it_ends() -> None:
    text = shown(0, UNENDED)
    assert re.search(r"1/\? ", text) and re.search(r"2/\? ", text) and re.search(r"3/7 ", text)
    assert "2/7" not in text
