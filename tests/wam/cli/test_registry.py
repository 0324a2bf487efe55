"""``wam registry``."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.wam.cli.commands import MARK, Run, error_line, objects
from wam.cli import terminal


class TestRegistry:
    @pytest.fixture
    def link(self, run: Run, photo: Path) -> str:
        return str(objects(run("embed", photo, *MARK, "--user", "u", "--json"))[0]["link"])

    def test_init_says_where(self, run: Run, tmp_path: Path) -> None:
        assert run("registry", "init").stdout == f"{tmp_path / 'wam' / 'registry.sqlite'}: 0 records\n"
        assert (tmp_path / "wam" / "registry.sqlite").is_file()

    def test_list_and_show(self, run: Run, link: str) -> None:
        header, line = run("registry", "list").stdout.splitlines()
        assert header.split() == ["LINK", "STATE", "INGESTED", "ASSET", "OWNER", "USER"]
        assert line.split()[:2] == [link, "marked"] and line.split()[3:] == ["123", "acme", "u"]
        assert header.index("ASSET") == line.index("123")
        (listed,) = objects(run("registry", "list", "--json"))
        (shown,) = objects(run("registry", "show", link, "--json"))
        assert listed == shown and shown["record"]["asset"] == "123" and shown["state"] == "marked"
        shown_lines = [line.split(maxsplit=1) for line in run("registry", "show", link.lower()).stdout.splitlines()]
        assert {"link": link, "asset": "123", "owner": "acme", "user": "u"}.items() <= dict(shown_lines).items()
        assert "{" not in run("registry", "show", link).stdout

    def test_list_what_is_asked_for(self, run: Run, link: str) -> None:
        run("embed", "in.png", "--asset", "9", "--owner", "zenith", "--time", "2026-01-01T12:00:00Z", "-o", "b.png")
        run("registry", "withdraw", link)

        def listed(*options: str) -> list[str]:
            return [one["record"]["asset"] for one in objects(run("registry", "list", "--json", *options))]

        assert listed() == ["123", "9"]
        assert listed("--asset", "9") == listed("--owner", "zenith") == listed("--state", "marked") == ["9"]
        assert listed("--user", "u") == listed("--since", "2026-01-02") == ["123"]
        assert listed("--since", "2026-01-01") == listed("--since", "2026-01-01T13:00:00+01:00") == ["123", "9"]
        assert listed("--user", "u", "--owner", "zenith") == []
        assert len(run("registry", "list", "--asset", "9").stdout.splitlines()) == 2

    @pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "2026-11-22T09:30:00", ""])
    def test_since_something_else(self, run: Run, link: str, since: str) -> None:
        result = run("registry", "list", "--since", since)
        assert result.exit_code == 2
        assert error_line(result).startswith("--since: expected a day like 2026-11-22 or an RFC 3339 time, found ")

    def test_stats(self, run: Run, link: str) -> None:
        (found,) = objects(run("registry", "stats", "--json"))
        assert (found["states"], found["allocated"], found["owners"], found["users"]) == ({"marked": 1}, 1, 1, 1)
        lines = dict(line.split(maxsplit=1) for line in run("registry", "stats").stdout.splitlines())
        assert (lines["marked"], lines["allocated"], lines["free"]) == ("1", "1", f"{found['free']:,}")

    @pytest.mark.parametrize("columns", [50, 80])
    def test_a_narrow_terminal_keeps_link_and_state(
        self, run: Run, link: str, columns: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("embed", "in.png", "--asset", "a" * 100, "--owner", "acme", "-o", "b.png")
        monkeypatch.setattr(terminal, "width", lambda: columns)
        lines = run("registry", "list").stdout.splitlines()
        assert max(map(len, lines)) <= columns
        assert lines[1].split()[:2] == [link, "marked"] and lines[2].endswith("…")

    def test_columns_are_aligned_at_80(self, run: Run, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        run("embed", "in.png", "--asset", "IMG-0042", "--owner", "acme", "-o", "b.png")
        monkeypatch.setattr(terminal, "width", lambda: 80)
        heading, first, second = run("registry", "list").stdout.splitlines()
        assert heading.index("OWNER") == second.index("acme")
        assert heading.index("ASSET") == second.index("IMG-0042") and len(first) <= 80

    def test_a_withdrawn_record_is_no_longer_named(self, run: Run, link: str) -> None:
        assert run("registry", "withdraw", link).exit_code == 0
        (mark,) = objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]
        assert (mark["status"], mark["record"], mark["link"]) == ("withdrawn", None, link)
        assert "withdrawn" in run("detect", "in.wm.png").stdout
        assert run("registry", "list").stdout.splitlines()[1].split()[:2] == [link, "withdrawn"]
        assert objects(run("registry", "show", link, "--json"))[0]["state"] == "withdrawn"

    def test_init_counts_what_list_shows(self, run: Run, link: str) -> None:
        run("embed", "in.png", *MARK, "-o", "b.png")
        run("registry", "withdraw", link)
        assert run("registry", "init").stdout.endswith(": 2 records (1 marked, 1 withdrawn)\n")
        assert len(objects(run("registry", "list", "--json"))) == 2

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "all.jsonl: line 1: expected JSON"),
            (b'{"a": 1}\n', "all.jsonl: line 1: expected a header"),
            (b"\xff\xfe", "all.jsonl: line 1: expected text in UTF-8"),
            (None, "all.jsonl: line 2: expected JSON"),
        ],
    )
    def test_a_failed_import_leaves_no_registry(
        self, run: Run, link: str, content: bytes | None, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("registry", "export", "-o", "all.jsonl")
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        Path("all.jsonl").write_bytes(Path("all.jsonl").read_bytes()[:-9] if content is None else content)
        result = run("registry", "import", "all.jsonl")
        assert result.exit_code == 1
        assert error_line(result).startswith(problem)
        assert not list(Path().glob("copy.sqlite*"))

    def test_an_import_from_a_pipe(self, run: Run, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        content = run("registry", "export").stdout
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        os.mkfifo("pipe")
        writer = threading.Thread(target=Path("pipe").write_text, args=(content,))
        writer.start()
        assert run("registry", "import", "pipe").stdout == "1 new record\n"
        writer.join(timeout=10)

    def test_export_and_import_keep_the_ids(self, run: Run, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert run("registry", "export", "-o", "all.jsonl").stdout.startswith(
            "1 record and the registry's secret -> all.jsonl;"
        )
        assert run("registry", "export").stdout == Path("all.jsonl").read_text()
        monkeypatch.setenv("WAM_REGISTRY", "copy.sqlite")
        assert run("registry", "import", "all.jsonl").stdout == "1 new record\n"
        assert objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"][0]["link"] == link

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [(("show", "wm:0000-0000"), 1), (("withdraw", "nonsense!"), 1), (("import", "none.jsonl"), 1)],
    )
    def test_errors_are_one_line(self, run: Run, link: str, arguments: tuple[str, ...], status: int) -> None:
        result = run("registry", *arguments)
        assert result.exit_code == status
        assert "expected" in error_line(result) or "No such file" in error_line(result)

    def test_a_registry_that_is_not_there(self, run: Run) -> None:
        result = run("registry", "list")
        assert result.exit_code == 2
        assert "expected a file, found none; run `wam registry init` first" in error_line(result)
