"""The inputs of a run that starts at once: they are listed as they are asked for, and counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from wam.jobs.plan import Source, Unread, count_files, list_sources
from wam.pictures.storage import Location, is_url, locate


class Listing:
    """The sources of ``list_sources``, once, one by one; ``count`` of those given so far, ``total`` of all, None as
    long as nobody knows.

    ``unread``: pictures of other kinds seen so far; ``has_folder``: some input is a folder, of this machine or one that
    was found behind a URL.
    """

    def __init__(self, inputs: Sequence[str], *, without: Sequence[Location] = ()) -> None:
        self.unread = Unread()
        self.count, self.total = 0, count_files(inputs)
        self.has_folder = any(_is_local_folder(text) for text in inputs)
        self._files = frozenset(inputs)
        self._left = self._noting(list_sources(inputs, without=without, unread=self.unread))
        self._ahead = deque[Source]()

    def __iter__(self) -> Iterator[Source]:
        while self._ahead or self._look_ahead(1):
            self.count += 1
            yield self._ahead.popleft()
        self.total = self.count

    def is_single(self) -> bool:
        """Whether there is one source in all; looks for a second and no further."""
        return self._look_ahead(2) == 1

    def whole(self) -> list[Source]:
        """All that are left, which stay to be given: for whoever has to see them all before the first is read."""
        self._look_ahead(None)
        return list(self._ahead)

    def _look_ahead(self, count: int | None) -> int:
        """Lists until so many are known that were not given yet, None: all; returns how many there are."""
        self._ahead.extend(islice(self._left, None if count is None else max(0, count - len(self._ahead))))
        return len(self._ahead)

    def _noting(self, sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            url = str(source.location)
            self.has_folder = self.has_folder or (is_url(url) and url not in self._files)
            yield source


def _is_local_folder(text: str) -> bool:
    found = locate(text)
    return not isinstance(found, str) and found.is_dir()
