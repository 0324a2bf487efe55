"""How far a command is, on standard error if that is a terminal: a bar over many files, the stage of one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console


class Advance(Protocol):
    """Moves a progress bar on: by one, or to ``done`` of ``total``."""

    def __call__(self, done: int | None = None, total: int | None = None, /) -> None: ...


class StageLine:
    """Passes on what a worker's picture is at to the line that is shown meanwhile, if one is."""

    def __init__(self) -> None:
        self.show: Callable[[str], None] | None = None

    def listen(self) -> None:
        """Starts a worker whose stages are shown; called in its thread."""
        from wam import stages

        stages.listen(self._pass_on)

    def _pass_on(self, stage: str) -> None:
        show = self.show  # the line may end meanwhile
        if show is not None:
            show(stage)


class AboveTheBar(TextIOBase):
    """Takes the place of a stream of the terminal while a bar is shown: whole lines go above the bar, uncut.

    Rich's own stand-in says that it has no encoding, whereupon ``typer.echo`` writes past it, onto the bar's line.
    """

    def __init__(self, console: Console, stream: TextIO) -> None:
        self.console = console
        self.stream = stream
        self.begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property in the class that defines it, too
        return self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.stream.errors

    def isatty(self) -> bool:
        return self.stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        from rich.text import Text

        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            self.console.print(Text.from_ansi(line), soft_wrap=True)
        return len(text)

    def close(self) -> None:
        """Leaves the terminal open."""


STAGE_LINE = StageLine()  # one command runs in this process, with one line


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:
    """A bar with rate and remaining time on standard error, if that is a terminal; call what it gives after each.

    For one file the time that has passed and the stage it is at, where workers tell; ``total`` None: it is said later.
    """
    if not sys.stderr.isatty() or total == 0:
        yield lambda done=None, total=None, /: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    if total != 1:
        rate = TextColumn("{task.fields[rate]}")
        columns = [columns[1], BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()]
    console = Console(file=sys.stderr)  # named, as sys.stderr itself is replaced below
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    with bar, ExitStack() as above:
        if sys.stdout.isatty():  # else it goes to a file, which has no bar
            above.enter_context(redirect_stdout(AboveTheBar(console, sys.stdout)))
        above.enter_context(redirect_stderr(AboveTheBar(console, sys.stderr)))
        task = bar.add_task(label, total=None if total == 1 else total, rate="")
        started = monotonic()

        def advance(done: int | None = None, total: int | None = None, /) -> None:
            completed = bar.tasks[0].completed + 1 if done is None else done
            rate = f"{completed / max(monotonic() - started, 1e-3):.1f}/s"
            bar.update(task, completed=completed, rate=rate, total=bar.tasks[0].total if total is None else total)

        if total == 1:
            STAGE_LINE.show = lambda stage: bar.update(task, description=f"{label}: {stage}")
        try:
            yield advance
        finally:
            STAGE_LINE.show = None
