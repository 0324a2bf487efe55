"""``wam registry audit`` and ``erase``, and what ``detect`` says of what was erased."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.wam.cli.commands import MARK, Run, error_line, objects


@pytest.fixture
def link(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WAM_ACTOR", "ana@desk")
    return str(objects(run("embed", photo, *MARK, "--user", "u-77", "--json"))[0]["link"])


def test_the_log_is_shown(run: Run, link: str) -> None:
    heading, *lines = run("registry", "audit").stdout.splitlines()
    assert heading.split() == ["LINE", "AT", "EVENT", "WHAT", "BY"]
    assert [line.split()[2:] for line in lines] == [
        ["created", "-", "ana@desk"], ["allocated", link, "ana@desk"], ["marked", link, "ana@desk"],
    ]  # fmt: skip
    found = objects(run("registry", "audit", "--json"))
    assert [(one["number"], one["event"], one["link"]) for one in found] == [
        (1, "created", None), (2, "allocated", link), (3, "marked", link),
    ]  # fmt: skip


def test_it_is_verified(run: Run, link: str) -> None:
    result = run("registry", "audit", "--verify")
    head = result.stdout.split()[-1]
    assert result.exit_code == 0 and "3 lines, whole; head " in result.stdout and len(head) == 64
    run("registry", "withdraw", link)
    assert run("registry", "audit", "--verify", "--head", head).exit_code == 0
    assert objects(run("registry", "audit", "--verify", "--json"))[0]["lines"] == 4
    with sqlite3.connect(run("registry", "init").stdout.partition(":")[0]) as connection:
        connection.execute("UPDATE wam_audit SET actor = 'nobody' WHERE number = 2")
    connection.close()
    result = run("registry", "audit", "--verify")
    assert result.exit_code == 1
    assert "audit log: line 2: expected the hash of its content, found another; compare" in error_line(result)
    assert run("registry", "audit", "--head", head).exit_code == 2


def test_look_ups_are_logged_where_that_is_asked_for(run: Run, link: str) -> None:
    run("detect", "in.wm.png")
    assert [one["event"] for one in objects(run("registry", "audit", "--json"))][-1] == "marked"
    assert run("detect", "in.wm.png", "--log-look-ups").exit_code == 0
    last = objects(run("registry", "audit", "--json"))[-1]
    assert (last["event"], last["link"]) == ("looked-up", link)


def test_a_user_is_erased(run: Run, link: str) -> None:
    refused = run("registry", "erase", "--user", "u-77", standard_input=b"n\n")
    assert refused.exit_code == 1 and refused.stderr.endswith("error: nothing was erased\n")
    unasked = run("registry", "erase", "--user", "u-77", standard_input=b"")
    assert unasked.exit_code == 2 and "\nerror: expected yes or no, found no more input; give --yes" in unasked.stderr
    assert objects(run("registry", "show", link, "--json"))[0]["record"]["user"] == "u-77"
    done = run("registry", "erase", "--user", "u-77", "--yes")
    assert done.stdout == "1 record erased; exports, manifests and reports that name u-77 are left to you\n"
    (shown,) = objects(run("registry", "show", link, "--json"))
    assert (shown["state"], shown["record"]["user"], shown["output"]) == ("erased", None, None)
    (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
    assert (mark["status"], mark["record"], mark["link"]) == ("withdrawn", None, link)
    assert run("registry", "audit", "--verify").exit_code == 0
    assert objects(run("registry", "list", "--state", "erased", "--json"))
    again = run("registry", "erase", "--user", "u-77", "--yes")
    assert again.exit_code == 1 and error_line(again).startswith("--user: expected records of u-77 in ")
