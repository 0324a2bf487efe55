"""The ``wam`` script, its version and its help."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import wam
from payload.registry import Registry
from tests.wam.cli.commands import MARK, Run
from wam.cli import main


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"wam {wam.__version__}\n"


def test_every_command_explains_its_options(run: Run) -> None:
    for command in (["embed"], ["detect"], ["attack"], ["registry"], ["registry", "list"], ["model", "info"]):
        assert run(*command, "--help").exit_code == 0


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
        "arguments", [("paint",), ("--nonsense",), ("embed",), ("embed", "in.png", "--strength", "loud"), ("detect",)]
    )
    def test_usage_errors_are_one_line(
        self, call: Callable[..., int], capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        assert call(*arguments) == 2
        shown = capfd.readouterr()
        (line,) = shown.err.splitlines()
        assert line.startswith("error: ") and line.endswith("; see wam --help")
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
