"""A folder that is watched: what has arrived is worked on, moved where it belongs, and known again."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from wam.cli import common
from wam.cli.lines import warn
from wam.errors import WamError, show_name
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from wam.jobs.plan import Source
    from wam.pictures.storage import Location

BATCH = 256  # files of one run


@dataclass(frozen=True)
class Work:
    """What is done to pictures: ``known`` says whether an earlier run has done one in this state, ``do`` yields each
    with its error or None, after it was said, but for errors, which ``fail`` says; ``verb`` for the line at the end."""

    known: Callable[[Source, str], bool]
    do: Callable[[Sequence[Source]], Iterator[tuple[Source, Exception | None]]]
    fail: Callable[[Source, Exception], None]
    verb: str


class Watched:
    """One folder; ``finished`` and ``failed`` count what was done and moved ``aside``."""

    def __init__(
        self, work: Work, folder: Path, aside: Path, done: Path | None, out: Location, *, settle: float,
        patience: float, debug: bool,
    ) -> None:  # fmt: skip
        from wam.jobs.arrivals import Arrivals

        without = [one for one in (aside, done, out) if isinstance(one, Path)]
        self.arrivals = Arrivals(folder, self._known, without=without, settle=settle, patience=patience)
        self.finished = self.failed = 0
        self._work, self._aside, self._done, self._debug = work, aside, done, debug
        self.away = False

    def run(self, every: float, *, once: bool) -> None:
        """Looks and works until it is interrupted, or once all is done; raises ``WamError`` where it cannot go on."""
        while True:
            ready = iter(self._look())
            while some := list(islice(ready, BATCH)):
                self._do(some)
            if once and (self.away or self.arrivals.stuck):
                return
            clock.sleep(every)

    def _known(self, source: Source, state: str) -> bool:
        """Whether an earlier run has done a file; one that it could not move any more is moved now."""
        known = self._work.known(source, state)
        if known and self._done is not None:
            self._move(source, self._done)
        return known

    def _look(self) -> list[Source]:
        """What has arrived; a folder that is away is said once, and waited for."""
        try:
            found = self.arrivals.look()
        except OSError as error:
            if not self.away:
                name, found_instead = show_name(str(self.arrivals.folder)), error.strerror or str(error)
                warn(f"{name}: expected a folder that can be listed, found: {found_instead}; waiting for it")
            self.away = True
            return []
        self.away = False
        return found

    def _do(self, sources: Sequence[Source]) -> None:
        from wam.jobs.arrivals import is_its_own
        from wam.jobs.detect_report import ReportError
        from wam.jobs.manifest import ManifestError
        from wam.service.client import ServerError

        for source, error in self._work.do(sources):
            if error is None:
                self.finished += 1
                self.arrivals.finish(source)
                if self._done is not None:
                    self._move(source, self._done)
            elif isinstance(error, ManifestError | ReportError) or self._debug:  # nothing can be noted any more
                raise error
            elif not os.path.lexists(source.location):
                continue  # taken away again
            elif isinstance(error, ServerError) or not is_its_own(error, source):
                warn(f"{error_line(str(source.location), error)}; it is tried again")
                self.arrivals.put_off(source)
            elif not self.arrivals.may_change(source):
                self.failed += 1
                self._work.fail(source, error)
                self.arrivals.finish(source)
                self._move(source, self._aside, why=error_line(str(source.location), error))

    def _move(self, source: Source, folder: Path, *, why: str | None = None) -> None:
        from wam.jobs.arrivals import move

        try:
            move(source, folder, why=why)
        except WamError as error:
            common.report(error)
