"""The ``wam`` script, its version and its help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

import wam
from payload.registry import Registry
from payload.registry.entry import STATES
from payload.registry.generations import SCHEMES
from tests.wam.cli.commands import MARK, Run, error_line, files, objects
from wam.bench.session import COSTS
from wam.cli import app, choices, main, panels
from wam.models import zoo
from wam.networks.precision import AUTO, PRECISIONS
from wam.pipeline.options import Mode

ROOT = Path(wam.__file__).parents[1]


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"wam {wam.__version__}\n"


def commands(group: Any = None, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All commands by their words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*names, name))
        else:
            yield *names, name


def test_every_command_explains_itself_with_an_example(run: Run) -> None:
    assert {("embed",), ("detect",), ("key", "new"), ("registry", "stats")} <= set(commands())
    for command in commands():
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert f"Example: wam {' '.join(command)}" in result.stdout


@pytest.mark.parametrize("columns", ["80", "50"])
def test_help_breaks_lines_where_the_terminal_ends(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("detect", "--help").stdout.splitlines()
    assert max(map(len, shown)) <= int(columns)
    start = next(place for place, line in enumerate(shown) if line.strip().startswith("Status: verified"))
    end = next(place for place, line in enumerate(shown) if line.strip().endswith("is not certain)."))
    assert min(map(len, shown[start:end])) > int(columns) - 15  # no line is broken twice


def test_options_are_in_groups(run: Run) -> None:
    for command in ("embed", "detect"):
        shown = run(command, "--help").stdout
        for group in (panels.OUTPUT, panels.REGISTRY, panels.RUNNING, panels.PRINTING):
            assert f"─ {group} ─" in shown


@pytest.mark.parametrize(
    ("words", "offered"),
    [("wam em", "embed"), ("wam embed --mo", "--mode"), ("wam embed --mode ", "record"), ("wam registry st", "stats")],
)
def test_tab_completes(words: str, offered: str) -> None:
    count = len(words.split()) - 1 + words.endswith(" ")
    environment = {**os.environ, "_WAM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    code = "import sys; sys.argv = ['wam']; from wam.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert offered in done.stdout.split() and done.stderr == ""


def test_the_words_of_options_are_those_of_the_library() -> None:
    assert [*choices.Device] == [*zoo.DEVICES]
    assert [*choices.Precision] == [AUTO, *PRECISIONS]
    assert [*choices.Mode] == [*get_args(Mode)]
    assert [*choices.Cost] == [*COSTS]
    assert [*choices.RegistryState] == [*STATES]
    assert [*choices.WordScheme] == [*SCHEMES]


@pytest.mark.parametrize(
    ("option", "value"), [("--mode", "both"), ("--device", "tpu"), ("--engine", "spark"), ("--mode", "Link")]
)
def test_other_words_are_refused_with_those_there_are(run: Run, photo: Path, option: str, value: str) -> None:
    result = run("embed", photo, *MARK, option, value)
    assert result.exit_code == 2
    assert option in result.stderr and value in result.stderr and "is not one of" in " ".join(result.stderr.split())


class TestOldSpellings:
    """They work, and name the new one on standard error."""

    def test_frames_all(self, run: Run, photo: Path) -> None:
        for command in (["embed", *MARK], ["detect"]):
            result = run(*command, photo, "--frames", "all", "--json")
            assert result.stderr.splitlines()[0].startswith("note: --frames all is now --all-frames; the old")
            assert len(objects(result)) == 1
        result = run("detect", photo, "--frames", "some")
        assert result.exit_code == 2
        assert error_line(result).startswith("--frames: expected all, found some")

    def test_they_are_not_in_the_help(self, run: Run) -> None:
        assert "--frames " not in run("embed", "--help").stdout + run("detect", "--help").stdout
        assert "--jobs" not in run("bench", "--help").stdout


class TestKey:
    def test_a_new_one_marks_and_reads(self, run: Run, photo: Path) -> None:
        assert run("key", "new", "acme.key").stdout.startswith("acme.key: a new key; ")
        assert run("embed", photo, *MARK, "--key-file", "acme.key").exit_code == 0
        assert run("detect", "in.wm.png", "--key-file", "acme.key").exit_code == 0
        assert run("detect", "in.wm.png").exit_code == 1

    def test_without_a_file_it_is_printed(self, run: Run) -> None:
        one, other = (run("key", "new").stdout for _ in range(2))
        assert len(bytes.fromhex(one.strip())) == 32 and one != other
        assert files() == []

    def test_one_that_is_there_stays(self, run: Run) -> None:
        Path("acme.key").write_text("precious")
        result = run("key", "new", "acme.key")
        assert result.exit_code == 2
        assert error_line(result).startswith("acme.key: expected a new file, found one that is there")
        assert Path("acme.key").read_text() == "precious"


class TestMain:
    """The ``wam`` script, which the runner above does not go through."""

    @pytest.fixture
    def call(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def invoke(*arguments: str) -> int:
            monkeypatch.setattr(sys, "argv", ["wam", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            assert isinstance(ended.value.code, int)
            return ended.value.code

        return invoke

    @pytest.fixture
    def fails_with(self, call: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def invoke(error: BaseException) -> int:
            def fail(**_: object) -> None:
                raise error

            monkeypatch.setattr(sys.modules["wam.cli.app"], "app", fail)
            return call("detect")

        return invoke

    def test_success(self, call: Callable[..., int], photo: Path) -> None:
        assert call("embed", "in.png", *MARK) == 0
        assert call("detect", "in.wm.png") == 0
        assert call("detect", "in.png") == 1

    def test_no_command_shows_the_help(self, call: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
        assert call() == 2
        shown = capfd.readouterr()
        assert "embed" in shown.out + shown.err and "error" not in shown.err

    @pytest.mark.parametrize(
        ("arguments", "command"),
        [
            (("paint",), "wam"),
            (("--nonsense",), "wam"),
            (("embed",), "wam embed"),
            (("embed", "in.png", "--psnr", "loud"), "wam embed"),
            (("embed", "in.png", "--mode", "stencil"), "wam embed"),
            (("detect",), "wam detect"),
            (("detect", "in.png", "--precision", "fp8"), "wam detect"),
            (("registry", "list", "--state", "lost"), "wam registry list"),
        ],
    )
    def test_usage_errors_are_one_line(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], command: str
    ) -> None:
        assert call(*arguments) == 2
        shown = capfd.readouterr()
        (line,) = shown.err.splitlines()
        assert line.startswith("error: ") and line.endswith(f"; see {command} --help") and "Value error" not in line
        assert shown.out == ""

    @pytest.mark.parametrize(
        ("error", "status", "line"),
        [
            (typer.Abort(), 130, "interrupted"),
            (OSError("disk full"), 2, "disk full"),
            (wam.ModelError("x: missing"), 2, "x: missing"),
        ],
    )
    def test_whatever_goes_wrong_is_one_line(
        self,
        fails_with: Callable[..., int],
        capfd: pytest.CaptureFixture[str],
        error: BaseException,
        status: int,
        line: str,
    ) -> None:
        assert fails_with(error) == status
        (shown,) = capfd.readouterr().err.splitlines()
        assert shown.startswith(f"error: {line}")

    def test_ctrl_c_is_one_line(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Registry, "open", interrupted)
        assert call("registry", "list") == 130
        assert capfd.readouterr().err.strip() == "error: interrupted; files written so far are whole"

    def test_a_broken_pipe_is_no_traceback(
        self, fails_with: Callable[..., int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Closed:
            closed = False

            def close(self) -> None:
                Closed.closed = True

        monkeypatch.setattr(sys, "stderr", Closed())
        assert fails_with(BrokenPipeError()) == 141  # as in shells; 1 would say that no mark was found
        assert Closed.closed

    def test_a_fault_of_the_program_is_no_missing_mark(
        self, fails_with: Callable[..., int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert fails_with(TypeError("a fault")) == 2
        assert "TypeError: a fault" in capfd.readouterr().err

    def test_debug_shows_where_a_file_could_not_be_read(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call("detect", "missing.png", "--debug") == 2
        assert "Traceback" in capfd.readouterr().err
        assert call("detect", "missing.png") == 2
        assert "Traceback" not in capfd.readouterr().err
