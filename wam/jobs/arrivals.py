"""A folder into which others put pictures: which of them are there whole, and which were not taken care of yet.

The folder is looked at every now and then, rather than the system asked to tell of changes: that tells nothing of what
another machine writes to a network drive, loses events when there are many, and needs a look at the start anyway.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from payload.errors import RegistryError
from wam.errors import ImageError, WamError, show_name
from wam.jobs.link_mode import ConfirmError
from wam.jobs.plan import Source
from wam.pictures.atomic_write import save_atomically
from wam.pictures.files import files_in
from wam.pictures.kinds import READ_SUFFIXES
from wam.pictures.storage import fingerprint

TRIES = 3  # after which a file whose turn is put off is not waited for where there is an end
LONGEST_PAUSE = 60.0  # seconds between tries of what waits for something else than its own file
WHY = ".why.txt"  # beside a picture that was moved aside


@dataclass
class _Seen:
    """What is known of one file: its ``state`` and ``since`` when, whether it is ``finished``, how often its turn was
    ``put_off``, and when it may be ``again``."""

    state: str
    since: float
    finished: bool
    put_off: int = 0
    again: float = 0.0


class Arrivals:
    """The pictures of a folder and those below it, hidden ones and those ``without`` left out.

    A file has arrived when it has been the same for ``settle`` seconds; one that cannot be used may still be on its way
    until it has been the same for ``patience`` seconds. ``known`` says of a file that is seen for the first time, with
    its state, whether an earlier run has taken care of it.
    """

    def __init__(
        self,
        folder: Path,
        known: Callable[[Source, str], bool],
        *,
        without: Sequence[Path] = (),
        settle: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._known, self._settle, self._patience, self._clock = known, settle, patience, clock
        self._without = tuple(os.path.realpath(one) for one in without)
        self._seen: dict[str, _Seen] = {}

    def look(self) -> list[Source]:
        """The files whose turn it is, in order; raises ``OSError`` where the folder cannot be listed."""
        os.stat(self.folder / ".")
        ready, there, now = [], dict[str, _Seen](), self._clock()
        for source in self._sources():
            state = fingerprint(source.location)
            if state is None:  # gone again
                continue
            seen = self._seen.get(source.name)
            if seen is None or seen.state != state:
                seen = _Seen(state, now, finished=seen is None and self._known(source, state))
            elif not seen.finished and now - seen.since >= self._settle and now >= seen.again:
                ready.append(source)
            there[source.name] = seen
        self._seen = there
        return ready

    @property
    def waiting(self) -> int:
        """Files that are not taken care of, whether it is their turn or not."""
        return sum(not seen.finished for seen in self._seen.values())

    @property
    def stuck(self) -> bool:
        """Whether all that is left waits for something else, and has done so for a while."""
        return all(seen.finished or seen.put_off >= TRIES for seen in self._seen.values())

    def finish(self, source: Source) -> None:
        """A file is taken care of, unless it has changed since it was its turn: then it has arrived anew."""
        seen = self._seen.get(source.name)
        if seen is not None and fingerprint(source.location) in (seen.state, None):
            seen.finished = True

    def may_change(self, source: Source) -> bool:
        """Whether a file that cannot be used may still be on its way; it has another turn then."""
        seen, now = self._seen.get(source.name), self._clock()
        if seen is None or fingerprint(source.location) != seen.state:
            return True
        seen.again = seen.since + self._patience
        return now < seen.again

    def put_off(self, source: Source) -> None:
        """A file has another turn later, since something else was in the way: the registry, a full disk."""
        seen = self._seen.get(source.name)
        if seen is not None:
            seen.put_off += 1
            seen.again = self._clock() + min(2.0**seen.put_off, LONGEST_PAUSE)

    def _sources(self) -> Iterator[Source]:
        inside: dict[Path, bool] = {}
        for path in files_in(self.folder, READ_SUFFIXES):
            parent = path.parent
            if parent not in inside:
                real = os.path.realpath(parent)
                inside[parent] = any(real == one or real.startswith(one + os.sep) for one in self._without)
            if not inside[parent] and path.suffix.lower() in READ_SUFFIXES:  # no folder that cannot be listed
                yield Source(path, path.relative_to(self.folder).as_posix())


def is_its_own(error: Exception, source: Source) -> bool:
    """Whether an error is the file's own, so that it will be so tomorrow: not one of the registry, of the place that is
    written to, or of a drive that does not answer."""
    if isinstance(error, RegistryError | ConfirmError):
        return False
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno not in (None, errno.ENOMEM):
        return False
    if isinstance(error, ImageError):  # which says what it is about in front
        return str(error).startswith(show_name(os.fspath(source.location)))
    return True


def move(source: Source, folder: Path, *, why: str | None = None) -> Path:
    """Moves a file below a folder, under its name or, where that is taken, a name like it; ``why``: a line that is
    written beside it. Raises ``WamError``."""
    try:
        target = _free(folder / source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if why is not None:
            note = target.with_name(target.name + WHY)
            save_atomically(note, lambda place: place.write_text(f"{why}\n", encoding="utf-8"))
        _rename(Path(source.location), target)
    except OSError as error:
        name = show_name(os.fspath(source.location))
        found = error.strerror or type(error).__name__
        raise WamError(
            f"{name}: expected to move it to {show_name(str(folder))}, found: {found}; it stays where it is"
        ) from error
    return target


def _free(target: Path) -> Path:
    """The target, or the first of NAME.1.EXT, NAME.2.EXT ... that is not there."""
    names = (target.with_name(f"{target.stem}.{number}{target.suffix}") for number in count(1))
    return target if not os.path.lexists(target) else next(name for name in names if not os.path.lexists(name))


def _rename(place: Path, target: Path) -> None:
    """On one drive at once; between two the file is whole there before it goes here."""
    try:
        os.rename(place, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        save_atomically(target, lambda part: shutil.copyfile(place, part))
        with suppress(OSError):
            shutil.copystat(place, target)
        place.unlink()
